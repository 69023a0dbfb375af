"""What becomes of a visit when a ticket needs it no longer: the others are still served, an empty visit is called off."""

from dataclasses import replace

from crm_core.domain.service import Ticket, WorkOrderState
from crm_core.ports import UnitOfWork

_STARTED = frozenset({WorkOrderState.EN_ROUTE, WorkOrderState.ON_SITE})


def take_off_visit(uow: UnitOfWork, ticket: Ticket, why: str) -> None:
    """Take a ticket (as stored) off its active work order; without other open tickets the order is cancelled.

    A ticket that goes on keeps the technician who is on the way to it.
    """
    order = uow.work_orders.active_for_ticket(ticket.tenant, ticket.ticket_id)
    if order is None or (ticket.is_open and order.state in _STARTED):
        return
    kept = tuple(other for other in order.ticket_ids if other != ticket.ticket_id)
    if any(uow.tickets.get(ticket.tenant, other).is_open for other in kept):
        uow.work_orders.save(replace(order, ticket_ids=kept))
    else:
        note = f"{order.note}\n{why}".strip()
        uow.work_orders.save(replace(order, state=WorkOrderState.CANCELLED, note=note))
