"""Tests: unit (one part), contract (every adapter of a port), integration (real servers, real sockets), scenarios."""
