"""The one transaction of the embedded store: rows, newest, roll-ups, events and outbox of a batch of landings.

One process writes a telemetry database at a time; others may read. Should another write nevertheless, the memory of
devices is dropped (`PRAGMA data_version`) and the unique keys still hold.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from collector.sequences import SequenceRanges
from collector.stores.daily import DayRollup, is_jam, order_of
from collector.stores.device_cache import NO_READING, Boot, Content, DeviceCache, DeviceMemory
from collector.stores.influx_lines import event_line, landing_lines, pack_lines
from collector.stores.reading_codec import MS_PER_DAY, at_ms, at_us, instant_of
from collector.stores.sqlite_batch import (
    DAILY,
    EVENT,
    JAMS,
    NEWEST,
    OUTBOX,
    WAITING,
    Batch,
    RollupKey,
    daily_row,
)
from collector.stores.sqlite_day_rows import DayRows
from collector.stores.sqlite_rows import (
    READING_COLUMNS,
    Contents,
    content_in_row,
    read_day,
    reading_tables,
    readings_from,
    rolled_up,
)
from collector.stores.sqlite_standing import CHANGED_DAY, next_stamp
from crm_core.device_state import state_columns
from crm_core.domain.content import shares_state
from crm_core.domain.telemetry import DeviceReading, TelemetryEvent
from crm_core.ports import AppendResult, Landing

SIGNAL_TOPIC: Final = "signal"
LINES_TOPIC: Final = "influx"
LINES_A_RECORD: Final = 2500
#: Tally whose count is the first day that still has all its raw readings.
KEPT_FROM_DAY: Final = "raw_kept_from_day"


class SqliteWriter:
    """Writes batches through one connection; the caller holds the lock and the transaction."""

    def __init__(self, connection: sqlite3.Connection, *, devices_in_mind: int, lines: bool) -> None:
        self._db = connection
        self._devices = DeviceCache(devices_in_mind)
        self._lines = lines
        self._stamp = 0
        self._rows = DayRows(connection)
        self._data_version = -1

    def forget(self) -> None:
        """Drop everything remembered, after a rollback or a change by somebody else."""
        self._devices.clear()
        self._rows.forget()

    def notice_others(self) -> None:
        """Drop the memory if another connection has written since the last transaction; call inside one."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version != self._data_version:
            self.forget()
            self._data_version = version
            (self._stamp,) = self._db.execute("SELECT coalesce(max(stamp), 0) FROM daily_waiting").fetchone()

    def write(self, landings: Sequence[Landing], now_ms: int) -> AppendResult:
        """Write a batch inside the open transaction."""
        batch = Batch()
        for landing in landings:
            self._land(batch, landing, now_ms)
        self._flush(batch, now_ms)
        return AppendResult(stored=len(batch.stored), duplicates=batch.duplicates)

    def after_commit(self) -> None:
        self._devices.trim()

    # --- one landing --------------------------------------------------------------------------------------------

    def _land(self, batch: Batch, landing: Landing, now_ms: int) -> None:
        reading = landing.reading
        key = (reading.tenant, reading.device_id or "")
        device = self.device(key, reading.site_id)
        when_us, when_ms = at_us(reading.polled_at), at_ms(reading.polled_at)
        day = when_ms // MS_PER_DAY
        order = order_of(reading, when_us)
        boot = self._new_boot_row(batch, device, reading, day, when_ms, now_ms)
        if boot is None:
            batch.duplicates += 1
            return
        batch.stored.append(landing)
        newer, before = order > device.newest_order, (device.newest_order, device.said)
        row, held = self._rows.add(device, reading, (day, when_us, when_ms, boot), newer=newer)
        if newer:
            self._become_newest(batch, device, reading, order, (day, row, held))
        rollup = self._rollup(device, day, first=before[0] == NO_READING)
        last = (rollup.last_us, rollup.last_tie)
        if order > last:
            rollup.add(reading, when_us, order[1], before[1] if before[0] == last else None)
        else:
            batch.rebuild.add((device.row, day))
        batch.rollups[device.row, day] = (device, (*key, day))
        self._conclusions(batch, device, landing, now_ms)

    def _new_boot_row(
        self, batch: Batch, device: DeviceMemory, reading: DeviceReading, day: int, when_ms: int, now_ms: int
    ) -> int | None:
        """Return the boot's row (0 for a polled reading) if the reading is new; None if it is a duplicate."""
        if reading.boot_id is None or reading.seq is None:
            polled = (device.row, when_ms)
            known = polled in batch.polled or (
                when_ms * 1000 <= device.newest_order[0] + 1000
                and self._rows.polled_before(device, day, when_ms)
            )
            batch.polled.add(polled)
            return None if known else 0
        boot = self.boot(device, reading.boot_id, now_ms)
        if not boot.received.add(reading.seq):
            return None
        batch.boots[boot.row] = boot
        return boot.row

    def _become_newest(
        self,
        batch: Batch,
        device: DeviceMemory,
        reading: DeviceReading,
        order: tuple[int, str],
        place: tuple[int, int, Content],
    ) -> None:
        if device.said is not None and shares_state(reading, device.said):
            _, *unchanged, _ = device.newest_state
            device.newest_state = (reading.counters.life_count, *unchanged, reading.source)
        else:
            device.newest_state = state_columns(reading)
        day, row, held = place
        device.newest, device.newest_order, device.said = held, order, reading
        batch.newest[device.row] = (device.row, *order, day, row, *device.newest_state, reading.tenant)

    def _conclusions(self, batch: Batch, device: DeviceMemory, landing: Landing, now_ms: int) -> None:
        if landing.following_at is not None:
            batch.replaced.append((device, at_us(landing.following_at)))
            batch.jams.add((device.row, at_ms(landing.following_at) // MS_PER_DAY))
            self._flush_events(batch)
        for event in (*landing.events, *landing.following_events):
            self.add_event(batch, device, event)
        for signal in landing.signals:
            body = msgspec.json.encode(signal)
            batch.outbox.append((SIGNAL_TOPIC, now_ms, zlib.crc32(body), body))
        if self._lines:
            batch.lines.extend(landing_lines(landing))

    def add_event(self, batch: Batch, device: DeviceMemory, event: TelemetryEvent) -> None:
        """Add an event of a known device to the batch."""
        batch.events.append(
            (device.row, at_us(event.at), event.kind, event.code, event.began, event.severity, event.text)
        )
        if is_jam(event):
            batch.jams.add((device.row, at_ms(event.at) // MS_PER_DAY))

    # --- the transaction's end -----------------------------------------------------------------------------------

    def _flush(self, batch: Batch, now_ms: int) -> None:
        db = self._db
        self._rows.write()
        db.executemany(NEWEST, batch.newest.values())
        for device_row, day in batch.rebuild:
            memory, key = batch.rollups[device_row, day]
            memory.rollups[day] = self._rebuilt(key, device_row)
        rollups = [(key, memory.rollups[key[2]], memory.row) for memory, key in batch.rollups.values()]
        db.executemany(DAILY, [daily_row(row, key[2], rollup) for key, rollup, row in rollups])
        self._flush_events(batch)
        db.executemany(JAMS, batch.jams)
        self.save_boots(batch.boots.values(), now_ms)
        touched = {(row, key[2]) for key, _, row in rollups} | batch.jams
        self._note_changes(touched, now_ms)
        if self._lines:
            self._stamp += 1
            db.executemany(WAITING, [(*place, self._stamp) for place in touched])
            self._add_lines(batch, now_ms)
        db.executemany(OUTBOX, batch.outbox)
        for memory, key in batch.rollups.values():
            memory.forget_old_days(key[2])

    def _note_changes(self, touched: Iterable[tuple[int, int]], now_ms: int) -> None:
        """Keep which days changed that were over: somebody may have drawn conclusions from them."""
        over = [place for place in touched if place[1] < now_ms // MS_PER_DAY]
        if over:
            stamp = next_stamp(self._db)
            self._db.executemany(CHANGED_DAY, [(*place, stamp) for place in over])

    def _flush_events(self, batch: Batch) -> None:
        """Write events in the order of the landings: a replacement also replaces events of the same batch."""
        self._db.executemany(EVENT, batch.events)
        batch.events.clear()
        for device, when_us in batch.replaced:
            if self._lines:
                batch.lines.extend(self._void_lines(device, when_us))
            self._db.execute(
                "DELETE FROM event WHERE device = ? AND at_us = ? AND kind <> 'pushed'", (device.row, when_us)
            )
        batch.replaced.clear()

    def _void_lines(self, device: DeviceMemory, when_us: int) -> Iterator[str]:
        rows = self._db.execute(
            "SELECT d.tenant, d.device_id, e.kind, e.code, e.began FROM event e JOIN device d ON d.id = e.device "
            "WHERE e.device = ? AND e.at_us = ? AND e.kind <> 'pushed'",
            (device.row, when_us),
        )
        for tenant, device_id, kind, code, began in rows.fetchall():
            event = TelemetryEvent(
                tenant=tenant,
                device_id=device_id,
                at=instant_of(when_us),
                kind=kind,
                code=code,
                began=bool(began),
            )
            yield event_line(event, void=True)

    def _add_lines(self, batch: Batch, now_ms: int) -> None:
        """Put the batch's lines into the outbox, a few thousand a record."""
        for start in range(0, len(batch.lines), LINES_A_RECORD):
            body = pack_lines(batch.lines[start : start + LINES_A_RECORD])
            batch.outbox.append((LINES_TOPIC, now_ms, zlib.crc32(body), body))

    def save_boots(self, boots: Iterable[Boot], now_ms: int) -> None:
        """Write which sequence numbers came."""
        self._db.executemany(
            "UPDATE boot SET received = ?, touched_ms = ? WHERE id = ?",
            [(boot.received.encode(), now_ms, boot.row) for boot in boots],
        )

    def write_events(self, events: Sequence[TelemetryEvent], now_ms: int) -> int:
        """Write events that came without a reading; return how many were new."""
        batch = Batch()
        for event in events:
            self.add_event(batch, self.device((event.tenant, event.device_id), None), event)
        before = self._db.total_changes
        self._flush_events(batch)
        written = self._db.total_changes - before
        self._db.executemany(JAMS, batch.jams)
        self._note_changes(batch.jams, now_ms)
        if self._lines:
            batch.lines.extend(event_line(event, void=False) for event in events)
            self._add_lines(batch, now_ms)
            self._db.executemany(OUTBOX, batch.outbox)
        return written

    # --- what the writer knows of a device ------------------------------------------------------------------------

    def device(self, key: tuple[str, str], site_id: str | None) -> DeviceMemory:
        """Return the device, entering it in the database at its first reading; its site follows the readings."""
        memory = self._devices.get(key)
        if memory is None:
            memory = self._load(key, site_id)
            self._devices.put(key, memory)
        if site_id is not None and memory.site_id != site_id:
            self._db.execute("UPDATE device SET site_id = ? WHERE id = ?", (site_id, memory.row))
            memory.site_id = site_id
        return memory

    def _load(self, key: tuple[str, str], site_id: str | None) -> DeviceMemory:
        found = self._db.execute(
            "SELECT d.id, d.site_id, n.at_us, n.tie, n.day, n.row FROM device d LEFT JOIN newest n ON n.device = d.id "
            "WHERE d.tenant = ? AND d.device_id = ?",
            key,
        ).fetchone()
        if found is None:
            entered = self._db.execute(
                "INSERT INTO device (tenant, device_id, site_id) VALUES (?, ?, ?)", (*key, site_id)
            )
            return DeviceMemory(entered.lastrowid or 0, site_id)
        row, site, at, tie, day, newest_row = found
        memory = DeviceMemory(row, site)
        if at is not None:
            memory.newest_order = (at, tie)
            memory.newest = content_in_row(self._db, day, newest_row)
        return memory

    def boot(self, device: DeviceMemory, boot_id: str, now_ms: int) -> Boot:
        """Return one boot of the device, entering it at its first message."""
        boot = device.boots.get(boot_id)
        if boot is None:
            found = self._db.execute(
                "SELECT id, received FROM boot WHERE device = ? AND boot_id = ?", (device.row, boot_id)
            ).fetchone()
            if found is None:
                entered = self._db.execute(
                    "INSERT INTO boot (device, boot_id, received, touched_ms) VALUES (?, ?, '', ?)",
                    (device.row, boot_id, now_ms),
                )
                found = entered.lastrowid, ""
            boot = device.boots[boot_id] = Boot(found[0], SequenceRanges.decode(found[1]))
        return boot

    def _rollup(self, device: DeviceMemory, day: int, *, first: bool) -> DayRollup:
        rollup = device.rollups.get(day)
        if rollup is None:
            stored = None if first else read_day(self._db, device.row, day)
            rollup = device.rollups[day] = stored or DayRollup()
        return rollup

    def _rebuilt(self, key: RollupKey, device_row: int) -> DayRollup:
        """Return the roll-up of a day from its rows, after a late reading."""
        tenant, device_id, day = key
        kept_from = self._db.execute("SELECT count FROM tally WHERE name = ?", (KEPT_FROM_DAY,)).fetchone()
        if (
            kept_from is not None and day < kept_from[0]
        ):  # the other rows of that day are gone: count it, no more
            rollup = read_day(self._db, device_row, day) or DayRollup()
            rollup.polls += 1
            return rollup
        rows = self._db.execute(
            f"SELECT {READING_COLUMNS} FROM {reading_tables(day)} WHERE r.device = ?", (device_row,)
        ).fetchall()
        return rolled_up(readings_from(Contents(self._db, day), tenant, device_id, rows))
