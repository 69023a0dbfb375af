"""Bodies of invoices, payments, statements and ageing. Amounts are decimal texts in yuan."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field

from api.schemas.base import Input, Instant, Output, ShortText
from crm_core.billing.accounts import AgeingRow, RepairBalance, Statement
from crm_core.billing.run import RunReport
from crm_core.domain.billing import (
    DeviceUsage,
    Invoice,
    InvoiceLine,
    MeterPoint,
    PageSegment,
    Payment,
)
from crm_core.domain.messages import Messages

Amount = Annotated[str, Field(pattern=r"^[0-9]{1,10}(\.[0-9]{1,2})?$", examples=["120.00"])]
Price = Annotated[str, Field(pattern=r"^[0-9]{1,7}(\.[0-9]{1,4})?$", examples=["0.08"])]
Month = Annotated[str, Field(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", examples=["2026-05"])]
Channel = Literal["cash", "card", "transfer", "wechat_pay", "alipay"]


class InvoiceLineBody(Output):
    """One line; `text` is in the reader's language. Pages are the month's, `quantity` those beyond the free ones."""

    kind: str
    text: str
    amount: Decimal
    quantity: Decimal
    unit_price: Decimal | None
    line_id: str | None
    device_id: str | None
    month: date | None
    pages: int | None
    free_pages: int | None
    rule: str

    @classmethod
    def of(cls, line: InvoiceLine, messages: Messages, language: str) -> Self:
        """Return the body of a line."""
        fields = {name: getattr(line, name) for name in cls.model_fields if name not in ("kind", "text")}
        return cls(kind=line.kind.value, text=messages.unpacked(language, line.text), **fields)


class MeterPointBody(Output):
    """A statement of the billing meter with its quality and the key of the reading."""

    at: Instant
    total: int | None
    mono: int | None
    colour: int | None
    quality: str
    evidence: str

    @classmethod
    def of(cls, point: MeterPoint) -> Self:
        """Return the body of a statement."""
        return cls.model_validate(point, from_attributes=True)


class SegmentBody(Output):
    """Pages between two statements."""

    opening: MeterPointBody
    closing: MeterPointBody
    mono: int
    colour: int
    flag: str

    @classmethod
    def of(cls, row: PageSegment) -> Self:
        """Return the body of a segment."""
        return cls(
            opening=MeterPointBody.of(row.opening),
            closing=MeterPointBody.of(row.closing),
            mono=row.mono,
            colour=row.colour,
            flag=row.flag,
        )


class UsageBody(Output):
    """The pages of one device in one month, each traced to two readings."""

    line_id: str
    device_id: str
    month: date
    mono: int
    colour: int
    estimated: bool
    flags: list[str]
    segments: list[SegmentBody]

    @classmethod
    def of(cls, used: DeviceUsage) -> Self:
        """Return the body of a usage."""
        return cls(
            line_id=used.line_id,
            device_id=used.device_id,
            month=used.month,
            mono=used.mono,
            colour=used.colour,
            estimated=used.estimated,
            flags=list(used.flags),
            segments=[SegmentBody.of(row) for row in used.segments],
        )


class InvoiceRow(Output):
    """An invoice in lists."""

    invoice_number: str
    kind: str
    state: str
    customer_id: str
    contract_id: str | None
    period_from: date
    period_to: date
    issued_on: date
    due_on: date
    total: Decimal
    paid: Decimal
    outstanding: Decimal
    currency: str

    @classmethod
    def of(cls, invoice: Invoice) -> Self:
        """Return the row of an invoice."""
        return cls.model_validate(invoice, from_attributes=True)


class InstalmentBody(Output):
    """One of several payments."""

    due_on: date
    amount: Decimal


class InvoiceBody(InvoiceRow):
    """An invoice with its lines and evidence, under the policy version that it was born under."""

    policy_version: str
    corrects: str | None
    lines: list[InvoiceLineBody]
    instalments: list[InstalmentBody]
    usage: list[UsageBody]
    trued_up: list[str]

    @classmethod
    def full(cls, invoice: Invoice, messages: Messages, language: str) -> Self:
        """Return the whole invoice."""
        return cls(
            **InvoiceRow.of(invoice).model_dump(),
            policy_version=invoice.policy_version,
            corrects=invoice.corrects,
            lines=[InvoiceLineBody.of(line, messages, language) for line in invoice.lines],
            instalments=[InstalmentBody(due_on=row.due_on, amount=row.amount) for row in invoice.instalments],
            usage=[UsageBody.of(used) for used in invoice.usage],
            trued_up=list(invoice.trued_up),
        )


class RunInput(Input):
    """Which month to bill, and for one contract only if it is named."""

    month: Month
    contract_id: ShortText | None = None


class ProblemRow(Output):
    """What a person must look at before customers do: what it means and what to do, in the reader's language."""

    contract_id: str
    text: str


