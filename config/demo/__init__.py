"""The demonstration: a rental firm with twelve customers whose simulated printers live through half a year."""
