"""Usage between two statements of one counter: epochs are recognised here once, for everybody.

A counter of a printer only rises. When it falls, a new epoch has begun: the 32-bit counter rolled over, or the
board was swapped or reset. Usage is never negative, and what cannot be known is not invented.
"""

from dataclasses import dataclass
from typing import Final

_COUNTER32: Final = 2**32
#: A fall counts as a roll-over when the counter stood this close below 2**32 and is this close above zero again.
_ROLL_OVER_WINDOW: Final = 2**24


@dataclass(frozen=True, slots=True)
class MeterStep:
    """Pages used from one statement to the next, and whether a new meter epoch began between them."""

    pages: int
    new_epoch: bool


_NOTHING: Final = MeterStep(0, new_epoch=False)


def meter_step(previous: int | None, current: int | None) -> MeterStep:
    """Return the usage between two successive counts (pages, >= 0).

    A roll-over of a 32-bit counter gives the exact usage. Any other fall (board swap, reset) gives 0 pages and a new
    epoch: what was printed between the last look at the old counter and the first at the new one is not known.
    """
    if previous is None or current is None:
        return _NOTHING
    if current >= previous:
        return MeterStep(current - previous, new_epoch=False)
    if _COUNTER32 - _ROLL_OVER_WINDOW <= previous < _COUNTER32 and current < _ROLL_OVER_WINDOW:
        return MeterStep(_COUNTER32 - previous + current, new_epoch=True)
    return MeterStep(0, new_epoch=True)
