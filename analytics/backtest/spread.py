"""How far a figure of a back-test would move on other devices of the same kind: a bootstrap over whole devices.

Rows of one device resemble each other, so single rows say too little about chance; devices are drawn anew instead
(block bootstrap, B. Efron, R. Tibshirani 1993). What hits all devices at once (a season, a closure) is not in it.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_DRAWS: Final = 400
_INTERVAL: Final = (0.1, 0.9)


def mean_with_spread(
    values: npt.NDArray[np.bool_] | Floats, device: Ints, seed: int = 0
) -> tuple[float, float, float]:
    """Return the mean of `values` [m] and P10, P90 of it over fleets drawn from the same devices; m must not be 0."""
    _, row = np.unique(device, return_inverse=True)
    n = int(row.max()) + 1
    total = np.bincount(row, np.asarray(values, dtype=float), n)
    count = np.bincount(row, minlength=n)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), _DRAWS)
    low, high = np.quantile((drawn @ total) / (drawn @ count), _INTERVAL)
    return float(np.mean(values)), float(low), float(high)
