"""Talks about replacing a machine, answered by its customer (requirement 39): wanted, or declined and then left in peace.

A declined talk is over like one that was held by phone: the machine is as old as before, and the policy's rest
(`forecasts.life.proposal_rest`) keeps the nightly forecasts from asking again the next day.
"""

from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import TenantId, TicketId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import Step, Ticket, TicketState
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.raising import PROPOSAL
from crm_core.ticket_states import Move, moved, noted, possible_moves
from crm_core.visits import take_off_visit


def is_wanted(ticket: Ticket) -> bool:
    """Return True once the customer said yes to a replacement."""
    return any(event.event == Step.REPLACEMENT_WANTED for event in ticket.events)


def may_answer(ticket: Ticket) -> bool:
    """Return True while a ticket asks its customer about a replacement and no answer stands."""
    return ticket.category == PROPOSAL and ticket.is_open and not is_wanted(ticket)


class Proposals:
    """Takes a customer's answer to the proposal of a replacement. `Conflict` where nothing is asked any more."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy

    def accept(
        self,
        tenant: TenantId,
        ticket_id: TicketId,
        *,
        actor: str,
        note: str = "",
        expected_version: int | None = None,
    ) -> Ticket:
        """Note that the customer wants another machine; the ticket stays open until one is offered and in place."""
        with self._uow_factory() as uow:
            ticket = _asked(uow, tenant, ticket_id, expected_version)
            saved = uow.tickets.save(
                noted(ticket, Step.REPLACEMENT_WANTED, at=self._clock.now(), actor=actor, note=note.strip())
            )
            uow.commit()
        return saved

    def decline(
        self,
        tenant: TenantId,
        ticket_id: TicketId,
        *,
        actor: str,
        note: str,
        expected_version: int | None = None,
    ) -> Ticket:
        """End the talk with the customer's reason; it comes back after the policy's rest at the earliest."""
        now = self._clock.now()
        with self._uow_factory() as uow:
            ticket = _asked(uow, tenant, ticket_id, expected_version)
            if not note.strip():
                raise InvalidValue("say why the replacement is declined")
            for move in _way_to_talked_over(ticket):
                ticket = moved(ticket, move, at=now, actor=actor, sla=self._policy.sla, note=note.strip())
            saved = uow.tickets.save(
                noted(ticket, Step.REPLACEMENT_DECLINED, at=now, actor=actor, note=note.strip())
            )
            take_off_visit(uow, saved, f"{actor}: {saved.state}")
            uow.commit()
        return saved


def _asked(uow: UnitOfWork, tenant: TenantId, ticket_id: TicketId, expected_version: int | None) -> Ticket:
    """Return a ticket whose proposal waits for its answer."""
    ticket = uow.tickets.get(tenant, ticket_id)
    if expected_version not in (None, ticket.version):
        raise Conflict("the ticket was changed meanwhile; look at it again")
    if not may_answer(ticket):
        raise Conflict("no proposal of a replacement waits for an answer on this ticket")
    return ticket


def _way_to_talked_over(ticket: Ticket) -> tuple[Move, ...]:
    """Return the moves that end a talk from where the ticket stands; `Conflict` while somebody works on it."""
    moves = possible_moves(ticket.state)
    if Move.FIX_BY_PHONE in moves:
        return (Move.FIX_BY_PHONE,)
    if ticket.state is TicketState.NEW:
        return Move.ACKNOWLEDGE, Move.FIX_BY_PHONE
    if Move.RESUME in moves:
        return Move.RESUME, Move.FIX_BY_PHONE
    raise Conflict(
        f"the ticket is {ticket.state}: the visit about it has begun; tell the person who is there"
    )
