"""What an operator does with the embedded store: look at it, verify it, compact it, and export cold history.

Every function works while a collector writes the file; `compact` takes the write lock while it runs.
"""

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from collector.stores.daily import DayRollup
from collector.stores.reading_codec import MS_PER_DAY, content_of, instant_of
from collector.stores.sqlite_rows import (
    READING_COLUMNS,
    ROLLUP_COLUMNS,
    Contents,
    reading_tables,
    readings_from,
    rolled_up,
    rollup_of,
    supplies_of,
)
from collector.stores.sqlite_schema import connect, day_table, days_present
from collector.stores.sqlite_standing import wrong_figures
from crm_core.domain.errors import InvalidValue, StoreUnavailable
from crm_core.domain.telemetry import DeviceReading

_ROWS_A_GROUP: Final = 20_000
#: Columns of an exported day; `content` is the reading as JSON from `identity` on.
_PARQUET: Final = pa.schema(
    [
        ("tenant", pa.string()), ("site_id", pa.string()), ("device_id", pa.string()),
        ("polled_at", pa.timestamp("us", tz="UTC")), ("source", pa.string()), ("boot_id", pa.string()),
        ("seq", pa.int64()), ("life_count", pa.int64()), ("total_printed", pa.int64()), ("content", pa.string()),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """The state of a telemetry file. Sizes in bytes; `tallies` counts what was shed or given up."""

    schema_version: int
    size_bytes: int
    wal_bytes: int
    free_bytes: int
    devices: int
    first_day: date | None
    last_day: date | None
    days: int
    rows: int
    waiting: dict[str, int]
    parked: int
    dead_letters: int
    tallies: dict[str, int]


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` looked at, and each fault in one line."""

    readings: int
    rollups: int
    faults: tuple[str, ...]


def status(path: Path) -> StoreStatus:
    """Return the state of the store in `path`; raise `StoreUnavailable` when it cannot be read."""
    with _reading(path) as db:
        days = days_present(db)
        wal = path.with_name(f"{path.name}-wal")
        page_size = _number(db, "PRAGMA page_size")
        return StoreStatus(
            schema_version=_number(db, "PRAGMA user_version"),
            size_bytes=_number(db, "PRAGMA page_count") * page_size,
            wal_bytes=wal.stat().st_size if wal.exists() else 0,
            free_bytes=_number(db, "PRAGMA freelist_count") * page_size,
            devices=_number(db, "SELECT count(*) FROM newest"),
            first_day=_date(days[0]) if days else None,
            last_day=_date(days[-1]) if days else None,
            days=len(days),
            rows=sum(_number(db, f"SELECT count(*) FROM {day_table(day)}") for day in days),
            waiting=dict(db.execute("SELECT topic, count(*) FROM outbox GROUP BY topic").fetchall()),
            parked=_number(db, "SELECT count(*) FROM parked"),
            dead_letters=_number(db, "SELECT count(*) FROM dead_letter"),
            tallies=dict(db.execute("SELECT name, count FROM tally").fetchall()),
        )


def verify(path: Path) -> Verification:
    """Check the file, the outbox's checksums, every reading, and every roll-up against its rows."""
    faults: list[str] = []
    readings = rollups = 0
    with _reading(path) as db:
        db.execute("BEGIN")  # one state of the file, however long it takes
        faults += [line for (line,) in db.execute("PRAGMA integrity_check") if line != "ok"]
        records = db.execute("SELECT id, crc, body FROM outbox")
        faults += [
            f"outbox record {number} is torn" for number, crc, body in records if zlib.crc32(body) != crc
        ]
        kept_from = db.execute("SELECT count FROM tally WHERE name = 'raw_kept_from_day'").fetchone()
        for day in days_present(db):
            for device, tenant, device_id in db.execute(
                f"SELECT DISTINCT d.id, d.tenant, d.device_id FROM {day_table(day)} r JOIN device d ON d.id = r.device"
            ).fetchall():
                found = _day_of(db, day, device, tenant, device_id)
                if isinstance(found, str):
                    faults.append(found)
                    continue
                readings += len(found)
                rollups += 1
                if (kept_from is None or day >= kept_from[0]) and not _same(
                    db, device, day, rolled_up(found)
                ):
                    faults.append(f"device {device_id}, {_date(day)}: the roll-up does not fit the readings")
        db.execute("COMMIT")
        faults += wrong_figures(db)
    return Verification(readings, rollups, tuple(faults))


def compact(path: Path) -> int:
    """Give free pages back to the disk and empty the write-ahead log; return how many bytes smaller the file is."""
    before = status(path).size_bytes
    db = connect(path)
    try:
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise StoreUnavailable(f"telemetry database {path} cannot be compacted now: {error}") from error
    finally:
        db.close()
    return before - status(path).size_bytes


def export(path: Path, folder: Path, first: date, last: date) -> list[Path]:
    """Write the readings of each UTC day, both ends included, to `folder/readings-YYYY-MM-DD.parquet` (zstd).

    Return the files. Days without readings give none. An interrupted export leaves no file under the final name.
    """
    if last < first:
        raise InvalidValue(f"the export would end on {last} before it begins on {first}")
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    with _reading(path) as db:
        for day in days_present(db):
            if first <= _date(day) <= last:
                target = folder / f"readings-{_date(day)}.parquet"
                partial = target.with_suffix(".partial")
                with pq.ParquetWriter(partial, _PARQUET, compression="zstd", compression_level=9) as writer:
                    for table in _tables(db, day):
                        writer.write_table(table)
                partial.replace(target)
                written.append(target)
    return written


def _tables(db: sqlite3.Connection, day: int) -> Iterator[pa.Table]:
    cursor = db.execute(
        f"SELECT {READING_COLUMNS}, d.tenant, d.device_id FROM {reading_tables(day)} JOIN device d ON d.id = r.device "
        "ORDER BY r.device, r.at_ms"
    )
    contents = Contents(db, day)
    while rows := cursor.fetchmany(_ROWS_A_GROUP):
        yield pa.Table.from_pylist([_parquet_row(contents, row) for row in rows], schema=_PARQUET)


def _parquet_row(contents: Contents, row: tuple[Any, ...]) -> dict[str, Any]:
    number, when_us, boot, seq, boot_id, source, site_id, ref, body, tenant, device_id = row
    (reading,) = readings_from(contents, tenant, device_id, [row[:9]])
    return {
        "tenant": tenant,
        "site_id": site_id,
        "device_id": device_id,
        "polled_at": instant_of(when_us),
        "source": source,
        "boot_id": boot_id,
        "seq": seq if boot else None,
        "life_count": reading.counters.life_count,
        "total_printed": reading.counters.vendor_count("total_printed"),
        "content": content_of(contents.of(number, ref, body)).decode(),
    }


def _day_of(
    db: sqlite3.Connection, day: int, device: int, tenant: str, device_id: str
) -> list[DeviceReading] | str:
    """Return a device's readings of a day, or the fault that makes them unreadable."""
    rows = db.execute(f"SELECT {READING_COLUMNS} FROM {reading_tables(day)} WHERE r.device = ?", (device,))
    try:
        return readings_from(Contents(db, day), tenant, device_id, rows)
    except (InvalidValue, zlib.error, AssertionError) as error:
        return f"device {device_id}, {_date(day)}: a reading cannot be read: {error}"


def _same(db: sqlite3.Connection, device: int, day: int, expected: DayRollup) -> bool:
    found = db.execute(
        f"SELECT {ROLLUP_COLUMNS}, supplies FROM daily WHERE device = ? AND day = ?", (device, day)
    ).fetchone()
    return found is not None and rollup_of(found[:-1], supplies_of(found[-1])) == expected


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Lend a read-only connection and close it at the end."""
    if not path.exists():
        raise StoreUnavailable(f"there is no telemetry database at {path}")
    db = connect(path, read_only=True)
    try:
        yield db
    except sqlite3.Error as error:
        raise StoreUnavailable(f"telemetry database {path}: {error}") from error
    finally:
        db.close()


def _number(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * MS_PER_DAY // 1000, UTC).date()
