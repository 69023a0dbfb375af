"""The repositories with questions of their own: devices, tickets, work orders, incidents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Row, Select, Table, and_, bindparam, func, select

from crm_core.domain.errors import Conflict, NotFound
from crm_core.domain.fleet import Contract, Customer, Device, DeviceBundle, InstalledPeriod, Site
from crm_core.domain.identity import DeviceId, SiteId, TenantId, TicketId, WorkOrderId
from crm_core.domain.service import (
    Incident,
    IncidentKind,
    Ticket,
    TicketLevel,
    WorkOrder,
    WorkOrderState,
)
from crm_core.ports import Changes, DeviceFilter, DevicePlace, FleetRow, TicketFilter, WorkOrderFilter
from crm_core.storage import prepared, schema
from crm_core.storage.device_search import fleet_columns, narrowed, periods_of, standing_at
from crm_core.storage.rows import entity_from, entity_of, row_of
from crm_core.storage.tables import TableRepository, VersionedTable, upsert

Part = TypeVar("Part")

_FINAL_ORDER_STATES = frozenset({WorkOrderState.DONE, WorkOrderState.CANCELLED})


class SqlDeviceRepository(TableRepository[Device]):
    """Devices with their places and people (`ports.DeviceRepository`)."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, schema.devices, Device, "device_id")

    def bundle(self, tenant: TenantId, device_id: DeviceId) -> DeviceBundle:
        found = self._bundles(_one_bundle(), {"wanted_tenant": tenant, "wanted_device": device_id})
        if not found:
            raise NotFound(f"there is no device {device_id!r}; register it first")
        return found[0]

    def bundles(self, tenant: TenantId) -> Sequence[DeviceBundle]:
        return self._bundles(_all_bundles(), {"wanted_tenant": tenant})

    def search(self, tenant: TenantId, which: DeviceFilter) -> Sequence[DeviceBundle]:
        query = narrowed(_all_bundles(), which)
        if which.after:
            query = query.where(schema.devices.c.device_id > which.after)
        return self._bundles(query.limit(which.limit), {"wanted_tenant": tenant})

    def matching(self, tenant: TenantId, which: DeviceFilter) -> int:
        query = narrowed(_bundle_query(), which).with_only_columns(func.count(), maintain_column_froms=True)
        return self._connection.execute(query, {"wanted_tenant": tenant}).scalar_one()

    def fleet(self, tenant: TenantId, which: DeviceFilter, registered_by: datetime) -> Sequence[FleetRow]:
        query = narrowed(_bundle_query(), which)
        query = query.with_only_columns(*fleet_columns(registered_by), maintain_column_froms=True)
        rows = self._connection.execute(query, {"wanted_tenant": tenant})
        return [FleetRow(device_id, customer_id, bool(overdue)) for device_id, customer_id, overdue in rows]

    def number_of_model(self, tenant: TenantId, model_id: str) -> int:
        wanted = {"wanted_tenant": tenant, "wanted_model_id": model_id}
        number: int = self._connection.execute(prepared.number_of_model(), wanted).scalar_one()
        return number

    def place(self, tenant: TenantId, device_id: DeviceId) -> DevicePlace:
        wanted = {"wanted_tenant": tenant, "wanted_device": device_id}
        found = self._connection.execute(_place(), wanted).first()
        if found is None:
            raise NotFound(f"there is no device {device_id!r}; register it first")
        return DevicePlace(found[0], found[1])

    def find_by_serial(self, tenant: TenantId, serial: str) -> Device | None:
        rows = self._of_tenant(tenant).where(schema.devices.c.serial == serial)
        return self._one(rows.order_by(schema.devices.c.owner_state.in_(("retired", "lost"))))

    def find_by_host(self, tenant: TenantId, host: str, port: int) -> Device | None:
        table = schema.devices.c
        return self._one(self._of_tenant(tenant).where(table.host == host, table.port == port))

    def open_period(self, tenant: TenantId, device_id: DeviceId) -> InstalledPeriod | None:
        rows = self._rows(
            periods_of(tenant, device_id).where(schema.installed_periods.c.to_instant.is_(None))
        )
        return entity_of(rows[0], InstalledPeriod) if rows else None

    def periods(self, tenant: TenantId, device_id: DeviceId) -> Sequence[InstalledPeriod]:
        return [entity_of(row, InstalledPeriod) for row in self._rows(periods_of(tenant, device_id))]

    def save_period(self, period: InstalledPeriod) -> None:
        upsert(self._connection, schema.installed_periods, row_of(period))

    def installed_at(self, tenant: TenantId, at: datetime) -> int:
        return int(self._connection.execute(standing_at(tenant, at)).scalar_one())

    def _row(self, entity: Device) -> dict[str, Any]:
        address = entity.snmp
        return row_of(entity, host=address and address.host, port=address and address.port)

    def _bundles(self, query: Select[Any], arguments: dict[str, Any]) -> list[DeviceBundle]:
        return [_bundle_of(row) for row in self._connection.execute(query, arguments)]


