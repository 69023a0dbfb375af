"""What becomes of a visit when a ticket needs it no longer: the others are still served, an empty visit is called off."""

from dataclasses import replace

from crm_core.domain.service import Ticket, WorkOrderState
from crm_core.ports import UnitOfWork


def take_off_visit(uow: UnitOfWork, ticket: Ticket, why: str) -> None:
    """Take a ticket that ended (as stored) off its active work order; without open tickets the order is cancelled."""
    order = uow.work_orders.active_for_ticket(ticket.tenant, ticket.ticket_id)
    if order is None:
        return
    if any(uow.tickets.get(ticket.tenant, other).is_open for other in order.ticket_ids):
        kept = tuple(other for other in order.ticket_ids if other != ticket.ticket_id)
        uow.work_orders.save(replace(order, ticket_ids=kept))
    else:
        note = f"{order.note}\n{why}".strip()
        uow.work_orders.save(replace(order, state=WorkOrderState.CANCELLED, note=note))
