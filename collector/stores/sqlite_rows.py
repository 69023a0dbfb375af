"""From rows of the embedded store back to contents, readings and roll-ups.

A row that a failing disk has torn costs itself: it is left out, with a warning, and everything else goes on.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from collector.stores.daily import DayRollup, SupplyDay, order_of
from collector.stores.device_cache import Content
from collector.stores.reading_codec import (
    Parts,
    at_us,
    content_of,
    instant_of,
    parts_in,
    unpack,
    unpack_difference,
    whole_reading,
)
from collector.stores.sqlite_schema import day_table
from crm_core.domain.errors import InvalidValue
from crm_core.domain.telemetry import DeviceReading

_log = logging.getLogger(__name__)
#: The columns of a stored reading, with the tables `r` (the day), `b` (its boot) and `o` (its origin).
READING_COLUMNS: Final = (
    "r.id, r.at_ms * 1000 + r.sub_us, r.boot, r.seq, b.boot_id, o.source, o.site_id, r.ref, r.body"
)
ROLLUP_COLUMNS: Final = "first_us, last_us, last_tie, basis, first_count, last_count, last_mono, last_colour, pages, polls, epochs"
_supplies = msgspec.msgpack.Decoder(list[SupplyDay])


def reading_tables(day: int) -> str:
    """Return the FROM clause for `READING_COLUMNS`."""
    return f"{day_table(day)} r JOIN origin o ON o.id = r.origin LEFT JOIN boot b ON b.id = r.boot"


def content_in_row(db: sqlite3.Connection, day: int, row: int) -> Content | None:
    """Return the content of a row, with the row that holds it; None when the row is gone or torn."""
    try:
        return Contents(db, day).of_row(row)
    except InvalidValue as error:
        _warn(f"row {row} of day {day}: {error}")
        return None


def first_frame(db: sqlite3.Connection, day: int, device: int) -> Content | None:
    """Return the newest frame of the device on that day."""
    found = db.execute(
        f"SELECT max(id) FROM {day_table(day)} WHERE device = ? AND ref IS NULL", (device,)
    ).fetchone()
    return None if found[0] is None else content_in_row(db, day, found[0])


def supplies_of(blob: bytes) -> list[SupplyDay]:
    """Return the supplies of a daily roll-up."""
    return _supplies.decode(blob)


def rollup_of(columns: Sequence[Any], supplies: list[SupplyDay]) -> DayRollup:
    """Return the roll-up with `ROLLUP_COLUMNS` and supplies."""
    rollup = DayRollup(*columns)
    rollup.supplies = supplies
    return rollup


def read_day(db: sqlite3.Connection, device: int, day: int) -> DayRollup | None:
    """Return the stored roll-up of one device and day."""
    found = db.execute(
        f"SELECT {ROLLUP_COLUMNS}, supplies FROM daily WHERE device = ? AND day = ?", (device, day)
    ).fetchone()
    return None if found is None else rollup_of(found[:-1], supplies_of(found[-1]))


class Contents:
    """Contents of one day's table; frames are unpacked once."""

    def __init__(self, db: sqlite3.Connection, day: int) -> None:
        self._db = db
        self._table = day_table(day)
        self._day = day
        self._frames: dict[int, Parts] = {}

    def of_row(self, row: int) -> Content | None:
        """Return the content of the row."""
        found = self._fetch(row)
        if found is None:
            return None
        ref, body = found
        if body is None:
            return None if ref is None else self.of_row(ref)
        return Content(self._day, row, self._unpacked(row, ref, body))

    def of(self, row: int, ref: int | None, body: bytes | None) -> Parts:
        """Return what a row says whose columns are at hand (without a body: the same as the row `ref`)."""
        if body is not None:
            return self._unpacked(row, ref, body)
        if ref is None:
            raise InvalidValue("the row has neither content nor the row that holds it")
        known = self._frames.get(ref)
        if known is not None:
            return known
        found = self._fetch(ref)
        if found is None or found[1] is None:
            raise InvalidValue(f"row {ref}, which holds what this one says, is gone")
        parts = self._frames[ref] = self._unpacked(ref, found[0], found[1])
        return parts

    def _unpacked(self, row: int, ref: int | None, body: bytes) -> Parts:
        if ref is not None:
            return unpack_difference(body, self.of(ref, ref, None))
        parts = self._frames.get(row)
        if parts is None:
            parts = self._frames[row] = parts_in(unpack(body))
        return parts

    def _fetch(self, row: int) -> tuple[int | None, bytes | None] | None:
        found: tuple[int | None, bytes | None] | None = self._db.execute(
            f"SELECT ref, body FROM {self._table} WHERE id = ?", (row,)
        ).fetchone()
        return found


def _warn(what: str) -> None:
    _log.warning("a stored reading is left out, see `drumbeat store verify`: %s", what)


def readings_from(
    contents: Contents,
    tenant: str,
    device_id: str,
    rows: Iterable[tuple[Any, ...]],
    tell: Callable[[str], None] = _warn,
) -> list[DeviceReading]:
    """Return the readings of one device from rows of `READING_COLUMNS`, in the order of their times.

    `tell` is called for each that is torn and left out.
    """
    found: list[tuple[tuple[int, str], DeviceReading]] = []
    for row, when_us, boot, seq, boot_id, source, site_id, ref, body in rows:
        try:
            reading = whole_reading(
                content_of(contents.of(row, ref, body)),
                tenant=tenant,
                site_id=site_id,
                device_id=device_id,
                polled_at=instant_of(when_us),
                source=source,
                boot_id=boot_id,
                seq=seq if boot else None,
            )
        except (InvalidValue, OverflowError) as error:
            tell(f"device {device_id}, row {row}: {error}")
            continue
        found.append((order_of(reading, when_us), reading))
    found.sort(key=lambda pair: pair[0])
    return [reading for _, reading in found]


def rolled_up(readings: Iterable[DeviceReading]) -> DayRollup:
    """Return the roll-up of one day's readings in the order of their times."""
    rollup = DayRollup(supplies=[])
    for reading in readings:
        rollup.add(reading, *order_of(reading, at_us(reading.polled_at)))
    return rollup
