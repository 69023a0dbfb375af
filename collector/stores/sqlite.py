"""The embedded telemetry store: one SQLite file in WAL mode, written by one process and read by any number.

`append` returns after a commit with full synchronisation: what it returned for survives a kill and, as far as the disk
keeps its word, a power cut. Newest, daily roll-ups, events and the outbox change in the same transaction as the rows
(docs/decisions, reference: SQLite write-ahead logging).
"""

import queue
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from collector.sequences import SequenceRanges, Settled
from collector.stores.daily import by_index, meters_of, supply_row
from collector.stores.reading_codec import MS_PER_DAY, at_ms, at_us, instant_of
from collector.stores.sqlite_reads import (
    count_before,
    daily,
    drop_days,
    first_found,
    in_order,
    newest_reading,
    readings_of_day,
    received_by,
    snapshot,
)
from collector.stores.sqlite_rows import (
    ROLLUP_COLUMNS,
    rollup_of,
    supplies_of,
)
from collector.stores.sqlite_schema import closed_on_failure, connect, days_present, migrate
from collector.stores.sqlite_standing import read_changed_days, read_standing, write_dimensions
from collector.stores.sqlite_write import SqliteWriter
from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.standing import ChangedDays, DeviceDimensions, FleetStanding, StandingFilter
from crm_core.domain.telemetry import DailyMeters, DailySupply, DeviceReading, DeviceState, TelemetryEvent
from crm_core.ports import AppendResult, Clock, Landing, StoreStats

Result = TypeVar("Result")
_IDLE_READERS: Final = 8


