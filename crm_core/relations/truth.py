"""The measured truth beside what customers say: first responses within the promised hours, repairs that held.

`wilson` gives the interval of a share, so that nobody reads more out of four answers than is in them.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from crm_core.domain.identity import CustomerId, DeviceId, TenantId, TicketId
from crm_core.domain.service import ClockKind, Ticket, WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.ports import UnitOfWork
from crm_core.relations.measures import orders_since, tickets_since

Z95 = 1.959963984540054
FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many; `of` 0 means that nothing can be said."""

    met: int
    of: int

    @property
    def percent(self) -> Decimal | None:
        """The share in percent with one decimal, None of nothing."""
        return None if not self.of else (Decimal(100) * self.met / self.of).quantize(Decimal("0.1"))

    @property
    def interval(self) -> tuple[Decimal, Decimal] | None:
        """The 95 % Wilson interval in percent, None of nothing."""
        return None if not self.of else wilson(self.met, self.of)


@dataclass(frozen=True, slots=True)
class Truth:
    """What was measured for one customer over a time."""

    contacted: Share
    fixed: Share


def wilson(met: int, of: int) -> tuple[Decimal, Decimal]:
    """Return the 95 % Wilson score interval of `met` out of `of` (> 0), in percent with one decimal."""
    share = met / of
    spread = Z95 * math.sqrt(share * (1 - share) / of + Z95**2 / (4 * of**2))
    middle, scale = share + Z95**2 / (2 * of), 1 + Z95**2 / of
    low, high = max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
    return _percent(low), _percent(high)


def _percent(share: float) -> Decimal:
    return Decimal(str(100 * share)).quantize(Decimal("0.1"))


def truth_of(
    uow: UnitOfWork,
    tenant: TenantId,
    first: datetime,
    last: datetime,
    contacted_within: timedelta,
    repeat_within: timedelta,
) -> dict[CustomerId, Truth]:
    """Return the measured truth of every customer for tickets raised and visits done between two instants."""
    contacted: dict[CustomerId, list[bool]] = defaultdict(list)
    for ticket in tickets_since(uow, tenant, first):
        response = ticket.clock(ClockKind.RESPOND)
        if ticket.customer_id is None or ticket.raised_at >= last or response is None:
            continue
        at = response.met_at
        if at is not None or last - ticket.raised_at > contacted_within:
            contacted[ticket.customer_id].append(at is not None and at - ticket.raised_at <= contacted_within)
    fixed: dict[CustomerId, list[bool]] = defaultdict(list)
    done = repair_orders(uow, tenant, first - repeat_within)
    for order, held in first_time(done, repeat_within):
        if order.customer_id is not None and order.done_at is not None and first <= order.done_at < last:
            fixed[order.customer_id].append(held)
    return {
        customer: Truth(_share(contacted[customer]), _share(fixed[customer]))
        for customer in {*contacted, *fixed}
    }


def repair_orders(uow: UnitOfWork, tenant: TenantId, since: datetime) -> list[WorkOrder]:
    """Return the finished visits and calls since then that were to mend something, oldest first."""
    orders = [
        order
        for order in orders_since(uow, tenant, since)
        if order.state is WorkOrderState.DONE
        and order.done_at is not None
        and order.kind in (WorkOrderKind.REPAIR, WorkOrderKind.PHONE)
    ]
    return sorted(orders, key=lambda order: (order.done_at or order.created_at, order.work_order_id))


def first_time(orders: Iterable[WorkOrder], repeat_within: timedelta) -> list[tuple[WorkOrder, bool]]:
    """Return each order with whether it mended the fault: it says so, it is the first for its tickets, none follows.

    A later order for the same device and cause within `repeat_within` makes it a repair that did not hold.
    """
    rows = list(orders)
    seen: set[TicketId] = set()
    later: dict[tuple[DeviceId, str], datetime] = {}
    repeated: set[int] = set()
    for order in reversed(rows):
        key = (order.device_id, order.confirmed_cause or "")
        at = order.done_at or order.created_at
        if key[1] and key in later and later[key] - at <= repeat_within:
            repeated.add(order.work_order_id)
        later[key] = at
    found = []
    for order in rows:
        first = not any(ticket_id in seen for ticket_id in order.ticket_ids)
        seen.update(order.ticket_ids)
        held = order.outcome == FIXED and first and order.work_order_id not in repeated
        found.append((order, held))
    return found


def tickets_between(uow: UnitOfWork, tenant: TenantId, first: datetime, last: datetime) -> list[Ticket]:
    """Return the tickets raised between two instants, newest first."""
    return [ticket for ticket in tickets_since(uow, tenant, first) if ticket.raised_at < last]


def _share(rows: list[bool]) -> Share:
    return Share(sum(rows), len(rows))
