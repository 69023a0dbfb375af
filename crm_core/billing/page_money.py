"""What a page brings and what it costs: rent and pages billed against supplies, parts and visits of the same months.

Dealers steer by this pair (reference product.md section 4). The price of the machine itself is not in the cost: it is
the contract's, not the page's. Pure reading; nothing is stored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from crm_core.domain.billing import Invoice, InvoiceKind, InvoiceState, LineKind
from crm_core.domain.identity import CustomerId, DeviceId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import WorkOrder, WorkOrderState
from crm_core.domain.stock import MoveReason, PlaceKind, StockMove, kind_of_place, name_of_place
from crm_core.ports import UnitOfWork
from crm_core.ports.stock import MoveFilter
from crm_core.relations.measures import orders_since
from crm_core.relations.periods import months_before

_MONTHS: Final = 3
_INVOICES: Final = 20_000
_MOVES: Final = 100_000
_PAGE_LINES: Final = frozenset(
    {LineKind.RENT, LineKind.TERM_DISCOUNT, LineKind.MONO, LineKind.COLOUR, LineKind.TRUE_UP, LineKind.RENT_CREDIT, LineKind.COUPON, LineKind.POINTS, LineKind.GOODWILL}
)  # fmt: skip
_PUT_IN: Final = frozenset({MoveReason.USE, MoveReason.SWAP})
_PLACES: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageMoney:
    """Money and pages of whole billed months, `first` to `last` (their first days), in the firm's currency."""

    first: date
    last: date
    devices: int
    pages: int
    revenue: Decimal
    supplies: Decimal  # toner and parts put into the devices, at cost
    visits: Decimal  # finished visits at the policy's cost of a visit

    @property
    def price_per_page(self) -> Decimal | None:
        """Rent and pages billed for each page, four decimals; None without pages."""
        return self._per_page(self.revenue)

    @property
    def cost_per_page(self) -> Decimal | None:
        """Supplies, parts and visits for each page, four decimals; None without pages."""
        return self._per_page(self.supplies + self.visits)

    def _per_page(self, amount: Decimal) -> Decimal | None:
        return (amount / self.pages).quantize(_PLACES) if self.pages else None


def page_money(
    uow: UnitOfWork,
    tenant: TenantId,
    policy: PolicyBook,
    *,
    customers: frozenset[CustomerId] | None,
    devices: frozenset[DeviceId],
) -> PageMoney | None:
    """Return the newest three billed months of `customers` (None = all) and `devices`; None when nothing was billed."""
    found = [
        invoice
        for invoice in uow.billing.invoices.where(tenant, kind=InvoiceKind.RENT, limit=_INVOICES)
        if invoice.state is not InvoiceState.CREDITED
        and (customers is None or invoice.customer_id in customers)
    ]
    if not found:
        return None
    last = max(invoice.period_from.replace(day=1) for invoice in found)
    first = months_before(last, _MONTHS - 1)
    recent = [invoice for invoice in found if invoice.period_from >= first]
    first = min(invoice.period_from.replace(day=1) for invoice in recent)
    zone = ZoneInfo(policy.sla.calendar.time_zone)
    start, end = (_midnight(day, zone) for day in (first, months_before(last, -1)))
    used = [row for invoice in recent for row in invoice.usage]
    moves = uow.stock.moves(tenant, MoveFilter(limit=_MOVES))
    orders = [order for order in orders_since(uow, tenant, start) if order.device_id in devices]
    return PageMoney(
        first=first,
        last=last,
        devices=len({row.device_id for row in used}),
        pages=sum(row.mono + row.colour for row in used),
        revenue=_revenue(recent),
        supplies=_supplies((move for move in moves if start <= move.at < end), devices),
        visits=Decimal(str(policy.failures.visit_cost)) * _visits(orders, start, end),
    )


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def _revenue(invoices: Iterable[Invoice]) -> Decimal:
    lines = (line for invoice in invoices for line in invoice.lines if line.kind in _PAGE_LINES)
    return sum((line.amount for line in lines), Decimal("0.00"))


def _supplies(moves: Iterable[StockMove], devices: frozenset[DeviceId]) -> Decimal:
    """Return the cost of what was put into the devices."""
    put_in = (
        move
        for move in moves
        if move.reason in _PUT_IN
        and kind_of_place(move.target) is PlaceKind.INSTALLED
        and DeviceId(name_of_place(move.target)) in devices
    )
    return sum((move.unit_cost.amount * move.quantity for move in put_in), Decimal("0.00"))


def _visits(orders: Iterable[WorkOrder], start: datetime, end: datetime) -> int:
    return sum(
        order.state is WorkOrderState.DONE and order.done_at is not None and start <= order.done_at < end
        for order in orders
    )
