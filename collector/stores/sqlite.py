"""The embedded telemetry store: one SQLite file in WAL mode, written by one process and read by any number.

`append` returns after a commit with full synchronisation: what it returned for survives a kill and, as far as the disk
keeps its word, a power cut. Newest, daily roll-ups, events and the outbox change in the same transaction as the rows
(docs/decisions, reference: SQLite write-ahead logging).
"""

import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from collector.sequences import SequenceRanges, Settled
from collector.stores.daily import by_index, meters_of, supply_row
from collector.stores.reading_codec import MS_PER_DAY, at_ms, at_us, instant_of, whole_reading
from collector.stores.sqlite_rows import (
    READING_COLUMNS,
    ROLLUP_COLUMNS,
    Contents,
    reading_tables,
    readings_from,
    rollup_of,
    supplies_of,
)
from collector.stores.sqlite_schema import connect, day_table, days_present, migrate
from collector.stores.sqlite_write import KEPT_FROM_DAY, SqliteWriter
from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.telemetry import DailyMeters, DailySupply, DeviceReading, DeviceState, TelemetryEvent
from crm_core.ports import AppendResult, Clock, Landing, StoreStats

Result = TypeVar("Result")
_IDLE_READERS: Final = 8
_ROWS_A_FETCH: Final = 2000


class _Kept(msgspec.Struct, array_like=True):
    """The newest reading of a device whose raw rows were dropped."""

    source: str
    site_id: str | None
    boot_id: str | None
    seq: int | None
    content: bytes


