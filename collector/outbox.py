"""What is stored here and still has to go elsewhere: signals to the CRM inbox, lines to InfluxDB.

Records are written by the store in the transaction of their readings, with a checksum, and deleted only when the
other side has them. A record that does not pass its checksum is quarantined; the rest goes on. Telemetry lines are
bounded and shed oldest first, with a count; signals, from which tickets come, are never shed.
"""

import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, Protocol

import msgspec

from collector.stores.influx_lines import daily_lines, pack_lines, unpack_lines
from collector.stores.reading_codec import at_ms
from collector.stores.sqlite import SqliteTelemetryStore
from collector.stores.sqlite_batch import OUTBOX
from collector.stores.sqlite_rows import ROLLUP_COLUMNS, rollup_of, supplies_of
from collector.stores.sqlite_write import LINES_A_RECORD, LINES_TOPIC, SIGNAL_TOPIC
from crm_core.domain.errors import InvalidConfiguration, InvalidValue, StoreUnavailable
from crm_core.domain.service import Signal
from crm_core.ports import Clock, SignalInbox

#: Refused lines that are kept to be looked at; beyond it the oldest go, with a count.
PARKED_LINES: Final = 10_000
PARKED_SHED_TALLY: Final = "parked_shed"
TORN: Final = "the checksum does not fit: the record was torn or the disk is failing"
SHED_TALLY: Final = "lines_shed"
_QUALIFIED: Final = ", ".join(f"y.{name.strip()}" for name in ROLLUP_COLUMNS.split(","))


#: Why a part of a record was refused, and the part.
Refused = tuple[str, bytes]


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

    def delivered(self, record_ids: Sequence[int], refused: Sequence[Refused] = ()) -> None:
        """Delete records that have arrived; the lines of them that were refused are put aside in the same moment."""
        numbers = [(number,) for number in record_ids]

        def work(db: sqlite3.Connection) -> None:
            self._put_aside(db, LINES_TOPIC, refused)
            db.executemany("DELETE FROM outbox WHERE id = ?", numbers)

        self._store.transaction(work)

    def park(self, topic: str, record_id: int, parts: Sequence[Refused]) -> None:
        """Put parts of a record aside and delete the record."""

        def work(db: sqlite3.Connection) -> None:
            self._put_aside(db, topic, parts)
            db.execute("DELETE FROM outbox WHERE id = ?", (record_id,))

        self._store.transaction(work)

    def _put_aside(self, db: sqlite3.Connection, topic: str, parts: Sequence[Refused]) -> None:
        """Keep parts with their reasons; a server that refuses everything must not fill the disk with them."""
        if not parts:
            return
        now_ms = at_ms(self._clock.now())
        db.executemany(
            "INSERT INTO parked (topic, at_ms, reason, body) VALUES (?, ?, ?, ?)",
            [(topic, now_ms, reason[:500], body) for reason, body in parts],
        )
        gone = db.execute(
            "DELETE FROM parked WHERE topic = ?1 AND id <= (SELECT id FROM parked WHERE topic = ?1 "
            "ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            (LINES_TOPIC, PARKED_LINES),
        ).rowcount
        _count(db, PARKED_SHED_TALLY, gone)

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
            _count(db, SHED_TALLY, gone)
            return gone

        return self._store.transaction(work)

    def put_lines(self, lines: Iterable[str]) -> int:
        """Let lines wait that were sent before and got lost on the other side; return how many."""
        number = 0
        rest = iter(lines)
        while part := list(islice(rest, LINES_A_RECORD)):
            body = pack_lines(part)
            row = (LINES_TOPIC, at_ms(self._clock.now()), zlib.crc32(body), body)
            self._store.transaction(partial(_execute, OUTBOX, row))
            number += len(part)
        return number

    def put_days(self, places: Sequence[tuple[str, str, int]]) -> None:
        """Let the roll-ups of (tenant, device id, day) wait again, unless they do."""

        def work(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT INTO daily_waiting (device, day, stamp) SELECT id, ?3, 0 FROM device "
                "WHERE tenant = ?1 AND device_id = ?2 ON CONFLICT (device, day) DO NOTHING",
                places,
            )

        self._store.transaction(work)

    def waiting_days(self, limit: int) -> "WaitingDays | None":
        """Return days whose roll-up changed since InfluxDB saw it, with their lines as they are now; None: no such day."""
        with self._store.reading() as db:
            rows = db.execute(
                f"SELECT w.device, w.day, w.stamp, d.tenant, d.device_id, y.jams, y.supplies, {_QUALIFIED} "
                "FROM daily_waiting w JOIN device d ON d.id = w.device "
                "LEFT JOIN daily y ON y.device = w.device AND y.day = w.day LIMIT ?",
                (limit,),
            ).fetchall()
        if not rows:
            return None
        lines: list[str] = []
        for _, day, _, tenant, device_id, jams, supplies, *columns in rows:
            if supplies is not None:
                rollup = rollup_of(columns, supplies_of(supplies))
                lines.extend(daily_lines(tenant, device_id, day, rollup, jams))
        return WaitingDays(lines, [row[:3] for row in rows])

    def days_delivered(self, places: Sequence[tuple[int, int, int]], refused: Sequence[Refused] = ()) -> None:
        """Forget days that arrived, unless they changed again meanwhile; put their refused lines aside."""

        def work(db: sqlite3.Connection) -> None:
            self._put_aside(db, LINES_TOPIC, refused)
            db.executemany("DELETE FROM daily_waiting WHERE device = ? AND day = ? AND stamp = ?", places)

        self._store.transaction(work)


