"""The service desk: people and technicians move tickets and work orders; each step is one transaction.

All moves of tickets go through `ticket_states.moved`. A work order carries its tickets along: who departs starts them,
who is done leaves them unverified until telemetry confirms the repair (triage does that).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from crm_core.domain.errors import Conflict, IllegalTransition, InvalidValue
from crm_core.domain.identity import DeviceId, TenantId, TicketId, WorkOrderId, ticket_number
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import (
    OPEN_STATES,
    Evidence,
    SignalOrigin,
    Ticket,
    TicketEvent,
    TicketLevel,
    TicketState,
    WorkOrder,
    WorkOrderState,
)
from crm_core.fieldwork.files import KeptPhoto
from crm_core.ports import Clock, TelemetryStore, TicketFilter, UnitOfWork, UnitOfWorkFactory
from crm_core.sla import clocks_for
from crm_core.ticket_states import TRANSITIONS, Move, moved
from crm_core.visits import take_off_visit


class Outcome(StrEnum):
    """How a visit or call ended."""

    FIXED = "fixed"
    NO_FAULT_FOUND = "no_fault_found"
    NOT_FIXED = "not_fixed"  # a higher level must help
    PARTS_NEEDED = "parts_needed"


_AFTER: dict[Outcome, Move] = {
    Outcome.FIXED: Move.DONE,
    Outcome.NO_FAULT_FOUND: Move.DONE,
    Outcome.NOT_FIXED: Move.CANNOT_FIX,
    Outcome.PARTS_NEEDED: Move.WAIT_PARTS,
}
_ENDS_VISIT = frozenset({Move.MERGE, Move.CANCEL, Move.FIX_BY_PHONE, Move.CANNOT_FIX})
_ORDER_MOVES: dict[WorkOrderState, frozenset[WorkOrderState]] = {
    WorkOrderState.PLANNED: frozenset({WorkOrderState.ASSIGNED, WorkOrderState.CANCELLED}),
    WorkOrderState.ASSIGNED: frozenset(
        {
            WorkOrderState.PLANNED,
            WorkOrderState.ASSIGNED,
            WorkOrderState.EN_ROUTE,
            WorkOrderState.ON_SITE,
            WorkOrderState.DONE,
            WorkOrderState.CANCELLED,
        }
    ),
    WorkOrderState.EN_ROUTE: frozenset(
        {WorkOrderState.ON_SITE, WorkOrderState.DONE, WorkOrderState.CANCELLED}
    ),
    WorkOrderState.ON_SITE: frozenset({WorkOrderState.DONE, WorkOrderState.CANCELLED}),
    WorkOrderState.DONE: frozenset(),
    WorkOrderState.CANCELLED: frozenset(),
}


class VisitRules(Protocol):
    """What field work asks of a visit; each raises `Conflict` when it may not go on. Called within the transaction."""

    def starting(self, uow: UnitOfWork, order: WorkOrder) -> None: ...

    def ending(self, uow: UnitOfWork, order: WorkOrder, now: datetime, actor: str) -> None: ...


class ServiceDesk:
    """Moves of tickets and work orders by people. `rules` are those of field work; without them a visit just ends.

    `store` gives the page counts at arrival and at the end of a visit; without it they are what the caller states.
    Unknown ids raise `NotFound`, forbidden moves `IllegalTransition`, a stale `expected_version` `Conflict`.
    """

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        policy: PolicyBook,
        store: TelemetryStore | None = None,
        rules: VisitRules | None = None,
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._store = store
        self._rules = rules

    # --- tickets ---

    def move(
        self,
        tenant: TenantId,
        ticket_id: TicketId,
        move: Move,
        *,
        actor: str,
        note: str = "",
        expected_version: int | None = None,
    ) -> Ticket:
        """Make one move of the state machine and return the ticket after it."""
        with self._uow_factory() as uow:
            ticket = uow.tickets.get(tenant, ticket_id)
            _check_version(expected_version, ticket.version, f"ticket {ticket_id}")
            saved = uow.tickets.save(self._moved(ticket, move, actor, note))
            if move in _ENDS_VISIT:
                take_off_visit(uow, saved, f"{actor}: {saved.state}")
            uow.commit()
            return saved

    def merge(
        self,
        tenant: TenantId,
        ticket_id: TicketId,
        into: TicketId,
        *,
        actor: str,
        note: str,
        expected_version: int | None = None,
    ) -> Ticket:
        """End a ticket in favour of another open one of the same customer, which takes over its evidence."""
        with self._uow_factory() as uow:
            ticket, target = uow.tickets.get(tenant, ticket_id), uow.tickets.get(tenant, into)
            _check_version(expected_version, ticket.version, f"ticket {ticket_id}")
            if ticket_id == into or not target.is_open or target.customer_id != ticket.customer_id:
                raise Conflict("merge into another open ticket of the same customer")
            reason = f"{ticket_number(into)}: {note.strip()}" if note.strip() else ""
            merged = self._moved(ticket, Move.MERGE, actor, reason)
            saved = uow.tickets.save(replace(merged, links=_linked(merged, into)))
            take_off_visit(uow, saved, f"{actor}: {saved.state}")
            evidence = tuple(dict.fromkeys((*target.evidence, *ticket.evidence)))
            uow.tickets.save(replace(target, links=_linked(target, ticket_id), evidence=evidence))
            uow.commit()
            return saved

    def link(self, tenant: TenantId, ticket_id: TicketId, other: TicketId, *, actor: str) -> Ticket:
        """Say that two tickets have to do with each other; a second time changes nothing."""
        with self._uow_factory() as uow:
            ticket, second = uow.tickets.get(tenant, ticket_id), uow.tickets.get(tenant, other)
            if ticket_id == other:
                raise Conflict("a ticket cannot be linked to itself")
            for one, far in ((ticket, other), (second, ticket_id)):
                if far not in one.links:
                    uow.tickets.save(self._noted(one, "link", actor, ticket_number(far), _linked(one, far)))
            uow.commit()
            return uow.tickets.get(tenant, ticket_id)

    def _noted(self, ticket: Ticket, event: str, actor: str, note: str, links: tuple[int, ...]) -> Ticket:
        """Return the ticket with an event that moves nothing."""
        entry = TicketEvent(
            at=self._clock.now(), actor=actor, event=event, from_state=ticket.state, to_state=ticket.state, note=note
        )  # fmt: skip
        return replace(ticket, links=links, events=(*ticket.events, entry))

    def acknowledge(
        self,
        tenant: TenantId,
        ticket_id: TicketId,
        *,
        actor: str,
        note: str = "",
        expected_version: int | None = None,
    ) -> Ticket:
        """Take a ticket up: the first response is given."""
        return self.move(
            tenant, ticket_id, Move.ACKNOWLEDGE, actor=actor, note=note, expected_version=expected_version
        )

    def report(
        self,
        tenant: TenantId,
        device_id: DeviceId,
        *,
        level: TicketLevel,
        category: str,
        text: str,
        actor: str,
        photo: KeptPhoto | None = None,
    ) -> Ticket:
        """Open a ticket for what a person reports and shows; `Conflict` names the open ticket of the same cause."""
        now = self._clock.now()
        with self._uow_factory() as uow:
            bundle = uow.devices.bundle(tenant, device_id)
            ticket = Ticket(
                tenant=tenant,
                ticket_id=TicketId(0),
                device_id=device_id,
                site_id=bundle.device.site_id,
                customer_id=bundle.device.customer_id,
                cause=f"reported.{category}",
                category=category,
                level=level,
                state=TicketState.NEW,
                title_key="tickets.title.reported",
                detail={"text": text[:500], **_shown(photo)},
                raised_at=now,
                changed_at=now,
                clocks=clocks_for(
                    self._policy.sla,
                    self._policy.version,
                    level=level,
                    customer=bundle.customer,
                    contract=bundle.contract,
                    start=now,
                ),
                evidence=(Evidence(at=now, origin=SignalOrigin.PERSON, key=actor, summary=text[:500]),),
                policy_version=self._policy.version,
            )
            opened = uow.tickets.open_unless_covered(ticket)
            if opened is None:
                present = uow.tickets.find_open(tenant, ticket.dedup_key)
                number = present.ticket_id if present else "?"
                raise Conflict(f"ticket {number} is already open for this; add to it instead")
            uow.commit()
            return opened

    def close_settled(self, tenant: TenantId) -> int:
        """Close what has stayed resolved for the time that policy sets; return how many."""
        now = self._clock.now()
        settled = frozenset({TicketState.RESOLVED, TicketState.AUTO_RESOLVED})
        with self._uow_factory() as uow:
            due = [
                ticket
                for ticket in uow.tickets.list(tenant, TicketFilter(states=settled, limit=10_000))
                if now - ticket.changed_at >= self._policy.triage.close_after
            ]
            for ticket in due:
                uow.tickets.save(self._moved(ticket, Move.CLOSE, "drumbeat", ""))
            uow.commit()
        return len(due)

    # --- work orders ---

    def depart(
        self, tenant: TenantId, work_order_id: WorkOrderId, *, actor: str, expected_version: int | None = None
    ) -> WorkOrder:
        """Note that the technician is on the way: the tickets are in progress."""

        def change(order: WorkOrder, now: datetime) -> WorkOrder:
            return replace(order, state=WorkOrderState.EN_ROUTE, started_at=now)

        return self._step(tenant, work_order_id, change, (Move.START,), actor, expected_version)

    def arrive(
        self, tenant: TenantId, work_order_id: WorkOrderId, *, actor: str, expected_version: int | None = None
    ) -> WorkOrder:
        """Note that the technician is at the device: the arrival promise is met and the page count taken."""

        def change(order: WorkOrder, now: datetime) -> WorkOrder:
            count = self._count(tenant, order.device_id)
            started = order.started_at or now
            return replace(order, state=WorkOrderState.ON_SITE, started_at=started, count_before=count)

        return self._step(tenant, work_order_id, change, (Move.START, Move.ARRIVE), actor, expected_version)

    def done(
        self,
        tenant: TenantId,
        work_order_id: WorkOrderId,
        *,
        actor: str,
        outcome: Outcome = Outcome.FIXED,
        confirmed_cause: str | None = None,
        note: str = "",
        count_after: int | None = None,
        expected_version: int | None = None,
    ) -> WorkOrder:
        """End a visit or call. `count_after` is taken from telemetry when the technician does not state it."""

        def change(order: WorkOrder, now: datetime) -> WorkOrder:
            count = count_after if count_after is not None else self._count(tenant, order.device_id)
            return replace(
                order,
                state=WorkOrderState.DONE,
                started_at=order.started_at or now,
                done_at=now,
                outcome=outcome.value,
                confirmed_cause=confirmed_cause,
                note=note or order.note,
                count_after=count,
            )

        moves = (Move.START, _AFTER[outcome])
        return self._step(tenant, work_order_id, change, moves, actor, expected_version, note)

    def cancel_order(
        self,
        tenant: TenantId,
        work_order_id: WorkOrderId,
        *,
        actor: str,
        note: str,
        expected_version: int | None = None,
    ) -> WorkOrder:
        """Cancel a work order; its open tickets wait for a new plan. `InvalidValue` without a reason."""
        if not note.strip():
            raise InvalidValue("say why the visit is called off")

        def change(order: WorkOrder, _now: datetime) -> WorkOrder:
            return replace(order, state=WorkOrderState.CANCELLED, note=note)

        return self._step(tenant, work_order_id, change, (Move.UNPLAN,), actor, expected_version, note)

    def _step(
        self,
        tenant: TenantId,
        work_order_id: WorkOrderId,
        change: Callable[[WorkOrder, datetime], WorkOrder],
        moves: tuple[Move, ...],
        actor: str,
        expected_version: int | None,
        note: str = "",
    ) -> WorkOrder:
        """Change a work order and move its open tickets along; a move that a ticket has behind it is left out."""
        with self._uow_factory() as uow:
            order = uow.work_orders.get(tenant, work_order_id)
            _check_version(expected_version, order.version, f"work order {work_order_id}")
            changed = change(order, self._clock.now())
            if changed.state not in _ORDER_MOVES[order.state]:
                raise IllegalTransition(f"a work order that is {order.state} cannot become {changed.state}")
            self._ask_rules(uow, changed, actor)
            saved = uow.work_orders.save(changed)
            for ticket_id in order.ticket_ids:
                ticket = uow.tickets.get(tenant, ticket_id)
                after = ticket
                for move in moves:
                    if after.state in OPEN_STATES and (after.state, move) in TRANSITIONS:
                        after = self._moved(after, move, actor, note)
                if after is not ticket:
                    uow.tickets.save(after)
            uow.commit()
            return saved

    def _ask_rules(self, uow: UnitOfWork, order: WorkOrder, actor: str) -> None:
        if self._rules is None:
            return
        if order.state in (WorkOrderState.EN_ROUTE, WorkOrderState.ON_SITE):
            self._rules.starting(uow, order)
        elif order.state is WorkOrderState.DONE:
            self._rules.ending(uow, order, self._clock.now(), actor)

    def _moved(self, ticket: Ticket, move: Move, actor: str, note: str) -> Ticket:
        return moved(ticket, move, at=self._clock.now(), actor=actor, sla=self._policy.sla, note=note)

    def _count(self, tenant: TenantId, device_id: DeviceId) -> int | None:
        reading = self._store.newest(tenant, device_id) if self._store is not None else None
        return reading.counters.billing_count if reading is not None else None


def _linked(ticket: Ticket, other: TicketId) -> tuple[int, ...]:
    return tuple(sorted({*ticket.links, other}))


def _check_version(expected: int | None, present: int, what: str) -> None:
    if expected is not None and expected != present:
        raise Conflict(f"{what} was changed meanwhile (version {present}, not {expected}); read it again")


def _shown(photo: KeptPhoto | None) -> dict[str, str]:
    """Return what a ticket keeps of a photo: where its bytes lie, and what they are."""
    return {} if photo is None else {"photo_sha256": photo.sha256, "photo_type": photo.media_type}
