"""What the writer remembers of each device between two batches, so that an ordinary reading needs no query.

Everything here can be read again from the database; it is dropped whenever another connection has written or a
transaction was rolled back.
"""

import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from collector.sequences import SequenceRanges
from collector.stores.daily import DayRollup
from crm_core.domain.telemetry import DeviceReading

#: A day kept in mind for late readings: beyond it the roll-up is read again from its table.
_DAYS_IN_MIND: Final = 3


@dataclass(slots=True)
class Boot:
    """One boot of a sender: its row and which sequence numbers came."""

    row: int
    received: SequenceRanges


@dataclass(frozen=True, slots=True)
class Content:
    """A content together with the row that holds it."""

    day: int
    row: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """The row that holds a content, and enough of the content to know it again: 96 bits instead of some kilobytes."""

    day: int
    row: int
    mark: tuple[int, int]


def sealed(day: int, row: int, content: bytes) -> Seal:
    """Return the seal of a content."""
    return Seal(day, row, mark_of(content))


def mark_of(content: bytes) -> tuple[int, int]:
    """Return two independent checksums (SipHash with this process's key, CRC-32): chance and malice repeat neither."""
    return hash(content), zlib.crc32(content)


@dataclass(slots=True)
class DeviceMemory:
    """One device as the writer knows it. `newest_order` is (-1, "") while no reading of it is stored."""

    row: int
    site_id: str | None
    newest_order: tuple[int, str] = (-1, "")
    newest: Seal | None = None
    said: DeviceReading | None = None  # the newest reading, unless it was stored by another life
    newest_state: tuple[object, ...] = ()
    frame: Content | None = None
    boots: dict[str, Boot] = field(default_factory=dict)
    rollups: dict[int, DayRollup] = field(default_factory=dict)

    def forget_old_days(self, today: int) -> None:
        """Drop the roll-ups that only late readings would need."""
        if len(self.rollups) > _DAYS_IN_MIND:
            self.rollups = {today: self.rollups[today]} if today in self.rollups else {}


class DeviceCache:
    """The devices used last, at most `size` of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._devices: OrderedDict[tuple[str, str], DeviceMemory] = OrderedDict()

    def get(self, key: tuple[str, str]) -> DeviceMemory | None:
        memory = self._devices.get(key)
        if memory is not None:
            self._devices.move_to_end(key)
        return memory

    def put(self, key: tuple[str, str], memory: DeviceMemory) -> None:
        self._devices[key] = memory

    def trim(self) -> None:
        """Forget the devices beyond the size; only between batches, a batch holds its devices."""
        while len(self._devices) > self._size:
            self._devices.popitem(last=False)

    def clear(self) -> None:
        self._devices.clear()
