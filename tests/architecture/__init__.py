"""Tests of the tree itself: direction of imports, types, style, documents, and what leaves this machine."""
