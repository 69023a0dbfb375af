"""What customers brought and owe, as classification and reports need it.

Until a firm has issued its first invoice the rents of contracts stand for it, and every reason says so (`contract_rent`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, Protocol

from crm_core.domain.fleet import Contract
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.ports import UnitOfWork

CONTRACT_RENT: Final = "contract_rent"
INVOICES: Final = "invoices"
_MONTHS: Final = 12


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
    notes: Mapping[str, str] = field(default_factory=dict)


class MoneyFacts(Protocol):
    """Answers what each customer brought between two days (both included)."""

    def of_customers(
        self, uow: UnitOfWork, tenant: TenantId, first: date, last: date
    ) -> Mapping[CustomerId, CustomerMoney]:
        """Return the money of each customer who has any; absent customers brought nothing."""
        ...


class ContractMoney:
    """Takes the rents of contracts for what was invoiced and paid: a new firm has no invoices yet."""

    def of_customers(
        self, uow: UnitOfWork, tenant: TenantId, first: date, last: date
    ) -> Mapping[CustomerId, CustomerMoney]:
        """Return the rent of the days in the window; nobody owes anything as far as contracts know."""
        found: dict[CustomerId, Decimal] = {}
        for contract in uow.contracts.all(tenant):
            rent = rent_between(contract, first, last)
            found[contract.customer_id] = found.get(contract.customer_id, Decimal(0)) + rent
        return {customer: CustomerMoney(invoiced=rent, paid=rent) for customer, rent in found.items()}


def rent_between(contract: Contract, first: date, last: date) -> Decimal:
    """Return the contract's rent for the days from `first` to `last`, both included, exact to the cent.

    A whole year is twelve months' rent, whatever the length of the year.
    """
    begin, end = max(first, contract.starts_on), min(last, contract.ends_on)
    days = (end - begin).days + 1
    if days <= 0:
        return Decimal(0)
    whole = (last - first).days + 1
    year = 365 if whole < 365 else whole if whole <= 366 else 365
    yearly = contract.monthly_rent.times(_MONTHS)
    return yearly.times(Decimal(days) / Decimal(year)).rounded().amount


def year_before(day: date) -> date:
    """Return the first day of the rolling twelve months that end with `day`."""
    try:
        return day.replace(year=day.year - 1) + timedelta(days=1)
    except ValueError:  # 29 February
        return date(day.year - 1, 3, 1)