class RunBody(Output):
    """What a run wrote or would write."""

    month: date
    dry_run: bool
    written: int
    existing: int
    total: Decimal
    invoices: list[InvoiceRow]
    problems: list[ProblemRow]

    @classmethod
    def of(cls, report: RunReport, messages: Messages, language: str) -> Self:
        """Return the body of a report."""
        return cls(
            month=report.month,
            dry_run=report.dry_run,
            written=report.written,
            existing=report.existing,
            total=report.total,
            invoices=[InvoiceRow.of(row) for row in report.invoices],
            problems=[
                ProblemRow(contract_id=key, text=messages.unpacked(language, text))
                for key, text in report.problems
            ],
        )


class PaymentInput(Input):
    """Money that came in; every channel but cash names its number."""

    amount: Amount
    channel: Channel
    external_number: Annotated[str, Field(max_length=128)] = ""


class PaymentBody(Output):
    """A recorded payment."""

    payment_id: int
    invoice_number: str
    customer_id: str
    amount: Decimal
    channel: str
    external_number: str
    paid_at: Instant
    recorded_by: str

    @classmethod
    def of(cls, payment: Payment) -> Self:
        """Return the body of a payment."""
        return cls.model_validate(payment, from_attributes=True)


class InstalmentsInput(Input):
    """In how many monthly payments."""

    number: Annotated[int, Field(ge=1, le=60)]


class MoneyReason(Input):
    """Why."""

    reason: ShortText


class LinkBody(Output):
    """The address that shows one invoice without sign-in; it is shown this once."""

    url: str
    expires_at: Instant


class StatementBody(Output):
    """A customer's account between two days: closing = opening + invoices - payments."""

    customer_id: str
    first: date
    last: date
    opening: Decimal
    closing: Decimal
    invoices: list[InvoiceRow]
    payments: list[PaymentBody]

    @classmethod
    def of(cls, made: Statement) -> Self:
        """Return the body of a statement."""
        return cls(
            customer_id=made.customer_id,
            first=made.first,
            last=made.last,
            opening=made.opening,
            closing=made.closing,
            invoices=[InvoiceRow.of(row) for row in made.invoices],
            payments=[PaymentBody.of(row) for row in made.payments],
        )


class AgeingBody(Output):
    """What a customer owes by days overdue."""

    customer_id: str
    not_due: Decimal
    days_1_30: Decimal
    days_31_60: Decimal
    days_61_90: Decimal
    over_90: Decimal
    total: Decimal
    dunning_level: int

    @classmethod
    def of(cls, row: AgeingRow) -> Self:
        """Return the body of a row."""
        names = ("not_due", "days_1_30", "days_31_60", "days_61_90", "over_90")
        return cls(
            customer_id=row.customer_id,
            total=row.total,
            dunning_level=row.dunning_level,
            **dict(zip(names, row.by_age, strict=True)),
        )


class RepairBalanceBody(Output):
    """Repair cost against revenue of one device."""

    customer_id: str
    device_id: str
    cost: Decimal
    revenue: Decimal
    months_over: int
    listed: bool

    @classmethod
    def of(cls, row: RepairBalance) -> Self:
        """Return the body of a row."""
        return cls.model_validate(row, from_attributes=True)


class PayOutInput(Input):
    """How a customer's credit was paid out, and the number under which the channel knows it (the receipt, for cash)."""

    channel: Channel
    external_number: ShortText


class RedeemInput(Input):
    """How many points."""

    points: Annotated[int, Field(ge=1, le=100_000_000)]


class WaitingItemBody(Output):
    """A charge (+) or credit (-) that waits for the customer's next invoice."""

    customer_id: str
    kind: str
    amount: Decimal
