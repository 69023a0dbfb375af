"""The tables around triage and the people who sign in: signal inbox, cause tracks, forecasts, users, leases."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, bindparam, case, func, select

from crm_core.domain.forecast import Forecast, SupplyForecast
from crm_core.domain.identity import DeviceId, SignalId, TenantId
from crm_core.domain.service import CauseTrack, Signal, SignalOrigin
from crm_core.ports import DeviceForecasts, FleetShares, Lease, SoonEmpty
from crm_core.storage import schema
from crm_core.storage.forecast_rows import (
    FORECAST_KINDS,
    fleet_shares,
    grouped_forecasts,
    share_of,
    subject_of,
)
from crm_core.storage.rows import entity_of, row_of
from crm_core.storage.tables import batched, insert_into, insert_once, upsert, upsert_many, where_equal


class SqlSignalRepository:
    """The inbox and the memory of causes (`ports.SignalRepository`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, signals: Sequence[Signal]) -> int:
        new = 0
        for signal in signals:
            row = row_of(signal)
            del row["signal_id"]
            unique = ("tenant", "device_id", "origin", "evidence")
            new += insert_once(self._connection, schema.signals, row, unique) is not None
        return new

    def pending(self, limit: int) -> Sequence[Signal]:
        table = schema.signals
        query = select(table).where(table.c.processed_at.is_(None)).order_by(table.c.signal_id).limit(limit)
        if self._connection.dialect.name == "postgresql":
            query = query.with_for_update()  # SQLite has one writer anyway
        return [entity_of(row, Signal) for row in self._connection.execute(query).mappings()]

    def mark_processed(self, signal_ids: Sequence[SignalId], at: datetime) -> None:
        table = schema.signals
        for chunk in batched(signal_ids):
            self._connection.execute(
                table.update().where(table.c.signal_id.in_(chunk)).values(processed_at=at)
            )

    def tracks(self, tenant: TenantId, device_id: DeviceId) -> Sequence[CauseTrack]:
        wanted = {"wanted_tenant": tenant, "wanted_device_id": device_id}
        query = where_equal(schema.cause_tracks, "tenant", "device_id")
        rows = [entity_of(row, CauseTrack) for row in self._connection.execute(query, wanted).mappings()]
        return sorted(rows, key=lambda each: (each.cause, each.origin))

    def all_tracks(self, tenant: TenantId) -> Sequence[CauseTrack]:
        return self._tracks(schema.cause_tracks.c.tenant == tenant)

    def clearing_tracks(self, tenant: TenantId) -> Sequence[CauseTrack]:
        table = schema.cause_tracks.c
        return self._tracks(table.tenant == tenant, table.clear_since.is_not(None))

    def save_track(self, track: CauseTrack) -> None:
        upsert(self._connection, schema.cause_tracks, row_of(track))

    def drop_track(self, track: CauseTrack) -> None:
        table = schema.cause_tracks
        self._connection.execute(
            table.delete().where(
                table.c.tenant == track.tenant,
                table.c.device_id == track.device_id,
                table.c.cause == track.cause,
                table.c.origin == track.origin.value,
            )
        )

    def watermark(self, tenant: TenantId, device_id: DeviceId, origin: SignalOrigin) -> datetime | None:
        query = where_equal(schema.watermarks, "tenant", "device_id", "origin")
        wanted = {"wanted_tenant": tenant, "wanted_device_id": device_id, "wanted_origin": origin.value}
        row = self._connection.execute(query, wanted).mappings().first()
        return None if row is None else row["observed_at"]

    def set_watermark(
        self, tenant: TenantId, device_id: DeviceId, origin: SignalOrigin, observed_at: datetime
    ) -> None:
        row = {
            "tenant": tenant, "device_id": device_id, "origin": origin.value, "observed_at": observed_at
        }  # fmt: skip
        upsert(self._connection, schema.watermarks, row)

    def _tracks(self, *conditions: Any) -> list[CauseTrack]:
        table = schema.cause_tracks
        query = select(table).where(*conditions).order_by(table.c.device_id, table.c.cause, table.c.origin)
        return [entity_of(row, CauseTrack) for row in self._connection.execute(query).mappings()]


