"""Fleet, tickets and work orders in memory: tables with an undo journal, and the indexes that the database has too."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from crm_core.domain.errors import Conflict, NotFound
from crm_core.domain.fleet import Contract, Customer, Device, DeviceBundle, InstalledPeriod, OwnerState, Site
from crm_core.domain.identity import DeviceId, SiteId, TenantId, TicketId, WorkOrderId
from crm_core.domain.service import (
    Ticket,
    TicketLevel,
    WorkOrder,
    WorkOrderState,
)
from crm_core.ports import Changes, DeviceFilter, DevicePlace, FleetRow, TicketFilter, WorkOrderFilter
from crm_core.storage.device_search import fitting, fleet_row

Entity = TypeVar("Entity")
Key = tuple[Any, ...]
Journal = list[Callable[[], None]]  # how to undo what an open transaction did, in order
_FINAL = frozenset({WorkOrderState.DONE, WorkOrderState.CANCELLED})
_GONE = frozenset({OwnerState.RETIRED, OwnerState.LOST})


class Table(Generic[Entity]):
    """Rows by key with an undo journal, and indexes kept by the caller's key functions."""

    def __init__(self, journal: Journal) -> None:
        self.rows: dict[Key, Entity] = {}
        self._indexes: dict[str, tuple[Callable[[Entity], Key | None], dict[Key, dict[Key, None]]]] = {}
        self._journal = journal
        self._last_id = 0

    def index(self, name: str, key_of: Callable[[Entity], Key | None]) -> None:
        """Keep an index; `key_of` gives None for rows outside it."""
        self._indexes[name] = (key_of, {})

    def by(self, name: str, key: Key) -> list[Entity]:
        """Return the rows with an index key, in the order of their insertion."""
        return [self.rows[each] for each in self._indexes[name][1].get(key, ())]

    def put(self, key: Key, entity: Entity) -> None:
        before = self.rows.get(key)
        self._journal.append(lambda: self._set(key, before))
        self._set(key, entity)

    def drop(self, key: Key) -> None:
        before = self.rows.get(key)
        if before is not None:
            self._journal.append(lambda: self._set(key, before))
            self._set(key, None)

    def next_id(self) -> int:
        """Return a number that was never used; numbers are not given back when a transaction fails."""
        self._last_id += 1
        return self._last_id

    def _set(self, key: Key, entity: Entity | None) -> None:
        before = self.rows.get(key)
        for key_of, index in self._indexes.values():
            old = key_of(before) if before is not None else None
            new = key_of(entity) if entity is not None else None
            if old == new:
                continue
            if old is not None:
                index[old].pop(key, None)
            if new is not None:
                index.setdefault(new, {})[key] = None
        if entity is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = entity


class MemoryRepository(Generic[Entity]):
    """Entities by tenant and id (`ports.Repository`)."""

    def __init__(self, journal: Journal, key_of: Callable[[Entity], tuple[str, str]]) -> None:
        self._table: Table[Entity] = Table(journal)
        self._key_of = key_of

    def find(self, tenant: TenantId, key: str) -> Entity | None:
        return self._table.rows.get((tenant, key))

    def get(self, tenant: TenantId, key: str) -> Entity:
        found = self.find(tenant, key)
        if found is None:
            raise NotFound(f"there is no {key!r}; list them to see the known ones")
        return found

    def all(self, tenant: TenantId) -> Sequence[Entity]:
        return [row for key, row in sorted(self._table.rows.items()) if key[0] == tenant]

    def save(self, entity: Entity) -> None:
        self._check(entity)
        self._table.put(self._key_of(entity), entity)

    def _check(self, entity: Entity) -> None:
        """Raise `Conflict` when a rule between records forbids the entity."""


class MemorySites(MemoryRepository[Site]):
    """Sites; each belongs to a customer that exists."""

    def __init__(self, journal: Journal, customers: MemoryRepository[Customer]) -> None:
        super().__init__(journal, lambda site: (site.tenant, site.site_id))
        self._customers = customers

    def _check(self, entity: Site) -> None:
        _must_exist(self._customers, entity.tenant, entity.customer_id)


