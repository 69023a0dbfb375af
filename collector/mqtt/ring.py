"""The edge agent's memory: readings that no mark covers yet, durable, bounded, oldest first out when it is full.

One SQLite file; its boot id lives as long as the file, so a restart of the agent goes on counting. A record carries a
checksum; a torn one is skipped and counted, and its number is given up. A file that is broken is put aside, and what can be
read of it goes on in a new one (`ring_rescue`). A file that is older than what was sent from it (a restored image, a disk
that lied about writing) is noticed by the first mark, and numbering goes on behind it.
"""

import logging
import secrets
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from collector.mqtt.ring_rescue import is_broken, put_aside, saved_readings
from collector.stores.sqlite_schema import closed_on_failure, connect, migrate
from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.telemetry import DeviceReading
from crm_core.domain.wire import decode_reading, encode_reading

_SCHEMA: Final = (
    (
        "CREATE TABLE life (boot_id TEXT NOT NULL, shed INTEGER NOT NULL, torn INTEGER NOT NULL)",
        "CREATE TABLE device (device_id TEXT PRIMARY KEY, last_seq INTEGER NOT NULL) WITHOUT ROWID",
        """CREATE TABLE reading (
            id INTEGER PRIMARY KEY AUTOINCREMENT, device_id TEXT NOT NULL, seq INTEGER NOT NULL,
            crc INTEGER NOT NULL, body BLOB NOT NULL)""",
        "CREATE UNIQUE INDEX by_device ON reading (device_id, seq)",
    ),
)
#: 500 devices every 5 minutes for 72 hours are 432,000 readings, of about 700 bytes each.
DEFAULT_CAPACITY: Final = 1_000_000
#: How far behind a mark numbers may have arrived out of order.
_OUT_OF_ORDER: Final = 10_000
_MAX_SEQ: Final = 2**53
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One reading that is not known to be safe, and the lowest number that the ring still has of its device."""

    record_id: int
    device_id: str
    seq: int
    body: bytes
    oldest_seq: int


class EdgeRing:
    """Readings of one site in the file `path`, at most `capacity`. Safe to use from several threads."""

    def __init__(self, path: Path, *, capacity: int = DEFAULT_CAPACITY) -> None:
        self._path = path
        self._next = path.with_name(f"{path.name}.new")
        self._lock = threading.Lock()
        self._capacity = capacity
        self._broken = False
        self._count, self._losses = 0, (0, 0)
        self._db = self._open()
        self._found_up_to = self._look(self._db)  # records above it are of this process

    def append(self, readings: Sequence[DeviceReading]) -> None:
        """Keep readings, numbered by device; durable on return. A full ring sheds its oldest first."""
        with self._transaction() as db:
            for reading in readings:
                (seq,) = db.execute(
                    "INSERT INTO device (device_id, last_seq) VALUES (?, 1) "
                    "ON CONFLICT (device_id) DO UPDATE SET last_seq = last_seq + 1 RETURNING last_seq",
                    (reading.device_id,),
                ).fetchone()
                numbered = msgspec.structs.replace(reading, source="edge", boot_id=self.boot_id, seq=seq)
                body = zlib.compress(encode_reading(numbered))
                db.execute(
                    "INSERT INTO reading (device_id, seq, crc, body) VALUES (?, ?, ?, ?)",
                    (reading.device_id, seq, zlib.crc32(body), body),
                )
            count = self._count + len(readings)
            shed = self._shed(db, count - self._capacity) if count > self._capacity else 0
        self._count = count - shed
        self._losses = (self._losses[0] + shed, self._losses[1])

    def after(self, record_id: int, limit: int) -> Sequence[Waiting]:
        """Return the next readings behind `record_id`, oldest first; torn ones are dropped and counted."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT r.id, r.device_id, r.seq, r.crc, r.body, "
                "(SELECT min(o.seq) FROM reading o WHERE o.device_id = r.device_id) "
                "FROM reading r WHERE r.id > ? ORDER BY r.id LIMIT ?",
                (record_id, limit),
            ).fetchall()
            torn = [(row[0],) for row in rows if zlib.crc32(row[4]) != row[3]]
            if torn:
                db.executemany("DELETE FROM reading WHERE id = ?", torn)
                db.execute("UPDATE life SET torn = torn + ?", (len(torn),))
        self._count -= len(torn)
        self._losses = (self._losses[0], self._losses[1] + len(torn))
        return [
            Waiting(number, device, seq, zlib.decompress(body), oldest)
            for number, device, seq, crc, body, oldest in rows
            if zlib.crc32(body) == crc
        ]

    def cover(self, device_id: str, boot_id: str, seq: int) -> Sequence[int]:
        """Forget what a mark of this ring's boot covers; return the record ids."""
        if boot_id != self.boot_id or seq > _MAX_SEQ:
            return ()
        with self._transaction() as db:
            known = db.execute("SELECT last_seq FROM device WHERE device_id = ?", (device_id,)).fetchone()
            if known is None or seq > known[0]:
                self._go_on_behind(db, device_id, seq)
            gone = db.execute(
                "DELETE FROM reading WHERE device_id = ? AND seq <= ? RETURNING id", (device_id, seq)
            ).fetchall()
        self._count -= len(gone)
        return [number for (number,) in gone]

    def __len__(self) -> int:
        return self._count

    def losses(self) -> tuple[int, int]:
        """Return how many readings were shed because the ring was full, and how many were torn."""
        return self._losses

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _shed(self, db: sqlite3.Connection, number: int) -> int:
        gone = db.execute(
            "DELETE FROM reading WHERE id IN (SELECT id FROM reading ORDER BY id LIMIT ?)", (number,)
        ).rowcount
        db.execute("UPDATE life SET shed = shed + ?", (gone,))
        return int(gone)

    def _go_on_behind(self, db: sqlite3.Connection, device_id: str, mark: int) -> None:
        """Go on behind a mark that this file never reached: under lower numbers new readings would pass for repeats.

        What this process has kept gets new numbers; what the file held before it started is what the mark covers.
        """
        _log.warning(
            "the ring is older than what %s sent from it: its numbers go on behind %d", device_id, mark
        )
        rows = db.execute(
            "SELECT id, crc, body FROM reading WHERE device_id = ? AND id > ? ORDER BY id",
            (device_id, self._found_up_to),
        ).fetchall()
        seq = mark + _OUT_OF_ORDER
        for record_id, crc, body in rows:
            if zlib.crc32(body) != crc:
                continue
            seq += 1
            numbered = msgspec.structs.replace(decode_reading(zlib.decompress(body)), seq=seq)
            packed = zlib.compress(encode_reading(numbered))
            db.execute(
                "UPDATE reading SET seq = ?, crc = ?, body = ? WHERE id = ?",
                (seq, zlib.crc32(packed), packed, record_id),
            )
        db.execute("INSERT OR REPLACE INTO device (device_id, last_seq) VALUES (?, ?)", (device_id, seq))

    def _open(self) -> sqlite3.Connection:
        """Open the file, or put a broken one aside and go on with what can be read of it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if not self._path.exists() and self._next.exists():  # killed between the two renames of a rescue
                self._next.replace(self._path)
            return _opened(self._path)
        except (OSError, sqlite3.Error, StoreUnavailable) as error:
            if not is_broken(error):
                raise StoreUnavailable(
                    f"the edge ring {self._path} cannot be opened: {error}; check the folder and the rights to it"
                ) from error
            return self._rescued()

    def _rescued(self) -> sqlite3.Connection:
        """Write what can be read into a new file, put the old one aside, and open the new one in its place."""
        saved = saved_readings(self._path)
        self._next.unlink(missing_ok=True)
        with closing(_opened(self._next)) as db, _within(db):
            if saved.boot_id is not None:
                shed, torn = saved.losses
                life = (saved.boot_id, shed, torn + saved.lost)
                db.execute("UPDATE life SET boot_id = ?, shed = ?, torn = ?", life)
            db.executemany(
                "INSERT INTO reading (id, device_id, seq, crc, body) VALUES (?, ?, ?, ?, ?)", saved.rows
            )
            db.executemany("INSERT INTO device VALUES (?, ?)", saved.last_numbers(_OUT_OF_ORDER).items())
        aside = put_aside(self._path)
        self._next.replace(self._path)
        _log.error(
            "the edge ring was broken: %d readings saved, %d lost; the old file is %s",
            len(saved.rows), saved.lost, aside,
        )  # fmt: skip
        return _opened(self._path)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._broken:
                    self._start_again()
                with _within(self._db):
                    yield self._db
            except (OSError, sqlite3.Error) as error:
                self._broken = is_broken(error)
                raise StoreUnavailable(
                    f"the edge ring cannot be written: {error}; free space or check the disk"
                ) from error

    def _start_again(self) -> None:
        """Go on with a new file in the middle of work."""
        self._db.close()
        self._db = self._rescued()
        self._broken = False
        self._look(self._db)

    def _look(self, db: sqlite3.Connection) -> int:
        """Note whose records there are, how many, and what was lost; return the highest record id."""
        self.boot_id, shed, torn = db.execute("SELECT boot_id, shed, torn FROM life").fetchone()
        count, last = db.execute("SELECT count(*), coalesce(max(id), 0) FROM reading").fetchone()
        self._count, self._losses = int(count), (int(shed), int(torn))
        return int(last)


def _opened(path: Path) -> sqlite3.Connection:
    """Return the ring's database, up to date; raise what SQLite says of a broken file."""
    db = connect(path)
    with closed_on_failure(db):
        migrate(db, _SCHEMA)
        with _within(db):
            if db.execute("SELECT 1 FROM life").fetchone() is None:
                db.execute("INSERT INTO life VALUES (?, 0, 0)", (secrets.token_hex(8),))
        db.execute("SELECT count(*), max(id) FROM reading").fetchone()  # a look at the index
    return db


@contextmanager
def _within(db: sqlite3.Connection) -> Iterator[None]:
    """Make what happens within one transaction: all or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
