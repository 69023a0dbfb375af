"""Escalation: at 50, 80, 100 and 150 % of a promise one more person is told - once, and woken for, never polled.

The moments are pure arithmetic over a clock, its calendar and its pauses. What falls due next stands in a table, so that
a restart or another node goes on where the first one stopped; who was told stands in another, unique for each clock of
a ticket and each step.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from crm_core.domain.identity import TenantId, TicketId, ticket_number
from crm_core.domain.notices import EscalationNote, NoticeValue, ReceiverKind, ToldSteps
from crm_core.domain.policy import PolicyBook, SlaPolicy
from crm_core.domain.service import (
    OPEN_STATES,
    ClockKind,
    Role,
    SlaClock,
    Ticket,
    TicketEvent,
    TicketState,
)
from crm_core.domain.sla import BusinessCalendar, EscalationStep, Promise
from crm_core.notices.addressing import Addressing
from crm_core.notices.announcing import desk_of
from crm_core.ports import Changes, Clock, TicketFilter, Timer, UnitOfWork, UnitOfWorkFactory
from crm_core.sla import Pause, due_instant, recomputed
from crm_core.ticket_states import MACHINE, PAUSING, pauses_of

WAKE: Final = "escalation"  # the name under which the timer wakes this work
_ALL: Final = 100_000
_AT_ONCE: Final = 500
#: In these states a call-back may still be owed.
_OWED: Final = OPEN_STATES | {TicketState.RESOLVED}
#: Nobody with the role: who is told instead, one after the other.
_ROLES: Final[Mapping[EscalationStep, tuple[Role, ...]]] = {
    EscalationStep.TECHNICIAN: (Role.DISPATCHER, Role.SUPERVISOR, Role.MANAGER, Role.ADMIN),
    EscalationStep.DISPATCHER: (Role.DISPATCHER, Role.SUPERVISOR, Role.MANAGER, Role.ADMIN),
    EscalationStep.SUPERVISOR: (Role.SUPERVISOR, Role.MANAGER, Role.ADMIN),
    EscalationStep.MANAGER: (Role.MANAGER, Role.ADMIN),
}


@dataclass(slots=True)
class EscalationReport:
    """What one run did: tickets looked at, steps told, due times that a published calendar changed."""

    looked_at: int = 0
    told: int = 0
    recomputed: int = 0
    next_at: datetime | None = None


def moments(clock: SlaClock, ticket: Ticket, sla: SlaPolicy) -> dict[EscalationStep, datetime]:
    """Return when each step of an open clock is reached. Pure; business time and pauses count as for the due time."""
    calendar, pauses = sla.calendar_named(clock.calendar), pauses_of(ticket)
    return {step: _moment(calendar, clock, share, pauses) for step, share in sla.escalation.items()}


def _moment(calendar: BusinessCalendar, clock: SlaClock, share: float, pauses: tuple[Pause, ...]) -> datetime:
    duration = timedelta(seconds=clock.duration_seconds * share)
    promise = Promise(kind=clock.kind, duration=duration, business_hours=clock.business_hours)
    return due_instant(calendar, clock.started_at, promise, pauses)


def untold(
    clock: SlaClock, ticket: Ticket, sla: SlaPolicy, told: ToldSteps
) -> Iterator[tuple[EscalationStep, datetime]]:
    """Yield the steps of an open clock that nobody was told of with their moments, the earliest first. Pure."""
    calendar, pauses = sla.calendar_named(clock.calendar), pauses_of(ticket)
    for share, step in sorted((share, step) for step, share in sla.escalation.items()):
        if (clock.kind, step) not in told:
            yield step, _moment(calendar, clock, share, pauses)


def running(ticket: Ticket) -> tuple[SlaClock, ...]:
    """Return the clocks of a ticket that run now: none while it waits for the customer, or is held or over."""
    if ticket.state is TicketState.RESOLVED:
        return tuple(
            clock for clock in ticket.clocks if clock.kind is ClockKind.CALL_BACK and clock.met_at is None
        )
    if not ticket.is_open or ticket.state in PAUSING or ticket.state is TicketState.HELD:
        return ()
    done = ticket.state is TicketState.RESOLVED_UNVERIFIED  # the work is finished, telemetry has the word
    return tuple(
        clock
        for clock in ticket.clocks
        if clock.met_at is None and not (done and clock.kind is ClockKind.RESTORE)
    )


class EscalationSchedule:
    """Keeps when each ticket's next step falls due, in the transaction that changed the ticket (a commit listener)."""

    def __init__(self, policy: PolicyBook) -> None:
        self._policy = policy

    def __call__(self, uow: UnitOfWork, changes: Changes) -> None:
        """Schedule the tickets that a transaction wrote."""
        if changes.tickets:
            self.schedule(uow, changes.tickets.values())

    def schedule(self, uow: UnitOfWork, tickets: Iterable[Ticket]) -> None:
        """Keep the next step of each ticket, or that it has none; what was told is read for all tickets at once."""
        of_tenant: dict[TenantId, list[Ticket]] = defaultdict(list)
        for ticket in tickets:
            of_tenant[ticket.tenant].append(ticket)
        for tenant, changed in of_tenant.items():
            told = uow.notices.told_steps(tenant, [each.ticket_id for each in changed if running(each)])
            due = {each.ticket_id: self._next_at(each, told.get(each.ticket_id, ())) for each in changed}
            uow.notices.schedule_escalations(tenant, due)

    def _next_at(self, ticket: Ticket, told: ToldSteps) -> datetime | None:
        return min(
            (
                at
                for clock in running(ticket)
                for _, at in islice(untold(clock, ticket, self._policy.sla, told), 1)
            ),
            default=None,
        )


