"""Escalation: each step of a clock is told once, to the right people, at the moment that the arithmetic says."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from crm_core.domain.fleet import CustomerTier
from crm_core.domain.identity import TechnicianId, TicketId, UserId
from crm_core.domain.notices import NoticeState, ReceiverKind
from crm_core.domain.service import ClockKind, Role, TicketState, User
from crm_core.domain.sla import EscalationStep
from crm_core.escalation import Escalation, EscalationSchedule, moments, running
from crm_core.notices.addressing import Addressing
from crm_core.sla import due_instant, paused_due, restore_promise
from crm_core.ticket_states import Move, pauses_of
from tests.builders import T0, TENANT, a_condition
from tests.policies import L1, L2, L3, a_calendar, a_policy
from tests.unit.crm_core.desk import HOUR, Desk

STEPS = list(EscalationStep)


class Woken:
    """A timer that only remembers."""

    def __init__(self) -> None:
        self.at = None

    def wake_at(self, name, at):
        assert name == "escalation"
        self.at = at


class Watched(Desk):
    """A desk whose promises are watched."""

    def __init__(self, **about):
        super().__init__(**about)
        self.uow_factory.on_commit(EscalationSchedule(self.policy))
        self.timer = Woken()
        self.escalation = self.another_node()
        with self.uow_factory() as uow:
            for name, role in (("dora", Role.DISPATCHER), ("sven", Role.SUPERVISOR), ("mei", Role.MANAGER)):
                user = User(tenant=TENANT, user_id=UserId(name), name=name, role=role, password_hash="x")
                uow.users.save(user)
            uow.commit()

    def another_node(self):
        return Escalation(self.uow_factory, self.clock, self.policy, Addressing(self.policy), self.timer)

    def told(self, ticket_id=1):
        with self.uow_factory() as uow:
            return [(n.clock, n.step, n.told) for n in uow.notices.escalations(TENANT, TicketId(ticket_id))]

    def wake(self):
        """Let the time pass until the timer rings, and run."""
        self.clock.advance(seconds=(self.timer.at - self.clock.now()).total_seconds())
        return self.escalation.run(TENANT)


def test_each_step_is_told_once_at_its_moment():
    desk = Watched(tier=CustomerTier.CORE)
    desk.see(a_condition("fault.fuser", level=L3))
    desk.dispatcher.dispatch(TENANT)
    desk.escalation.run(TENANT)
    restore = desk.ticket().clock(ClockKind.RESTORE)
    assert restore.duration_seconds == 48 * 3600
    rung = []
    for _ in range(8):
        report = desk.wake()
        rung.append((desk.clock.now() - T0, report.told))
    assert [told for _, told in rung] == [1] * 8
    # 30 minutes of first response: 15, 24, 30, 45 minutes; 48 hours of restore: 24, 38.4, 48, 72 hours
    minutes = [round(at.total_seconds() / 60) for at, _ in rung]
    assert minutes == [15, 24, 30, 45, 24 * 60, 2304, 48 * 60, 72 * 60]
    assert [(clock, step) for clock, step, _ in desk.told()] == [
        (kind, step) for kind in (ClockKind.RESPOND, ClockKind.RESTORE) for step in STEPS
    ]
    assert [people for *_, people in desk.told()[4:]] == [("T1",), ("dora",), ("sven",), ("mei",)]
    assert desk.escalation.run(TENANT).told == 0
    assert desk.another_node().run(TENANT).told == 0  # a restart, or the other node
    with desk.uow_factory() as uow:
        notices = uow.notices.list(TENANT, receiver=(ReceiverKind.USER, "sven"))
        assert [each.topic for each in notices] == ["escalation.supervisor"] * 2
        assert {each.state for each in notices} == {NoticeState.RECORDED}  # no channel is set up
        assert notices[0].arguments["percent"] == 100


def test_who_comes_late_tells_everything_once():
    desk = Watched()
    desk.see(a_condition("fault.fuser", level=L3))
    desk.later(days=30)
    assert desk.escalation.run(TENANT).told == 8
    assert desk.escalation.run(TENANT).told == 0
    assert desk.told()[0][2] == ("dora",)  # no technician yet: the dispatcher is told in his place


def test_a_kept_promise_escalates_no_more():
    desk = Watched()
    desk.see(a_condition("fault.fuser", level=L3))
    desk.escalation.run(TENANT)
    desk.servicedesk.acknowledge(TENANT, TicketId(1), actor="dora")
    desk.later(hours=23)
    assert desk.escalation.run(TENANT).told == 0
    desk.later(hours=2)
    assert desk.escalation.run(TENANT).told == 1
    desk.repair()
    desk.later(days=10)
    assert desk.escalation.run(TENANT).told == 0  # done; telemetry has the word


def test_waiting_for_the_customer_stops_the_escalation_and_moves_it():
    desk = Watched()
    desk.see(a_condition("fault.fuser", level=L3))
    desk.escalation.run(TENANT)
    desk.servicedesk.move(TENANT, TicketId(1), Move.WAIT_CUSTOMER, actor="dora")
    desk.later(days=5)
    assert desk.escalation.run(TENANT).told == 0
    assert running(desk.ticket()) == ()
    desk.servicedesk.move(TENANT, TicketId(1), Move.RESUME, actor="dora")
    desk.later(hours=23)
    assert desk.escalation.run(TENANT).told == 0
    desk.later(hours=1)
    assert desk.escalation.run(TENANT).told == 1
    assert desk.told() == [(ClockKind.RESTORE, EscalationStep.TECHNICIAN, ("dora",))]


def test_a_call_back_is_owed_after_the_ticket_is_solved():
    desk = Watched()
    desk.see(a_condition("jam.tray2", category="jam", level=L1))
    ticket = desk.servicedesk.acknowledge(TENANT, TicketId(1), actor="dora")
    ticket = desk.servicedesk.move(TENANT, TicketId(1), Move.FIX_BY_PHONE, actor="dora")
    call = ticket.clock(ClockKind.CALL_BACK)
    assert call.due_at == desk.clock.now() + 24 * HOUR
    desk.later(hours=12)
    assert desk.escalation.run(TENANT).told == 1
    closed = desk.servicedesk.move(TENANT, TicketId(1), Move.CALL_BACK, actor="dora", note="all well")
    assert (closed.state, closed.clock(ClockKind.CALL_BACK).met_at) == (TicketState.CLOSED, desk.clock.now())
    desk.later(days=3)
    assert desk.escalation.run(TENANT).told == 0


def test_nobody_is_told_twice_when_two_nodes_run_at_once():
    desk = Watched()
    desk.see(a_condition("fault.fuser", level=L3))
    other = desk.another_node()
    desk.later(hours=25)
    assert desk.escalation.run(TENANT).told + other.run(TENANT).told == 5


def test_a_published_calendar_changes_what_is_owed():
    unpublished = a_policy(calendar=a_calendar(provisional_from=2026))
    desk = Watched(policy=unpublished)
    desk.see(a_condition("fault.fuser", level=L3))
    before = desk.ticket().clock(ClockKind.RESPOND)
    assert before.provisional
    day = date.fromisoformat(str(T0.date()))
    published = a_policy(calendar=a_calendar(provisional_from=2030, holidays=frozenset({day})))
    node = Escalation(desk.uow_factory, desk.clock, published, Addressing(published), desk.timer)
    assert node.run(TENANT).recomputed == 1
    after = desk.ticket().clock(ClockKind.RESPOND)
    assert (after.provisional, after.due_at > before.due_at) == (False, True)
    assert desk.ticket().events[-1].event == "calendar_published"
    assert node.run(TENANT).recomputed == 0


@pytest.mark.parametrize("step", STEPS)
def test_shares_are_of_the_promise_and_not_of_the_pauses(step):
    policy = a_policy()
    desk = Desk(policy)
    desk.see(a_condition("supply.1.1", level=L2, category="consumable"))
    desk.later(hours=1)
    desk.servicedesk.move(TENANT, TicketId(1), Move.WAIT_ACCESS, actor="x")
    desk.later(hours=3)
    ticket = desk.servicedesk.move(TENANT, TicketId(1), Move.RESUME, actor="x")
    clock = ticket.clock(ClockKind.RESTORE)
    share = policy.sla.escalation[step]
    assert moments(clock, ticket, policy.sla)[step] == T0 + timedelta(hours=24 * share + 3)
    promise = replace(restore_promise(policy.sla, L2), duration=timedelta(hours=24))
    arguments = (policy.sla.calendar, T0, promise, pauses_of(ticket))
    assert due_instant(*arguments) == paused_due(*arguments).due_at == clock.due_at


def test_technicians_are_told_by_their_name():
    desk = Watched()
    desk.see(a_condition("fault.fuser", level=L3))
    desk.dispatcher.dispatch(TENANT)
    assert desk.orders()[0].technician_id == TechnicianId("t1")
    desk.later(hours=24)
    desk.escalation.run(TENANT)
    with desk.uow_factory() as uow:
        told = uow.notices.list(TENANT, receiver=(ReceiverKind.TECHNICIAN, "t1"))
    assert "escalation.technician" in [each.topic for each in told]