def _execute(statement: str, row: Sequence[object], db: sqlite3.Connection) -> None:
    db.execute(statement, tuple(row))


def _count(db: sqlite3.Connection, tally: str, number: int) -> None:
    if number > 0:
        db.execute(
            "INSERT INTO tally (name, count) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET count = count + ?2",
            (tally, number),
        )


@dataclass(frozen=True, slots=True)
class WaitingDays:
    """Lines of changed days, and the (device, day, stamp) that they speak for."""

    lines: list[str]
    places: list[tuple[int, int, int]]


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


class LineSink(Protocol):
    """Where lines go; `collector.stores.influxdb.InfluxServer` is one."""

    def write(self, lines: Sequence[str]) -> None:
        """Write lines, or raise `InvalidValue` when some are refused and `StoreUnavailable` to try again."""
        ...


class InfluxForwarder:
    """Carries lines to InfluxDB: what was just written first, then what waited, then the days that changed.

    A refused body is halved until the bad lines stand alone; only they are parked. After a failure it leaves the server
    alone for a while (`retry_seconds`, doubled up to `longest_seconds`), and the outbox grows on disk instead.
    """

    def __init__(
        self,
        outbox: Outbox,
        sink: LineSink,
        *,
        body_lines: int = 5000,
        keep_records: int = 2_000_000,
        retry_seconds: float = 1.0,
        longest_seconds: float = 60.0,
    ) -> None:
        self._outbox = outbox
        self._sink = sink
        self._body_lines = body_lines
        self._keep = keep_records
        self._retry = retry_seconds
        self._pause = retry_seconds
        self._longest = longest_seconds
        self._not_before = 0.0
        self._live_from = 0
        self._lock = threading.Lock()

    def waiting(self) -> int:
        """Return how many records wait for the server."""
        return self._outbox.waiting(LINES_TOPIC)

    def drain(self, limit: int = 1_000_000) -> int:
        """Send what waits, at most `limit` records; return how many went. Raise `StoreUnavailable` when it cannot."""
        with self._lock:
            if time.monotonic() < self._not_before:
                raise StoreUnavailable("InfluxDB did not answer a moment ago; its lines wait in the outbox")
            try:
                sent = self._drain(limit)
            except (StoreUnavailable, InvalidConfiguration):
                self._not_before = time.monotonic() + self._pause
                self._pause = min(self._pause * 2, self._longest)
                self._live_from = self._outbox.last_id(LINES_TOPIC)
                self._outbox.shed_lines(self._keep)
                raise
            self._pause = self._retry
            return sent

    def _drain(self, limit: int) -> int:
        sent = 0
        while sent < limit:
            records = self._outbox.take(LINES_TOPIC, 16, after=self._live_from)
            waited = self._outbox.take(LINES_TOPIC, 16) if self._live_from else ()
            if not records and not waited:
                break
            for part in (records, [record for record in waited if record.record_id <= self._live_from]):
                self._send(part)
                sent += len(part)
            if not waited:
                self._live_from = 0
        self._send_days()
        return sent

    def _send(self, records: Sequence[OutboxRecord]) -> None:
        numbers: list[int] = []
        refused = self._write_all(self._lines_of(records, numbers))
        if numbers:
            self._outbox.delivered(numbers, refused)

    def _lines_of(self, records: Sequence[OutboxRecord], numbers: list[int]) -> Iterator[str]:
        """Yield the lines of records one by one, so that few are in memory; add the records' ids to `numbers`."""
        for record in records:
            try:
                lines = unpack_lines(record.body)
            except (zlib.error, msgspec.DecodeError) as error:
                reason = f"not a record of lines: {error}"
                self._outbox.park(LINES_TOPIC, record.record_id, ((reason, record.body),))
                continue
            numbers.append(record.record_id)
            yield from lines

    def _send_days(self) -> None:
        while days := self._outbox.waiting_days(self._body_lines // 8):
            self._outbox.days_delivered(days.places, self._write_all(days.lines))

    def _write_all(self, lines: Iterable[str]) -> list[Refused]:
        """Write lines body by body; return those that were refused. Nothing of them is lost if a later body fails."""
        refused: list[Refused] = []
        rest = iter(lines)
        while body := list(islice(rest, self._body_lines)):
            refused += self._write(body)
        return refused

    def _write(self, lines: Sequence[str]) -> list[Refused]:
        """Write one body; halve a refused one until the bad lines stand alone, and return them."""
        try:
            self._sink.write(lines)
        except InvalidValue as error:
            if len(lines) == 1:
                return [(str(error), lines[0].encode())]
            middle = len(lines) // 2
            return [*self._write(lines[:middle]), *self._write(lines[middle:])]
        return []
