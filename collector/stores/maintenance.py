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

import msgspec
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
from collector.stores.sqlite_schema import MIGRATIONS, connect, day_table, days_present
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
class Exported:
    """The files of an export, and each reading that is torn and therefore not in them, in one line."""

    files: tuple[Path, ...]
    left_out: tuple[str, ...]


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
    looked = [(0, 0)]
    with _reading(path) as db:
        db.execute("BEGIN")  # one state of the file, however long it takes; closing ends it
        with _noting("the file", faults):
            faults += [line for (line,) in db.execute("PRAGMA integrity_check") if line != "ok"]
        with _noting("the outbox", faults):
            faults += _torn_records(db)
        kept_from = db.execute("SELECT count FROM tally WHERE name = 'raw_kept_from_day'").fetchone()
        for day in days_present(db):
            with _noting(f"{_date(day)}", faults):
                looked.append(_look_at_day(db, day, faults, whole=kept_from is None or day >= kept_from[0]))
        with _noting("the fleet's figures", faults):
            faults += wrong_figures(db)
    readings, rollups = map(sum, zip(*looked, strict=True))
    return Verification(readings, rollups, tuple(faults))


def _torn_records(db: sqlite3.Connection) -> list[str]:
    records = db.execute("SELECT id, crc, body FROM outbox")
    return [f"outbox record {number} is torn" for number, crc, body in records if zlib.crc32(body) != crc]


def _look_at_day(db: sqlite3.Connection, day: int, faults: list[str], *, whole: bool) -> tuple[int, int]:
    """Look at one day's readings, and at its roll-ups if the day is `whole`; return how many there were of both."""
    readings = rollups = 0
    devices = db.execute(
        f"SELECT DISTINCT d.id, d.tenant, d.device_id FROM {day_table(day)} r JOIN device d ON d.id = r.device"
    ).fetchall()
    for device, tenant, device_id in devices:
        where = f"device {device_id}, {_date(day)}"
        with _noting(where, faults):
            before = len(faults)
            found = _day_of(db, day, device, (tenant, device_id), faults)
            readings += len(found)
            rollups += 1
            if whole and len(faults) == before and not _same(db, device, day, rolled_up(found)):
                faults.append(f"{where}: the roll-up does not fit the readings")
    return readings, rollups


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


def export(path: Path, folder: Path, first: date, last: date) -> Exported:
    """Write the readings of each UTC day, both ends included, to `folder/readings-YYYY-MM-DD.parquet` (zstd).

    Days without readings give no file. An interrupted export leaves no file under the final name.
    """
    if last < first:
        raise InvalidValue(f"the export would end on {last} before it begins on {first}")
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    left_out: list[str] = []
    with _reading(path) as db:
        for day in days_present(db):
            if first <= _date(day) <= last:
                target = folder / f"readings-{_date(day)}.parquet"
                partial = target.with_suffix(".partial")
                with pq.ParquetWriter(partial, _PARQUET, compression="zstd", compression_level=9) as writer:
                    for table in _tables(db, day, left_out):
                        writer.write_table(table)
                partial.replace(target)
                written.append(target)
    return Exported(tuple(written), tuple(left_out))


def _tables(db: sqlite3.Connection, day: int, left_out: list[str]) -> Iterator[pa.Table]:
    cursor = db.execute(
        f"SELECT {READING_COLUMNS}, d.tenant, d.device_id FROM {reading_tables(day)} JOIN device d ON d.id = r.device "
        "ORDER BY r.device, r.at_ms"
    )
    contents = Contents(db, day)
    while rows := cursor.fetchmany(_ROWS_A_GROUP):
        found = [_parquet_row(contents, row, left_out) for row in rows]
        yield pa.Table.from_pylist([one for one in found if one is not None], schema=_PARQUET)


def _parquet_row(contents: Contents, row: tuple[Any, ...], left_out: list[str]) -> dict[str, Any] | None:
    """Return what the file says of a reading; None, and a line in `left_out`, when it is torn."""
    number, when_us, boot, seq, boot_id, source, site_id, ref, body, tenant, device_id = row
    reading = next(iter(readings_from(contents, tenant, device_id, [row[:9]], left_out.append)), None)
    if reading is None:
        return None
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
    db: sqlite3.Connection, day: int, device: int, who: tuple[str, str], faults: list[str]
) -> list[DeviceReading]:
    """Return a device's readings of a day; those that cannot be read are `faults`."""
    rows = db.execute(f"SELECT {READING_COLUMNS} FROM {reading_tables(day)} WHERE r.device = ?", (device,))

    def tell(what: str) -> None:
        faults.append(f"{_date(day)}: a reading cannot be read: {what}")

    return readings_from(Contents(db, day), *who, rows, tell)


@contextmanager
def _noting(what: str, faults: list[str]) -> Iterator[None]:
    """Count what cannot be read within as a fault; whether the file can be read at all is for `_reading`."""
    try:
        yield
    except sqlite3.OperationalError:
        raise
    except (sqlite3.DatabaseError, InvalidValue, msgspec.DecodeError, UnicodeDecodeError) as error:
        faults.append(f"{what}: {error}")


def _same(db: sqlite3.Connection, device: int, day: int, expected: DayRollup) -> bool:
    found = db.execute(
        f"SELECT {ROLLUP_COLUMNS}, supplies FROM daily WHERE device = ? AND day = ?", (device, day)
    ).fetchone()
    return found is not None and rollup_of(found[:-1], supplies_of(found[-1])) == expected


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Lend a read-only connection and close it at the end."""
    if not path.exists():
        raise StoreUnavailable(
            f"there is no telemetry database at {path}; the first start of Drumbeat makes it"
        )
    db = connect(path, read_only=True)
    try:
        _check_version(path, _number(db, "PRAGMA user_version"))
        yield db
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise StoreUnavailable(f"telemetry database {path}: {error}") from error
    finally:
        db.close()


def _check_version(path: Path, version: int) -> None:
    """Raise `StoreUnavailable` for a file that this Drumbeat has not made or not brought up to date."""
    known = len(MIGRATIONS)
    if version > known:
        raise StoreUnavailable(
            f"{path} has schema version {version}, this Drumbeat knows {known}: upgrade it"
        )
    if version < known:
        what = "is empty" if version == 0 else f"has schema version {version}, older than {known}"
        raise StoreUnavailable(
            f"{path} {what}: `drumbeat store stats` or the next start brings it up to date"
        )


def _number(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * MS_PER_DAY // 1000, UTC).date()
