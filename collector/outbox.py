"""What is stored here and still has to go elsewhere: signals to the CRM inbox, lines to InfluxDB.

Records are written by the store in the transaction of their readings, with a checksum, and deleted only when the
other side has them. A record that does not pass its checksum is quarantined; the rest goes on. Telemetry lines are
bounded and shed oldest first, with a count; signals, from which tickets come, are never shed.
"""

import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from collector.stores.reading_codec import at_ms
from collector.stores.sqlite import SqliteTelemetryStore
from collector.stores.sqlite_write import LINES_TOPIC, SIGNAL_TOPIC
from crm_core.domain.service import Signal
from crm_core.ports import Clock, SignalInbox

TORN: Final = "the checksum does not fit: the record was torn or the disk is failing"
SHED_TALLY: Final = "lines_shed"


@dataclass(frozen=True, slots=True)
class OutboxRecord:
    """One undelivered record."""

    record_id: int
    body: bytes


@dataclass(frozen=True, slots=True)
class ParkedRecord:
    """One record that cannot be delivered as it is, with the reason."""

    parked_id: int
    topic: str
    reason: str
    body: bytes


class Outbox:
    """The outbox of one telemetry database."""

    def __init__(self, store: SqliteTelemetryStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def take(self, topic: str, limit: int, *, after: int = 0) -> Sequence[OutboxRecord]:
        """Return the oldest records with an id above `after`; torn ones are quarantined on the way."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT id, crc, body FROM outbox WHERE topic = ? AND id > ? ORDER BY id LIMIT ?",
                (topic, after, limit),
            ).fetchall()
        whole = [OutboxRecord(number, body) for number, crc, body in rows if zlib.crc32(body) == crc]
        for number, crc, body in rows:
            if zlib.crc32(body) != crc:
                self.park(topic, number, ((TORN, body),))
        return whole

    def delivered(self, record_ids: Sequence[int]) -> None:
        """Delete records that have arrived."""
        numbers = [(number,) for number in record_ids]
        self._store.transaction(lambda db: db.executemany("DELETE FROM outbox WHERE id = ?", numbers))

    def park(self, topic: str, record_id: int, parts: Sequence[tuple[str, bytes]]) -> None:
        """Put parts (reason, body) of a record aside and delete the record."""
        now_ms = at_ms(self._clock.now())

        def work(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT INTO parked (topic, at_ms, reason, body) VALUES (?, ?, ?, ?)",
                [(topic, now_ms, reason[:500], body) for reason, body in parts],
            )
            db.execute("DELETE FROM outbox WHERE id = ?", (record_id,))

        self._store.transaction(work)

    def parked(self, limit: int = 100) -> Sequence[ParkedRecord]:
        """Return parked records, newest first."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT id, topic, reason, body FROM parked ORDER BY id DESC LIMIT ?", (limit,)
            ).fetchall()
        return [ParkedRecord(*row) for row in rows]

    def waiting(self, topic: str | None = None) -> int:
        """Return how many records wait."""
        with self._store.reading() as db:
            (number,) = db.execute(
                "SELECT count(*) FROM outbox WHERE topic = coalesce(?, topic)", (topic,)
            ).fetchone()
        return int(number)

    def last_id(self, topic: str) -> int:
        """Return the highest waiting id, 0 when nothing waits."""
        with self._store.reading() as db:
            (number,) = db.execute(
                "SELECT coalesce(max(id), 0) FROM outbox WHERE topic = ?", (topic,)
            ).fetchone()
        return int(number)

    def shed_lines(self, keep: int) -> int:
        """Delete the oldest line records beyond `keep`; return and count how many."""

        def work(db: sqlite3.Connection) -> int:
            gone = db.execute(
                "DELETE FROM outbox WHERE topic = ?1 AND id <= coalesce((SELECT id FROM outbox WHERE topic = ?1 "
                "ORDER BY id DESC LIMIT 1 OFFSET ?2), 0)",
                (LINES_TOPIC, keep),
            ).rowcount
            if gone:
                db.execute(
                    "INSERT INTO tally (name, count) VALUES (?1, ?2) "
                    "ON CONFLICT (name) DO UPDATE SET count = count + ?2",
                    (SHED_TALLY, gone),
                )
            return gone

        return self._store.transaction(work)


class SignalForwarder:
    """Carries signals into the CRM inbox, in order; the inbox knows a repeat, so a crash between costs nothing."""

    def __init__(self, outbox: Outbox, inbox: SignalInbox, *, batch: int = 500) -> None:
        self._outbox = outbox
        self._inbox = inbox
        self._batch = batch

    def drain(self, limit: int = 100_000) -> int:
        """Deliver waiting signals, at most `limit`; return how many. Errors of the inbox leave the rest waiting."""
        done = 0
        while done < limit:
            records = self._outbox.take(SIGNAL_TOPIC, min(self._batch, limit - done))
            if not records:
                break
            self._deliver(records)
            done += len(records)
        return done

    def _deliver(self, records: Sequence[OutboxRecord]) -> None:
        signals: list[Signal] = []
        numbers: list[int] = []
        for record in records:
            try:
                signals.append(msgspec.json.decode(record.body, type=Signal))
                numbers.append(record.record_id)
            except msgspec.DecodeError as error:
                self._outbox.park(SIGNAL_TOPIC, record.record_id, ((f"not a signal: {error}", record.body),))
        self._inbox.append(signals)
        self._outbox.delivered(numbers)
