"""Mean and deviation of a normal that is known to lie in an interval: what a stepped gauge says about a level.

Written for arrays and for the far tails, where the textbook formula loses all digits (scaled complementary error
function instead of differences of probabilities).
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import erf, erfcx

Floats = npt.NDArray[np.float64]

_SQRT2: Final = np.sqrt(2.0)


def truncated_moments(mean: Floats, deviation: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of normals truncated to [low, high], stable far in the tails."""
    sd = np.maximum(deviation, 1e-9)
    a = np.clip((low - mean) / sd, -30.0, 30.0)
    b = np.clip((high - mean) / sd, -30.0, 30.0)
    flip = a + b < 0  # use the mirror image, so that a is the nearer bound in the upper tail
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    b = np.maximum(b, a + 1e-6)
    gap = np.exp(np.clip((a * a - b * b) / 2.0, -700.0, 0.0))
    tail = erfcx(np.maximum(a, 0.0) / _SQRT2) - gap * erfcx(np.maximum(b, 0.0) / _SQRT2)
    straddles = erf(b / _SQRT2) - erf(a / _SQRT2)
    root = np.sqrt(2.0 / np.pi)
    mass = np.where(
        a > 0, np.maximum(tail, 1e-12), np.maximum(straddles * np.exp(np.minimum(a * a, 700.0) / 2.0), 1e-12)
    )
    shift = root * (1.0 - gap) / mass
    spread = 1.0 + root * (a - b * gap) / mass - shift * shift
    shift = np.clip(shift, a, b)
    return (
        np.asarray(mean + np.where(flip, -shift, shift) * sd),
        np.asarray(sd * np.sqrt(np.clip(spread, 1e-4, 1.0))),
    )
