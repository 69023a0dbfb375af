"""The ticket state machine: one table, pure moves, and what each move does to the clocks.

The diagram in `docs/ticket-states.md` is generated from `TRANSITIONS`. Two independent clocks run: the first response
is met by the first move of a person, restore by the moment of the repair that telemetry later confirms.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from crm_core.domain.errors import IllegalTransition, InvalidValue
from crm_core.domain.policy import SlaPolicy
from crm_core.domain.service import (
    OPEN_STATES,
    ClockKind,
    Step,
    Ticket,
    TicketEvent,
    TicketLevel,
    TicketState,
)
from crm_core.sla import Pause, call_back_promise, recomputed, start_clock

MACHINE: Final = "drumbeat"  # the actor of moves that no person made


class Move(StrEnum):
    """What can happen to a ticket."""

    SUPPRESS = "suppress"  # an incident or the budget explains it for now
    RELEASE = "release"  # it is still there after the incident
    ACKNOWLEDGE = "acknowledge"  # somebody took it up, or the guide was sent
    FIX_BY_PHONE = "fix_by_phone"
    PLAN = "plan"  # a work order was made
    UNPLAN = "unplan"  # its work order was cancelled
    START = "start"  # the technician departed
    ARRIVE = "arrive"
    WAIT_CUSTOMER = "wait_customer"
    WAIT_PARTS = "wait_parts"
    WAIT_ACCESS = "wait_access"
    RESUME = "resume"
    CANNOT_FIX = "cannot_fix"
    DONE = "done"
    CONFIRMED = "confirmed"  # telemetry stayed good
    RECURRED = "recurred"  # the same cause came back: a failed fix
    CLEARED = "cleared"  # the cause went away before anybody worked on it
    PROPOSE = "propose"  # the offer was sent
    CALL_BACK = "call_back"  # the customer was asked whether all is well
    CLOSE = "close"
    MERGE = "merge"
    CANCEL = "cancel"


_S = TicketState
_WAITS: Final = {
    Move.WAIT_CUSTOMER: _S.WAITING_CUSTOMER,
    Move.WAIT_PARTS: _S.WAITING_PARTS,
    Move.WAIT_ACCESS: _S.WAITING_ACCESS,
}
_FROM_WAIT: Final = {Move.RESUME: _S.TRIAGED, Move.PLAN: _S.SCHEDULED, Move.START: _S.IN_PROGRESS}
_MOVES: Final[dict[TicketState, dict[Move, TicketState]]] = {
    _S.NEW: {
        Move.SUPPRESS: _S.HELD,
        Move.ACKNOWLEDGE: _S.TRIAGED,
        Move.PROPOSE: _S.TRIAGED,
        Move.PLAN: _S.SCHEDULED,
        Move.CLEARED: _S.AUTO_RESOLVED,
        **_WAITS,
    },
    _S.HELD: {Move.RELEASE: _S.NEW, Move.CLEARED: _S.AUTO_RESOLVED},
    _S.TRIAGED: {
        Move.PROPOSE: _S.TRIAGED,
        Move.CANNOT_FIX: _S.ESCALATED,
        Move.FIX_BY_PHONE: _S.RESOLVED,
        Move.PLAN: _S.SCHEDULED,
        Move.CLEARED: _S.AUTO_RESOLVED,
        **_WAITS,
    },
    _S.SCHEDULED: {
        Move.ACKNOWLEDGE: _S.SCHEDULED,
        Move.PROPOSE: _S.SCHEDULED,
        Move.CANNOT_FIX: _S.ESCALATED,
        Move.START: _S.IN_PROGRESS,
        Move.UNPLAN: _S.TRIAGED,
        Move.FIX_BY_PHONE: _S.RESOLVED,
        Move.CLEARED: _S.AUTO_RESOLVED,
        **_WAITS,
    },
    _S.IN_PROGRESS: {
        Move.PLAN: _S.SCHEDULED,  # a failed repair needs another visit
        Move.ARRIVE: _S.IN_PROGRESS,
        Move.CANNOT_FIX: _S.ESCALATED,
        Move.DONE: _S.RESOLVED_UNVERIFIED,
        Move.UNPLAN: _S.TRIAGED,
        **_WAITS,
    },
    _S.ESCALATED: {Move.PLAN: _S.SCHEDULED, Move.START: _S.IN_PROGRESS, **_WAITS},
    _S.WAITING_CUSTOMER: _FROM_WAIT,
    _S.WAITING_PARTS: _FROM_WAIT,
    _S.WAITING_ACCESS: _FROM_WAIT,
    _S.RESOLVED_UNVERIFIED: {Move.CONFIRMED: _S.RESOLVED, Move.RECURRED: _S.IN_PROGRESS},
    _S.RESOLVED: {Move.CALL_BACK: _S.CLOSED, Move.CLOSE: _S.CLOSED},
    _S.AUTO_RESOLVED: {Move.CLOSE: _S.CLOSED},
}
_ENDINGS: Final = {Move.MERGE: _S.MERGED, Move.CANCEL: _S.CANCELLED}

#: The whole machine: (from, move) -> to. Merging and cancelling are possible in every open state.
TRANSITIONS: Final[Mapping[tuple[TicketState, Move], TicketState]] = {
    **{(source, move): target for source, moves in _MOVES.items() for move, target in moves.items()},
    **{
        (source, move): target
        for source in TicketState
        if source in OPEN_STATES
        for move, target in _ENDINGS.items()
    },
}

#: Only what the customer has in hand stops the clocks; waiting for parts is our affair.
PAUSING: Final = frozenset({_S.WAITING_CUSTOMER, _S.WAITING_ACCESS})
_SERVICE: Final = (ClockKind.RESPOND, ClockKind.ARRIVE, ClockKind.RESTORE, ClockKind.PROPOSAL)
_NEEDS_NOTE: Final = frozenset({Move.MERGE, Move.CANCEL})
_NEXT_LEVEL: Final = {
    TicketLevel.L1: TicketLevel.L2,
    TicketLevel.L2: TicketLevel.L3,
    TicketLevel.L3: TicketLevel.L3,
}


def possible_moves(state: TicketState) -> tuple[Move, ...]:
    """Return the moves that the table allows in a state, for buttons and error messages."""
    return tuple(move for move in Move if (state, move) in TRANSITIONS)


def diagram() -> str:
    """Return the machine as a Mermaid state diagram, without the ends that every open state has."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {_S.NEW}: raise"]
    for (source, move), target in TRANSITIONS.items():
        if move not in _ENDINGS:
            lines.append(f"    {source} --> {target}: {move}")
    return "\n".join([*lines, f"    {_S.CLOSED} --> [*]", "```"])


