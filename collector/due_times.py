"""Due times on disk, so that a restarted collector goes on where it was: no burst of polls, no forgotten back-off.

A small SQLite file beside the telemetry. Losing it costs nothing but a fresh start of the grid, so it is written without waiting
for the disk.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from collector.schedule import DueRecord
from collector.stores.sqlite_schema import closed_on_failure

_SCHEMA = """
CREATE TABLE IF NOT EXISTS due_times (
    key TEXT PRIMARY KEY,
    due_at REAL NOT NULL,       -- seconds since 1970, UTC
    failures INTEGER NOT NULL,
    last_answer REAL,
    pattern BLOB NOT NULL
) WITHOUT ROWID
"""


class SqliteDueTimes:
    """`DueStore` in a SQLite file; each call opens it, so that any thread may call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open()) as db:
            db.execute(_SCHEMA)

    def load(self) -> list[DueRecord]:
        """Return all saved records."""
        with closing(self._open()) as db:
            rows = db.execute("SELECT key, due_at, failures, last_answer, pattern FROM due_times").fetchall()
        return [
            DueRecord(key, _instant(due_at), failures, None if last is None else _instant(last), pattern)
            for key, due_at, failures, last, pattern in rows
        ]

    def save(self, records: Iterable[DueRecord]) -> None:
        """Replace what is saved for these devices."""
        rows = [
            (
                record.key,
                record.due_at.timestamp(),
                record.failures,
                None if record.last_answer is None else record.last_answer.timestamp(),
                record.pattern,
            )
            for record in records
        ]
        with closing(self._open()) as db, db:
            db.executemany("INSERT OR REPLACE INTO due_times VALUES (?, ?, ?, ?, ?)", rows)

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=10.0)
        with closed_on_failure(db):
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = OFF")
        return db


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
