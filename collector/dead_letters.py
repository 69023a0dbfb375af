"""Messages that could not become readings: kept with the reason, to be listed, mended and sent again.

A dead letter is accounted for like a stored reading: its sequence number is settled, so its sender stops resending.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from collector.stores.reading_codec import at_ms, instant_of
from collector.stores.sqlite import SqliteTelemetryStore

#: Longer bodies are cut when kept; the reason says so.
MAX_KEPT_BYTES: Final = 64 * 1024
SHED_TALLY: Final = "dead_letters_shed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One refused message. `origin` is the MQTT topic, or `snmp` for a polled reading."""

    at: datetime
    origin: str
    reason: str
    body: bytes
    letter_id: int | None = None


class DeadLetterBox(Protocol):
    """Where refused messages are kept."""

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Keep the letters durably."""
        ...

    def list(self, limit: int = 100, before: int | None = None) -> Sequence[DeadLetter]:
        """Return letters with an id below `before`, newest first."""
        ...

    def get(self, letter_id: int) -> DeadLetter | None: ...

    def remove(self, letter_ids: Sequence[int]) -> int:
        """Forget letters, after they were replayed or judged useless; return how many were there."""
        ...

    def count(self) -> int: ...


class SqliteDeadLetters:
    """Dead letters in the telemetry database, at most `limit`: beyond it the oldest are shed and counted."""

    def __init__(self, store: SqliteTelemetryStore, *, limit: int = 100_000) -> None:
        self._store = store
        self._limit = limit

    def add(self, letters: Sequence[DeadLetter]) -> None:
        rows = [(at_ms(letter.at), letter.origin, *_cut(letter)) for letter in letters]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("INSERT INTO dead_letter (at_ms, origin, reason, body) VALUES (?, ?, ?, ?)", rows)
            (newest,) = db.execute("SELECT max(id) FROM dead_letter").fetchone()
            shed = db.execute("DELETE FROM dead_letter WHERE id <= ?", (newest - self._limit,)).rowcount
            if shed:
                db.execute(
                    "INSERT INTO tally (name, count) VALUES (?1, ?2) "
                    "ON CONFLICT (name) DO UPDATE SET count = count + ?2",
                    (SHED_TALLY, shed),
                )

        if rows:
            self._store.transaction(work)

    def list(self, limit: int = 100, before: int | None = None) -> Sequence[DeadLetter]:
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT id, at_ms, origin, reason, body FROM dead_letter WHERE id < ? ORDER BY id DESC LIMIT ?",
                (before if before is not None else 2**63 - 1, limit),
            ).fetchall()
        return [_letter(row) for row in rows]

    def get(self, letter_id: int) -> DeadLetter | None:
        with self._store.reading() as db:
            row = db.execute(
                "SELECT id, at_ms, origin, reason, body FROM dead_letter WHERE id = ?", (letter_id,)
            ).fetchone()
        return None if row is None else _letter(row)

    def remove(self, letter_ids: Sequence[int]) -> int:
        return self._store.transaction(
            lambda db: sum(
                db.execute("DELETE FROM dead_letter WHERE id = ?", (number,)).rowcount
                for number in letter_ids
            )
        )

    def count(self) -> int:
        with self._store.reading() as db:
            (number,) = db.execute("SELECT count(*) FROM dead_letter").fetchone()
        return int(number)


class MemoryDeadLetters:
    """Dead letters of a trial or a test."""

    def __init__(self) -> None:
        self._letters: dict[int, DeadLetter] = {}
        self._next = 1

    def add(self, letters: Sequence[DeadLetter]) -> None:
        for letter in letters:
            reason, body = _cut(letter)
            self._letters[self._next] = DeadLetter(
                at=letter.at, origin=letter.origin, reason=reason, body=body, letter_id=self._next
            )
            self._next += 1

    def list(self, limit: int = 100, before: int | None = None) -> Sequence[DeadLetter]:
        numbers = [n for n in sorted(self._letters, reverse=True) if before is None or n < before]
        return [self._letters[number] for number in numbers[:limit]]

    def get(self, letter_id: int) -> DeadLetter | None:
        return self._letters.get(letter_id)

    def remove(self, letter_ids: Sequence[int]) -> int:
        return sum(self._letters.pop(number, None) is not None for number in letter_ids)

    def count(self) -> int:
        return len(self._letters)


def _cut(letter: DeadLetter) -> tuple[str, bytes]:
    reason = letter.reason[:500].encode("utf-8", "replace").decode()
    if len(letter.body) <= MAX_KEPT_BYTES:
        return reason, letter.body
    return f"{reason} (first {MAX_KEPT_BYTES} of {len(letter.body)} bytes kept)", letter.body[:MAX_KEPT_BYTES]


def _letter(row: tuple[int, int, str, str, bytes]) -> DeadLetter:
    number, when_ms, origin, reason, body = row
    return DeadLetter(
        at=instant_of(when_ms * 1000), origin=origin, reason=reason, body=body, letter_id=number
    )
