"""How often intervals held when not every outcome has shown: Kaplan-Meier on the scale of the intervals themselves.

Of promises made last month those that came true early are known first, and supplies that people changed in time never
show their end. Judging the known ones alone would call every interval too long. So each promise counts for as long as it
was watched: time runs from 0 (made) over 1 (P10) to 2 (P90), and the share that ends between 1 and 2 is read off one
survival curve of all promises. What was still alive when last seen is censored, not dropped.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_P10: Final = 1.0
_P90: Final = 2.0


def held_share(low: Floats, high: Floats, days: Floats, ended: Bools) -> tuple[float | None, int]:
    """Return the share of intervals [low, high] that hold, and how many promises are decided; None when none is.

    `days` [n] says how long each was watched, `ended` whether it ended then. Decided is what has ended or has outlived
    `high`.
    """
    at = _position(low, high, days)
    decided = int((ended | (at > _P90)).sum())
    if decided == 0:
        return None, 0
    order = np.lexsort((~ended, at))
    at, gone = at[order], ended[order]
    gone[-1] |= at[-1] <= _P90  # nobody was watched longer: the curve ends there (Efron 1967)
    at_risk = np.arange(len(at), 0, -1)
    left = np.where(gone, 1.0 - 1.0 / at_risk, 1.0)
    early, late = np.prod(left[at < _P10]), np.prod(left[at <= _P90])
    return float(early - late), decided


def _position(low: Floats, high: Floats, days: Floats) -> Floats:
    """Return where on its interval each promise stands: below 1 before P10, above 2 beyond P90."""
    before = days / np.maximum(low, 1e-9)
    inside = _P10 + np.minimum((days - low) / np.maximum(high - low, 1e-9), 1.0)
    beyond = _P90 + (days - high) / np.maximum(high, 1.0)
    return np.asarray(
        np.where(days < low, np.minimum(before, _P10 - 1e-9), np.where(days <= high, inside, beyond))
    )
