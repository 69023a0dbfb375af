"""What a customer's account says: statements, ageing of receivables, file of charges, repair cost against revenue.

And the signed link: a secret that shows one invoice without sign-in until it expires (requirement 118).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from crm_core.billing.payments import OPEN_STATES, overdue_of
from crm_core.billing.settling import get_invoice
from crm_core.domain.billing import Invoice, InvoiceKind, InvoiceLink, InvoiceState, LineKind, Payment
from crm_core.domain.charges import RepairCharge
from crm_core.domain.errors import InvalidValue, NotFound
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.opaque import new_secret
from crm_core.domain.policy import PolicyBook
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory

#: Upper ends of the ageing buckets in days overdue; the last one is open.
AGES: Final = (0, 30, 60, 90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A customer's account between two days: what was open before, what came, what is open after."""

    customer_id: CustomerId
    first: date
    last: date
    opening: Decimal
    invoices: tuple[Invoice, ...]
    payments: tuple[Payment, ...]
    closing: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeingRow:
    """What a customer owes by age: not due, 1-30, 31-60, 61-90 and over 90 days overdue."""

    customer_id: CustomerId
    by_age: tuple[Decimal, ...]
    dunning_level: int

    @property
    def total(self) -> Decimal:
        """Everything that is open."""
        return sum(self.by_age, Decimal("0.00"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairBalance:
    """Repair cost against revenue of one device over months; `months_over` counts the last months in a row with a loss."""

    customer_id: CustomerId
    device_id: str
    cost: Decimal
    revenue: Decimal
    months_over: int
    listed: bool


class Accounts:
    """Reads accounts; writes nothing but links."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._zone = ZoneInfo(policy.sla.calendar.time_zone)

    @property
    def today(self) -> date:
        """The local day of the firm."""
        return self._clock.now().astimezone(self._zone).date()

    def statement(self, tenant: TenantId, customer_id: CustomerId, first: date, last: date) -> Statement:
        """Return the account from `first` to `last`, both included; closing = opening + invoices - payments."""
        if last < first:
            raise InvalidValue("a statement ends after it begins")
        with self._uow_factory() as uow:
            uow.customers.get(tenant, customer_id)
            invoices = list(reversed(uow.billing.invoices.where(tenant, customer_id=customer_id)))
            payments = list(reversed(uow.billing.payments.where(tenant, customer_id=customer_id)))
        paid_on = [(row.paid_at.astimezone(self._zone).date(), row) for row in payments]
        opening = _sum(row.total for row in invoices if row.issued_on < first)
        opening -= _sum(row.amount for day, row in paid_on if day < first)
        within = tuple(row for row in invoices if first <= row.issued_on <= last)
        paid = tuple(row for day, row in paid_on if first <= day <= last)
        closing = opening + _sum(row.total for row in within) - _sum(row.amount for row in paid)
        return Statement(
            customer_id=customer_id,
            first=first,
            last=last,
            opening=opening,
            invoices=within,
            payments=paid,
            closing=closing,
        )

    def ageing(self, tenant: TenantId) -> list[AgeingRow]:
        """Return what each customer owes by age, the most overdue first."""
        found: dict[CustomerId, list[Decimal]] = {}
        levels: dict[CustomerId, int] = {}
        with self._uow_factory() as uow:
            for state in sorted(OPEN_STATES):
                for invoice in uow.billing.invoices.where(tenant, state=state):
                    if invoice.outstanding > 0:
                        row = found.setdefault(invoice.customer_id, [Decimal("0.00")] * (len(AGES) + 1))
                        self._add(row, invoice)
            for step in uow.billing.dunning.where(tenant):
                if step.customer_id in found:
                    levels[step.customer_id] = max(levels.get(step.customer_id, 0), step.level)
        rows = [
            AgeingRow(customer_id=key, by_age=tuple(row), dunning_level=levels.get(key, 0))
            for key, row in found.items()
        ]
        return sorted(rows, key=lambda row: (-sum(row.by_age[1:]), -row.total, row.customer_id))

    def _add(self, row: list[Decimal], invoice: Invoice) -> None:
        overdue = overdue_of(invoice, self.today)
        if overdue is None:
            row[0] += invoice.outstanding
            return
        since, amount = overdue
        days = (self.today - since).days
        place = next((place for place, age in enumerate(AGES) if days <= age), len(AGES))
        row[place] += amount
        row[0] += invoice.outstanding - amount

    def charges(self, tenant: TenantId, customer_id: CustomerId) -> tuple[list[RepairCharge], Decimal]:
        """Return the file of a customer's repairs and what their invoices sum to (requirement 67)."""
        with self._uow_factory() as uow:
            uow.customers.get(tenant, customer_id)
            rows = list(uow.billing.charges.where(tenant, customer_id=customer_id))
            numbers = {row.invoice_number for row in rows if row.invoice_number}
            total = _sum(get_invoice(uow, tenant, number).total for number in sorted(numbers))
        return rows, total

    def repair_balances(self, tenant: TenantId) -> list[RepairBalance]:
        """Return each repaired device's cost against its revenue; listed after so many months of loss (108)."""
        with self._uow_factory() as uow:
            cost = self._cost_by_month(uow, tenant)
            revenue = self._revenue_by_month(uow, tenant)
        rows = []
        for (customer, device), months in cost.items():
            earned = revenue.get((customer, device), {})
            over = _months_over(months, earned, self.today)
            rows.append(
                RepairBalance(
                    customer_id=customer,
                    device_id=device,
                    cost=_sum(months.values()),
                    revenue=_sum(earned.values()),
                    months_over=over,
                    listed=over >= self._policy.billing.repairs.loss_months,
                )
            )
        return sorted(rows, key=lambda row: (not row.listed, row.revenue - row.cost, row.device_id))

    def _cost_by_month(
        self, uow: UnitOfWork, tenant: TenantId
    ) -> dict[tuple[CustomerId, str], dict[date, Decimal]]:
        found: dict[tuple[CustomerId, str], dict[date, Decimal]] = {}
        for charge in uow.billing.charges.where(tenant):
            if charge.price is None or charge.device_id is None or charge.done_at is None:
                continue
            month = charge.done_at.astimezone(self._zone).date().replace(day=1)
            months = found.setdefault((CustomerId(charge.customer_id), charge.device_id), {})
            months[month] = months.get(month, Decimal(0)) + charge.price.full_total
        return found

    def _revenue_by_month(
        self, uow: UnitOfWork, tenant: TenantId
    ) -> dict[tuple[CustomerId, str], dict[date, Decimal]]:
        """Return rent, pages and charged repairs by device and month; a line's rent is that of its device."""
        found: dict[tuple[CustomerId, str], dict[date, Decimal]] = {}
        for invoice in uow.billing.invoices.where(tenant):
            if invoice.kind is InvoiceKind.CREDIT_NOTE or invoice.state is InvoiceState.CREDITED:
                continue
            device_of = {(row.month, row.line_id): row.device_id for row in invoice.usage}
            for line in invoice.lines:
                month = line.month or invoice.issued_on.replace(day=1)
                device = line.device_id or device_of.get((month, line.line_id or ""))
                if device is None or line.kind is LineKind.CARRIED:
                    continue
                months = found.setdefault((invoice.customer_id, device), {})
                months[month] = months.get(month, Decimal(0)) + line.amount
        return found

    def make_link(self, tenant: TenantId, invoice_number: str, *, actor: str) -> tuple[str, datetime]:
        """Return a new secret that shows this invoice alone, and when it expires; only its hash is kept."""
        token = new_secret()
        expires = self._clock.now() + self._policy.billing.link_lifetime
        with self._uow_factory() as uow:
            get_invoice(uow, tenant, invoice_number)
            uow.billing.add_link(
                InvoiceLink(
                    tenant=tenant,
                    token_hash=_hashed(token),
                    invoice_number=invoice_number,
                    created_by=actor,
                    expires_at=expires,
                )
            )
            uow.commit()
        return token, expires

    def by_link(self, token: str) -> Invoice:
        """Return the invoice that a link shows; a wrong and an expired link are the same `NotFound`."""
        with self._uow_factory() as uow:
            link = uow.billing.find_link(_hashed(token))
            if link is None or link.expires_at <= self._clock.now():
                raise NotFound("this link shows nothing (any more); ask for a new one")
            return get_invoice(uow, link.tenant, link.invoice_number)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal("0.00"))


def _months_over(cost: dict[date, Decimal], revenue: dict[date, Decimal], today: date) -> int:
    """Return how many of the last months in a row, up to the newest one with figures, cost more than they brought."""
    newest = max((month for month in (*cost, *revenue) if month <= today), default=None)
    count = 0
    while newest is not None and cost.get(newest, Decimal(0)) > revenue.get(newest, Decimal(0)):
        count += 1
        newest = date(newest.year - (newest.month == 1), (newest.month - 2) % 12 + 1, 1)
    return count
