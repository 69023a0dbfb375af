"""Stand-by machines and how long customers were without theirs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from crm_core.domain.identity import ContractId, CustomerId, DeviceId, SiteId, TenantId, TicketId
from crm_core.domain.stock import PlaceKey


class LoyaltyLevel(StrEnum):
    """The loyalty of a customer as loans need it; the order is gold, silver, none (requirement 32)."""

    GOLD = "gold"
    SILVER = "silver"
    NONE = "none"


class LoanState(StrEnum):
    """A loan's way: promised, at the customer, back. Only the first two are open."""

    RESERVED = "reserved"
    OUT = "out"
    BACK = "back"
    CANCELLED = "cancelled"


OPEN_LOANS = frozenset({LoanState.RESERVED, LoanState.OUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class StandBy:
    """A machine that is lent while another is repaired, and the warehouse where it waits."""

    tenant: TenantId
    device_id: DeviceId
    place: PlaceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """One stand-by machine for one ticket. Each ticket and each machine has at most one open loan."""

    tenant: TenantId
    loan_id: int = 0
    ticket_id: TicketId
    device_id: DeviceId  # the stand-by machine
    for_device: DeviceId
    customer_id: CustomerId | None
    site_id: SiteId | None
    state: LoanState
    reserved_at: datetime
    promised_by: datetime
    loyalty: LoyaltyLevel
    distance_km: float
    reason: str  # packed message: why this customer and this machine
    out_at: datetime | None = None
    back_at: datetime | None = None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DownTime:
    """How long a device was out of service for one ticket, less the time that a stand-by machine worked in its place.

    `since` is the raise or the last good telemetry, whichever is earlier; `until` the repair that telemetry confirmed.
    """

    tenant: TenantId
    ticket_id: TicketId
    device_id: DeviceId
    customer_id: CustomerId | None
    contract_id: ContractId | None
    since: datetime
    until: datetime
    lent_seconds: int
    counted_seconds: int

    @property
    def counted(self) -> timedelta:
        """The time that counts towards the rent credit."""
        return timedelta(seconds=self.counted_seconds)
