"""What a ticket has cost the customer so far, for the messages about it (requirement 107)."""

from decimal import Decimal

from crm_core.domain.money import Money
from crm_core.domain.service import Ticket
from crm_core.ports import UnitOfWork
from crm_core.ticket_states import Move, last_event


def cost_so_far(uow: UnitOfWork, ticket: Ticket) -> Money:
    """Return what the ticket's finished visits cost together."""
    total = Money(Decimal(0))
    if last_event(ticket, Move.START) is None:
        return total  # nobody has been on the way
    for visit in uow.fieldwork.visits_of_ticket(ticket.tenant, ticket.ticket_id):
        total += visit.total
    return total
