"""Tickets and work orders as one person sees them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from api.access import Principal, check_sees_order, check_sees_ticket
from crm_core.domain.identity import TicketId, WorkOrderId
from crm_core.domain.service import Role, Ticket, WorkOrder, WorkOrderState
from crm_core.ports import TicketFilter, UnitOfWork, WorkOrderFilter

#: Work orders that somebody still has to do.
ACTIVE_ORDERS: Final = frozenset(WorkOrderState) - {WorkOrderState.DONE, WorkOrderState.CANCELLED}


def list_tickets(principal: Principal, uow: UnitOfWork, which: TicketFilter) -> Sequence[Ticket]:
    """Return the tickets of a filter that are the account's own or lie in the regions of staff, newest first."""
    if principal.role is Role.TECHNICIAN and not principal.regions:
        return ()
    if principal.bound_to is not None:
        if which.customer_id not in (None, principal.bound_to):
            return ()
        return uow.tickets.list(principal.tenant, replace(which, customer_id=principal.bound_to))
    return uow.tickets.list(principal.tenant, replace(which, regions=principal.regions))


def list_orders(principal: Principal, uow: UnitOfWork, which: WorkOrderFilter) -> Sequence[WorkOrder]:
    """Return the work orders of a filter: a technician's or customer's own ones, or those in the office's regions."""
    if principal.role is Role.TECHNICIAN:
        if principal.technician_id is None or which.technician_id not in (None, principal.technician_id):
            return ()
        return uow.work_orders.list(principal.tenant, replace(which, technician_id=principal.technician_id))
    if principal.bound_to is not None:
        if which.customer_id not in (None, principal.bound_to):
            return ()
        return uow.work_orders.list(principal.tenant, replace(which, customer_id=principal.bound_to))
    return uow.work_orders.list(principal.tenant, replace(which, regions=principal.regions))


def visible_ticket(principal: Principal, uow: UnitOfWork, ticket_id: int) -> Ticket:
    """Return the ticket, or answer like an absent one."""
    ticket = uow.tickets.get(principal.tenant, TicketId(ticket_id))
    check_sees_ticket(principal, uow, ticket)
    return ticket


def visible_order(principal: Principal, uow: UnitOfWork, work_order_id: int) -> WorkOrder:
    """Return the work order, or answer like an absent one."""
    order = uow.work_orders.get(principal.tenant, WorkOrderId(work_order_id))
    check_sees_order(principal, uow, order)
    return order
