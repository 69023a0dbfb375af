"""Intervals that keep their promise: conformal widening from held-out outcomes.

Quantile models are too sure of themselves on rows that they have not seen. Conformalised quantile regression (Romano,
Patterson, Candes 2019) adds to each side what held-out rows were missing.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def weighted_quantile(values: Floats, weights: Floats, share: float) -> float:
    """Return the smallest value at or below which `share` of the weight lies."""
    order = np.argsort(values)
    total = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(total, share)), len(values) - 1)])


def conformal_widening(
    low: Floats, high: Floats, truth: Floats, weights: Floats, tail: float = 0.1
) -> tuple[float, float]:
    """Return what to add below `low` and above `high` so that `tail` of the weight falls out on each side."""
    return weighted_quantile(low - truth, weights, 1 - tail), weighted_quantile(
        truth - high, weights, 1 - tail
    )


def conformal_scale(median: Floats, deviation: Floats, truth: Floats, coverage: float = 0.8) -> float:
    """Return the factor on `deviation` at which `coverage` of the truths lie within median -+ 1.2816 deviations."""
    score = np.abs(truth - median) / np.maximum(1.2816 * deviation, 1e-9)
    return float(np.quantile(score, coverage)) if len(score) else 1.0
