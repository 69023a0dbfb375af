"""Signals, tickets and work orders: from a condition at a device to a technician at the door."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from crm_core.domain.identity import (
    CustomerId,
    DeviceId,
    SignalId,
    SiteId,
    TechnicianId,
    TenantId,
    TicketId,
    UserId,
    WorkOrderId,
)


class TicketLevel(StrEnum):
    """Three levels of help (requirements 22-24)."""

    L1 = "L1"  # phone guidance: jam, cover, paper
    L2 = "L2"  # consumable exchange on site within 24 h
    L3 = "L3"  # hardware fault, stand-by machine within 48 h


class TicketState(StrEnum):
    """States of reference product.md 3.2; the transition table is `crm_core.servicedesk`."""

    NEW = "new"
    HELD = "held"
    TRIAGED = "triaged"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    WAITING_CUSTOMER = "waiting_customer"
    WAITING_PARTS = "waiting_parts"
    WAITING_ACCESS = "waiting_access"
    ESCALATED = "escalated"
    RESOLVED_UNVERIFIED = "resolved_unverified"
    RESOLVED = "resolved"
    AUTO_RESOLVED = "auto_resolved"
    CLOSED = "closed"
    MERGED = "merged"
    CANCELLED = "cancelled"


#: In these states a ticket covers its cause: no second one may be opened for it.
OPEN_STATES = frozenset(TicketState) - {
    TicketState.RESOLVED,
    TicketState.AUTO_RESOLVED,
    TicketState.CLOSED,
    TicketState.MERGED,
    TicketState.CANCELLED,
}


class SignalOrigin(StrEnum):
    """Who observed a condition."""

    TELEMETRY = "telemetry"
    FORECAST = "forecast"
    SILENCE = "silence"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing that is wrong now.

    `cause` is subsystem.slot within the device (supply.1.1, jam.tray2, fuser): never the text of an alert, so that
    one cause keeps one key.
    """

    cause: str
    level: TicketLevel | None  # None: known, but no ticket by itself
    category: (
        str  # jam, cover, consumable, paper, network, mechanical, electronic, fuser_heat, laser_scan, ...
    )
    code: str | None = None  # scheme:code of the fault code book
    severity: str = "warning"  # info, warning, critical
    text: str | None = None
    detail: dict[str, str | int | float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """All conditions that one origin sees at one device at one time.

    A cause of the same origin that is absent here is clear now, except those that start with one of `unknown`
    (subsystems that did not answer or gave no number): these neither raise nor clear.
    Unique by (tenant, device_id, origin, evidence): a repeat is the same signal.
    """

    tenant: TenantId
    device_id: DeviceId
    observed_at: datetime
    origin: SignalOrigin
    evidence: str  # key of the reading or forecast that shows it
    conditions: tuple[Condition, ...] = ()
    unknown: tuple[str, ...] = ()
    signal_id: SignalId | None = None


class ClockKind(StrEnum):
    """What a service level promises."""

    RESPOND = "respond"  # first response, by customer tier
    ARRIVE = "arrive"  # on site, by contract
    RESTORE = "restore"  # by level
    PROPOSAL = "proposal"  # an offer, by customer tier (requirement 48)
    CALL_BACK = "call_back"  # a call after the work is finished (requirement 49)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaClock:
    """One promise of a ticket with its due time and why it is due then."""

    kind: ClockKind
    started_at: datetime
    due_at: datetime
    met_at: datetime | None = None
    explanation: str = ""
    policy_version: str = ""
    provisional: bool = False  # the calendar of that year is not published yet
    duration_seconds: float = (
        0.0  # what was promised; with `business_hours` the due time can be computed again
    )
    business_hours: bool = False
    calendar: str = ""  # its name; empty is the firm's own
    by_contract: bool = False  # the contract promises more than policy does


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A reading or forecast that raised or confirmed a ticket."""

    at: datetime
    origin: SignalOrigin
    key: str
    summary: str


class Step(StrEnum):
    """What a customer was asked or answered about a ticket; none of it moves the ticket by itself."""

    ESTIMATE_OFFERED = "estimate_offered"
    ESTIMATE_ACCEPTED = "estimate_accepted"
    ESTIMATE_DECLINED = "estimate_declined"
    REPLACEMENT_WANTED = "replacement_wanted"
    REPLACEMENT_DECLINED = "replacement_declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketEvent:
    """One step in a ticket's life; `actor` is a user, a technician or 'drumbeat'."""

    at: datetime
    actor: str
    event: str
    from_state: TicketState | None
    to_state: TicketState
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One cause at one device that people must deal with. Exactly one open ticket exists per `dedup_key`."""

    tenant: TenantId
    ticket_id: TicketId
    device_id: DeviceId
    site_id: SiteId | None
    customer_id: CustomerId | None
    cause: str
    category: str
    level: TicketLevel
    state: TicketState
    title_key: str  # message catalogue key; arguments in `detail`
    detail: dict[str, str | int | float | None]
    raised_at: datetime
    changed_at: datetime
    clocks: tuple[SlaClock, ...]
    evidence: tuple[Evidence, ...]
    events: tuple[TicketEvent, ...] = ()
    code: str | None = None
    policy_version: str = ""
    links: tuple[int, ...] = ()  # numbers of tickets that have to do with this one
    version: int = 1

    @property
    def dedup_key(self) -> str:
        """The key that is unique among open tickets of a tenant."""
        return f"{self.device_id}:{self.cause}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    def clock(self, kind: ClockKind) -> SlaClock | None:
        """Return the clock of that kind, or None when nothing was promised."""
        return next((clock for clock in self.clocks if clock.kind is kind), None)


class WorkOrderKind(StrEnum):
    """Why somebody goes to the device."""

    PHONE = "phone"
    SUPPLY = "supply"
    REPAIR = "repair"
    INSPECTION = "inspection"
    REPLACEMENT = "replacement"
    INSTALLATION = "installation"
    REMOVAL = "removal"
    MAINTENANCE = "maintenance"


class WorkOrderState(StrEnum):
    """A work order's way from planning to done."""

    PLANNED = "planned"
    ASSIGNED = "assigned"
    EN_ROUTE = "en_route"
    ON_SITE = "on_site"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartNeed:
    """Something to bring. `device_id` None: for the order's own device; a `spare` is left on the customer's shelf."""

    kind: str
    colour: str | None = None
    part_number: str | None = None
    quantity: int = 1
    note: str = ""
    device_id: DeviceId | None = None
    spare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOrder:
    """One job for one technician at one device; it serves one or more tickets."""

    tenant: TenantId
    work_order_id: WorkOrderId
    kind: WorkOrderKind
    state: WorkOrderState
    device_id: DeviceId
    site_id: SiteId | None
    customer_id: CustomerId | None
    ticket_ids: tuple[TicketId, ...]
    technician_id: TechnicianId | None
    assigned_reason: str
    created_at: datetime
    due_at: datetime
    planned_start: datetime | None = None
    parts: tuple[PartNeed, ...] = ()
    guide_keys: tuple[str, ...] = ()  # message catalogue keys of the guide steps
    started_at: datetime | None = None
    done_at: datetime | None = None
    outcome: str | None = None
    confirmed_cause: str | None = None
    note: str = ""
    count_before: int | None = None
    count_after: int | None = None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Technician:
    """Somebody who can be sent; `skills` are vendor names or '*', `regions` those of sites.

    The shift is in minutes after local midnight; None is that of the policy.
    """

    tenant: TenantId
    technician_id: TechnicianId
    name: str
    regions: tuple[str, ...]
    skills: tuple[str, ...]
    phone: str | None = None
    active: bool = True
    max_jobs_a_day: int = 12
    shift_starts_minutes: int | None = None
    shift_ends_minutes: int | None = None


class Role(StrEnum):
    """What a signed-in person may do."""

    ADMIN = "admin"
    MANAGER = "manager"
    SUPERVISOR = "supervisor"
    DISPATCHER = "dispatcher"
    SPECIALIST = "customer_specialist"
    TECHNICIAN = "technician"
    CUSTOMER = "customer"  # sees what belongs to the customer of the account, and nothing else
    INTEGRATOR = "integrator"  # a program: reads with a token, within the token's scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Who signs in. `password_hash` is argon2id; `regions` limits what staff sees (empty = all).

    `customer_id` binds a customer's or integrator's account to one customer; a customer's account always has one.
    """

    tenant: TenantId
    user_id: UserId
    name: str
    role: Role
    password_hash: str
    technician_id: TechnicianId | None = None
    regions: tuple[str, ...] = ()
    language: str = "zh-CN"
    active: bool = True
    customer_id: CustomerId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """An opaque token of a session or of a machine, stored only as its SHA-256."""

    tenant: TenantId
    token_hash: str
    user_id: UserId
    purpose: str  # session or api
    created_at: datetime
    expires_at: datetime
    name: str = ""
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseTrack:
    """The memory of triage about one cause at one device, for hysteresis: is it on, since when, how often seen."""

    tenant: TenantId
    device_id: DeviceId
    cause: str
    origin: SignalOrigin
    condition: Condition
    first_seen: datetime
    last_seen: datetime
    seen_count: int
    clear_since: datetime | None = None
    clear_count: int = 0
    ticket_id: TicketId | None = None
    evidence: tuple[Evidence, ...] = ()  # the first observations of the present episode
    episodes: tuple[datetime, ...] = ()  # when the condition came on, newest last; for repeats and flapping


class IncidentKind(StrEnum):
    """What many devices have in common when they fail together."""

    SITE = "site"  # a power or network cut
    FLEET = "fleet"  # so many at once that the watcher itself is suspect
    MODEL = "model"  # the same new code on many devices of a model (firmware)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One event that explains the trouble of many devices; it suppresses new tickets, never monitoring or resolution.

    `subject` is a site, a model with its code, or 'fleet'. `suppressed` counts the tickets that were not opened.
    """

    tenant: TenantId
    incident_id: int
    kind: IncidentKind
    subject: str
    opened_at: datetime
    device_ids: tuple[DeviceId, ...]
    closed_at: datetime | None = None
    settled_at: datetime | None = None  # until then only still-bad devices wait for their ticket
    suppressed: int = 0
    note: str = ""
    version: int = 1