class MemoryContracts(MemoryRepository[Contract]):
    """Contracts; each belongs to a customer that exists."""

    def __init__(self, journal: Journal, customers: MemoryRepository[Customer]) -> None:
        super().__init__(journal, lambda contract: (contract.tenant, contract.contract_id))
        self._customers = customers

    def _check(self, entity: Contract) -> None:
        _must_exist(self._customers, entity.tenant, entity.customer_id)


def _must_exist(repository: MemoryRepository[Any], tenant: str, key: str | None) -> None:
    if key is not None and repository.find(TenantId(tenant), key) is None:
        raise Conflict(f"{key!r} does not exist; check the key and the records that it names")


class MemoryDevices(MemoryRepository[Device]):
    """Devices with their places and people (`ports.DeviceRepository`)."""

    def __init__(
        self,
        journal: Journal,
        customers: MemoryRepository[Customer],
        sites: MemoryRepository[Site],
        contracts: MemoryRepository[Contract],
    ) -> None:
        super().__init__(journal, lambda device: (device.tenant, device.device_id))
        self._customers, self._sites, self._contracts = customers, sites, contracts
        self._periods: Table[InstalledPeriod] = Table(journal)

    def bundle(self, tenant: TenantId, device_id: DeviceId) -> DeviceBundle:
        device = self.get(tenant, device_id)
        return DeviceBundle(
            device=device,
            site=self._sites.find(tenant, device.site_id or ""),
            customer=self._customers.find(tenant, device.customer_id or ""),
            contract=self._contracts.find(tenant, device.contract_id or ""),
        )

    def bundles(self, tenant: TenantId) -> Sequence[DeviceBundle]:
        return [self.bundle(tenant, device.device_id) for device in self.all(tenant)]

    def search(self, tenant: TenantId, which: DeviceFilter) -> Sequence[DeviceBundle]:
        found = [each for each in fitting(self.bundles(tenant), which) if each.device.device_id > which.after]
        return sorted(found, key=lambda each: each.device.device_id)[: which.limit]

    def matching(self, tenant: TenantId, which: DeviceFilter) -> int:
        return len(fitting(self.bundles(tenant), which))

    def fleet(self, tenant: TenantId, which: DeviceFilter, registered_by: datetime) -> Sequence[FleetRow]:
        return [fleet_row(each.device, registered_by) for each in fitting(self.bundles(tenant), which)]

    def number_of_model(self, tenant: TenantId, model_id: str) -> int:
        return self.matching(tenant, DeviceFilter(model_id=model_id))

    def place(self, tenant: TenantId, device_id: DeviceId) -> DevicePlace:
        bundle = self.bundle(tenant, device_id)
        return DevicePlace(bundle.device.customer_id, bundle.site.region if bundle.site else None)

    def find_by_serial(self, tenant: TenantId, serial: str) -> Device | None:
        found = [device for device in self.all(tenant) if device.serial == serial]
        return min(found, key=lambda device: device.owner_state in _GONE, default=None)

    def find_by_host(self, tenant: TenantId, host: str, port: int) -> Device | None:
        return next(
            (
                each
                for each in self.all(tenant)
                if each.snmp and (each.snmp.host, each.snmp.port) == (host, port)
            ),
            None,
        )

    def open_period(self, tenant: TenantId, device_id: DeviceId) -> InstalledPeriod | None:
        return next((each for each in self.periods(tenant, device_id) if each.to_instant is None), None)

    def periods(self, tenant: TenantId, device_id: DeviceId) -> Sequence[InstalledPeriod]:
        return [row for key, row in sorted(self._periods.rows.items()) if key[:2] == (tenant, device_id)]

    def save_period(self, period: InstalledPeriod) -> None:
        _must_exist(self, period.tenant, period.device_id)
        present = self.open_period(period.tenant, period.device_id)
        another = present is not None and present.from_instant != period.from_instant
        if another and period.to_instant is None:
            raise Conflict(f"device {period.device_id} stands somewhere already; end that period first")
        self._periods.put((period.tenant, period.device_id, period.from_instant), period)

    def installed_at(self, tenant: TenantId, at: datetime) -> int:
        return sum(key[0] == tenant and row.covers(at) for key, row in self._periods.rows.items())

    def _check(self, entity: Device) -> None:
        _must_exist(self._sites, entity.tenant, entity.site_id)
        _must_exist(self._customers, entity.tenant, entity.customer_id)
        _must_exist(self._contracts, entity.tenant, entity.contract_id)
        if entity.serial is None or entity.owner_state in _GONE:
            return
        for other in self.all(entity.tenant):
            in_use = other.owner_state not in _GONE and other.device_id != entity.device_id
            if in_use and other.serial == entity.serial:
                raise Conflict(
                    f"serial {entity.serial!r} belongs to device {other.device_id}; retire it first"
                )


