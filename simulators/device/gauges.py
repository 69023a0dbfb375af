"""How a machine's gauge misstates a true level: steps, sticking, bias, nothing until it is low.

The kinds and their shares follow the supply histories' README and the recordings (docs/simulators.md). Levels are
shares 0..1; results are whole percents, or -3 where the gauge only knows that something is left.
"""

import math
from typing import Final

from simulators.device.habits import GAUGES

SOME_REMAINING: Final = -3
STICKING_PLATEAU: Final = 9
STEP_PERCENT: Final = {"pct1": 1, "pct5": 5, "pct10": 10, "ml": 1, "some_remaining": 1}


def biased(share: float, bias: float) -> float:
    """Return the level of a dot-counting gauge that counts `bias` too much (0.05 = 5 % too fast), within 0..1."""
    return min(max(1.0 - (1.0 - share) * (1.0 + bias), 0.0), 1.0)


def stepped(share: float, step: int) -> int:
    """Return the percent on a scale of `step`; 0 only when empty, as gauges round the last step up."""
    return min(step * math.ceil(100.0 * share / step - 1e-6), 100)


def sticking(share: float, unit_number: int) -> int:
    """Return the percent of a gauge that stands on plateaus of 9 points, at other places for each cartridge."""
    offset = unit_number * 7 % STICKING_PLATEAU
    plateau = STICKING_PLATEAU * math.ceil((100.0 * share + offset) / STICKING_PLATEAU) - offset
    return max(min(plateau, 100), 0) if share > 0 else 0


def percent_shown(kind: int, share: float, *, bias: float, unit_number: int, vendor_step: int = 1) -> int:
    """Return what the gauge of kind `GAUGES[kind]` shows in percent for a true share."""
    name = GAUGES[kind]
    seen = biased(share, bias) if bias else share
    if name == "sticking":
        return sticking(seen, unit_number)
    return stepped(seen, max(STEP_PERCENT[name], vendor_step))
