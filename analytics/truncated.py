"""Mean and deviation of a normal that is known to lie in an interval: what a stepped gauge says about a level.

Written for arrays and for the far tails, where the textbook formula loses all digits (scaled complementary error
function instead of differences of probabilities).
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import erf, erfcx

Floats = npt.NDArray[np.floating]

_SQRT2: Final = float(np.sqrt(2.0))
_ROOT: Final = float(np.sqrt(2.0 / np.pi))


def truncated_moments(mean: Floats, deviation: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of normals truncated to [low, high], stable far in the tails."""
    sd = np.maximum(deviation, 1e-9)
    a = np.clip((low - mean) / sd, -30.0, 30.0)
    b = np.clip((high - mean) / sd, -30.0, 30.0)
    flip = a + b < 0  # use the mirror image, so that a is the nearer bound in the upper tail
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    b = np.maximum(b, a + 1e-6)
    gap = np.exp(np.maximum((a * a - b * b) / 2.0, -80.0))
    mass = _scaled_mass(a, b, gap)
    shift = _ROOT * (1.0 - gap) / mass
    spread = 1.0 + _ROOT * (a - b * gap) / mass - shift * shift
    shift = np.clip(shift, a, b)
    return mean + np.where(flip, -shift, shift) * sd, sd * np.sqrt(np.clip(spread, 1e-4, 1.0))


def _scaled_mass(a: Floats, b: Floats, gap: Floats) -> Floats:
    """Return twice the probability between a and b, over exp(-a*a/2); each element pays only for its own branch."""
    mass = np.empty_like(a)
    tail = a > 0
    at = np.flatnonzero(tail)
    far = erfcx(a[at] / _SQRT2) - gap[at] * erfcx(b[at] / _SQRT2)
    mass[at] = np.maximum(far, 1e-12)
    at = np.flatnonzero(~tail)
    near = a[at]
    straddles = erf(b[at] / _SQRT2) - erf(near / _SQRT2)
    mass[at] = np.maximum(straddles * np.exp(np.minimum(near * near, 150.0) / 2.0), 1e-12)
    return mass
