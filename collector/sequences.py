"""Which sequence numbers of a sender's boot are accounted for: the base of de-duplication and acknowledgement.

A pushed reading is unique by (device, boot id, sequence). The numbers of one boot are kept as a few closed ranges, so
that a year of readings costs some bytes, and the acknowledgement mark is the end of the first range.
"""

from collections.abc import Iterable
from typing import Final, Self

#: More separate ranges than this cannot come from an honest sender (75,000 readings in random order make fewer); the two
#: lowest are then joined (the gap is given up: a reading that still arrives for it counts as a duplicate).
MAX_RANGES: Final = 20_000

#: Tenant, device, boot id, and the lowest and highest number that are accounted for without a reading.
Settled = tuple[str, str, str, int, int]


class SequenceRanges:
    """A set of non-negative numbers as sorted, disjoint, non-adjacent closed ranges."""

    __slots__ = ("_ranges",)

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges: list[tuple[int, int]] = list(ranges)

    @classmethod
    def decode(cls, text: str) -> Self:
        """Return the ranges written by `encode`, for example `1-40,42-42`."""
        parts = (part.split("-") for part in text.split(",") if part)
        return cls((int(low), int(high)) for low, high in parts)

    def encode(self) -> str:
        return ",".join(f"{low}-{high}" for low, high in self._ranges)

    def __contains__(self, number: int) -> bool:
        position = self._position(number)
        return position > 0 and self._ranges[position - 1][1] >= number

    def __len__(self) -> int:
        return sum(high - low + 1 for low, high in self._ranges)

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        return tuple(self._ranges)

    @property
    def mark(self) -> int | None:
        """The highest number up to which nothing is missing; numbering starts at 0 or 1. None: the start is missing."""
        return self._ranges[0][1] if self._ranges and self._ranges[0][0] <= 1 else None

    def add(self, number: int) -> bool:
        """Add one number; return False when it was there already."""
        ranges = self._ranges
        if ranges and ranges[-1][1] + 1 == number:  # the usual case: the next one
            ranges[-1] = (ranges[-1][0], number)
            return True
        if number in self:
            return False
        self.add_range(number, number)
        return True

    def add_range(self, low: int, high: int) -> None:
        """Add every number from `low` to `high`, both ends included; nothing when high < low."""
        if high < low:
            return
        ranges = self._ranges
        start, end = self._position(low - 1), self._position(high + 1)  # those between touch the new one
        if start > 0 and ranges[start - 1][1] + 1 >= low:
            start -= 1
        touched = ranges[start:end]
        if touched:
            low, high = min(low, touched[0][0]), max(high, touched[-1][1])
        ranges[start:end] = [(low, high)]
        while len(ranges) > MAX_RANGES:
            ranges[:2] = [(ranges[0][0], ranges[1][1])]

    def discard(self, number: int) -> None:
        """Take one number out again: it will come once more."""
        if number not in self:
            return
        position = self._position(number) - 1
        low, high = self._ranges[position]
        parts = [(low, number - 1), (number + 1, high)]
        self._ranges[position : position + 1] = [part for part in parts if part[0] <= part[1]]

    def _position(self, number: int) -> int:
        """Return how many ranges begin at or below `number`."""
        low, high = 0, len(self._ranges)
        while low < high:
            middle = (low + high) // 2
            if self._ranges[middle][0] <= number:
                low = middle + 1
            else:
                high = middle
        return low