class MemoryVersioned(Generic[Entity]):
    """Entities with a number and a version against lost updates."""

    def __init__(self, journal: Journal, id_field: str) -> None:
        self._table: Table[Entity] = Table(journal)
        self._id_field = id_field

    def _must_find(self, tenant: str, number: int) -> Entity:
        found = self._table.rows.get((tenant, number))
        if found is None:
            raise NotFound(f"there is no {self._id_field.removesuffix('_id').replace('_', ' ')} {number}")
        return found

    def _insert(self, entity: Any) -> Entity:
        number = self._table.next_id()
        made: Entity = replace(entity, **{self._id_field: number, "version": 1})
        self._table.put((entity.tenant, number), made)
        return made

    def _replace(self, entity: Any) -> Entity:
        number = getattr(entity, self._id_field)
        stored: Any = self._must_find(entity.tenant, number)
        if stored.version != entity.version:
            raise Conflict(
                f"{self._id_field} {number} was changed meanwhile; read it again and repeat the change"
            )
        made: Entity = replace(entity, version=entity.version + 1)
        self._table.put((entity.tenant, number), made)
        return made

    def _newest_first(self, tenant: str) -> Iterator[Entity]:
        for key in reversed(self._table.rows):
            if key[0] == tenant:
                yield self._table.rows[key]


class MemoryTickets(MemoryVersioned[Ticket]):
    """Tickets, with indexes for what triage asks again and again."""

    def __init__(self, journal: Journal, sites: MemoryRepository[Site], changes: Changes) -> None:
        super().__init__(journal, "ticket_id")
        self._sites = sites
        self._changes = changes
        self._table.index("open", lambda each: (each.tenant, each.dedup_key) if each.is_open else None)
        self._table.index("device", lambda each: (each.tenant, each.device_id))
        self._table.index("state", lambda each: (each.tenant, each.state))

    def open_unless_covered(self, ticket: Ticket) -> Ticket | None:
        if ticket.is_open and self._table.by("open", (ticket.tenant, ticket.dedup_key)):
            return None
        return self._changes.note_ticket(self._insert(ticket))

    def get(self, tenant: TenantId, ticket_id: TicketId) -> Ticket:
        return self._must_find(tenant, ticket_id)

    def find_open(self, tenant: TenantId, dedup_key: str) -> Ticket | None:
        return next(iter(self._table.by("open", (tenant, dedup_key))), None)

    def save(self, ticket: Ticket) -> Ticket:
        self._must_find(ticket.tenant, ticket.ticket_id)
        other = self.find_open(ticket.tenant, ticket.dedup_key)
        if ticket.is_open and other is not None and other.ticket_id != ticket.ticket_id:
            raise Conflict(f"ticket {other.ticket_id} is open for {ticket.dedup_key} already")
        return self._changes.note_ticket(self._replace(ticket))

    def list(self, tenant: TenantId, which: TicketFilter) -> Sequence[Ticket]:
        found = sorted(self._candidates(tenant, which), key=lambda each: -each.ticket_id)
        return [each for each in found if self._fits(each, which)][: which.limit]

    def _candidates(self, tenant: TenantId, which: TicketFilter) -> Sequence[Ticket]:
        if which.device_id is not None:
            return self._table.by("device", (tenant, which.device_id))
        states = which.states
        if states is None:
            return list(self._newest_first(tenant))
        return [each for state in states for each in self._table.by("state", (tenant, state))]

    def _fits(self, ticket: Ticket, which: TicketFilter) -> bool:
        site = self._sites.find(ticket.tenant, ticket.site_id or "") if which.regions else None
        return (
            (which.states is None or ticket.state in which.states)
            and which.level in (None, ticket.level)
            and which.site_id in (None, ticket.site_id)
            and which.customer_id in (None, ticket.customer_id)
            and which.cause in (None, ticket.cause)
            and (which.raised_since is None or ticket.raised_at >= which.raised_since)
            and (which.changed_since is None or ticket.changed_at >= which.changed_since)
            and (which.before is None or ticket.ticket_id < which.before)
            and (not which.regions or (site is not None and site.region in which.regions))
        )

    def counts_by_level(self, tenant: TenantId, *, open_only: bool) -> Mapping[TicketLevel, int]:
        counts = dict.fromkeys(TicketLevel, 0)
        for ticket in self._newest_first(tenant):
            counts[ticket.level] += ticket.is_open or not open_only
        return counts

    def raised_between(
        self,
        tenant: TenantId,
        since: datetime,
        until: datetime,
        device_id: DeviceId | None = None,
        site_id: SiteId | None = None,
        cause: str | None = None,
    ) -> int:
        newest = self._newest_first(tenant)
        rows = reversed(self._table.by("device", (tenant, device_id))) if device_id is not None else newest
        number = 0
        for ticket in rows:
            if ticket.raised_at < since:
                break  # tickets are raised in the order of their numbers
            number += (
                ticket.raised_at < until
                and site_id in (None, ticket.site_id)
                and cause in (None, ticket.cause)
            )
        return number


