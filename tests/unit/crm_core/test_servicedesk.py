"""The service desk: the state machine as the table says, clocks kept by the right moves, visits from plan to done."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from crm_core.domain.errors import Conflict, IllegalTransition, InvalidValue, NotFound
from crm_core.domain.fleet import CustomerTier
from crm_core.domain.identity import DeviceId, TicketId
from crm_core.domain.service import OPEN_STATES, ClockKind, TicketState, WorkOrderState
from crm_core.servicedesk import Outcome
from crm_core.sla import clocks_for
from crm_core.ticket_states import (
    TRANSITIONS,
    Move,
    diagram,
    moved,
    pauses_of,
    possible_moves,
)
from tests.builders import T0, TENANT, a_condition, a_ticket
from tests.policies import L1, L2, L3, a_policy
from tests.unit.crm_core.desk import HOUR, Desk

FUSER = a_condition("fault.fuser", L3)
DOCUMENT = Path(__file__).parents[3] / "docs" / "ticket-states.md"


def step(ticket, move, at=T0, actor="li", note="why"):
    return moved(ticket, move, at=at, actor=actor, sla=a_policy().sla, note=note)


def test_the_diagram_in_the_docs_is_current():
    """Rebuild it with `python -m tests.unit.crm_core.write_ticket_states`."""
    assert diagram() in DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize("state", TicketState)
@pytest.mark.parametrize("move", Move)
def test_only_moves_of_the_table_are_possible(state, move):
    ticket = a_ticket(state=state, level=L1)
    if (state, move) in TRANSITIONS:
        assert step(ticket, move).state is TRANSITIONS[state, move]
    else:
        with pytest.raises(IllegalTransition):
            step(ticket, move)


def test_every_open_state_can_be_left_and_ends_are_final():
    for state in TicketState:
        moves = possible_moves(state)
        assert bool(moves) == (
            state in OPEN_STATES or state in (TicketState.RESOLVED, TicketState.AUTO_RESOLVED)
        )


@pytest.mark.parametrize("level", [L2, L3])
def test_only_a_common_fault_is_fixed_by_phone(level):
    with pytest.raises(IllegalTransition, match="plan a visit"):
        step(a_ticket(state=TicketState.TRIAGED, level=level), Move.FIX_BY_PHONE)


@pytest.mark.parametrize("move", [Move.MERGE, Move.CANCEL])
def test_an_end_without_repair_needs_a_reason(move):
    with pytest.raises(InvalidValue):
        step(a_ticket(), move, note="  ")


def a_clocked_ticket(**changes):
    clocks = clocks_for(a_policy().sla, "v", level=L1, customer=None, contract=None, start=T0)
    return a_ticket(level=L1, clocks=clocks, **changes)


def test_the_first_response_is_a_persons():
    by_machine = step(a_clocked_ticket(), Move.PLAN, T0 + HOUR, actor="drumbeat")
    assert by_machine.clock(ClockKind.RESPOND).met_at is None
    by_person = step(by_machine, Move.ACKNOWLEDGE, T0 + 2 * HOUR)
    assert by_person.clock(ClockKind.RESPOND).met_at == T0 + 2 * HOUR
    assert step(by_person, Move.START, T0 + 3 * HOUR).clock(ClockKind.RESPOND).met_at == T0 + 2 * HOUR


def test_only_what_the_customer_has_in_hand_stops_the_clocks():
    """Restore of L1 is 8 business hours from 09:00: 18:00; an hour of waiting for the customer moves it to 09-10 next day."""
    for wait, moves_by in ((Move.WAIT_CUSTOMER, True), (Move.WAIT_ACCESS, True), (Move.WAIT_PARTS, False)):
        waiting = step(a_clocked_ticket(), wait, T0 + HOUR)
        resumed = step(waiting, Move.RESUME, T0 + 2 * HOUR)
        due = resumed.clock(ClockKind.RESTORE).due_at
        assert due == (T0 + 25 * HOUR if moves_by else T0 + 9 * HOUR)
        assert len(pauses_of(resumed)) == moves_by


def test_a_second_wait_counts_too_and_an_unfinished_one_not_yet():
    ticket = a_clocked_ticket()
    for move, hour in ((Move.WAIT_CUSTOMER, 1), (Move.RESUME, 2), (Move.WAIT_ACCESS, 4), (Move.PLAN, 5)):
        ticket = step(ticket, move, T0 + hour * HOUR)
    ticket = step(ticket, Move.WAIT_CUSTOMER, T0 + 6 * HOUR)
    assert [(pause.start, pause.end) for pause in pauses_of(ticket)] == [
        (T0 + HOUR, T0 + 2 * HOUR),
        (T0 + 4 * HOUR, T0 + 5 * HOUR),
    ]
    # 8 h of work and two pauses: 09-10, 10-11 paused, 11-12, lunch, 13-14 paused, 14-18, and 2 h on Tuesday
    assert ticket.clock(ClockKind.RESTORE).due_at == T0 + 26 * HOUR


def test_a_recurrence_takes_back_the_restore():
    ticket = a_clocked_ticket(state=TicketState.IN_PROGRESS)
    done = step(ticket, Move.DONE, T0 + HOUR)
    assert done.clock(ClockKind.RESTORE).met_at is None
    confirmed = step(done, Move.CONFIRMED, T0 + 5 * HOUR, actor="drumbeat")
    assert confirmed.clock(ClockKind.RESTORE).met_at == T0 + HOUR
    assert step(done, Move.RECURRED, T0 + 2 * HOUR).clock(ClockKind.RESTORE).met_at is None


def test_what_cannot_be_fixed_goes_a_level_up_with_its_first_clocks():
    ticket = a_clocked_ticket(state=TicketState.IN_PROGRESS)
    after = step(ticket, Move.CANNOT_FIX, T0 + HOUR)
    assert (after.level, after.state) == (L2, TicketState.ESCALATED)
    assert after.clock(ClockKind.RESTORE) == ticket.clock(ClockKind.RESTORE)
    top = step(replace(ticket, level=L3), Move.CANNOT_FIX)
    assert top.level is L3


# --- through the store ---


def test_a_visit_from_plan_to_done():
    desk = Desk()
    desk.see(FUSER)
    order = desk.repair()
    assert (order.state, order.outcome, order.confirmed_cause) == (WorkOrderState.DONE, "fixed", "fuser")
    assert (order.started_at, order.done_at) == (T0, T0 + HOUR)
    assert [event.event for event in desk.ticket().events] == ["raise", "plan", "start", "arrive", "done"]
    with pytest.raises(IllegalTransition):
        desk.servicedesk.depart(TENANT, order.work_order_id, actor="t1")


def test_a_technician_who_forgot_to_depart_may_still_be_done():
    desk = Desk()
    desk.see(FUSER)
    desk.dispatcher.dispatch(TENANT)
    desk.servicedesk.done(TENANT, desk.orders()[0].work_order_id, actor="t1")
    assert desk.ticket().state is TicketState.RESOLVED_UNVERIFIED


@pytest.mark.parametrize(
    ("outcome", "state", "level"),
    [(Outcome.NOT_FIXED, TicketState.ESCALATED, L3), (Outcome.PARTS_NEEDED, TicketState.WAITING_PARTS, L2)],
)
def test_other_ends_of_a_visit(outcome, state, level):
    desk = Desk()
    desk.see(a_condition("supply.1.1", L2))
    desk.dispatcher.dispatch(TENANT)
    desk.servicedesk.done(TENANT, desk.orders()[0].work_order_id, actor="t1", outcome=outcome)
    assert (desk.ticket().state, desk.ticket().level) == (state, level)


def test_an_escalated_ticket_gets_a_new_visit():
    desk = Desk()
    desk.see(a_condition("supply.1.1", L2))
    desk.dispatcher.dispatch(TENANT)
    desk.servicedesk.done(TENANT, desk.orders()[0].work_order_id, actor="t1", outcome=Outcome.NOT_FIXED)
    desk.dispatcher.dispatch(TENANT)
    assert [order.state for order in desk.orders()] == [WorkOrderState.DONE, WorkOrderState.ASSIGNED]


def test_a_cancelled_visit_is_planned_again():
    desk = Desk()
    desk.see(FUSER)
    desk.dispatcher.dispatch(TENANT)
    desk.servicedesk.cancel_order(TENANT, desk.orders()[0].work_order_id, actor="li", note="van broken")
    assert desk.ticket().state is TicketState.TRIAGED
    assert desk.dispatcher.dispatch(TENANT).created == 1


def test_a_call_that_helps_ends_the_work_order():
    desk = Desk()
    desk.see(a_condition("jam.any", L1))
    desk.dispatcher.dispatch(TENANT)
    desk.servicedesk.move(TENANT, desk.ticket().ticket_id, Move.FIX_BY_PHONE, actor="li")
    assert desk.ticket().state is TicketState.RESOLVED
    assert desk.orders()[0].state is WorkOrderState.CANCELLED


def test_a_merged_ticket_leaves_its_shared_visit():
    desk = Desk()
    desk.see(FUSER, a_condition("supply.1.1", L2))
    desk.dispatcher.dispatch(TENANT)
    first, second = desk.tickets()
    desk.servicedesk.move(TENANT, first.ticket_id, Move.MERGE, actor="li", note="same as the other")
    assert desk.orders()[0].ticket_ids == (second.ticket_id,)
    assert desk.orders()[0].state is WorkOrderState.ASSIGNED


def test_what_a_person_reports_is_one_ticket_with_clocks():
    desk = Desk(tier=CustomerTier.CORE)
    report = {"level": L3, "category": "mechanical", "text": "it grinds", "actor": "li"}
    ticket = desk.servicedesk.report(TENANT, DeviceId("d1"), **report)
    assert ticket.clock(ClockKind.RESPOND).due_at == T0 + timedelta(minutes=30)
    with pytest.raises(Conflict, match=f"ticket {ticket.ticket_id} "):
        desk.servicedesk.report(TENANT, DeviceId("d1"), **report)
    with pytest.raises(NotFound):
        desk.servicedesk.report(TENANT, DeviceId("d404"), **report)


def test_two_people_at_one_ticket():
    desk = Desk()
    desk.see(FUSER)
    ticket = desk.ticket()
    desk.servicedesk.acknowledge(TENANT, ticket.ticket_id, actor="li", expected_version=ticket.version)
    with pytest.raises(Conflict):
        desk.servicedesk.acknowledge(TENANT, ticket.ticket_id, actor="wu", expected_version=ticket.version)
    with pytest.raises(NotFound):
        desk.servicedesk.acknowledge(TENANT, TicketId(404), actor="li")


def test_resolved_tickets_close_after_three_days():
    desk = Desk()
    desk.see(a_condition("jam.any", L1))
    desk.later(minutes=5)
    desk.see()
    desk.later(hours=71)
    assert desk.servicedesk.close_settled(TENANT) == 0
    desk.later(hours=1)
    assert desk.servicedesk.close_settled(TENANT) == 1
    assert desk.ticket().state is TicketState.CLOSED
