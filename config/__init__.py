"""The outer ring: settings, wiring, supervision and the command line."""