_BUNDLE_TABLES: dict[str, Table] = {
    "device": schema.devices,
    "site": schema.sites,
    "customer": schema.customers,
    "contract": schema.contracts,
}


class _BundlePart(Generic[Part]):
    """Where one entity lies in a row of a bundle."""

    def __init__(self, prefix: str, kind: type[Part]) -> None:
        prefixes = list(_BUNDLE_TABLES)
        before = prefixes[: prefixes.index(prefix)]
        self._start = sum(len(_BUNDLE_TABLES[each].columns) for each in before)
        self._names = tuple(str(column.name) for column in _BUNDLE_TABLES[prefix].columns)
        self._end = self._start + len(self._names)
        self._key = self._start + self._names.index(f"{prefix}_id")
        self._kind = kind

    def of(self, row: Row[Any]) -> Part | None:
        """Return the entity, None when the device has none of it."""
        if row[self._key] is None:
            return None
        return entity_from(row[self._start : self._end], self._names, self._kind)


_DEVICE = _BundlePart("device", Device)
_SITE = _BundlePart("site", Site)
_CUSTOMER = _BundlePart("customer", Customer)
_CONTRACT = _BundlePart("contract", Contract)


def _bundle_of(row: Row[Any]) -> DeviceBundle:
    device = _DEVICE.of(row)
    assert device is not None  # the query starts from it
    return DeviceBundle(
        device=device, site=_SITE.of(row), customer=_CUSTOMER.of(row), contract=_CONTRACT.of(row)
    )


@cache
def _one_bundle() -> Select[Any]:
    """Return the query of one device; a join of four tables is costly to build for each signal."""
    return _bundle_query().where(schema.devices.c.device_id == bindparam("wanted_device"))


@cache
def _all_bundles() -> Select[Any]:
    return _bundle_query().order_by(schema.devices.c.device_id)


def _bundle_query() -> Select[Any]:
    """Join a device with its place and people; the columns are prefixed by the part that they belong to."""
    device = schema.devices
    joined = device
    for name in ("site", "customer", "contract"):
        other = _BUNDLE_TABLES[name]
        key = f"{name}_id"
        joined = joined.outerjoin(
            other, and_(other.c.tenant == device.c.tenant, other.c[key] == device.c[key])
        )  # type: ignore[assignment]  # a join is selectable like a table
    columns = [
        column.label(f"{prefix}_{column.name}")
        for prefix, table in _BUNDLE_TABLES.items()
        for column in table.columns
    ]
    return select(*columns).select_from(joined).where(device.c.tenant == bindparam("wanted_tenant"))