class SqliteTelemetryStore:
    """Telemetry in one SQLite file at `path` (created with its folder when absent).

    `devices_in_mind` bounds the memory: about 25 kB a device of 8 supplies and 4 trays. With `lines`, InfluxDB lines of what was
    stored wait in the outbox of the same transaction. Without `wait_for_disk` a power cut may cost the last
    commits. Errors of the file are raised as `StoreUnavailable`.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        devices_in_mind: int = 20_000,
        lines: bool = False,
        wait_for_disk: bool = True,
    ) -> None:
        self.path = path
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writing = threading.RLock()
        self._writer_db = connect(path, wait_for_disk=wait_for_disk)
        with closed_on_failure(self._writer_db):
            migrate(self._writer_db)
            self._writer = SqliteWriter(self._writer_db, devices_in_mind=devices_in_mind, lines=lines)
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue(_IDLE_READERS)
        self._closed = False
        weakref.finalize(self, _close_all, self._writer_db, self._readers)  # for who forgets `close`

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
        return self.transaction(lambda db: drop_days(db, first_kept, self._writer.forget))

    def keep_dimensions(self, devices: Sequence[DeviceDimensions]) -> None:
        if devices:
            self.transaction(lambda db: write_dimensions(db, devices))

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
            return received_by(db, tenant, device_id, boots)

    def received_many(
        self, devices: Sequence[tuple[str, str]]
    ) -> Mapping[tuple[str, str], Mapping[str, SequenceRanges]]:
        """Return `received` of many devices (tenant, device id), as of one moment."""
        with self._reader() as db, snapshot(db):
            return {place: received_by(db, *place) for place in devices}

    # --- readings ------------------------------------------------------------------------------------------------

    def newest(self, tenant: TenantId, device_id: DeviceId) -> DeviceReading | None:
        return self.newest_many(tenant, (device_id,)).get(device_id)

    def newest_many(
        self, tenant: TenantId, device_ids: Sequence[DeviceId]
    ) -> Mapping[DeviceId, DeviceReading]:
        found: dict[DeviceId, DeviceReading] = {}
        with self._reader() as db, snapshot(db):
            for device_id in device_ids:
                row = db.execute(
                    "SELECT n.at_us, n.day, n.row, n.kept FROM newest n JOIN device d ON d.id = n.device "
                    "WHERE d.tenant = ? AND d.device_id = ?",
                    (tenant, device_id),
                ).fetchone()
                reading = None if row is None else newest_reading(db, tenant, device_id, row)
                if reading is not None:
                    found[device_id] = reading
        return found

    def readings(
        self, tenant: TenantId, device_id: DeviceId, since: datetime, until: datetime, limit: int = 1000
    ) -> Sequence[DeviceReading]:
        low, high = at_us(since), at_us(until)
        found: list[DeviceReading] = []
        with self._reader() as db, snapshot(db):
            for day in days_present(db):
                if (
                    len(found) < limit
                    and day * MS_PER_DAY < high // 1000 + 1
                    and (day + 1) * MS_PER_DAY >= low // 1000
                ):
                    where = "AND r.at_ms * 1000 + r.sub_us >= ? AND r.at_ms * 1000 + r.sub_us < ?"
                    found += readings_of_day(db, tenant, device_id, day, where, (low, high))
        return found[:limit]

    def neighbours(
        self, tenant: TenantId, device_id: DeviceId, at: datetime
    ) -> tuple[DeviceReading | None, DeviceReading | None]:
        when, this_day = at_us(at), at_ms(at) // MS_PER_DAY
        with self._reader() as db, snapshot(db):
            row = db.execute(
                "SELECT n.at_us, n.day, n.row, n.kept FROM newest n JOIN device d ON d.id = n.device "
                "WHERE d.tenant = ? AND d.device_id = ?",
                (tenant, device_id),
            ).fetchone()
            if row is None:
                return None, None
            if row[0] < when:
                return newest_reading(db, tenant, device_id, row), None
            days = days_present(db)
            before = first_found(
                db, tenant, device_id, [d for d in reversed(days) if d <= this_day], ("<", "DESC", -1), when
            )
            after = first_found(
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

    def last_heard(self, tenant: TenantId) -> Mapping[DeviceId, datetime]:
        with self._reader() as db:
            query = "SELECT d.device_id, n.at_us FROM device d JOIN newest n ON n.device = d.id WHERE d.tenant = ?"
            rows = db.execute(query, (tenant,)).fetchall()
        return {device_id: instant_of(when) for device_id, when in rows}

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
        with self._reader() as db, snapshot(db):
            device: int | None = None
            before: tuple[int | None, str] = (None, "")
            for row, name, day, jams, *columns in daily(
                db, ROLLUP_COLUMNS, tenant, first_day, last_day, device_id
            ):
                if row != device:
                    device, before = row, count_before(db, row, first_day)
                rollup = rollup_of(columns, [])
                known = before[0] if before[1] == rollup.basis else None
                yield meters_of(name, day, rollup, jams, known)
                if rollup.last_count is not None:
                    before = (rollup.last_count, rollup.basis)

    def daily_supplies(
        self, tenant: TenantId, first_day: int, last_day: int, device_id: DeviceId | None = None
    ) -> Iterator[DailySupply]:
        with self._reader() as db, snapshot(db):
            device, waiting = "", dict[str, list[DailySupply]]()
            for _, name, day, _, blob in daily(db, "supplies", tenant, first_day, last_day, device_id):
                if name != device:
                    yield from in_order(waiting)
                    device, waiting = name, {}
                for supply in by_index(supplies_of(blob)):
                    waiting.setdefault(supply.index, []).append(supply_row(name, day, supply))
            yield from in_order(waiting)

    def standing(self, tenant: TenantId, wanted: StandingFilter) -> Sequence[FleetStanding]:
        with self._reader() as db, snapshot(db):
            return read_standing(db, tenant, wanted)

    def changed_days(self, tenant: TenantId, since: int = 0) -> ChangedDays:
        with self._reader() as db, snapshot(db):
            return read_changed_days(db, tenant, since)

    # --- the house -----------------------------------------------------------------------------------------------

    def stats(self, tenant: TenantId) -> StoreStats:
        with self._reader() as db, snapshot(db):
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
            _close_all(self._writer_db, self._readers)

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
            self._give_back(db)

    def _give_back(self, db: sqlite3.Connection) -> None:
        try:
            self._readers.put_nowait(db)
        except queue.Full:
            db.close()
        if self._closed:  # `close` may have emptied the queue just before
            _close_idle(self._readers)


def _close_all(writer: sqlite3.Connection, readers: queue.LifoQueue[sqlite3.Connection]) -> None:
    """Close the readers first: the last connection checkpoints, and a reader could not."""
    _close_idle(readers)
    writer.close()


def _close_idle(readers: queue.LifoQueue[sqlite3.Connection]) -> None:
    with suppress(queue.Empty):
        while True:
            readers.get_nowait().close()