class SqliteTelemetryStore:
    """Telemetry in one SQLite file at `path` (created with its folder when absent).

    `devices_in_mind` bounds the memory: about 6 kB a device. With `lines`, InfluxDB lines of what was
    stored wait in the outbox of the same transaction. Errors of the file are raised as `StoreUnavailable`.
    """

    def __init__(
        self, path: Path, clock: Clock, *, devices_in_mind: int = 20_000, lines: bool = False
    ) -> None:
        self.path = path
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writing = threading.RLock()
        self._writer_db = connect(path)
        migrate(self._writer_db)
        self._writer = SqliteWriter(self._writer_db, devices_in_mind=devices_in_mind, lines=lines)
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue(_IDLE_READERS)
        self._closed = False

    # --- writing -------------------------------------------------------------------------------------------------

    def transaction(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `work` in one durable transaction; the outbox and the dead letters share the file through this."""
        with self._writing:
            try:
                self._writer_db.execute("BEGIN IMMEDIATE")
                try:
                    self._writer.notice_others()
                    result = work(self._writer_db)
                    self._writer_db.execute("COMMIT")
                except BaseException:
                    self._writer.forget()
                    if self._writer_db.in_transaction:
                        self._writer_db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreUnavailable(f"telemetry database {self.path}: {error}") from error
            self._writer.after_commit()
            return result

    def append(self, landings: Sequence[Landing]) -> AppendResult:
        now_ms = at_ms(self._clock.now())
        return self.transaction(lambda _: self._writer.write(landings, now_ms))

    def append_events(self, events: Sequence[TelemetryEvent]) -> int:
        now_ms = at_ms(self._clock.now())
        return self.transaction(lambda _: self._writer.write_events(events, now_ms))

    def drop_before(self, instant: datetime) -> int:
        first_kept = at_ms(instant) // MS_PER_DAY
        return self.transaction(lambda db: _drop_days(db, first_kept, self._writer.forget))

    # --- the senders' sequences ----------------------------------------------------------------------------------

    def settle(self, numbers: Sequence[Settled]) -> None:
        """Count numbers as accounted for without a reading: dead-lettered, or given up by their sender."""
        now_ms = at_ms(self._clock.now())

        def work(_: sqlite3.Connection) -> None:
            boots = []
            for tenant, device_id, boot_id, low, high in numbers:
                boot = self._writer.boot(self._writer.device((tenant, device_id), None), boot_id, now_ms)
                boot.received.add_range(low, high)
                boots.append(boot)
            self._writer.save_boots(boots, now_ms)

        if numbers:
            self.transaction(work)

    def unsettle(self, tenant: str, device_id: str, boot_id: str, seq: int) -> None:
        """Expect a number again: its dead letter is going to be replayed."""
        now_ms = at_ms(self._clock.now())

        def work(_: sqlite3.Connection) -> None:
            boot = self._writer.boot(self._writer.device((tenant, device_id), None), boot_id, now_ms)
            boot.received.discard(seq)
            self._writer.save_boots((boot,), now_ms)

        self.transaction(work)

    def received(self, tenant: str, device_id: str, boots: int = 8) -> Mapping[str, SequenceRanges]:
        """Return the accounted sequence numbers of the device's last boots, the newest boot first."""
        with self._reader() as db:
            rows = db.execute(
                "SELECT b.boot_id, b.received FROM boot b JOIN device d ON d.id = b.device WHERE d.tenant = ? "
                "AND d.device_id = ? ORDER BY b.touched_ms DESC, b.id DESC LIMIT ?",
                (tenant, device_id, boots),
            )
            return {boot_id: SequenceRanges.decode(text) for boot_id, text in rows}

    # --- readings ------------------------------------------------------------------------------------------------

    def newest(self, tenant: TenantId, device_id: DeviceId) -> DeviceReading | None:
        return self.newest_many(tenant, (device_id,)).get(device_id)

    def newest_many(
        self, tenant: TenantId, device_ids: Sequence[DeviceId]
    ) -> Mapping[DeviceId, DeviceReading]:
        found: dict[DeviceId, DeviceReading] = {}
        with self._reader() as db, _snapshot(db):
            for device_id in device_ids:
                row = db.execute(
                    "SELECT n.at_us, n.day, n.row, n.kept FROM newest n JOIN device d ON d.id = n.device "
                    "WHERE d.tenant = ? AND d.device_id = ?",
                    (tenant, device_id),
                ).fetchone()
                if row is not None:
                    found[device_id] = _newest_reading(db, tenant, device_id, row)
        return found

    def readings(
        self, tenant: TenantId, device_id: DeviceId, since: datetime, until: datetime, limit: int = 1000
    ) -> Sequence[DeviceReading]:
        low, high = at_us(since), at_us(until)
        found: list[DeviceReading] = []
        with self._reader() as db, _snapshot(db):
            for day in days_present(db):
                if (
                    len(found) < limit
                    and day * MS_PER_DAY < high // 1000 + 1
                    and (day + 1) * MS_PER_DAY >= low // 1000
                ):
                    where = "AND r.at_ms * 1000 + r.sub_us >= ? AND r.at_ms * 1000 + r.sub_us < ?"
                    found += _readings(db, tenant, device_id, day, where, (low, high))
        return found[:limit]

    def neighbours(
        self, tenant: TenantId, device_id: DeviceId, at: datetime
    ) -> tuple[DeviceReading | None, DeviceReading | None]:
        when, this_day = at_us(at), at_ms(at) // MS_PER_DAY
        with self._reader() as db, _snapshot(db):
            row = db.execute(
                "SELECT n.at_us, n.day, n.row, n.kept FROM newest n JOIN device d ON d.id = n.device "
                "WHERE d.tenant = ? AND d.device_id = ?",
                (tenant, device_id),
            ).fetchone()
            if row is None:
                return None, None
            if row[0] < when:
                return _newest_reading(db, tenant, device_id, row), None
            days = days_present(db)
            before = _first_found(
                db, tenant, device_id, [d for d in reversed(days) if d <= this_day], ("<", "DESC", -1), when
            )
            after = _first_found(
                db, tenant, device_id, [d for d in days if d >= this_day], (">", "ASC", 0), when
            )
            return before, after

    def states(self, tenant: TenantId) -> Sequence[DeviceState]:
        with self._reader() as db:
            rows = db.execute(
                "SELECT d.device_id, n.at_us, n.life_count, n.lowest_percent, n.lowest_index, n.errors, "
                "n.worst_severity, n.source FROM device d JOIN newest n ON n.device = d.id WHERE d.tenant = ? "
                "ORDER BY d.device_id",
                (tenant,),
            ).fetchall()
        return [
            DeviceState(
                device_id=device_id,
                last_seen=instant_of(when),
                life_count=life,
                lowest_supply_percent=percent,
                lowest_supply_index=index,
                error_names=tuple(errors.split(",")) if errors else (),
                worst_alert_severity=worst,
                source=source,
            )
            for device_id, when, life, percent, index, errors, worst, source in rows
        ]

    def events(
        self, tenant: TenantId, since: datetime, until: datetime, device_id: DeviceId | None = None
    ) -> Sequence[TelemetryEvent]:
        one = "" if device_id is None else "AND d.device_id = ?"
        given = (tenant, at_us(since), at_us(until)) + (() if device_id is None else (device_id,))
        with self._reader() as db:
            rows = db.execute(
                "SELECT d.device_id, e.at_us, e.kind, e.code, e.began, e.severity, e.text FROM event e "
                f"JOIN device d ON d.id = e.device WHERE d.tenant = ? AND e.at_us >= ? AND e.at_us < ? {one} "
                "ORDER BY e.at_us, d.device_id, e.kind, e.code, e.began",
                given,
            ).fetchall()
        return [
            TelemetryEvent(
                tenant=tenant, device_id=name, at=instant_of(when), kind=kind, code=code, began=bool(began),
                severity=severity, text=text,
            )
            for name, when, kind, code, began, severity, text in rows
        ]  # fmt: skip

    # --- days ----------------------------------------------------------------------------------------------------

    def daily_meters(
        self, tenant: TenantId, first_day: int, last_day: int, device_id: DeviceId | None = None
    ) -> Iterator[DailyMeters]:
        with self._reader() as db, _snapshot(db):
            device: int | None = None
            before: tuple[int | None, str] = (None, "")
            for row, name, day, jams, *columns in _daily(
                db, ROLLUP_COLUMNS, tenant, first_day, last_day, device_id
            ):
                if row != device:
                    device, before = row, _count_before(db, row, first_day)
                rollup = rollup_of(columns, [])
                count_before = before[0] if before[1] == rollup.basis else None
                yield meters_of(name, day, rollup, jams, count_before)
                if rollup.last_count is not None:
                    before = (rollup.last_count, rollup.basis)

    def daily_supplies(
        self, tenant: TenantId, first_day: int, last_day: int, device_id: DeviceId | None = None
    ) -> Iterator[DailySupply]:
        with self._reader() as db, _snapshot(db):
            device, waiting = "", dict[str, list[DailySupply]]()
            for _, name, day, _, blob in _daily(db, "supplies", tenant, first_day, last_day, device_id):
                if name != device:
                    yield from _in_order(waiting)
                    device, waiting = name, {}
                for supply in by_index(supplies_of(blob)):
                    waiting.setdefault(supply.index, []).append(supply_row(name, day, supply))
            yield from _in_order(waiting)

    # --- the house -----------------------------------------------------------------------------------------------

    def stats(self, tenant: TenantId) -> StoreStats:
        with self._reader() as db, _snapshot(db):
            (devices,) = db.execute(
                "SELECT count(*) FROM device d JOIN newest n ON n.device = d.id WHERE d.tenant = ?", (tenant,)
            ).fetchone()
            readings, first, last = db.execute(
                "SELECT coalesce(sum(y.polls), 0), min(y.first_us), max(y.last_us) FROM daily y "
                "JOIN device d ON d.id = y.device WHERE d.tenant = ?",
                (tenant,),
            ).fetchone()
            (waiting,) = db.execute("SELECT count(*) FROM outbox").fetchone()
            (pages,) = db.execute("PRAGMA page_count").fetchone()
            (page_size,) = db.execute("PRAGMA page_size").fetchone()
        return StoreStats(
            engine="sqlite",
            devices=devices,
            readings=readings,
            first_at=None if first is None else instant_of(first),
            last_at=None if last is None else instant_of(last),
            size_bytes=pages * page_size,
            waiting=waiting,
        )

    def close(self) -> None:
        """Close every connection; the last one checkpoints the write-ahead log."""
        with self._writing:
            self._closed = True
            while not self._readers.empty():
                self._readers.get_nowait().close()
            self._writer_db.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a read-only connection, for neighbours that keep tables in the same file."""
        with self._reader() as db:
            yield db

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        if self._closed:
            raise StoreUnavailable(f"telemetry database {self.path} is closed")
        try:
            db = self._readers.get_nowait()
        except queue.Empty:
            db = connect(self.path, read_only=True)
        try:
            yield db
        except sqlite3.Error as error:
            raise StoreUnavailable(f"telemetry database {self.path}: {error}") from error
        finally:
            if self._closed or self._readers.full():
                db.close()
            else:
                self._readers.put_nowait(db)


@contextmanager
def _snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """Let several queries see one state of the file."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")


