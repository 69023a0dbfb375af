"""Questions to the embedded store's tables, each over one connection and one state of the file."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from collector.sequences import SequenceRanges
from collector.stores.reading_codec import content_of, instant_of, whole_reading
from collector.stores.sqlite_rows import (
    READING_COLUMNS,
    Contents,
    content_in_row,
    reading_tables,
    readings_from,
)
from collector.stores.sqlite_schema import day_table, days_present
from collector.stores.sqlite_standing import forget_changed_days
from collector.stores.sqlite_write import KEPT_FROM_DAY
from crm_core.domain.telemetry import DailySupply, DeviceReading

_ROWS_A_FETCH: Final = 2000


class Kept(msgspec.Struct, array_like=True):
    """The newest reading of a device whose raw rows were dropped."""

    source: str
    site_id: str | None
    boot_id: str | None
    seq: int | None
    content: bytes


@contextmanager
def snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """Let several queries see one state of the file."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")


def received_by(
    db: sqlite3.Connection, tenant: str, device_id: str, boots: int = 8
) -> dict[str, SequenceRanges]:
    """Return the accounted sequence numbers of the device's last boots, the newest boot first."""
    rows = db.execute(
        "SELECT b.boot_id, b.received FROM device d JOIN boot b ON b.device = d.id WHERE d.tenant = ? "
        "AND d.device_id = ? ORDER BY b.touched_ms DESC, b.id DESC LIMIT ?",
        (tenant, device_id, boots),
    )
    return {boot_id: SequenceRanges.decode(text) for boot_id, text in rows}


def newest_reading(
    db: sqlite3.Connection, tenant: str, device_id: str, row: tuple[Any, ...]
) -> DeviceReading | None:
    """Return the reading that a row of `newest` points at, or keeps after its day was dropped; None if it is torn."""
    when, day, number, kept = row
    if kept is None:
        rows = db.execute(f"SELECT {READING_COLUMNS} FROM {reading_tables(day)} WHERE r.id = ?", (number,))
        return next(iter(readings_from(Contents(db, day), tenant, device_id, rows)), None)
    if not kept:
        return None
    old = msgspec.msgpack.decode(kept, type=Kept)
    return whole_reading(
        old.content, tenant=tenant, site_id=old.site_id, device_id=device_id, polled_at=instant_of(when),
        source=old.source, boot_id=old.boot_id, seq=old.seq,
    )  # fmt: skip


def readings_of_day(
    db: sqlite3.Connection,
    tenant: str,
    device_id: str,
    day: int,
    where: str,
    given: tuple[int, ...],
    order: str = "",
) -> list[DeviceReading]:
    """Return readings of one device in one day's table, in the order of their times."""
    rows = db.execute(
        f"SELECT {READING_COLUMNS} FROM {reading_tables(day)} WHERE r.device = "
        f"(SELECT id FROM device WHERE tenant = ? AND device_id = ?) {where} {order}",
        (tenant, device_id, *given),
    )
    return readings_from(Contents(db, day), tenant, device_id, rows)


def first_found(
    db: sqlite3.Connection,
    tenant: str,
    device_id: str,
    days: Sequence[int],
    how: tuple[str, str, int],
    when: int,
) -> DeviceReading | None:
    """Return the nearest reading in the first of `days` that has one on the wanted side of `when`."""
    side, direction, pick = how
    for day in days:
        found = readings_of_day(
            db, tenant, device_id, day, f"AND r.at_ms * 1000 + r.sub_us {side} ?", (when,),
            f"ORDER BY r.at_ms {direction}, r.sub_us {direction} LIMIT 16",
        )  # fmt: skip
        if found:
            return found[pick]
    return None


def daily(
    db: sqlite3.Connection, columns: str, tenant: str, first_day: int, last_day: int, device_id: str | None
) -> Iterator[tuple[Any, ...]]:
    """Yield device row, device id, day, jams and the wanted columns, by device and day."""
    one = "" if device_id is None else "AND d.device_id = ?"
    cursor = db.execute(
        f"SELECT d.id, d.device_id, y.day, y.jams, {columns} FROM device d CROSS JOIN daily y ON y.device = d.id "
        f"WHERE d.tenant = ? AND y.day >= ? AND y.day <= ? {one} ORDER BY d.device_id, y.day",
        (tenant, first_day, last_day) + (() if device_id is None else (device_id,)),
    )
    while rows := cursor.fetchmany(_ROWS_A_FETCH):
        yield from rows


def count_before(db: sqlite3.Connection, device: int, day: int) -> tuple[int | None, str]:
    """Return the last count that the device stated before `day`, and of which counter."""
    found: tuple[int | None, str] | None = db.execute(
        "SELECT last_count, basis FROM daily WHERE device = ? AND day < ? AND last_count IS NOT NULL "
        "ORDER BY day DESC LIMIT 1",
        (device, day),
    ).fetchone()
    return (None, "") if found is None else found


def in_order(waiting: Mapping[str, list[DailySupply]]) -> Iterator[DailySupply]:
    """Yield the rows of one device by supply."""
    for index in sorted(waiting):
        yield from waiting[index]


def drop_days(db: sqlite3.Connection, first_kept: int, forget: Callable[[], None]) -> int:
    """Drop whole days; a device's newest reading moves into its own row first."""
    days = [day for day in days_present(db) if day < first_kept]
    for day in days:
        silent = db.execute(
            "SELECT n.device, n.row, d.tenant, d.device_id, b.boot_id, r.seq, o.source, o.site_id FROM newest n "
            f"JOIN device d ON d.id = n.device JOIN {day_table(day)} r ON r.id = n.row "
            "JOIN origin o ON o.id = r.origin LEFT JOIN boot b ON b.id = r.boot WHERE n.day = ? AND n.kept IS NULL",
            (day,),
        ).fetchall()
        for device, row, _, _, boot_id, seq, source, site_id in silent:
            held, kept = content_in_row(db, day, row), b""  # nothing is kept of a torn row
            if held is not None:
                number = seq if boot_id is not None else None
                kept = msgspec.msgpack.encode(Kept(source, site_id, boot_id, number, content_of(held.parts)))
            db.execute("UPDATE newest SET kept = ? WHERE device = ?", (kept, device))
        db.execute(f"DROP TABLE {day_table(day)}")
    db.execute(
        "INSERT INTO tally (name, count) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET count = max(count, excluded.count)",
        (KEPT_FROM_DAY, first_kept),
    )
    forget_changed_days(db, first_kept)
    forget()
    return len(days)
