"""What finished work orders say: when parts were last renewed, and which failures were confirmed.

Most machines do not say when a part was renewed: without this, its ticket would come back every night. And a failure is
what a technician found, not what a forecast feared: confirmed causes are the labels that the hazard learns from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from analytics.failures import component_in
from crm_core.domain.identity import TenantId, WorkOrderId
from crm_core.domain.service import OPEN_STATES, Ticket, TicketLevel, WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.ports import TicketFilter, UnitOfWork, WorkOrderFilter

#: Device and component -> life count when the part was fitted.
PartFits = Mapping[tuple[str, str], int]

#: What a technician renews with a maintenance kit.
KIT: Final = ("maintenance_kit", "fuser", "transfer", "drum", "feed_rollers", "developer")
FIXED: Final = "fixed"
_PAGE: Final = 500
_PART_CAUSES: Final = ("life.", "failure_risk.", "fault.")
_FINAL: Final = frozenset({WorkOrderState.DONE, WorkOrderState.CANCELLED})
_FEARED: Final = "failure_risk."  # raised by a forecast: a label only when somebody found the fault


@dataclass(frozen=True, slots=True)
class PartFit:
    """A part that came in: day since 1970 and life count of the device."""

    device_id: str
    component: str
    day: int
    count: int


@dataclass(frozen=True, slots=True)
class ConfirmedFailure:
    """A hardware failure that a technician confirmed; the component is empty when nobody named it."""

    device_id: str
    component: str
    day: int
    ended: int  # the day of the repair


@dataclass(slots=True)
class FitLedger:
    """Remembers which work orders were read: each night reads new ones and those that were not finished, no others."""

    fits: dict[tuple[str, str], int] = field(default_factory=dict)
    fitted: list[PartFit] = field(default_factory=list)
    confirmed: list[ConfirmedFailure] = field(default_factory=list)
    _unfinished: set[WorkOrderId] = field(default_factory=set)
    _newest: int = 0

    def take(self, uow: UnitOfWork, tenant: TenantId) -> PartFits:
        """Return what all finished work orders of a tenant say; the latest fit of a part counts."""
        again = [uow.work_orders.get(tenant, number) for number in sorted(self._unfinished)]
        for order in [*again, *reversed(self._new_orders(uow, tenant))]:
            if order.state not in _FINAL:
                self._unfinished.add(order.work_order_id)
                continue
            self._unfinished.discard(order.work_order_id)
            if order.state is WorkOrderState.DONE and order.outcome == FIXED:
                self._read(uow, order)
        return self.fits

    def _new_orders(self, uow: UnitOfWork, tenant: TenantId) -> list[WorkOrder]:
        """Return the orders with a higher number than any read before, newest first."""
        found: list[WorkOrder] = []
        before: WorkOrderId | None = None
        while True:
            page = uow.work_orders.list(tenant, WorkOrderFilter(before=before, limit=_PAGE))
            fresh = [order for order in page if order.work_order_id > self._newest]
            found.extend(fresh)
            if len(fresh) < _PAGE:
                break
            before = page[-1].work_order_id
        self._newest = max((order.work_order_id for order in found), default=self._newest)
        return found

    def _read(self, uow: UnitOfWork, order: WorkOrder) -> None:
        tickets = [uow.tickets.get(order.tenant, ticket_id) for ticket_id in order.ticket_ids]
        day = _day(order.done_at or order.created_at)
        device_id = str(order.device_id)
        if order.count_after is not None:
            for component in sorted(_components(tickets, order)):
                key = (device_id, component)
                self.fits[key] = max(order.count_after, self.fits.get(key, 0))
                self.fitted.append(PartFit(device_id, component, day, order.count_after))
        failed = _failure_of(tickets, order)
        if failed is not None:
            ticket, component = failed
            self.confirmed.append(ConfirmedFailure(device_id, component, _day(ticket.raised_at), day))


def _day(instant: datetime) -> int:
    return int(instant.timestamp() // 86400)


def _components(tickets: list[Ticket], order: WorkOrder) -> set[str]:
    """Return the parts that a finished order renewed, by the causes that it served."""
    causes = {ticket.cause for ticket in tickets}
    causes |= {order.confirmed_cause} if order.confirmed_cause else set()
    named = {cause.partition(".")[2] for cause in causes if cause.startswith(_PART_CAUSES)}
    return named | set(KIT) if "maintenance_kit" in named else named


def _failure_of(tickets: list[Ticket], order: WorkOrder) -> tuple[Ticket, str] | None:
    """Return the ticket and the component of the failure that a finished order confirms, or None.

    The technician's word counts before the ticket's cause. A visit that only a forecast asked for is a failure only if
    the technician named a component.
    """
    confirmed = component_in(order.confirmed_cause or "")
    for ticket in tickets:
        feared = ticket.cause.startswith(_FEARED)
        if ticket.level is not TicketLevel.L3 or (feared and not confirmed):
            continue
        if order.confirmed_cause and not confirmed and order.kind is not WorkOrderKind.REPLACEMENT:
            continue  # something else was the matter: paper, power, a user
        return ticket, confirmed or component_in(ticket.cause)
    return None


def open_failures(uow: UnitOfWork, tenant: TenantId) -> list[ConfirmedFailure]:
    """Return the hardware tickets of level L3 that nobody has finished yet; a forecast's own tickets are no evidence."""
    wanted = TicketFilter(level=TicketLevel.L3, states=frozenset(OPEN_STATES), limit=_PAGE * 20)
    return [
        ConfirmedFailure(
            str(ticket.device_id),
            component_in(ticket.cause),
            _day(ticket.raised_at),
            _day(ticket.raised_at) + 3650,
        )
        for ticket in uow.tickets.list(tenant, wanted)
        if not ticket.cause.startswith(_FEARED)
    ]