@cache
def _place() -> Select[Any]:
    device, site = schema.devices, schema.sites
    same = and_(site.c.tenant == device.c.tenant, site.c.site_id == device.c.site_id)
    return (
        select(device.c.customer_id, site.c.region)
        .select_from(device.outerjoin(site, same))
        .where(
            device.c.tenant == bindparam("wanted_tenant"), device.c.device_id == bindparam("wanted_device")
        )
    )


def _in_regions(query: Select[Any], table: Table, regions: tuple[str, ...]) -> Select[Any]:
    """Keep rows whose site lies in one of the regions; no regions means everywhere."""
    if not regions:
        return query
    site = schema.sites.c
    return query.where(
        select(site.site_id)
        .where(site.tenant == table.c.tenant, site.site_id == table.c.site_id, site.region.in_(regions))
        .exists()
    )


class SqlTicketRepository(VersionedTable[Ticket]):
    """Tickets (`ports.TicketRepository`)."""

    def __init__(self, connection: Connection, changes: Changes) -> None:
        super().__init__(connection, schema.tickets, Ticket, "ticket_id")
        self._changes = changes

    def open_unless_covered(self, ticket: Ticket) -> Ticket | None:
        made = self._insert_if_free(_ticket_row(ticket), ("tenant", "dedup_key"), "is_open")
        return None if made is None else self._changes.note_ticket(made)

    def get(self, tenant: TenantId, ticket_id: TicketId) -> Ticket:
        return self._must_find(tenant, ticket_id)

    def find_open(self, tenant: TenantId, dedup_key: str) -> Ticket | None:
        wanted = {"wanted_tenant": tenant, "wanted_dedup_key": dedup_key}
        return self._one(prepared.open_of_key(), wanted)

    def save(self, ticket: Ticket) -> Ticket:
        return self._changes.note_ticket(self._replace(_ticket_row(ticket)))

    def list(self, tenant: TenantId, which: TicketFilter) -> Sequence[Ticket]:
        table = schema.tickets.c
        query = _in_regions(self._of_tenant(tenant), schema.tickets, which.regions)
        if which.states is not None:
            query = query.where(table.state.in_(sorted(which.states)))
        if which.before is not None:
            query = query.where(table.ticket_id < which.before)
        if which.changed_since is not None:
            query = query.where(table.changed_at >= which.changed_since)
        if which.raised_since is not None:
            query = query.where(table.raised_at >= which.raised_since)
        for column, value in (
            (table.level, which.level),
            (table.cause, which.cause),
            (table.device_id, which.device_id),
            (table.site_id, which.site_id),
            (table.customer_id, which.customer_id),
        ):
            if value is not None:
                query = query.where(column == str(value))
        return self._many(query.order_by(table.ticket_id.desc()).limit(which.limit))

    def counts_by_level(self, tenant: TenantId, *, open_only: bool) -> Mapping[TicketLevel, int]:
        table = schema.tickets.c
        query = (
            select(table.level, func.count().label("number"))
            .where(table.tenant == tenant)
            .group_by(table.level)
        )
        if open_only:
            query = query.where(table.is_open)
        counted = {row.level: row.number for row in self._connection.execute(query)}
        return {level: counted.get(level.value, 0) for level in TicketLevel}

    def raised_between(
        self,
        tenant: TenantId,
        since: datetime,
        until: datetime,
        device_id: DeviceId | None = None,
        site_id: SiteId | None = None,
        cause: str | None = None,
    ) -> int:
        asked = {"tenant": tenant, "device_id": device_id, "site_id": site_id, "cause": cause}
        given = {name: value for name, value in asked.items() if value is not None}
        wanted: dict[str, object] = {f"wanted_{name}": value for name, value in given.items()}
        query = prepared.raised_between(*given)
        wanted |= {"since": since, "until": until}
        number: int = self._connection.execute(query, wanted).scalar_one()
        return number


def _ticket_row(ticket: Ticket) -> dict[str, Any]:
    return row_of(ticket, dedup_key=ticket.dedup_key, is_open=ticket.is_open)


