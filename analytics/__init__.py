"""Turns stored history into forecasts: what runs out, wears out or breaks, and when."""
