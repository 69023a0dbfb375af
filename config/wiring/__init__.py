"""Composition: the only place that constructs adapters and puts parts together, for every shape of the product."""