class SqlWorkOrderRepository(VersionedTable[WorkOrder]):
    """Work orders (`ports.WorkOrderRepository`)."""

    def __init__(self, connection: Connection, changes: Changes) -> None:
        super().__init__(connection, schema.work_orders, WorkOrder, "work_order_id")
        self._changes = changes

    def add(self, order: WorkOrder) -> WorkOrder:
        made = self._insert(row_of(order))
        self._link(made)
        return self._changes.note_order(made)

    def get(self, tenant: TenantId, work_order_id: WorkOrderId) -> WorkOrder:
        return self._must_find(tenant, work_order_id)

    def save(self, order: WorkOrder) -> WorkOrder:
        saved = self._replace(row_of(order))
        self._link(saved)
        return self._changes.note_order(saved)

    def list(self, tenant: TenantId, which: WorkOrderFilter) -> Sequence[WorkOrder]:
        table = schema.work_orders.c
        query = _in_regions(self._of_tenant(tenant), schema.work_orders, which.regions)
        if which.states is not None:
            query = query.where(table.state.in_(sorted(which.states)))
        if which.before is not None:
            query = query.where(table.work_order_id < which.before)
        for column, value in (
            (table.technician_id, which.technician_id),
            (table.device_id, which.device_id),
            (table.site_id, which.site_id),
            (table.customer_id, which.customer_id),
        ):
            if value is not None:
                query = query.where(column == value)
        return self._many(query.order_by(table.work_order_id.desc()).limit(which.limit))

    def active_for_ticket(self, tenant: TenantId, ticket_id: TicketId) -> WorkOrder | None:
        return self._one(prepared.active_for_ticket(), {"wanted_tenant": tenant, "wanted_ticket": ticket_id})

    def count(self, tenant: TenantId) -> int:
        query = select(func.count()).where(schema.work_orders.c.tenant == tenant)
        return self._connection.execute(query).scalar_one()

    def _link(self, order: WorkOrder) -> None:
        """Keep the links that say which order serves which ticket; the index refuses a second active one."""
        link = schema.work_order_tickets
        active = order.state not in _FINAL_ORDER_STATES
        self._connection.execute(prepared.links_of(), {"wanted_order": order.work_order_id})
        for ticket_id in order.ticket_ids:
            if active and (other := self.active_for_ticket(order.tenant, ticket_id)) is not None:
                raise Conflict(f"ticket {ticket_id} is already served by work order {other.work_order_id}")
        rows = [
            {"work_order_id": order.work_order_id, "ticket_id": ticket_id, "active": active}
            for ticket_id in order.ticket_ids
        ]
        if rows:
            self._connection.execute(link.insert(), rows)


class SqlIncidentRepository(VersionedTable[Incident]):
    """Incidents (`ports.IncidentRepository`)."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, schema.incidents, Incident, "incident_id")

    def open_unless_covered(self, incident: Incident) -> Incident | None:
        return self._insert_if_free(row_of(incident), ("tenant", "kind", "subject"), "closed_at IS NULL")

    def find_open(self, tenant: TenantId, kind: IncidentKind, subject: str) -> Incident | None:
        table = schema.incidents.c
        return self._one(self._open(tenant).where(table.kind == kind.value, table.subject == subject))

    def open_ones(self, tenant: TenantId) -> Sequence[Incident]:
        return self._many(self._open(tenant).order_by(schema.incidents.c.incident_id))

    def all(self, tenant: TenantId, limit: int = 100) -> Sequence[Incident]:
        newest_first = self._of_tenant(tenant).order_by(schema.incidents.c.incident_id.desc())
        return self._many(newest_first.limit(limit))

    def save(self, incident: Incident) -> Incident:
        return self._replace(row_of(incident))

    def _open(self, tenant: TenantId) -> Select[Any]:
        return self._of_tenant(tenant).where(schema.incidents.c.closed_at.is_(None))