class Escalation:
    """Tells people of promises at risk, and sets the timer to the next moment.

    `timer` wakes the process that leads; without one the caller runs it when `next_at` comes. One run is one
    transaction: what was told and its notices become durable together.
    """

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        policy: PolicyBook,
        addressing: Addressing,
        timer: Timer | None = None,
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._addressing = addressing
        self._schedule = EscalationSchedule(policy)
        self._timer = timer
        self._looked_through: set[tuple[TenantId, str]] = set()  # tenant and policy version

    def run(self, tenant: TenantId) -> EscalationReport:
        """Tell what is due, and wake up at the next moment; the first run under a policy looks through all that is owed."""
        now, report = self._clock.now(), EscalationReport()
        with self._uow_factory() as uow:
            if (tenant, self._policy.version) not in self._looked_through:
                self._look_through(uow, tenant, now, report)
            due = uow.notices.due_escalations(tenant, now, _AT_ONCE)
            while due:
                self._schedule.schedule(uow, [self._tell(uow, tenant, each, now, report) for each in due])
                due = uow.notices.due_escalations(tenant, now, _AT_ONCE)
            report.next_at = uow.notices.next_escalation(tenant)
            if report.looked_at or report.told:
                uow.commit()
        self._looked_through.add((tenant, self._policy.version))
        if self._timer is not None and report.next_at is not None:
            self._timer.wake_at(WAKE, max(report.next_at, now))
        return report

    def _look_through(
        self, uow: UnitOfWork, tenant: TenantId, now: datetime, report: EscalationReport
    ) -> None:
        """Schedule all that owes something, with the calendars and shares as this process knows them."""
        owing = uow.tickets.list(tenant, TicketFilter(states=_OWED, limit=_ALL))
        report.looked_at = len(owing)
        self._schedule.schedule(
            uow, [self._with_published_calendar(uow, each, now, report) for each in owing]
        )

    def _with_published_calendar(
        self, uow: UnitOfWork, ticket: Ticket, now: datetime, report: EscalationReport
    ) -> Ticket:
        """Compute provisional due times again: the year may have been published since."""
        sla, pauses = self._policy.sla, pauses_of(ticket)
        clocks = tuple(
            recomputed(sla.calendar_named(clock.calendar), clock, pauses)
            if clock.provisional and clock.met_at is None
            else clock
            for clock in ticket.clocks
        )
        if clocks == ticket.clocks or ticket.state in PAUSING:
            return ticket
        event = TicketEvent(
            at=now, actor=MACHINE, event="calendar_published", from_state=ticket.state, to_state=ticket.state
        )
        report.recomputed += 1
        changed = replace(ticket, clocks=clocks, changed_at=now, events=(*ticket.events, event))
        return uow.tickets.save(changed)

    def _tell(
        self, uow: UnitOfWork, tenant: TenantId, ticket_id: TicketId, now: datetime, report: EscalationReport
    ) -> Ticket:
        """Tell of every step of a ticket that is reached by now."""
        ticket = uow.tickets.get(tenant, ticket_id)
        told = uow.notices.told_steps(tenant, [ticket_id]).get(ticket_id, ())
        for clock in running(ticket):
            for step, at in untold(clock, ticket, self._policy.sla, told):
                if at > now:
                    break
                report.told += self._tell_step(uow, ticket, clock, step, at, now)
        return ticket

    def _tell_step(
        self,
        uow: UnitOfWork,
        ticket: Ticket,
        clock: SlaClock,
        step: EscalationStep,
        at: datetime,
        now: datetime,
    ) -> bool:
        people = tuple(self._audience(uow, ticket, step))
        note = EscalationNote(
            tenant=ticket.tenant,
            ticket_id=ticket.ticket_id,
            clock=clock.kind,
            step=step,
            reached_at=at,
            told_at=now,
            told=tuple(name for _, _, name in people),
        )
        if not uow.notices.note_escalation(note):
            return False
        arguments: dict[str, NoticeValue] = {
            "number": ticket_number(ticket.ticket_id),
            "clock": clock.kind.value,
            "percent": round(100 * self._policy.sla.escalation[step]),
            "due": clock.due_at.isoformat(),
            **self._addressing.about(ticket),
        }
        uow.notices.add(
            [
                self._addressing.notice(
                    uow,
                    ticket.tenant,
                    kind,
                    receiver_id,
                    unique_key=f"escalation:{ticket.ticket_id}:{clock.kind}:{step}:{kind}:{receiver_id}",
                    topic=f"escalation.{step}",
                    subject=f"ticket:{ticket.ticket_id}",
                    text_key="notices.escalation",
                    arguments=arguments,
                    now=now,
                )
                for kind, receiver_id, _ in people
            ]
        )
        return True

    def _audience(
        self, uow: UnitOfWork, ticket: Ticket, step: EscalationStep
    ) -> Iterable[tuple[ReceiverKind, str, str]]:
        """Yield kind, id and name of those to tell; where nobody has the role, of the next one above."""
        if step is EscalationStep.TECHNICIAN:
            order = uow.work_orders.active_for_ticket(ticket.tenant, ticket.ticket_id)
            if order is not None and order.technician_id is not None:
                technician = uow.technicians.get(ticket.tenant, order.technician_id)
                yield ReceiverKind.TECHNICIAN, technician.technician_id, technician.name
                return
        for user in desk_of(uow, ticket, _ROLES[step]):
            yield ReceiverKind.USER, user.user_id, user.name
