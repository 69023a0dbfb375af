"""What triage asks before it raises: is the device served, which ticket covers the cause, did people decide already."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from crm_core.domain.errors import NotFound
from crm_core.domain.fleet import DeviceBundle, OwnerState
from crm_core.domain.service import OPEN_STATES, CauseTrack, Signal, Ticket, TicketState
from crm_core.ports import TicketFilter, UnitOfWork
from crm_core.ticket_states import MACHINE, Move, last_event

SERVED: Final = frozenset({OwnerState.INSTALLED, OwnerState.LOAN})
_DECIDED: Final = frozenset({TicketState.CANCELLED, TicketState.MERGED})
_MAX_EVIDENCE: Final = 20
#: The category of a talk about replacing a machine (requirement 39).
PROPOSAL: Final = "replacement"


def served(uow: UnitOfWork, signal: Signal) -> DeviceBundle | None:
    """Return the device of a signal if it stands with a customer."""
    try:
        bundle = uow.devices.bundle(signal.tenant, signal.device_id)
    except NotFound:
        return None
    return bundle if bundle.device.owner_state in SERVED else None


def covering(uow: UnitOfWork, track: CauseTrack) -> Ticket | None:
    """Return the open ticket that covers the cause.

    When the device does not say which supply is low, any open supply ticket of it covers the statement.
    """
    own = uow.tickets.find_open(track.tenant, f"{track.device_id}:{track.cause}")
    if own is not None or track.cause != "supply.any":
        return own
    open_ones = uow.tickets.list(
        track.tenant, TicketFilter(device_id=track.device_id, states=frozenset(OPEN_STATES), limit=100)
    )
    return next((ticket for ticket in open_ones if ticket.cause.startswith("supply.")), None)


def rests_until(ticket: Ticket, rest: timedelta) -> datetime | None:
    """Return when a proposal that was talked over may come back; None for what is no proposal or was not talked over.

    The machine is as old after the talk as before it: telemetry neither confirms nor contradicts what the customer said.
    """
    if ticket.category != PROPOSAL:
        return None
    talked = last_event(ticket, Move.DONE) or last_event(ticket, Move.FIX_BY_PHONE)
    return None if talked is None else talked.at + rest


def was_decided(uow: UnitOfWork, track: CauseTrack, wait: timedelta, rest: timedelta) -> bool:
    """Return True if people ended the ticket of this episode: a false alarm stays quiet until it goes and comes.

    What was solved by phone gets the time that a repair gets (`wait`) before it counts as failed; a proposal that was
    talked over rests for `rest`.
    """
    if track.ticket_id is None:
        return False
    ticket = uow.tickets.get(track.tenant, track.ticket_id)
    until = rests_until(ticket, rest)
    if until is not None and track.last_seen < until:
        return True
    if ticket.state in _DECIDED:
        return ticket.events[-1].actor != MACHINE  # what a campaign took over may come back after it
    return ticket.state is TicketState.RESOLVED and track.last_seen - ticket.changed_at < wait


def with_news(ticket: Ticket, track: CauseTrack) -> Ticket:
    """Return the ticket with the evidence of an origin that is new to it."""
    known = {(evidence.origin, evidence.key) for evidence in ticket.evidence}
    news = tuple(each for each in track.evidence if (each.origin, each.key) not in known)
    if not news or track.ticket_id is not None or len(ticket.evidence) >= _MAX_EVIDENCE:
        return ticket
    return replace(ticket, evidence=(*ticket.evidence, *news)[:_MAX_EVIDENCE])
