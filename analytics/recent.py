"""The last 128 days of every device as they were taken: pages, jams, and the codes that came.

Failures are read from bursts against what is usual, so their features need days, not only forgetting sums. The memory is
bounded: two small tables by [device, day of the ring] and the codes as they came, a few bytes each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.failures import component_of
from crm_core.domain.telemetry import TelemetryEvent

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAYS: Final = 128
_SEVERE: Final = frozenset({"critical", "error"})


@dataclass(frozen=True, slots=True)
class DayCodes:
    """Codes of one day: device rows, numbers of the codes, and whether they were severe."""

    row: npt.NDArray[np.int32]
    code: npt.NDArray[np.int32]
    severe: npt.NDArray[np.bool_]


@dataclass(slots=True)
class CodeBook:
    """Numbers of the codes that were seen, and the hardware component of each (-1: none or not named)."""

    numbers: dict[str, int] = field(default_factory=dict)
    component: list[int] = field(default_factory=list)

    def number(self, event: TelemetryEvent) -> int:
        """Return the number of an event's code; a new code gets the next one."""
        key = f"{event.kind}:{event.code}"
        found = self.numbers.get(key)
        if found is None:
            found = self.numbers[key] = len(self.component)
            named = component_of(event)
            self.component.append(-1 if named is None else named)
        return found


@dataclass(slots=True)
class RecentDays:
    """Rings over days for n devices: day d is in column d % DAYS."""

    pages: npt.NDArray[np.float32]
    jams: npt.NDArray[np.float32]
    codes: dict[int, DayCodes] = field(default_factory=dict)
    book: CodeBook = field(default_factory=CodeBook)

    @classmethod
    def empty(cls, n: int) -> "RecentDays":
        """Return rings of devices that have not been seen yet."""
        return cls(np.zeros((n, DAYS), np.float32), np.zeros((n, DAYS), np.float32))

    def grow(self, n: int) -> None:
        """Add devices at the end."""
        more = RecentDays.empty(n)
        self.pages = np.concatenate([self.pages, more.pages])
        self.jams = np.concatenate([self.jams, more.jams])

    def take(
        self, day: int, events: Sequence[tuple[int, TelemetryEvent]], pages: Floats, jams: Floats
    ) -> None:
        """Take one day; what is older than the ring is forgotten."""
        column = day % DAYS
        self.pages[:, column] = np.where(np.isnan(pages), 0.0, pages)
        self.jams[:, column] = jams
        self.codes.pop(day - DAYS, None)
        if events:
            self.codes[day] = self.codes_of(events)

    def codes_of(self, events: Sequence[tuple[int, TelemetryEvent]]) -> DayCodes:
        """Return the events of one day as numbers."""
        return DayCodes(
            np.array([row for row, _ in events], np.int32),
            np.array([self.book.number(event) for _, event in events], np.int32),
            np.array([event.severity in _SEVERE for _, event in events], bool),
        )

    def window(self, table: npt.NDArray[np.floating], day: int, rows: Ints) -> Floats:
        """Return [rows, DAYS] in order of time, ending with `day`."""
        columns = (day - DAYS + 1 + np.arange(DAYS)) % DAYS
        return np.asarray(table[rows][:, columns], dtype=float)


def codes_between(
    codes: Mapping[int, DayCodes], first: int, last: int
) -> tuple[Ints, Ints, Ints, npt.NDArray[np.bool_]]:
    """Return day, row, code and severity of all codes of first <= day <= last."""
    days = [day for day in range(first, last + 1) if day in codes]
    none = np.zeros(0, np.int64)
    if not days:
        return none, none, none, none.astype(bool)
    return (
        np.concatenate([np.full(len(codes[day].row), day) for day in days]),
        np.concatenate([codes[day].row for day in days]).astype(np.int64),
        np.concatenate([codes[day].code for day in days]).astype(np.int64),
        np.concatenate([codes[day].severe for day in days]),
    )
