"""The rows of the day tables: numbered as readings come, packed and written together at the end of a transaction.

Packing all rows of a batch in one go takes half the time of packing each beside everything else that a reading needs.
"""

import sqlite3
from typing import Final

from collector.stores.device_cache import NO_READING, Content, DeviceMemory
from collector.stores.reading_codec import content_of, pack, pack_difference, parts_of
from collector.stores.sqlite_rows import first_frame
from collector.stores.sqlite_schema import create_day, day_table
from crm_core.domain.telemetry import DeviceReading

#: Columns of a row before its content, the row that holds what it says, and the frame that it is a difference to.
_Waiting = tuple[tuple[int, ...], DeviceMemory, Content, Content | None]
#: A difference of more than this part of the content makes its reading the next frame.
_LARGE_PART: Final = 3


class DayRows:
    """Makes the rows of readings through one connection; the caller holds the transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._next_row: dict[int, int] = {}
        self._origins: dict[tuple[str, str | None], int] = {}
        self._waiting: dict[int, list[_Waiting]] = {}

    def forget(self) -> None:
        """Drop everything remembered, after a rollback or a change by somebody else."""
        self._next_row.clear()
        self._origins.clear()
        self._waiting.clear()

    def add(
        self, device: DeviceMemory, reading: DeviceReading, place: tuple[int, int, int, int], *, newer: bool
    ) -> tuple[int, Content]:
        """Give a reading its row; return the number of the row, and the row that holds what the reading says.

        `place`: UTC day, microseconds and milliseconds since 1970, row of the boot. `newer`: it is the device's newest.
        """
        day, when_us, when_ms, boot = place
        row = self._next_row_of(day)
        self._next_row[day] = row + 1
        newest = device.newest
        parts = parts_of(reading, device.said, () if newest is None else newest.parts)
        if newer and newest is not None and newest.day == day and newest.parts == parts:
            held, frame = newest, None
        else:
            held, frame = Content(day, row, parts), self._frame(device, day)
            if frame is None:
                device.frame = held
        origin = self._origin(reading.source, reading.site_id)
        columns = (row, device.row, when_ms, boot, reading.seq or 0, when_us - when_ms * 1000, origin)
        self._waiting.setdefault(day, []).append((columns, device, held, frame))
        return row, held

    def write(self) -> None:
        """Write the rows that wait."""
        for day, waiting in self._waiting.items():
            self._db.executemany(
                f"INSERT INTO {day_table(day)} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_packed, waiting)
            )
        self._waiting.clear()

    def polled_before(self, device: DeviceMemory, day: int, when_ms: int) -> bool:
        """Tell whether a polled reading of that millisecond is in the table."""
        if self._next_row_of(day) == 1:
            return False
        found = self._db.execute(
            f"SELECT 1 FROM {day_table(day)} WHERE device = ? AND at_ms = ? AND boot = 0",
            (device.row, when_ms),
        )
        return found.fetchone() is not None

    def _frame(self, device: DeviceMemory, day: int) -> Content | None:
        if device.newest_order == NO_READING:
            return None
        if device.frame is None or device.frame.day != day:
            if day in self._waiting:  # the frame may be among the rows not yet written
                self.write()
            device.frame = first_frame(self._db, day, device.row) if self._next_row_of(day) > 1 else None
        return device.frame

    def _next_row_of(self, day: int) -> int:
        number = self._next_row.get(day)
        if number is None:
            create_day(self._db, day)
            (number,) = self._db.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {day_table(day)}").fetchone()
            self._next_row[day] = number
        return number

    def _origin(self, source: str, site_id: str | None) -> int:
        number = self._origins.get((source, site_id))
        if number is None:
            find = "SELECT id FROM origin WHERE source = ? AND site_id IS ?"
            found = self._db.execute(find, (source, site_id)).fetchone()
            if found is None:
                self._db.execute("INSERT INTO origin (source, site_id) VALUES (?, ?)", (source, site_id))
                found = self._db.execute(find, (source, site_id)).fetchone()
            number = self._origins[source, site_id] = found[0]
        return number


def _packed(waiting: _Waiting) -> tuple[object, ...]:
    """Return all columns of a row; a reading that differs much from its frame becomes the device's next frame."""
    columns, device, held, frame = waiting
    if held.row != columns[0]:
        return *columns, held.row, None
    if frame is not None:
        body = pack_difference(held.parts, frame.parts)
        if len(body) * _LARGE_PART <= sum(map(len, held.parts)):
            return *columns, frame.row, body
        device.frame = held
    return *columns, None, pack(content_of(held.parts))
