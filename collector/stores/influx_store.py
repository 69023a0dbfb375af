"""Telemetry in InfluxDB: readings, newest, days and events are read from the server; writing goes through a journal.

The journal is an embedded store that keeps the last days: it makes `append` durable and every rule of the port
(repeats, late readings, epochs) the same as without a server, and its outbox carries the lines on. Before a read the
waiting lines are sent, so that a reader sees what it wrote; while the server is away reads raise `StoreUnavailable`
and writing goes on.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from collector.outbox import InfluxForwarder
from collector.sequences import SequenceRanges, Settled
from collector.stores.daily import DayRollup, SupplyDay, meters_of, supply_row
from collector.stores.influx_lines import (
    DAILY,
    DAILY_FIELDS,
    DAILY_SUPPLY,
    DAILY_SUPPLY_FIELDS,
    EVENT,
    READING,
    SUPPLY,
    US_PER_DAY,
    without_nulls,
)
from collector.stores.influxdb import InfluxServer
from collector.stores.influxql import Row, text
from collector.stores.reading_codec import MS_PER_DAY, at_ms, at_us, instant_of, whole_reading
from collector.stores.sqlite import SqliteTelemetryStore
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.standing import ChangedDays, DeviceDimensions, FleetStanding, StandingFilter
from crm_core.domain.telemetry import DailyMeters, DailySupply, DeviceReading, DeviceState, TelemetryEvent
from crm_core.ports import AppendResult, Landing, StoreStats

_READING_COLUMNS: Final = "content, source, site, boot, seq"
_STATE_COLUMNS: Final = "life_count, lowest_percent, lowest_index, errors, worst_severity, source"
_METER_COLUMNS: Final = ", ".join((*DAILY_FIELDS, "nulls", "jams"))
_SUPPLY_COLUMNS: Final = ", ".join((*DAILY_SUPPLY_FIELDS, "nulls"))
_FEW: Final = 20
_FAR: Final = 2**62 // 1000


class InfluxTelemetryStore:
    """Reads from `server`, writes through `journal` (built with `lines=True`) and `forwarder`."""

    def __init__(
        self, server: InfluxServer, journal: SqliteTelemetryStore, forwarder: InfluxForwarder
    ) -> None:
        self.journal = journal
        self.forwarder = forwarder
        self._server = server
        self._queries = server.queries

    # --- writing: the journal's affair ---------------------------------------------------------------------------

    def append(self, landings: Sequence[Landing]) -> AppendResult:
        return self.journal.append(landings)

    def append_events(self, events: Sequence[TelemetryEvent]) -> int:
        return self.journal.append_events(events)

    def settle(self, numbers: Sequence[Settled]) -> None:
        """See `SqliteTelemetryStore.settle`."""
        self.journal.settle(numbers)

    def unsettle(self, tenant: str, device_id: str, boot_id: str, seq: int) -> None:
        """See `SqliteTelemetryStore.unsettle`."""
        self.journal.unsettle(tenant, device_id, boot_id, seq)

    def received(self, tenant: str, device_id: str, boots: int = 8) -> Mapping[str, SequenceRanges]:
        """See `SqliteTelemetryStore.received`."""
        return self.journal.received(tenant, device_id, boots)

    def received_many(
        self, devices: Sequence[tuple[str, str]]
    ) -> Mapping[tuple[str, str], Mapping[str, SequenceRanges]]:
        """See `SqliteTelemetryStore.received_many`."""
        return self.journal.received_many(devices)

    def keep_dimensions(self, devices: Sequence[DeviceDimensions]) -> None:
        self.journal.keep_dimensions(devices)

    def standing(self, tenant: TenantId, wanted: StandingFilter) -> Sequence[FleetStanding]:
        """Return the figures from the journal, which keeps the newest state of every device."""
        return self.journal.standing(tenant, wanted)

    def changed_days(self, tenant: TenantId, since: int = 0) -> ChangedDays:
        return self.journal.changed_days(tenant, since)

    def neighbours(
        self, tenant: TenantId, device_id: DeviceId, at: datetime
    ) -> tuple[DeviceReading | None, DeviceReading | None]:
        """Return the neighbours from the journal: ingest must work while the server is away."""
        return self.journal.neighbours(tenant, device_id, at)

    # --- readings ------------------------------------------------------------------------------------------------

    def newest(self, tenant: TenantId, device_id: DeviceId) -> DeviceReading | None:
        return self.newest_many(tenant, (device_id,)).get(device_id)

    def newest_many(
        self, tenant: TenantId, device_ids: Sequence[DeviceId]
    ) -> Mapping[DeviceId, DeviceReading]:
        wanted = dict.fromkeys(device_ids)
        one_by_one = len(wanted) <= _FEW
        filters = [f" AND device = {text(device)}" for device in wanted] if one_by_one else [""]
        found: dict[DeviceId, DeviceReading] = {}
        for condition in filters if wanted else []:
            for row in self._newest_rows(_READING_COLUMNS, tenant, condition):
                device_id = DeviceId(row.tags["device"])
                if device_id in wanted:
                    found[device_id] = _reading(tenant, device_id, row.values)
        gone = [device for device in wanted if device not in found]
        return {**found, **self.journal.newest_many(tenant, gone)} if gone else found

    def states(self, tenant: TenantId) -> Sequence[DeviceState]:
        rows = self._newest_rows(_STATE_COLUMNS, tenant, "")
        found = [_state(row.tags["device"], row.values) for row in rows]
        return sorted(found, key=lambda state: state.device_id)

    def last_heard(self, tenant: TenantId) -> Mapping[DeviceId, datetime]:
        """Return the times from the journal, like `standing`."""
        return self.journal.last_heard(tenant)

    def readings(
        self, tenant: TenantId, device_id: DeviceId, since: datetime, until: datetime, limit: int = 1000
    ) -> Sequence[DeviceReading]:
        query = (
            f"SELECT {_READING_COLUMNS} FROM {READING} WHERE tenant = {text(tenant)} AND device = {text(device_id)} "
            f"AND {_between(at_us(since), at_us(until) - 1)} ORDER BY time LIMIT {limit}"
        )
        return [_reading(tenant, device_id, row.values) for row in self._rows(query)]

    def events(
        self, tenant: TenantId, since: datetime, until: datetime, device_id: DeviceId | None = None
    ) -> Sequence[TelemetryEvent]:
        query = (
            f"SELECT severity, text, void, device, kind, code, phase FROM {EVENT} WHERE tenant = {text(tenant)} "
            f"{_of(device_id)} AND {_between(at_us(since), at_us(until) - 1)} AND void = false"
        )
        found = [
            TelemetryEvent(
                tenant=tenant, device_id=device, at=instant_of(when), kind=kind, code=code, began=phase == "began",
                severity=severity, text=words,
            )
            for when, severity, words, _, device, kind, code, phase in (row.values for row in self._rows(query))
        ]  # fmt: skip
        return sorted(found, key=lambda e: (e.at, e.device_id, e.kind, e.code, e.began))

    # --- days ----------------------------------------------------------------------------------------------------

    def daily_meters(
        self, tenant: TenantId, first_day: int, last_day: int, device_id: DeviceId | None = None
    ) -> Iterator[DailyMeters]:
        before = self._counts_before(tenant, first_day, device_id)
        query = _daily_query(_METER_COLUMNS, DAILY, tenant, (first_day, last_day), device_id, "device")
        for device, rows in groupby(self._rows(query), key=lambda row: row.tags["device"]):
            count, basis = before.get(device, (None, ""))
            for row in rows:
                when, *columns, nulls, jams = row.values
                rollup = _rollup(without_nulls(DAILY_FIELDS, columns, nulls))
                yield meters_of(
                    device, when // US_PER_DAY, rollup, jams, count if basis == rollup.basis else None
                )
                if rollup.last_count is not None:
                    count, basis = rollup.last_count, rollup.basis

    def daily_supplies(
        self, tenant: TenantId, first_day: int, last_day: int, device_id: DeviceId | None = None
    ) -> Iterator[DailySupply]:
        query = _daily_query(
            _SUPPLY_COLUMNS, DAILY_SUPPLY, tenant, (first_day, last_day), device_id, 'device, "index"'
        )
        for row in self._rows(query):
            when, *columns, nulls = row.values
            kind, colour, unit, capacity, state, first, last, pages = without_nulls(
                DAILY_SUPPLY_FIELDS, columns, nulls
            )
            supply = SupplyDay(
                row.tags["index"], kind, colour, unit, capacity, state, _float(first), _float(last), pages
            )
            yield supply_row(row.tags["device"], when // US_PER_DAY, supply)

    def _counts_before(
        self, tenant: str, first_day: int, device_id: str | None
    ) -> dict[str, tuple[int | None, str]]:
        query = (
            f"SELECT last(last_count), basis FROM {DAILY} WHERE tenant = {text(tenant)} {_of(device_id)} "
            f"AND {_between(-_FAR, first_day * US_PER_DAY - 1)} GROUP BY device"
        )
        return {row.tags["device"]: (row.values[1], row.values[2]) for row in self._rows(query)}

    # --- the house -----------------------------------------------------------------------------------------------

    def drop_before(self, instant: datetime) -> int:
        """Drop readings and supplies before the day of `instant`; return how many days.

        InfluxDB 3 has no way to delete rows: there only the journal is trimmed, and the table's retention does the rest.
        """
        limit = at_ms(instant) // MS_PER_DAY * US_PER_DAY
        days = {
            row.values[0] // US_PER_DAY
            for row in self._rows(
                f"SELECT count(source) FROM {READING} WHERE {_between(-_FAR, limit - 1)} GROUP BY time(1d) fill(none)"
            )
        }
        dropped = self.journal.drop_before(instant)
        if self._server.capabilities().major > 2:
            return dropped
        for measurement in (READING, SUPPLY):
            self._queries.command(f"DELETE FROM {measurement} WHERE time < {limit}u")
        return len(days)

    def stats(self, tenant: TenantId) -> StoreStats:
        rows = list(
            self._rows(
                f"SELECT sum(polls), min(first_us), max(last_us) FROM {DAILY} WHERE tenant = {text(tenant)} GROUP BY device"
            )
        )
        return StoreStats(
            engine=f"influxdb {self._server.capabilities().version}",
            devices=len(rows),
            readings=sum(row.values[1] for row in rows),
            first_at=instant_of(min(row.values[2] for row in rows)) if rows else None,
            last_at=instant_of(max(row.values[3] for row in rows)) if rows else None,
            size_bytes=None,
            waiting=self.forwarder.waiting(),
        )

    def close(self) -> None:
        self._server.close()
        self.journal.close()

    def _newest_rows(self, columns: str, tenant: str, condition: str) -> Iterator[Row]:
        return self._rows(
            f"SELECT {columns} FROM {READING} WHERE tenant = {text(tenant)}{condition} "
            "GROUP BY device ORDER BY time DESC LIMIT 1"
        )

    def _rows(self, query: str) -> Iterator[Row]:
        self.forwarder.drain()
        return self._queries.rows(query)


def _between(first_us: int, last_us: int) -> str:
    return f"time >= {first_us}u AND time <= {last_us}u"


def _of(device_id: str | None) -> str:
    return "" if device_id is None else f"AND device = {text(device_id)}"


def _daily_query(
    columns: str, measurement: str, tenant: str, days: tuple[int, int], device_id: str | None, group: str
) -> str:
    return (
        f"SELECT {columns} FROM {measurement} WHERE tenant = {text(tenant)} {_of(device_id)} "
        f"AND {_between(days[0] * US_PER_DAY, days[1] * US_PER_DAY)} GROUP BY {group}"
    )


def _reading(tenant: str, device_id: str, values: list[Any]) -> DeviceReading:
    when, content, source, site, boot, seq = values
    return whole_reading(
        content.encode(), tenant=tenant, site_id=site or None, device_id=device_id, polled_at=instant_of(when),
        source=source, boot_id=boot, seq=seq,
    )  # fmt: skip


def _state(device_id: str, values: list[Any]) -> DeviceState:
    when, life_count, percent, index, errors, worst, source = values
    return DeviceState(
        device_id=device_id,
        last_seen=instant_of(when),
        life_count=life_count,
        lowest_supply_percent=_float(percent),
        lowest_supply_index=index,
        error_names=tuple(errors.split(",")) if errors else (),
        worst_alert_severity=worst,
        source=source,
    )


def _rollup(columns: list[Any]) -> DayRollup:
    first_us, last_us, basis, first, last, mono, colour, pages, polls, epochs = columns
    return DayRollup(
        first_us=first_us, last_us=last_us, basis=basis, first_count=first, last_count=last, last_mono=mono,
        last_colour=colour, pages=pages, polls=polls, epochs=epochs, supplies=[],
    )  # fmt: skip


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)
