"""The business figures of billing (`config/policy/billing.yaml`) as a frozen type."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairItem:
    """One line of the public price list (requirement 61): usual hours, how hard it is, and its part (0 = none)."""

    item: str
    complexity: str  # simple, ordinary or hard
    hours: Decimal
    part_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairPolicy:
    """What a repair costs: hours x hourly rate x complexity x market, and parts at list price (requirement 75)."""

    hourly_rate: Decimal
    complexity: Mapping[str, Decimal]  # factor by class
    market: Decimal
    chargeable_causes: frozenset[str]  # on rented devices; a device without a contract pays for every cause
    warranty: timedelta
    items: tuple[RepairItem, ...]
    instalments_from: Decimal  # smallest amount that may be paid in instalments (requirement 65)
    instalments_most: int
    loss_months: int  # cost over revenue for so many months in a row: the device is listed (requirement 108)

    def item(self, name: str) -> RepairItem | None:
        """Return the item of that name, or None when the list does not have it."""
        return next((row for row in self.items if row.item == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPolicy:
    """How counters become billable pages."""

    most_pages_a_day: int  # a rise above this rate is a false reading, not usage
    silent_after: timedelta  # no reading so long before the end of a period: its end is estimated
    estimate_days: int  # the estimate is the mean of so many days before the silence
    pool_carry_over_months: int  # unused free pages of a pool or package serve so many months longer


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementPolicy:
    """When a meter that a person read off is believed at once, and when customers are asked for one."""

    oldest: timedelta  # what was read off longer ago is not taken any more
    far_factor: float  # times more or less than expected is far
    slack_pages: int  # pages that are never far
    remind_days_before: int  # days before the month ends; 0 = no reminders


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingPolicy:
    """Billing: from meter readings to invoices, payments and credits. Amounts in yuan, shares as fractions."""

    page_mono: Decimal
    page_colour: Decimal
    package_free_pages: int
    package_overage: Decimal
    payment_days: int
    link_lifetime: timedelta
    meters: MeterPolicy
    statements: StatementPolicy
    repairs: RepairPolicy
