"""The ports of the CRM: repositories over customers, devices, tickets and work orders, bound by one transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

from crm_core.domain.fleet import Contract, Customer, Device, DeviceBundle, InstalledPeriod, OwnerState, Site
from crm_core.domain.identity import DeviceId, SignalId, SiteId, TechnicianId, TenantId, TicketId, WorkOrderId
from crm_core.domain.service import (
    AccessToken,
    CauseTrack,
    Incident,
    IncidentKind,
    Signal,
    SignalOrigin,
    Technician,
    Ticket,
    TicketLevel,
    TicketState,
    User,
    WorkOrder,
    WorkOrderState,
)
from crm_core.ports.accounts import AccountsRepository
from crm_core.ports.agreements import AgreementsRepository
from crm_core.ports.billing import BillingRepository
from crm_core.ports.fieldwork import FieldworkRepository
from crm_core.ports.forecasts import ForecastRepository
from crm_core.ports.notices import NoticesRepository
from crm_core.ports.quality import QualityRepository
from crm_core.ports.relations import RelationsRepository
from crm_core.ports.stock import StockRepository
from crm_core.ports.trust import TrustRepository

Entity = TypeVar("Entity")


class Repository(Protocol, Generic[Entity]):
    """Entities of one kind by tenant and id."""

    def find(self, tenant: TenantId, key: str) -> Entity | None: ...

    def get(self, tenant: TenantId, key: str) -> Entity:
        """Return the entity, or raise `NotFound`."""
        ...

    def all(self, tenant: TenantId) -> Sequence[Entity]: ...

    def save(self, entity: Entity) -> None:
        """Insert the entity or replace the one with the same id."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFilter:
    """Which devices; None or empty means any. `after` is a cursor: only devices with a greater id (ordered by id).

    `regions` are those of sites; `also` are devices that pass whatever their region. `q` is a part of id, serial,
    model, asset tag, customer's or site's name, upper and lower case alike (beyond ASCII as the database does).
    """

    customer_id: str | None = None
    site_id: str | None = None
    model_id: str | None = None
    regions: tuple[str, ...] = ()
    also: frozenset[str] = frozenset()
    device_ids: frozenset[str] | None = None
    owner_states: frozenset[OwnerState] | None = None
    q: str = ""
    after: str = ""
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class DevicePlace:
    """Whose device it is and in which region it stands: what decides who may see it."""

    customer_id: str | None
    region: str | None


class FleetRow(NamedTuple):
    """The least that is told of a device. `overdue`: it should report, and was registered by the asked instant."""

    device_id: DeviceId
    customer_id: str | None
    overdue: bool


