"""Everything that the HTTP side needs from the product, in one frozen value that `config.wiring` fills.

The API constructs no adapter and reads no file of its own: it serves what it is given here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from prometheus_client import CollectorRegistry

from api.recurring_jobs import Jobs
from crm_core.billing.services import MoneyServices
from crm_core.day_planning import DayPlanner
from crm_core.dispatching import Dispatcher
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.identity import DEFAULT_TENANT, TenantId
from crm_core.domain.messages import Messages
from crm_core.domain.policy import PolicyBook
from crm_core.exchange.desk import ExchangeDesk
from crm_core.fieldwork.services import FieldworkServices
from crm_core.fleet_health import FleetHealth
from crm_core.notices.hook_secrets import HookSecrets
from crm_core.ports import Clock, TelemetryStore, UnitOfWorkFactory
from crm_core.ports.policy import PolicyDesk, ReplayDesk
from crm_core.registry import Registry
from crm_core.relations.services import CustomerServices
from crm_core.servicedesk import ServiceDesk
from crm_core.stock.services import StockServices
from crm_core.trust.chain import ChainReport
from crm_core.trust.personal import PersonalData
from crm_core.trust.subjects import DataSubjects

#: A readiness check: returns quietly when the part can serve, raises a `DrumbeatError` that says why not.
ReadinessCheck = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One refused message; `origin` is an MQTT topic or `snmp`."""

    letter_id: int
    at: datetime
    origin: str
    reason: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedLetter:
    """What became of a letter that went through again; `reason` why it is still refused."""

    letter_id: int
    landed: bool
    reason: str


class DeadLetters(Protocol):
    """Messages that could not be understood; `config.wiring.dead_letters` implements it over the collector."""

    def list(self, limit: int, before: int | None = None) -> Sequence[DeadLetter]:
        """Return letters with an id below `before`, newest first."""
        ...

    def get(self, letter_id: int) -> DeadLetter | None: ...

    def replay(self, letter_ids: Sequence[int]) -> Sequence[ReplayedLetter]:
        """Land letters once more, in this order; those that land are forgotten."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """`attempts` failures of an account (five times as many of an address) within `window` lock it for `lock_out`."""

    attempts: int = 10
    window: timedelta = timedelta(minutes=15)
    lock_out: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """An identity provider. The claim `name_claim` must be the name of an account; `label` stands on the button."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name_claim: str = "preferred_username"
    label: str = "OpenID Connect"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Requests a minute; a caller may use a tenth of a minute's worth at once, but at least 60. 0 means no limit."""

    per_caller: int = 6000
    per_address: int = 1200

    def burst(self, per_minute: int) -> float:
        """Return the size of a bucket."""
        return max(per_minute / 10.0, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Plain parameters of the HTTP side; sizes in bytes, times as durations."""

    public_url: str = "http://127.0.0.1:8080"
    secure_cookies: bool = False  # True behind HTTPS: the session cookie is then never sent in clear
    time_zone: str = "Asia/Shanghai"  # of the pages; the API always answers UTC
    default_language: str = "zh-CN"
    session_lifetime: timedelta = timedelta(hours=12)
    max_body_bytes: int = 64 * 1024
    sign_in: GuardSettings = GuardSettings()
    rate_limits: RateLimits = RateLimits()
    event_streams: int = 200  # open at once in a process
    oidc: OidcSettings | None = None
    job_link_lifetime: timedelta = timedelta(
        hours=24
    )  # of the link in a work order's QR code; zero: no such links
    private_webhooks: bool = False  # webhooks may call private networks and plain http
    tenant: TenantId = DEFAULT_TENANT  # whose people sign in at the form
    figures_folder: str = ""  # where several workers count HTTP together; empty: this process counts alone
    sign_in_hint: tuple[
        tuple[str, str], ...
    ] = ()  # demo only: (name, password) pairs shown on the sign-in page


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServices:
    """The product behind the HTTP side."""

    uow_factory: UnitOfWorkFactory
    read_uow_factory: UnitOfWorkFactory  # read-only: readers never wait for writers, nor make them wait
    store: TelemetryStore
    fleet_health: FleetHealth
    servicedesk: ServiceDesk
    dispatcher: Dispatcher
    planner: DayPlanner
    fieldwork: FieldworkServices
    registry: Registry
    stock: StockServices
    jobs: Jobs
    dead_letters: DeadLetters
    personal: PersonalData
    hook_secrets: HookSecrets
    subjects: DataSubjects
    policies: PolicyDesk
    replays: ReplayDesk
    exchange: ExchangeDesk
    money: MoneyServices
    customers: CustomerServices
    verify_audit: Callable[[TenantId], ChainReport]
    messages: Messages
    catalogue: Catalogue
    policy: PolicyBook
    clock: Clock
    metrics: CollectorRegistry
    version: str
    settings: ApiSettings = ApiSettings()
    readiness: Mapping[str, ReadinessCheck] = field(default_factory=dict)
    notes: Callable[[], Mapping[str, str]] = dict  # what an operator wants to know besides
