"""What can still be read of a broken edge ring: a bad page costs its own records, never the rest.

A ring stands at a customer's site, where nobody restores a file by hand. SQLite refuses every statement that meets a bad
page; walking around it by record id finds what lies on the other pages, and each record's checksum tells whether it is
whole. The broken file stays beside the new one.
"""

import os
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from collector.stores.sqlite_schema import connect
from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.wire import decode_reading

_LONGEST_STEP: Final = 64
#: SQLite's file format, section 1.3: page size at byte 16, number of pages at byte 28.
_HEADER_BYTES: Final = 100
_MOST_BYTES: Final = 2**36
_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
#: What comes beside a database in WAL mode, and belongs to it.
_COMPANIONS: Final = ("", "-wal", "-shm")

Row = tuple[int, str, int, int, bytes]


@dataclass(slots=True)
class Saved:
    """What was read: records (id, device, number, checksum, body), and how many are known to be lost."""

    boot_id: str | None = None
    losses: tuple[int, int] = (0, 0)
    rows: list[Row] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    lost: int = 0

    def last_numbers(self, margin: int) -> dict[str, int]:
        """Return the last number used of each device; `margin` ahead where only records tell it."""
        found = dict(self.numbers)
        for _, device_id, seq, _, _ in self.rows:
            if device_id not in self.numbers:
                found[device_id] = max(found.get(device_id, 0), seq + margin)
        return found


def is_broken(error: BaseException) -> bool:
    """Tell whether the error, or its cause, says that the file itself is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _BROKEN
    return error.__cause__ is not None and is_broken(error.__cause__)


def put_aside(path: Path) -> Path:
    """Rename the file to `NAME.broken`, over an earlier one, with what belongs to it; return the new path."""
    aside = path.with_name(f"{path.name}.broken")
    for companion in _COMPANIONS:
        beside, kept = path.with_name(path.name + companion), aside.with_name(aside.name + companion)
        if beside.exists():
            beside.replace(kept)
        else:
            kept.unlink(missing_ok=True)
    return aside


def saved_readings(path: Path) -> Saved:
    """Return what can be read of the broken ring in `path`; nothing when it is no database at all."""
    try:
        _lengthen(path)
        db = connect(path)
    except (OSError, StoreUnavailable):
        return Saved()
    try:
        saved = Saved(rows=[row for row in _records(db) if _is_whole(row)])
        for boot_id, shed, torn in _lines(db, "SELECT boot_id, shed, torn FROM life"):
            saved.boot_id, saved.losses = str(boot_id), (int(shed), int(torn))
        if saved.boot_id is None and saved.rows:
            saved.boot_id = decode_reading(zlib.decompress(saved.rows[0][4])).boot_id
        saved.numbers = {
            str(name): int(last) for name, last in _lines(db, "SELECT device_id, last_seq FROM device")
        }
        saved.lost = _missing(saved, db)
    finally:
        db.close()
    return saved


def _missing(saved: Saved, db: sqlite3.Connection) -> int:
    """Return how many records are known to be lost: by the index, or by the numbers that are missing of each device."""
    counted = max(
        (row[0] for row in _lines(db, "SELECT count(*) FROM reading INDEXED BY by_device")), default=0
    )
    first: dict[str, int] = {}
    for _, device_id, seq, _, _ in saved.rows:
        first[device_id] = min(seq, first.get(device_id, seq))
    numbered = sum(saved.last_numbers(0)[device_id] + 1 - seq for device_id, seq in first.items())
    return max(0, max(counted, numbered) - len(saved.rows))


def _lengthen(path: Path) -> None:
    """Give a file that was cut off its length again: SQLite opens none that is shorter than it says itself."""
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    if len(head) == _HEADER_BYTES:
        page_bytes = int.from_bytes(head[16:18]) or 65_536
        wanted = int.from_bytes(head[28:32]) * page_bytes
        if path.stat().st_size < wanted <= _MOST_BYTES:
            os.truncate(path, wanted)


def _records(db: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Yield every record that can be reached, in order, around the pages that cannot be read."""
    highest = [row[0] for row in _lines(db, "SELECT seq FROM sqlite_sequence WHERE name = 'reading'")]
    at, step, end = 0, 1, highest[0] if highest else 0
    while True:
        for row in _lines(
            db, "SELECT id, device_id, seq, crc, body FROM reading WHERE id > ? ORDER BY id", at
        ):
            if row[0] <= at:
                break
            at, step = row[0], 1
            yield row
        if at >= end:
            return
        at, step = at + step, min(step * 2, _LONGEST_STEP)


def _lines(db: sqlite3.Connection, query: str, *given: int) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query up to the first page that cannot be read."""
    try:
        yield from db.execute(query, given)
    except sqlite3.DatabaseError:
        return


def _is_whole(row: tuple[Any, ...]) -> bool:
    _, device_id, seq, crc, body = row
    return (
        isinstance(body, bytes)
        and isinstance(device_id, str)
        and isinstance(seq, int)
        and zlib.crc32(body) == crc
    )