class SqlForecastRepository:
    """The newest forecast of each subject (`ports.ForecastRepository`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def save_all(self, forecasts: Sequence[Forecast]) -> None:
        rows = []
        for forecast in forecasts:
            kind, subject, p50 = subject_of(forecast)
            row = {
                "tenant": forecast.tenant,
                "device_id": forecast.device_id,
                "kind": kind,
                "subject": subject,
                "p50_days": p50,
                "share": share_of(forecast),
                "made_at": forecast.provenance.made_at,
                "body": row_of(forecast),
            }
            rows.append(row)
        upsert_many(self._connection, schema.forecasts, rows)

    def for_device(self, tenant: TenantId, device_id: DeviceId) -> DeviceForecasts:
        found = self._by_device(_of_device(), {"wanted_tenant": tenant, "wanted_device": device_id})
        return found.get(device_id, DeviceForecasts())

    def for_devices(self, tenant: TenantId) -> Mapping[DeviceId, DeviceForecasts]:
        return self._by_device(_of_devices(), {"wanted_tenant": tenant})

    def for_some(
        self, tenant: TenantId, device_ids: Collection[DeviceId]
    ) -> Mapping[DeviceId, DeviceForecasts]:
        found: dict[DeviceId, DeviceForecasts] = {}
        for some in batched(sorted(device_ids)):
            query = _of_devices().where(schema.forecasts.c.device_id.in_(some))
            found |= self._by_device(query, {"wanted_tenant": tenant})
        return found

    def empty_within(self, tenant: TenantId, days: float) -> Sequence[SoonEmpty]:
        wanted = {"wanted_tenant": tenant, "wanted_days": days}
        return [SoonEmpty(*row) for row in self._connection.execute(_empty_within(), wanted)]

    def shares(self, tenant: TenantId) -> FleetShares:
        rows = self._connection.execute(_shares(), {"wanted_tenant": tenant})
        return fleet_shares((device_id, kind, share) for device_id, kind, share in rows)

    def running_out(
        self, tenant: TenantId, within_days: float, limit: int = 1000
    ) -> Sequence[SupplyForecast]:
        table = schema.forecasts.c
        query = (
            select(table.body)
            .where(table.tenant == tenant, table.kind == "supply", table.p50_days <= within_days)
            .order_by(table.p50_days, table.device_id, table.subject)
            .limit(limit)
        )
        return [entity_of(body, SupplyForecast) for body in self._connection.execute(query).scalars()]

    def count(self, tenant: TenantId) -> int:
        query = select(func.count()).where(schema.forecasts.c.tenant == tenant)
        return self._connection.execute(query).scalar_one()

    def _by_device(self, query: Select[Any], arguments: dict[str, Any]) -> dict[DeviceId, DeviceForecasts]:
        found: dict[DeviceId, list[Forecast]] = defaultdict(list)
        for device_id, kind, body in self._connection.execute(query, arguments):
            found[DeviceId(device_id)].append(msgspec.convert(body, FORECAST_KINDS[kind]))
        return {device_id: grouped_forecasts(rows) for device_id, rows in found.items()}


@cache
def _of_devices() -> Select[Any]:
    """Return the query of all forecasts of a tenant; built once, like the next one."""
    table = schema.forecasts.c
    query = select(table.device_id, table.kind, table.body).where(table.tenant == bindparam("wanted_tenant"))
    return query.order_by(table.device_id, table.kind, table.subject)


@cache
def _empty_within() -> Select[Any]:
    """Return the query of the supplies that are empty soon; the index has all of it, like that of the shares."""
    table = schema.forecasts.c
    return (
        select(table.device_id, table.subject, table.p50_days)
        .where(
            table.tenant == bindparam("wanted_tenant"),
            table.kind == "supply",
            table.p50_days <= bindparam("wanted_days"),
        )
        .order_by(table.p50_days, table.device_id, table.subject)
    )


@cache
def _shares() -> Select[Any]:
    table = schema.forecasts.c
    return select(table.device_id, table.kind, table.share).where(
        table.tenant == bindparam("wanted_tenant"), table.share.is_not(None)
    )


@cache
def _of_device() -> Select[Any]:
    return _of_devices().where(schema.forecasts.c.device_id == bindparam("wanted_device"))


class SqlLeaseRepository:
    """Leader leases (`ports.LeaseRepository`): one conditional upsert decides, whatever the number of nodes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def acquire(self, name: str, holder: str, now: datetime, duration: timedelta) -> Lease | None:
        table = schema.leases
        row = {"name": name, "holder": holder, "fencing": 1, "until": now + duration}
        insert = insert_into(self._connection, table).values(row)
        taken = (
            self._connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["name"],
                    set_={
                        "holder": holder,
                        "until": now + duration,
                        "fencing": table.c.fencing + case((table.c.holder == holder, 0), else_=1),
                    },
                    where=(table.c.holder == holder) | (table.c.until <= now),
                ).returning(table)
            )
            .mappings()
            .first()
        )
        return None if taken is None else Lease(**taken)

    def confirm(self, lease: Lease) -> bool:
        table = schema.leases
        locked = self._connection.execute(
            table.update()
            .where(
                table.c.name == lease.name, table.c.holder == lease.holder, table.c.fencing == lease.fencing
            )
            .values(fencing=table.c.fencing)  # changes nothing, but whoever wants the row waits for our end
        )
        return locked.rowcount == 1

    def release(self, lease: Lease) -> None:
        """End the lease at once; the row stays so that the fencing number goes on rising."""
        table = schema.leases
        self._connection.execute(
            table.update()
            .where(
                table.c.name == lease.name, table.c.holder == lease.holder, table.c.fencing == lease.fencing
            )
            .values(holder="", until=datetime.min.replace(tzinfo=lease.until.tzinfo))
        )
