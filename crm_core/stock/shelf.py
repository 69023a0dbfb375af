"""Toner tickets and what lies at the site: no second delivery, a hint where the machine stands still beside its spare.

A supply that is covered needs no ticket. One that stands empty beside a full cartridge may need a call: then the ticket
is a hint of level 1. When the piece is gone before it was used, the hint becomes the delivery that it would have been.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import (
    CauseTrack,
    Ticket,
    TicketEvent,
    TicketLevel,
    TicketState,
    WorkOrderState,
)
from crm_core.domain.stock import PlaceKind, kind_of_place
from crm_core.ports import UnitOfWork
from crm_core.stock.cover import Cover, cover_of, wants_hint
from crm_core.ticket_states import MACHINE, Move, moved
from crm_core.visits import take_off_visit

HINT: Final = "shelf"  # the category of tickets that only say: use what lies on your shelf
_NOT_AT_WORK: Final = frozenset({TicketState.NEW, TicketState.TRIAGED, TicketState.SCHEDULED})
_NOT_STARTED: Final = frozenset({WorkOrderState.PLANNED, WorkOrderState.ASSIGNED})


@dataclass(frozen=True, slots=True)
class Asked:
    """What a raised supply asks for now: the track for its ticket (None: nothing), and the ticket that covers it."""

    track: CauseTrack | None
    covering: Ticket | None


def asked_for(
    uow: UnitOfWork,
    track: CauseTrack,
    bundle: DeviceBundle,
    covering: Ticket | None,
    now: datetime,
    policy: PolicyBook,
) -> Asked:
    """Return what a raised cause asks for, seeing what lies at the site; an open ticket is turned where that changed."""
    if not track.cause.startswith("supply."):
        return Asked(track, covering)
    if covering is not None and not _may_turn(uow, covering):
        return Asked(track, covering)  # somebody is at it: the visit goes on
    cover = cover_of(uow, track, bundle, now)
    if cover is None:
        if covering is not None and covering.category == HINT:
            covering = uow.tickets.save(_delivery(covering, track, now))
        return Asked(track, covering)
    if not wants_hint(track, cover, policy.stock.shelf_hint):
        if covering is not None and covering.category != HINT:
            _call_off(uow, covering, cover, now, policy)
        keeps = covering is not None and covering.category == HINT
        return Asked(_hint(track, cover) if keeps else None, covering if keeps else None)
    if covering is not None and covering.category != HINT:
        covering = _to_hint(uow, covering, track, cover, now, policy)
    return Asked(_hint(track, cover), covering)


def _may_turn(uow: UnitOfWork, ticket: Ticket) -> bool:
    """Return True while nobody is on the way for a ticket."""
    if ticket.state not in _NOT_AT_WORK:
        return False
    order = uow.work_orders.active_for_ticket(ticket.tenant, ticket.ticket_id)
    return order is None or order.state in _NOT_STARTED


def _hint(track: CauseTrack, cover: Cover) -> CauseTrack:
    """Return the track as the hint that its ticket is to be."""
    detail = {**track.condition.detail, **_where(cover)}
    return replace(
        track, condition=replace(track.condition, level=TicketLevel.L1, category=HINT, detail=detail)
    )


def _where(cover: Cover) -> dict[str, str | int | float | None]:
    return {"item": cover.promise.item_id, "place": kind_of_place(cover.promise.place).value}


def _delivery(ticket: Ticket, track: CauseTrack, now: datetime) -> Ticket:
    """Return a hint turned into the delivery that is needed after all: its clocks go on, the level is the cause's."""
    condition = track.condition
    forecast = "_forecast" if condition.code == "forecast:supply" else ""
    return replace(
        ticket,
        category=condition.category,
        level=condition.level or ticket.level,
        title_key=f"tickets.title.{condition.category}{forecast}",
        detail={**ticket.detail, **condition.detail, "severity": condition.severity},
        changed_at=now,
        events=(*ticket.events, _note(ticket, "shelf_empty", now, "the piece on the shelf is gone")),
    )


def _to_hint(
    uow: UnitOfWork, ticket: Ticket, track: CauseTrack, cover: Cover, now: datetime, policy: PolicyBook
) -> Ticket:
    """Turn a delivery into a hint: the piece arrived meanwhile, so nobody needs to come."""
    note = f"{cover.promise.item_id} lies at the site"
    if ticket.state is TicketState.SCHEDULED:
        _off_the_visit(uow, ticket, note)
        ticket = moved(ticket, Move.UNPLAN, at=now, actor=MACHINE, sla=policy.sla, note=note)
    hint = replace(
        ticket,
        category=HINT,
        level=TicketLevel.L1,
        title_key=f"tickets.title.{HINT}",
        detail={**ticket.detail, **track.condition.detail, **_where(cover)},
        changed_at=now,
        events=(*ticket.events, _note(ticket, "on_shelf", now, note)),
    )
    return uow.tickets.save(hint)


def _call_off(uow: UnitOfWork, ticket: Ticket, cover: Cover, now: datetime, policy: PolicyBook) -> None:
    """End a delivery that is not needed any more."""
    on_the_way = kind_of_place(cover.promise.place) is PlaceKind.TRANSIT
    where = "is on its way to the site" if on_the_way else "lies at the site"
    note = f"{cover.promise.item_id} {where}"
    ended = moved(ticket, Move.CLEARED, at=now, actor=MACHINE, sla=policy.sla, note=note)
    take_off_visit(uow, uow.tickets.save(ended), note)


def _off_the_visit(uow: UnitOfWork, ticket: Ticket, note: str) -> None:
    order = uow.work_orders.active_for_ticket(ticket.tenant, ticket.ticket_id)
    if order is None:
        return
    rest = tuple(each for each in order.ticket_ids if each != ticket.ticket_id)
    if any(uow.tickets.get(ticket.tenant, each).is_open for each in rest):
        uow.work_orders.save(replace(order, ticket_ids=rest))
    else:
        uow.work_orders.save(
            replace(order, state=WorkOrderState.CANCELLED, note=f"{order.note}\n{note}".strip())
        )


def _note(ticket: Ticket, event: str, now: datetime, note: str) -> TicketEvent:
    return TicketEvent(
        at=now, actor=MACHINE, event=event, from_state=ticket.state, to_state=ticket.state, note=note
    )
