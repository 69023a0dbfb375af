"""Telling people, as part of the simulated months: escalations by timers of nodes that die, notices over a bad line.

Each node has a timer of its own that is lost when the node dies; the other looks a minute later, as its next round would.
The line refuses some messages for a while, and nodes die before and after they have sent one. `finish` states what must
hold: each step told once, in time, to whom it belongs; one message per change, in order, none lost, none doubled.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from config.locale_files import load_messages
from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.money import Money
from crm_core.domain.notices import Channel, EscalationNote, Notice, NoticeState, ReceiverKind
from crm_core.domain.service import Role, Ticket, TicketEvent, TicketState, User
from crm_core.domain.sla import EscalationStep, Promise
from crm_core.escalation import Escalation, EscalationSchedule, moments, running
from crm_core.notices.addressing import Addressing
from crm_core.notices.announcing import Announcer
from crm_core.notices.delivery import Deliverer
from crm_core.ports import Changes, UnitOfWork, UnitOfWorkFactory
from crm_core.sla import due_instant
from crm_core.storage.memory import MemoryUnitOfWorkFactory
from crm_core.ticket_states import Move, last_event, pauses_of
from tests.builders import TENANT, ManualClock, a_customer, a_technician
from tests.scenarios.simulation_checks import POLICY, Broken, Crash

LATE = timedelta(minutes=10)  # a step is told so long after its moment at most
TOLD_BY = {
    EscalationStep.DISPATCHER: "dispatcher",
    EscalationStep.SUPERVISOR: "supervisor",
    EscalationStep.MANAGER: "manager",
}
MESSAGES = load_messages()
Later = Callable[[datetime, str, object], None]


class Killed(Exception):
    """A node dies while it sends."""


class Line:
    """The way out: it refuses now and then, and nodes die at it; it keeps what went out."""

    def __init__(self, clock: ManualClock, draw: random.Random) -> None:
        self._clock, self._draw = clock, draw
        self.sent: list[Notice] = []
        self.repeats: Counter[str] = Counter()  # of these a second copy is nobody's fault
        self.good = False

    def send(self, notice: Notice, title: str, text: str) -> None:
        if not (title and text) or notice.due_at > self._clock.now():
            raise Broken(f"{notice.unique_key} left without words, or before its time")
        luck = 1.0 if self.good else self._draw.random()
        if luck < 0.03:
            raise Killed
        if luck < 0.1:
            raise StoreUnavailable("the line is down")
        self.sent.append(notice)
        if luck < 0.13:
            self.repeats[notice.unique_key] += 1
            raise Killed


class Telling:
    """Escalation and delivery of all nodes, with what must hold of them. `later` puts a wake-up on the agenda."""

    def __init__(
        self,
        seed: int,
        store: MemoryUnitOfWorkFactory,
        dying: UnitOfWorkFactory,
        clock: ManualClock,
        later: Later,
    ) -> None:
        self._draw, self._store, self._clock, self._later = random.Random(~seed), store, clock, later
        self.changed = False
        self.line = Line(clock, self._draw)
        self._announced: dict[tuple[int, int], TicketEvent] = {}
        self._wakes: dict[int, datetime] = {}
        addressing = Addressing(POLICY, frozenset({Channel.MAIL, Channel.SMS}))
        store.on_commit(EscalationSchedule(POLICY))
        store.on_commit(Announcer(addressing, clock, lambda *_: Money(Decimal(0))))
        store.on_commit(self._note)
        self._escalations = [
            Escalation(dying, clock, POLICY, addressing, _NodeTimer(self, node)) for node in range(2)
        ]
        self._deliverers = [
            Deliverer(
                dying, clock, POLICY, MESSAGES, {Channel.MAIL: self.line, Channel.SMS: self.line},
                holder=f"n{node}", time_zone="Asia/Shanghai",
            )
            for node in range(2)
        ]  # fmt: skip

    def set_up(self, uow: UnitOfWork) -> None:
        uow.customers.save(replace(a_customer(), email="c1@example.com"))
        uow.technicians.save(replace(a_technician("t1"), phone="13800000000"))
        for role in (Role.DISPATCHER, Role.SUPERVISOR, Role.MANAGER):
            uow.users.save(
                User(tenant=TENANT, user_id=role.value, name=role.value, role=role, password_hash="x")
            )

    def _note(self, _uow: UnitOfWork, changes: Changes) -> None:
        for ticket in changes.tickets.values():
            self.changed = True
            last = ticket.events[-1]
            if last.from_state != last.to_state:
                self._announced[ticket.ticket_id, len(ticket.events)] = last

    # --- what happens ---

    def wake_at(self, node: int, at: datetime) -> None:
        if self._wakes.get(node) != at:
            self._wakes[node] = at
            self._later(at, "escalate", (node, at))

    def woken(self, node: int, at: datetime) -> None:
        """Let the timer of a node ring, unless it was set anew meanwhile or its node has died."""
        if self._wakes.get(node) != at:
            return
        del self._wakes[node]
        self.look(1 - node if self._draw.random() < 0.1 else node)

    def look(self, node: int | None = None) -> None:
        """Let a node tell what is due; when it dies before its commit the other looks a minute later."""
        node = self._draw.randrange(2) if node is None else node
        self.changed = False
        try:
            self._escalations[node].run(TENANT)
        except Crash:
            self._wakes[1 - node] = at = self._clock.now() + timedelta(minutes=1)
            self._later(at, "escalate", (1 - node, at))

    def deliver(self) -> None:
        with suppress(Crash, Killed):
            self._draw.choice(self._deliverers).run()

    # --- what must hold ---

    def finish(self, tickets: list[Ticket], end: datetime) -> None:
        self.line.good = True
        for _ in range(12):  # the line is good again: all that waits leaves
            self._clock.advance(hours=4)
            self.deliver()
        with self._store() as uow:
            notices = uow.notices.list(TENANT, limit=10**6)
            steps = {
                ticket.ticket_id: uow.notices.escalations(TENANT, ticket.ticket_id) for ticket in tickets
            }
        self._check_sent(notices)
        of_subject: dict[str, list[Notice]] = defaultdict(list)
        for notice in notices:
            of_subject[notice.subject].append(notice)
        for ticket in tickets:
            about = of_subject[f"ticket:{ticket.ticket_id}"]
            self._check_announced(
                ticket, [each for each in about if each.receiver_kind is ReceiverKind.CUSTOMER]
            )
            self._check_steps(ticket, steps[ticket.ticket_id], about, end)

    def _check_sent(self, notices: list[Notice]) -> None:
        times = Counter(notice.unique_key for notice in self.line.sent)
        last: dict[tuple[str, str], int] = {}
        for notice in self.line.sent:
            line = notice.address, notice.subject
            if notice.notice_id < last.get(line, 0):
                raise Broken(f"{notice.unique_key} overtook what was said before it")
            last[line] = notice.notice_id
        for notice in notices:
            if notice.state is NoticeState.WAITING:
                raise Broken(f"{notice.unique_key} waits for ever")
            if notice.state is NoticeState.SENT and times[notice.unique_key] == 0:
                raise Broken(f"{notice.unique_key} is lost")
            if times[notice.unique_key] > 1 + self.line.repeats[notice.unique_key]:
                raise Broken(f"{notice.unique_key} was sent twice by the same node")

    def _check_announced(self, ticket: Ticket, found: list[Notice]) -> None:
        said = {
            notice.unique_key: notice.arguments["state"]
            for notice in found
            if notice.topic.startswith("ticket.")
        }
        if len(said) != sum(notice.topic.startswith("ticket.") for notice in found):
            raise Broken("one change was announced twice")
        for number, event in enumerate(ticket.events, start=1):
            if self._announced.get((ticket.ticket_id, number)) != event:
                continue
            told = event.to_state.value in POLICY.notices.told_states
            if event.to_state is TicketState.AUTO_RESOLVED and not said:
                told = False
            if told and said.get(f"ticket:{ticket.ticket_id}:{number}:customer") != event.to_state.value:
                raise Broken(f"the customer was not told that a ticket is {event.to_state}")

    def _check_steps(
        self, ticket: Ticket, steps: list[EscalationNote], about: list[Notice], end: datetime
    ) -> None:
        for note in steps:
            key = f"escalation:{ticket.ticket_id}:{note.clock}:{note.step}:"
            if (
                len([each for each in about if each.unique_key.startswith(key)]) != len(note.told)
                or not note.told
            ):
                raise Broken(f"{note.step} was told {note.clock} not exactly once")
            if note.step in TOLD_BY and note.told != (TOLD_BY[note.step],):
                raise Broken(f"{note.step} of {note.clock} went to {note.told}")
            self._check_moment(ticket, note)
            before = [event.at for event in ticket.events if event.at <= note.told_at]
            if not note.reached_at <= note.told_at <= max(note.reached_at, *before) + LATE:
                raise Broken(f"{note.step} of {note.clock} was told at the wrong time")
            if any(pause.start < note.told_at < pause.end for pause in pauses_of(ticket)):
                raise Broken(f"{note.step} of {note.clock} was told while the customer was waited for")
        told = {(note.clock, note.step) for note in steps}
        was_held = last_event(ticket, Move.SUPPRESS) is not None and last_event(ticket, Move.RELEASE) is None
        for clock in () if was_held else ticket.clocks:  # those of a held ticket begin with its release
            until = clock.met_at or (end if clock in running(ticket) else ticket.raised_at)
            for step, at in moments(clock, ticket, POLICY.sla).items():
                if at < until - LATE and ticket.changed_at < end - LATE and (clock.kind, step) not in told:
                    raise Broken(f"{step} was never told of {clock.kind}")

    def _check_moment(self, ticket: Ticket, note: EscalationNote) -> None:
        """State that a step fell due where the clock, its calendar and the pauses up to then put it."""
        clock = ticket.clock(note.clock)
        if clock is None or ticket.cause == "jam.any":  # that one becomes worse, and its promise another one
            return
        share = timedelta(seconds=clock.duration_seconds * POLICY.sla.escalation[note.step])
        promise = Promise(kind=clock.kind, duration=share, business_hours=clock.business_hours)
        pauses = [pause for pause in pauses_of(ticket) if pause.end <= note.told_at]
        calendar = POLICY.sla.calendar_named(clock.calendar)
        if due_instant(calendar, clock.started_at, promise, pauses) != note.reached_at:
            raise Broken(f"{note.step} of {note.clock} was not due when it was said to be")


class _NodeTimer:
    """The timer of one node (`ports.Timer`)."""

    def __init__(self, telling: Telling, node: int) -> None:
        self._telling, self._node = telling, node

    def wake_at(self, _name: str, at: datetime) -> None:
        self._telling.wake_at(self._node, at)
