"""What customers brought and owe, as classification and reports need it.

Until a firm has issued its first invoice the rents of contracts stand for it, and every reason says so (`contract_rent`).
"""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, Protocol

from crm_core.domain.billing import Invoice, InvoiceKind
from crm_core.domain.contracts import ContractState
from crm_core.domain.fleet import Contract
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.ports import UnitOfWork

CONTRACT_RENT: Final = "contract_rent"
INVOICES: Final = "invoices"
_MONTHS: Final = 12
_DEPOSIT: Final = InvoiceKind.DEPOSIT


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerMoney:
    """Money of one customer over a window, in yuan. `overdue_days` is the age of the oldest unpaid claim today."""

    invoiced: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)
    overdue_days: int = 0
    bad_records: int = 0  # claims that were overdue so long that it counts against the customer
    last_bad_on: date | None = None
    repair_amount: Decimal | None = None
    repair_cost: Decimal | None = None
    basis: str = CONTRACT_RENT


class MoneyFacts(Protocol):
    """Answers what each customer brought between two days (both included)."""

    def of_customers(
        self, uow: UnitOfWork, tenant: TenantId, first: date, last: date
    ) -> Mapping[CustomerId, CustomerMoney]:
        """Return the money of each customer who has any; absent customers brought nothing."""
        ...


class BillingMoney:
    """Takes invoices and payments; days before a customer's first invoice count with the rent of the contract.

    `bad_after_days`: a claim so long overdue is a bad record.
    """

    def __init__(self, bad_after_days: int) -> None:
        self._bad_after = bad_after_days

    def of_customers(
        self, uow: UnitOfWork, tenant: TenantId, first: date, last: date
    ) -> Mapping[CustomerId, CustomerMoney]:
        """Return the money of each customer; `basis` says what it was taken from."""
        contracts: dict[CustomerId, list[Contract]] = defaultdict(list)
        for contract in signed_contracts(uow, tenant):
            contracts[contract.customer_id].append(contract)
        invoices: dict[CustomerId, list[Invoice]] = defaultdict(list)
        for invoice in uow.billing.invoices.where(tenant, limit=1_000_000):
            if invoice.kind is not InvoiceKind.CREDIT_NOTE:
                invoices[invoice.customer_id].append(invoice)
        paid: dict[CustomerId, Decimal] = defaultdict(Decimal)
        deposits = {
            each.invoice_number for rows in invoices.values() for each in rows if each.kind is _DEPOSIT
        }
        for payment in uow.billing.payments.where(tenant, limit=1_000_000):
            apart = (
                payment.amount < 0 or payment.invoice_number in deposits
            )  # paid out, or the customer's own
            if first <= payment.paid_at.date() <= last and not apart:
                paid[payment.customer_id] += payment.amount
        bad: dict[CustomerId, list[date]] = defaultdict(list)
        for step in uow.billing.dunning.where(tenant, limit=1_000_000):
            if step.overdue_days >= self._bad_after:
                bad[step.customer_id].append(step.reached_on)
        return {
            key: self._of(contracts[key], invoices[key], paid[key], bad[key], first, last)
            for key in {*contracts, *invoices, *paid}
        }

    def _of(
        self,
        contracts: list[Contract],
        invoices: list[Invoice],
        paid: Decimal,
        bad: list[date],
        first: date,
        last: date,
    ) -> CustomerMoney:
        within = [each for each in invoices if first <= each.issued_on <= last]
        begun = min((each.period_from for each in invoices if each.kind is InvoiceKind.RENT), default=None)
        until = last if begun is None else min(last, begun - timedelta(days=1))
        earlier = sum((rent_until(each, first, until, last) for each in contracts), Decimal(0))
        overdue = [last - each.due_on for each in invoices if each.outstanding > 0 and each.due_on < last]
        days = max((each.days for each in overdue), default=0)
        repairs = [each.total - each.credited for each in within if each.kind is InvoiceKind.REPAIR]
        parts = [INVOICES] * bool(within or paid) + [CONTRACT_RENT] * bool(earlier)
        recent = [day for day in bad if first <= day <= last]
        return CustomerMoney(
            invoiced=sum(
                (each.earned - each.credited for each in within if each.kind is not _DEPOSIT), earlier
            ),
            paid=paid + earlier,
            overdue_days=days,
            bad_records=max(len(recent), int(days >= self._bad_after)),
            last_bad_on=last if days >= self._bad_after else max(bad, default=None),
            repair_amount=sum(repairs, Decimal(0)) if within else None,
            basis=" + ".join(parts) or INVOICES,
        )


def signed_contracts(uow: UnitOfWork, tenant: TenantId) -> list[Contract]:
    """Return the contracts that were signed, running or over: drafts and offers promise nothing yet.

    A contract without an agreement is one of the time before agreements were kept, and counts.
    """
    unsigned = {
        each.contract_id
        for each in uow.agreements.contracts.where(tenant, limit=1_000_000)
        if each.state in (ContractState.DRAFT, ContractState.OFFERED)
    }
    return [each for each in uow.contracts.all(tenant) if each.contract_id not in unsigned]


def rent_until(contract: Contract, first: date, until: date, last: date) -> Decimal:
    """Return the rent from `first` to `until`, as part of the window from `first` to `last`; all days are included.

    The rent is exact to the cent. A whole year is twelve months' rent, whatever the length of the year; other windows
    count each month by its days, so that whole months are whole rents.
    """
    begin, end = max(first, contract.starts_on), min(until, contract.ends_on)
    days = (end - begin).days + 1
    if days <= 0:
        return Decimal(0)
    window = (last - first).days + 1
    if window in (365, 366):
        months = Decimal(_MONTHS * days) / window
    else:
        months = Decimal(0)
        while begin <= end:
            length = monthrange(begin.year, begin.month)[1]
            month_end = min(begin.replace(day=length), end)
            months += Decimal((month_end - begin).days + 1) / length
            begin = month_end + timedelta(days=1)
    return contract.monthly_rent.times(months).rounded().amount


def year_before(day: date) -> date:
    """Return the first day of the rolling twelve months that end with `day`."""
    try:
        return day.replace(year=day.year - 1) + timedelta(days=1)
    except ValueError:  # 29 February
        return date(day.year - 1, 3, 1)
