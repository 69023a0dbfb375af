"""Simulated printers with exact ground truth; an oracle that shares no code with the collector."""
