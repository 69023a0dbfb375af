"""Solvers behind the port of route planning: each is an extra that need not be installed, and begins with our heuristic."""