class MemoryWorkOrders(MemoryVersioned[WorkOrder]):
    """Work orders (`ports.WorkOrderRepository`)."""

    def __init__(self, journal: Journal, sites: MemoryRepository[Site], changes: Changes) -> None:
        super().__init__(journal, "work_order_id")
        self._sites = sites
        self._changes = changes
        self._table.index("state", lambda each: (each.tenant, each.state))
        self._serving: Table[int] = Table(journal)  # (tenant, ticket) -> the active order

    def add(self, order: WorkOrder) -> WorkOrder:
        made = self._insert(order)
        self._link(made)
        return self._changes.note_order(made)

    def get(self, tenant: TenantId, work_order_id: WorkOrderId) -> WorkOrder:
        return self._must_find(tenant, work_order_id)

    def save(self, order: WorkOrder) -> WorkOrder:
        before = self._must_find(order.tenant, order.work_order_id)
        made = self._replace(order)
        for ticket_id in before.ticket_ids:
            if self._serving.rows.get((order.tenant, ticket_id)) == order.work_order_id:
                self._serving.drop((order.tenant, ticket_id))
        self._link(made)
        return self._changes.note_order(made)

    def list(self, tenant: TenantId, which: WorkOrderFilter) -> Sequence[WorkOrder]:
        if which.states is None:
            rows = list(self._newest_first(tenant))
        else:
            rows = [each for state in which.states for each in self._table.by("state", (tenant, state))]
        found = sorted(rows, key=lambda each: -each.work_order_id)
        return [each for each in found if self._fits(each, which)][: which.limit]

    def _fits(self, order: WorkOrder, which: WorkOrderFilter) -> bool:
        site = self._sites.find(order.tenant, order.site_id or "") if which.regions else None
        return (
            which.technician_id in (None, order.technician_id)
            and which.device_id in (None, order.device_id)
            and which.site_id in (None, order.site_id)
            and which.customer_id in (None, order.customer_id)
            and (which.before is None or order.work_order_id < which.before)
            and (not which.regions or (site is not None and site.region in which.regions))
        )

    def active_for_ticket(self, tenant: TenantId, ticket_id: TicketId) -> WorkOrder | None:
        number = self._serving.rows.get((tenant, ticket_id))
        return None if number is None else self._must_find(tenant, number)

    def count(self, tenant: TenantId) -> int:
        return sum(1 for _ in self._newest_first(tenant))

    def _link(self, order: WorkOrder) -> None:
        if order.state in _FINAL:
            return
        for ticket_id in order.ticket_ids:
            other = self._serving.rows.get((order.tenant, ticket_id))
            if other is not None:
                raise Conflict(f"ticket {ticket_id} is already served by work order {other}")
            self._serving.put((order.tenant, ticket_id), order.work_order_id)
