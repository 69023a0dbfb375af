"""The rental agreement: states, versioned terms with their clauses, lines, and which device served which line when.

The `Contract` of `fleet` is what the service side knows of it (period, rent, promised arrival); this is the whole of it.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from crm_core.domain.identity import ContractId, CustomerId, DeviceId, TenantId


class ContractState(StrEnum):
    """Where an agreement stands (product.md 3.1)."""

    DRAFT = "draft"
    OFFERED = "offered"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    EXPIRING = "expiring"
    RENEWED = "renewed"
    ENDED = "ended"
    TERMINATED = "terminated"


#: States in which rent and pages are billed.
BILLED_STATES = frozenset({ContractState.ACTIVE, ContractState.EXPIRING})
#: States in which a device is promised to its line.
HOLDING_STATES = BILLED_STATES | {ContractState.OFFERED, ContractState.SUSPENDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractLine:
    """One rented place for a device: an edition of a billing plan, and a pool for its pages (None = its own tariff).

    `monthly_rent` overrides the plan's rent; `device_value` is the list value that deposit and loss count from, yuan.
    """

    line_id: str
    plan_id: str
    plan_edition: int
    model_id: str | None = None
    pool_id: str | None = None
    monthly_rent: Decimal | None = None
    device_value: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePool:
    """Pages that several lines use together, by the tariff of a plan's edition."""

    pool_id: str
    plan_id: str
    plan_edition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One version of the terms, in force from the first day of a month (the first version from `starts_on`).

    `template` and `clauses` say what was signed (requirement 53); `policy_version` the figures that it was made under.
    """

    version: int
    effective_on: date
    starts_on: date
    ends_on: date  # last day, included
    lines: tuple[ContractLine, ...]
    pools: tuple[PagePool, ...] = ()
    payment_cycle_months: int = 1
    payment_days: int = 15
    deposit_share: Decimal = Decimal(0)
    deposit: Decimal = Decimal(0)
    term_discount: Decimal = Decimal(0)  # share of the fixed rent (requirement 86)
    template: str = "rental"
    template_version: str = "1"
    clauses: tuple[str, ...] = ()
    policy_version: str = ""

    def line(self, line_id: str) -> ContractLine | None:
        """Return the line of that id, or None."""
        return next((line for line in self.lines if line.line_id == line_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStay:
    """A device serving a line from an instant to another (None = still); counts as stated at the ends, if they were."""

    line_id: str
    device_id: DeviceId
    from_at: datetime
    to_at: datetime | None = None
    start_count: int | None = None
    end_count: int | None = None

    def overlaps(self, other: "DeviceStay") -> bool:
        """Return True if both stays share an instant; ends do not count."""
        starts_before_end = other.to_at is None or self.from_at < other.to_at
        return starts_before_end and (self.to_at is None or other.from_at < self.to_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceConsent:
    """The customer's recorded agreement to new terms (requirement 16): who, when, how, and the document."""

    given_by: str
    given_at: datetime
    channel: str  # signature, mail, wechat, ...
    document: str
    terms_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractEvent:
    """One step of an agreement's life."""

    at: datetime
    actor: str
    event: str
    from_state: ContractState | None
    to_state: ContractState
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A rental agreement. `missing` names what keeps it a draft (a guarantor, for example)."""

    tenant: TenantId
    contract_id: ContractId
    customer_id: CustomerId
    state: ContractState
    agreement_id: int = 0
    terms: tuple[Terms, ...]  # all versions, oldest first
    stays: tuple[DeviceStay, ...] = ()
    consents: tuple[PriceConsent, ...] = ()
    events: tuple[ContractEvent, ...] = ()
    missing: tuple[str, ...] = ()
    assessment_id: str | None = None
    successor_id: str | None = None
    end_reason: str = ""  # why it was not renewed (requirement 34), or why it was terminated
    ended_on: date | None = None
    version: int = 1

    @property
    def current(self) -> Terms:
        """The newest version of the terms."""
        return self.terms[-1]

    def terms_on(self, day: date) -> Terms:
        """Return the version in force on `day`; before the first one, the first."""
        in_force = [terms for terms in self.terms if terms.effective_on <= day]
        return in_force[-1] if in_force else self.terms[0]

    @property
    def last_day(self) -> date:
        """The last day that is billed."""
        return self.ended_on or self.current.ends_on
