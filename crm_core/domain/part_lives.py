"""How long one kind of part lasts: its law and what was seen, as analytics works it out and people look at it.

Analytics saves these rows every night (`OutlookKind.PART_LIVES`); pages read them through the repository and ask for one
part: how many of its kind are still alive at its age, and how far this one will probably go.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from crm_core.domain.forecast import Interval

#: P10, P50 and P90 of a life: the shares of the survivors that have failed by then.
_SHARES: Final = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The share (0..1) still alive after so many pages, with its 80 % interval."""

    pages: float
    alive: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PartLife:
    """The survival exp(-(pages / scale) ** shape) of a kind of part; `curve` is what the company's own parts showed.

    Without own failures enough (`own` is False) the law is the weak prior at the data-sheet life, and the curve is empty.
    """

    model: str  # id of the device model in the catalogue
    component: str
    design_life_pages: int
    shape: float
    scale: float  # pages
    own: bool
    lives: int = 0
    ended: int = 0
    curve: tuple[CurvePoint, ...] = ()
    method: str = ""  # id of the method that made the law

    def alive(self, pages: float) -> float:
        """Return the share (0..1) still alive after so many pages."""
        return math.exp(-((max(pages, 0.0) / self.scale) ** self.shape))

    def fails_within(self, age: float, ahead: float) -> float:
        """Return the chance that a part alive at `age` fails within `ahead` more pages."""
        before, after = (max(pages, 0.0) / self.scale for pages in (age, age + ahead))
        return 1.0 - math.exp(before**self.shape - after**self.shape)

    def pages_left(self, age: float) -> Interval:
        """Return how many more pages a part alive at `age` will print: P10, P50 and P90."""
        spent = (max(age, 0.0) / self.scale) ** self.shape
        ends = (
            max(self.scale * (spent - math.log1p(-share)) ** (1.0 / self.shape) - age, 0.0)
            for share in _SHARES
        )
        return Interval(*ends)

    def as_row(self) -> dict[str, object]:
        """Return the fields as a row of the nightly list."""
        return dict(msgspec.to_builtins(self))


def part_lives_of(rows: Iterable[Mapping[str, object]]) -> dict[tuple[str, str], PartLife]:
    """Return the laws by device model and component from the rows of the nightly list."""
    lives = (msgspec.convert(dict(row), PartLife) for row in rows)
    return {(life.model, life.component): life for life in lives}