class DeviceRepository(Repository[Device], Protocol):
    """Devices with their places and people; `save` keeps serials unique among devices that are not retired."""

    def bundle(self, tenant: TenantId, device_id: DeviceId) -> DeviceBundle:
        """Return the device with site, customer and contract in one query, or raise `NotFound`."""
        ...

    def bundles(self, tenant: TenantId) -> Sequence[DeviceBundle]: ...

    def search(self, tenant: TenantId, which: DeviceFilter) -> Sequence[DeviceBundle]:
        """Return the devices of a filter with their places and people, ordered by id."""
        ...

    def matching(self, tenant: TenantId, which: DeviceFilter) -> int:
        """Return how many devices a filter has, whatever its cursor and limit."""
        ...

    def fleet(self, tenant: TenantId, which: DeviceFilter, registered_by: datetime) -> Sequence[FleetRow]:
        """Return the least of each device of a filter, whatever its cursor and limit: for figures of whole fleets."""
        ...

    def number_of_model(self, tenant: TenantId, model_id: str) -> int: ...

    def place(self, tenant: TenantId, device_id: DeviceId) -> DevicePlace:
        """Return whose the device is and where, by one narrow query, or raise `NotFound`."""
        ...

    def find_by_serial(self, tenant: TenantId, serial: str) -> Device | None: ...

    def find_by_host(self, tenant: TenantId, host: str, port: int) -> Device | None: ...

    def open_period(self, tenant: TenantId, device_id: DeviceId) -> InstalledPeriod | None: ...

    def periods(self, tenant: TenantId, device_id: DeviceId) -> Sequence[InstalledPeriod]: ...

    def save_period(self, period: InstalledPeriod) -> None: ...

    def installed_at(self, tenant: TenantId, at: datetime) -> int:
        """Return how many devices stood at customers at an instant."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFilter:
    """Which tickets; None means any. `before` is a cursor: only tickets with a smaller id (newest first)."""

    states: frozenset[TicketState] | None = None
    level: TicketLevel | None = None
    device_id: DeviceId | None = None
    site_id: SiteId | None = None
    customer_id: str | None = None
    cause: str | None = None
    raised_since: datetime | None = None
    changed_since: datetime | None = None
    regions: tuple[str, ...] = ()
    before: TicketId | None = None
    limit: int = 100


class TicketRepository(Protocol):
    """Tickets. A partial unique index keeps one open ticket per tenant and dedup key."""

    def open_unless_covered(self, ticket: Ticket) -> Ticket | None:
        """Insert `ticket` (its id is ignored) and return it with its id; None when an open ticket has its key."""
        ...

    def get(self, tenant: TenantId, ticket_id: TicketId) -> Ticket: ...

    def find_open(self, tenant: TenantId, dedup_key: str) -> Ticket | None: ...

    def save(self, ticket: Ticket) -> Ticket:
        """Replace the ticket and return it with the next version; raise `Conflict` if the stored version differs."""
        ...

    def list(self, tenant: TenantId, which: TicketFilter) -> Sequence[Ticket]: ...

    def counts_by_level(self, tenant: TenantId, *, open_only: bool) -> Mapping[TicketLevel, int]: ...

    def raised_between(
        self, tenant: TenantId, since: datetime, until: datetime, device_id: DeviceId | None = None,
        site_id: SiteId | None = None,
        cause: str | None = None,
    ) -> int: ...  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOrderFilter:
    """Which work orders; None means any. `before` is a cursor on the id (newest first)."""

    states: frozenset[WorkOrderState] | None = None
    technician_id: TechnicianId | None = None
    device_id: DeviceId | None = None
    site_id: SiteId | None = None
    customer_id: str | None = None
    regions: tuple[str, ...] = ()
    before: WorkOrderId | None = None
    limit: int = 100


class WorkOrderRepository(Protocol):
    """Work orders. At most one that is not done or cancelled serves a given ticket."""

    def add(self, order: WorkOrder) -> WorkOrder:
        """Insert the order (its id is ignored) and return it with its id."""
        ...

    def get(self, tenant: TenantId, work_order_id: WorkOrderId) -> WorkOrder: ...

    def save(self, order: WorkOrder) -> WorkOrder:
        """Replace the order under optimistic locking, like tickets."""
        ...

    def list(self, tenant: TenantId, which: WorkOrderFilter) -> Sequence[WorkOrder]: ...

    def active_for_ticket(self, tenant: TenantId, ticket_id: TicketId) -> WorkOrder | None: ...

    def count(self, tenant: TenantId) -> int: ...


class SignalRepository(Protocol):
    """The inbox as triage sees it, and its memory of causes."""

    def append(self, signals: Sequence[Signal]) -> int: ...

    def pending(self, limit: int) -> Sequence[Signal]:
        """Return unprocessed signals of all tenants, oldest first; others who ask wait for the end of this transaction."""
        ...

    def mark_processed(self, signal_ids: Sequence[SignalId], at: datetime) -> None: ...

    def tracks(self, tenant: TenantId, device_id: DeviceId) -> Sequence[CauseTrack]: ...

    def all_tracks(self, tenant: TenantId) -> Sequence[CauseTrack]: ...

    def clearing_tracks(self, tenant: TenantId) -> Sequence[CauseTrack]:
        """Return the tracks whose condition is gone at present (`clear_since` is set)."""
        ...

    def save_track(self, track: CauseTrack) -> None: ...

    def drop_track(self, track: CauseTrack) -> None: ...

    def watermark(self, tenant: TenantId, device_id: DeviceId, origin: SignalOrigin) -> datetime | None:
        """Return the `observed_at` of the newest signal that triage took in; older ones say nothing new."""
        ...

    def set_watermark(
        self, tenant: TenantId, device_id: DeviceId, origin: SignalOrigin, observed_at: datetime
    ) -> None: ...


class IncidentRepository(Protocol):
    """Incidents. At most one is open for a tenant, kind and subject."""

    def open_unless_covered(self, incident: Incident) -> Incident | None:
        """Insert the incident (its id is ignored) and return it with its id; None when one is open already."""
        ...

    def find_open(self, tenant: TenantId, kind: IncidentKind, subject: str) -> Incident | None: ...

    def open_ones(self, tenant: TenantId) -> Sequence[Incident]: ...

    def all(self, tenant: TenantId, limit: int = 100) -> Sequence[Incident]:
        """Return incidents, newest first."""
        ...

    def save(self, incident: Incident) -> Incident:
        """Replace the incident under optimistic locking, like tickets."""
        ...


class UserRepository(Repository[User], Protocol):
    """People who sign in, and their tokens."""

    def find_by_name(self, tenant: TenantId, name: str) -> User | None: ...

    def save_token(self, token: AccessToken) -> None: ...

    def tokens(self, tenant: TenantId, purpose: str) -> Sequence[AccessToken]:
        """Return the tokens of a purpose, oldest first; expired ones too."""
        ...

    def find_token(self, token_hash: str) -> AccessToken | None: ...

    def bearer(self, token_hash: str) -> tuple[AccessToken, User] | None:
        """Return a token with its user by one query: this stands before every request."""
        ...

    def revoke_token(self, token_hash: str) -> None: ...

    def revoke_tokens_of(self, tenant: TenantId, user_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act alone under a name, until `until`; `fencing` rises with each new holder."""

    name: str
    holder: str
    fencing: int
    until: datetime


