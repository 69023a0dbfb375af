"""Plans, meter evidence, invoices, payments: the words of money. Amounts are exact decimals in the invoice's currency."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from crm_core.domain.identity import CustomerId, DeviceId, TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceStep:
    """From this page on (counted beyond the free pages of a month, first page is 1) another price per page."""

    from_page: int
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTariff:
    """What pages of one meter cost in a month: free ones first, then a price with at most 4 decimals, then steps."""

    price: Decimal
    free_pages: int = 0
    steps: tuple[PriceStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingPlan:
    """A billing plan or package in one edition; immutable once a contract uses it."""

    tenant: TenantId
    plan_row: int = 0
    plan_id: str
    edition: int
    name: str
    monthly_rent: Decimal
    mono: PageTariff
    colour: PageTariff
    carry_over_months: int = 0
    used: bool = False  # a contract names it: it never changes again
    version: int = 1


class Quality(StrEnum):
    """How a meter statement came about, best first."""

    MEASURED = "measured"  # a reading of the device
    DAILY = "daily"  # the day's last count; the raw reading is no longer kept
    STATED = "stated"  # read off by a person (installation, swap)
    INTERPOLATED = "interpolated"  # between two readings around the end of the month
    ESTIMATED = "estimated"  # no reading: mean of the days before


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPoint:
    """The billing meter of a device at an instant. `evidence` is the natural key of the reading, or how it came about."""

    at: datetime
    total: int | None
    mono: int | None = None
    colour: int | None = None
    quality: Quality = Quality.MEASURED
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSegment:
    """Pages between two statements of one meter epoch; `flag` says what is not plain about them."""

    opening: MeterPoint
    closing: MeterPoint
    mono: int
    colour: int
    flag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUsage:
    """The pages of one device on one line in one month, traced to readings. `flags` is what a person should know."""

    line_id: str
    device_id: DeviceId
    month: date
    mono: int
    colour: int
    segments: tuple[PageSegment, ...]
    flags: tuple[str, ...] = ()
    estimated: bool = False

    @property
    def closing(self) -> MeterPoint | None:
        """The last statement, from which the next month goes on."""
        return self.segments[-1].closing if self.segments else None


class LineKind(StrEnum):
    """What an invoice line is for."""

    RENT = "rent"
    TERM_DISCOUNT = "term_discount"
    MONO = "mono"
    COLOUR = "colour"
    TRUE_UP = "true_up"
    RENT_CREDIT = "rent_credit"
    COUPON = "coupon"
    POINTS = "points"
    REPAIR = "repair"
    INTEREST = "interest"
    PENALTY = "penalty"
    LOSS = "loss"
    SHORT_TERM = "short_term"
    DEPOSIT = "deposit"
    GOODWILL = "goodwill"
    CARRIED = "carried"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLine:
    """One line. `text` is a packed message; `quantity` x `unit_price` explains `amount` unless steps or rules do."""

    kind: LineKind
    text: str
    amount: Decimal
    quantity: Decimal = Decimal(1)
    unit_price: Decimal | None = None
    line_id: str | None = None
    device_id: str | None = None
    month: date | None = None
    pages: int | None = None
    free_pages: int | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryBucket:
    """Free pages left over; the last month in which they serve."""

    pages: int
    last_month: date


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupBalance:
    """Free pages of a line or pool and meter after a month: what was carried in, used, and is carried on."""

    group: str  # line:<id> or pool:<id>
    meter: str  # mono or colour
    month: date
    pages: int
    free: int
    carried_in: int
    billed: int
    carried_out: tuple[CarryBucket, ...] = ()


class InvoiceKind(StrEnum):
    """Why an invoice was written."""

    RENT = "rent"
    REPAIR = "repair"
    DEPOSIT = "deposit"  # the customer's own money: no revenue
    OTHER = "other"  # interest, penalty, loss, short-term rental
    CREDIT_NOTE = "credit_note"


class InvoiceState(StrEnum):
    """What is still to be paid of an invoice."""

    OPEN = "open"
    PART_PAID = "part_paid"
    PAID = "paid"
    CREDITED = "credited"  # taken back by a credit note


@dataclass(frozen=True, slots=True, kw_only=True)
class Instalment:
    """One of several payments of an invoice."""

    due_on: date
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """An invoice as issued: lines never change. `run_key` is unique, so that a repeated run writes nothing twice.

    `total` is the sum of the lines. `usage` traces every page; `balances` carry free pages on; `trued_up` names the
    estimates (`month:line:device`) that this invoice settled.
    """

    tenant: TenantId
    invoice_id: int = 0
    invoice_number: str
    run_key: str
    kind: InvoiceKind
    customer_id: CustomerId
    contract_id: str | None
    period_from: date
    period_to: date
    issued_on: date
    due_on: date
    lines: tuple[InvoiceLine, ...]
    total: Decimal
    policy_version: str
    currency: str = "CNY"
    state: InvoiceState = InvoiceState.OPEN
    paid: Decimal = Decimal("0.00")
    credited: Decimal = Decimal("0.00")
    terms_version: int = 0
    corrects: str | None = None
    instalments: tuple[Instalment, ...] = ()
    usage: tuple[DeviceUsage, ...] = ()
    balances: tuple[GroupBalance, ...] = ()
    trued_up: tuple[str, ...] = ()
    version: int = 1

    @property
    def outstanding(self) -> Decimal:
        """What is still to be paid."""
        return self.total - self.paid - self.credited

    @property
    def earned(self) -> Decimal:
        """The total without deposits and without rests that other invoices hold: what counts as revenue."""
        apart = (LineKind.DEPOSIT, LineKind.CARRIED)
        return self.total - sum((row.amount for row in self.lines if row.kind in apart), Decimal(0))


class PaymentMethod(StrEnum):
    """How people pay (requirement 106)."""

    CASH = "cash"
    CARD = "card"
    TRANSFER = "transfer"
    WECHAT_PAY = "wechat_pay"
    ALIPAY = "alipay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Money received for an invoice. Channel and external number together are unique: a repeat changes nothing."""

    tenant: TenantId
    payment_id: int = 0
    invoice_number: str
    customer_id: CustomerId
    amount: Decimal
    channel: PaymentMethod
    external_number: str
    paid_at: datetime
    recorded_by: str
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountItem:
    """A charge (+) or credit (-) that waits for the customer's next invoice; `item_key` is unique."""

    tenant: TenantId
    item_id: int = 0
    item_key: str
    customer_id: CustomerId
    contract_id: str | None
    kind: LineKind
    amount: Decimal
    text: str
    created_at: datetime
    device_id: str | None = None
    rule: str = ""
    waiting: bool = True
    invoice_number: str | None = None  # the one that took it up
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DunningStep:
    """A dunning level that an overdue invoice reached; each level once."""

    tenant: TenantId
    dunning_id: int = 0
    invoice_number: str
    level: int
    customer_id: CustomerId
    reached_on: date
    overdue_days: int
    outstanding: Decimal
    interest: Decimal
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLink:
    """A link that shows one invoice without sign-in until it expires; only the hash of its secret is kept."""

    tenant: TenantId
    link_id: int = 0
    token_hash: str
    invoice_number: str
    created_by: str
    expires_at: datetime
    version: int = 1
