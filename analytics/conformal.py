"""Intervals that keep their promise: conformal widening from held-out outcomes.

Quantile models are too sure of themselves on rows that they have not seen. Conformalised quantile regression (Romano,
Patterson, Candes 2019) adds to each side what held-out rows were missing.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def conformal_widening(
    low: Floats, high: Floats, truth_low: Floats, truth_high: Floats, tail: float = 0.1
) -> tuple[float, float]:
    """Return what to add below `low` and above `high` so that `tail` of the rows falls out on each side; no rows, nothing.

    `truth_low` and `truth_high` are what each side is held against: the truth, or the truth within its own rounding.
    """
    if len(low) == 0:
        return 0.0, 0.0
    return _quantile(low - truth_low, 1 - tail), _quantile(truth_high - high, 1 - tail)


def _quantile(values: Floats, share: float) -> float:
    """Return the smallest value at or below which `share` of the values lies."""
    return float(np.quantile(values, share, method="inverted_cdf"))