class LeaseRepository(Protocol):
    """Leader leases with fencing numbers."""

    def acquire(self, name: str, holder: str, now: datetime, duration: timedelta) -> Lease | None:
        """Take or renew the lease; None when another holder has it."""
        ...

    def release(self, lease: Lease) -> None: ...

    def confirm(self, lease: Lease) -> bool:
        """Return True while the lease is the newest of its name; nobody can take it before this transaction ends."""
        ...


class UnitOfWork(Protocol):
    """One transaction over the CRM: leaving the block without `commit` rolls back."""

    customers: Repository[Customer]
    sites: Repository[Site]
    contracts: Repository[Contract]
    devices: DeviceRepository
    technicians: Repository[Technician]
    tickets: TicketRepository
    work_orders: WorkOrderRepository
    signals: SignalRepository
    incidents: IncidentRepository
    forecasts: ForecastRepository
    users: UserRepository
    leases: LeaseRepository
    accounts: AccountsRepository
    stock: StockRepository
    notices: NoticesRepository
    fieldwork: FieldworkRepository
    relations: RelationsRepository
    agreements: AgreementsRepository
    billing: BillingRepository
    trust: TrustRepository
    quality: QualityRepository

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def commit(self) -> None: ...


UnitOfWorkFactory = Callable[[], UnitOfWork]


@dataclass(slots=True)
class Changes:
    """The tickets and work orders that a transaction has written so far, each as it is now."""

    tickets: dict[tuple[str, int], Ticket] = field(default_factory=dict)
    work_orders: dict[tuple[str, int], WorkOrder] = field(default_factory=dict)

    def note_ticket(self, ticket: Ticket) -> Ticket:
        """Remember a ticket that was written, and return it."""
        self.tickets[ticket.tenant, ticket.ticket_id] = ticket
        return ticket

    def note_order(self, order: WorkOrder) -> WorkOrder:
        """Remember a work order that was written, and return it."""
        self.work_orders[order.tenant, order.work_order_id] = order
        return order

    def taken(self) -> "Changes":
        """Return what was noted and forget it."""
        noted = Changes(self.tickets, self.work_orders)
        if self.tickets:
            self.tickets = {}
        if self.work_orders:
            self.work_orders = {}
        return noted


#: Called with what a transaction wrote, just before it becomes durable: what it adds becomes durable with it.
CommitListener = Callable[[UnitOfWork, Changes], None]
