"""What the writer remembers of each device between two batches, so that an ordinary reading needs no query.

Everything here can be read again from the database; it is dropped whenever another connection has written or a
transaction was rolled back.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from collector.sequences import SequenceRanges
from collector.stores.daily import DayRollup
from collector.stores.reading_codec import Parts
from crm_core.domain.telemetry import DeviceReading

#: A day kept in mind for late readings: beyond it the roll-up is read again from its table.
_DAYS_IN_MIND: Final = 3
#: `newest_order` of a device of which no reading is stored.
NO_READING: Final = (-1, "")


@dataclass(slots=True)
class Boot:
    """One boot of a sender: its row and which sequence numbers came."""

    row: int
    received: SequenceRanges


@dataclass(frozen=True, slots=True)
class Content:
    """What a device said, together with the row that holds it."""

    day: int
    row: int
    parts: Parts


@dataclass(slots=True)
class DeviceMemory:
    """One device as the writer knows it; `said` is its newest reading, unless another life of the writer stored it."""

    row: int
    site_id: str | None
    newest_order: tuple[int, str] = NO_READING
    newest: Content | None = None
    said: DeviceReading | None = None
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