def moved(ticket: Ticket, move: Move, *, at: datetime, actor: str, sla: SlaPolicy, note: str = "") -> Ticket:
    """Return the ticket after `move`, with its event and its clocks; raise `IllegalTransition` with what is possible.

    `InvalidValue` is raised when a reason is required and `note` is empty.
    """
    target = TRANSITIONS.get((ticket.state, move))
    if target is None:
        possible = ", ".join(possible_moves(ticket.state)) or "nothing"
        raise IllegalTransition(f"a ticket that is {ticket.state} cannot {move}; possible: {possible}")
    if move is Move.FIX_BY_PHONE and ticket.level is not TicketLevel.L1:
        raise IllegalTransition(f"a {ticket.level} ticket cannot be fixed by phone; plan a visit")
    if move in _NEEDS_NOTE and not note.strip():
        raise InvalidValue(f"to {move} a ticket a reason is required")
    event = TicketEvent(
        at=at, actor=actor, event=move.value, from_state=ticket.state, to_state=target, note=note
    )
    after = replace(ticket, state=target, changed_at=at, events=(*ticket.events, event))
    if move is Move.CANNOT_FIX:
        after = replace(after, level=_NEXT_LEVEL[ticket.level])  # the original clocks go on
    return _with_clocks(after, event, sla)


def noted(ticket: Ticket, step: Step, *, at: datetime, actor: str, note: str = "") -> Ticket:
    """Return the ticket with something in its history that does not move it."""
    event = TicketEvent(
        at=at, actor=actor, event=step.value, from_state=ticket.state, to_state=ticket.state, note=note
    )
    return replace(ticket, changed_at=at, events=(*ticket.events, event))


def pauses_of(ticket: Ticket) -> tuple[Pause, ...]:
    """Return the finished stretches in which the clocks stood still, from the ticket's own events."""
    pauses: list[Pause] = []
    since: datetime | None = None
    for event in ticket.events:
        if event.to_state in PAUSING and since is None:
            since = event.at
        elif event.to_state not in PAUSING and since is not None:
            pauses.append(Pause(since, event.at))
            since = None
    return tuple(pauses)


def last_event(ticket: Ticket, move: Move) -> TicketEvent | None:
    """Return the newest event of a move, or None."""
    return next((event for event in reversed(ticket.events) if event.event == move.value), None)


def _with_clocks(ticket: Ticket, event: TicketEvent, sla: SlaPolicy) -> Ticket:
    clocks = list(ticket.clocks)
    if event.from_state in PAUSING and event.to_state not in PAUSING:
        pauses = pauses_of(ticket)
        clocks = [
            clock if clock.met_at else recomputed(sla.calendar_named(clock.calendar), clock, pauses)
            for clock in clocks
        ]
    met = _met_by(ticket, event)
    clocks = [
        replace(clock, met_at=met[clock.kind]) if clock.kind in met and clock.met_at is None else clock
        for clock in clocks
    ]
    if event.event == Move.RECURRED:  # service was not restored after all
        clocks = [
            replace(clock, met_at=None) if clock.kind is ClockKind.RESTORE else clock for clock in clocks
        ]
    if event.to_state is _S.RESOLVED:
        clocks.append(start_clock(sla, ticket.policy_version, call_back_promise(sla), event.at))
    return replace(ticket, clocks=tuple(clocks))


def _met_by(ticket: Ticket, event: TicketEvent) -> dict[ClockKind, datetime]:
    """Return which promises an event keeps, and as of when."""
    met: dict[ClockKind, datetime] = {}
    if event.actor != MACHINE and event.event not in _ENDINGS:
        met[ClockKind.RESPOND] = event.at
    match event.event:
        case Move.ARRIVE:
            met[ClockKind.ARRIVE] = event.at
        case Move.PROPOSE:
            met[ClockKind.PROPOSAL] = event.at
        case Move.DONE:
            met[ClockKind.PROPOSAL] = event.at  # what was to be proposed is settled with the customer
        case Move.CALL_BACK:
            met[ClockKind.CALL_BACK] = event.at
        case Move.FIX_BY_PHONE | Move.CLEARED:
            met |= dict.fromkeys(_SERVICE, event.at)
        case Move.CONFIRMED:
            done = last_event(ticket, Move.DONE)
            met[ClockKind.RESTORE] = done.at if done else event.at
        case _:
            pass
    return met
