"""Toner thrown away: early swaps of a stretch of time, by customer, in money."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from crm_core.domain.cartridges import Cartridge, CartridgeFilter
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.money import Money
from crm_core.ports import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerWaste:
    """What one customer threw away: early swaps, how many of them were put back later, and the loss.

    `unpriced` swaps have no known price and are not in `loss`.
    """

    customer_id: CustomerId
    swaps: int
    early: int
    put_back: int
    loss: Money
    unpriced: int
    pages: int  # printed with the cartridges that came out


def waste_by_customer(
    uow: UnitOfWork, tenant: TenantId, since: datetime, until: datetime, limit: int = 100_000
) -> list[CustomerWaste]:
    """Return the customers with early swaps in the stretch, the dearest first."""
    which = CartridgeFilter(removed=True, since=since, until=until, limit=limit)
    by_customer: dict[CustomerId, list[Cartridge]] = defaultdict(list)
    for row in uow.stock.cartridges(tenant, which):
        if row.customer_id is not None:
            by_customer[row.customer_id].append(row)
    found = [_waste(customer_id, rows) for customer_id, rows in by_customer.items()]
    return sorted(
        (row for row in found if row.early), key=lambda row: (-row.loss.amount, -row.early, row.customer_id)
    )


def total_loss(rows: Sequence[CustomerWaste]) -> Money:
    """Return the loss of all together."""
    return Money(sum((row.loss.amount for row in rows), Decimal(0)))


def _waste(customer_id: CustomerId, rows: Sequence[Cartridge]) -> CustomerWaste:
    early = [row for row in rows if row.early]
    return CustomerWaste(
        customer_id=customer_id,
        swaps=len(rows),
        early=len(early),
        put_back=sum(row.taken_back for row in early),
        loss=Money(sum((row.loss.amount for row in early if row.loss is not None), Decimal(0))),
        unpriced=sum(row.loss is None for row in early),
        pages=sum(row.pages for row in rows),
    )