def _newest_reading(
    db: sqlite3.Connection, tenant: str, device_id: str, row: tuple[Any, ...]
) -> DeviceReading:
    when, day, number, kept = row
    if kept is None:
        rows = db.execute(f"SELECT {READING_COLUMNS} FROM {reading_tables(day)} WHERE r.id = ?", (number,))
        return readings_from(Contents(db, day), tenant, device_id, rows)[0]
    old = msgspec.msgpack.decode(kept, type=_Kept)
    return whole_reading(
        old.content, tenant=tenant, site_id=old.site_id, device_id=device_id, polled_at=instant_of(when),
        source=old.source, boot_id=old.boot_id, seq=old.seq,
    )  # fmt: skip


def _readings(
    db: sqlite3.Connection,
    tenant: str,
    device_id: str,
    day: int,
    where: str,
    given: tuple[int, ...],
    order: str = "",
) -> list[DeviceReading]:
    rows = db.execute(
        f"SELECT {READING_COLUMNS} FROM {reading_tables(day)} WHERE r.device = "
        f"(SELECT id FROM device WHERE tenant = ? AND device_id = ?) {where} {order}",
        (tenant, device_id, *given),
    )
    return readings_from(Contents(db, day), tenant, device_id, rows)


def _first_found(
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
        found = _readings(
            db, tenant, device_id, day, f"AND r.at_ms * 1000 + r.sub_us {side} ?", (when,),
            f"ORDER BY r.at_ms {direction}, r.sub_us {direction} LIMIT 16",
        )  # fmt: skip
        if found:
            return found[pick]
    return None


def _daily(
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


def _count_before(db: sqlite3.Connection, device: int, day: int) -> tuple[int | None, str]:
    """Return the last count that the device stated before `day`, and of which counter."""
    found: tuple[int | None, str] | None = db.execute(
        "SELECT last_count, basis FROM daily WHERE device = ? AND day < ? AND last_count IS NOT NULL "
        "ORDER BY day DESC LIMIT 1",
        (device, day),
    ).fetchone()
    return (None, "") if found is None else found


def _in_order(waiting: Mapping[str, list[DailySupply]]) -> Iterator[DailySupply]:
    for index in sorted(waiting):
        yield from waiting[index]


def _drop_days(db: sqlite3.Connection, first_kept: int, forget: Callable[[], None]) -> int:
    """Drop whole days; a device's newest reading moves into its own row first."""
    days = [day for day in days_present(db) if day < first_kept]
    for day in days:
        silent = db.execute(
            "SELECT n.device, n.row, d.tenant, d.device_id, b.boot_id, r.seq, o.source, o.site_id FROM newest n "
            f"JOIN device d ON d.id = n.device JOIN {day_table(day)} r ON r.id = n.row "
            "JOIN origin o ON o.id = r.origin LEFT JOIN boot b ON b.id = r.boot WHERE n.day = ? AND n.kept IS NULL",
            (day,),
        ).fetchall()
        contents = Contents(db, day)
        for device, row, _, _, boot_id, seq, source, site_id in silent:
            held = contents.of_row(row)
            assert held is not None
            kept = _Kept(source, site_id, boot_id, seq if boot_id is not None else None, held.content)
            db.execute("UPDATE newest SET kept = ? WHERE device = ?", (msgspec.msgpack.encode(kept), device))
        db.execute(f"DROP TABLE {day_table(day)}")
    db.execute(
        "INSERT INTO tally (name, count) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET count = max(count, excluded.count)",
        (KEPT_FROM_DAY, first_kept),
    )
    forget()
    return len(days)
