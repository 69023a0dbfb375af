"""Planning a day through the store: starts within the shift, promises kept, calls left alone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from crm_core.day_planning import DayPlanner
from crm_core.domain.identity import TechnicianId
from crm_core.domain.messages import packed
from crm_core.domain.roster import AbsenceKind
from crm_core.domain.service import PartNeed, WorkOrderKind, WorkOrderState
from crm_core.domain.stock import van_of
from crm_core.fieldwork.roster import Roster
from crm_core.ports import WorkOrderFilter
from crm_core.stock.van_parts import VanParts
from tests.builders import T0, TENANT, a_condition, a_technician
from tests.policies import L1, L3, a_policy, a_triage_policy
from tests.stock_builders import a_move, an_item
from tests.unit.crm_core.desk import HOUR, Desk

FUSER = a_condition("fault.fuser", L3)


def planned(desk):
    return {order.device_id: (order.technician_id, order.planned_start) for order in desk.orders()}


def a_desk(devices=3):
    desk = Desk(a_policy(a_triage_policy(max_automatic_tickets_per_site_day=100)), devices=devices)
    with desk.uow_factory() as uow:
        uow.technicians.save(a_technician("t2"))
        uow.commit()
    return desk, DayPlanner(desk.uow_factory, desk.clock, desk.policy)


def test_every_visit_gets_a_start_in_the_shift_and_calls_none():
    desk, planner = a_desk()
    for number in (1, 2, 3):
        desk.see(FUSER if number < 3 else a_condition("jam.any", L1), device_id=f"d{number}")
    desk.dispatcher.dispatch(TENANT)
    report = planner.plan(TENANT)
    assert (report.planned, report.promised, report.left_out) == (2, 2, {})
    for order in desk.orders():
        if order.kind is WorkOrderKind.PHONE:
            assert order.planned_start is None
        else:
            assert T0 <= order.planned_start <= T0 + 9 * HOUR


def test_what_was_promised_stays_when_more_comes():
    desk, planner = a_desk(devices=6)
    for number in (1, 2, 3):
        desk.see(FUSER, device_id=f"d{number}")
    desk.dispatcher.dispatch(TENANT)
    planner.plan(TENANT)
    before = planned(desk)
    assert planner.plan(TENANT).promised == 0
    assert planned(desk) == before
    for number in (4, 5, 6):
        desk.see(a_condition(f"fault.part{number}", L3), device_id=f"d{number}")
    desk.dispatcher.dispatch(TENANT)
    assert planner.plan(TENANT).promised == 3
    after = planned(desk)
    for device_id, (technician, start) in before.items():
        assert after[device_id][0] == technician
        assert after[device_id][1] == start


def test_after_hours_the_next_working_day_is_planned():
    desk, planner = a_desk(devices=1)
    desk.clock.move_to(T0 + 4 * 24 * HOUR + 10 * HOUR)  # Friday 19:00
    desk.see(FUSER)
    desk.dispatcher.dispatch(TENANT)
    planner.plan(TENANT)
    assert planned(desk)["d1"][1] >= T0 + 7 * 24 * HOUR


def test_a_day_that_is_full_says_so():
    policy = a_policy(a_triage_policy(max_automatic_tickets_per_site_day=100))
    desk = Desk(policy, devices=40)
    planner = DayPlanner(desk.uow_factory, desk.clock, desk.policy)
    for number in range(1, 41):
        desk.see(a_condition(f"fault.part{number}", L3), device_id=f"d{number}")
    desk.dispatcher.dispatch(TENANT)
    report = planner.plan(TENANT)
    assert report.planned + len(report.left_out) == len(desk.orders())
    assert set(report.left_out.values()) == {"tickets.plan.day_full"}


def ill(desk, technician="t1", hours=9):
    now = desk.clock.now()
    Roster(desk.uow_factory, desk.clock, desk.policy).note_absence(
        TENANT, technician, now, now + timedelta(hours=hours), kind=AbsenceKind.ILL, actor="u1"
    )


def test_a_sick_call_moves_only_the_visits_of_the_ill_each_with_its_reason():
    desk, planner = a_desk(devices=10)
    for number in range(1, 11):
        desk.see(a_condition(f"fault.part{number}", L3), device_id=f"d{number}")
    desk.dispatcher.dispatch(TENANT)
    planner.plan(TENANT)
    before = planned(desk)
    assert {technician for technician, _ in before.values()} == {"t1", "t2"}
    ill(desk, "t1")
    report = planner.plan(TENANT)
    after = planned(desk)
    moved = {device_id for device_id in before if before[device_id] != after[device_id]}
    assert moved == {device_id for device_id, (technician, _) in before.items() if technician == "t1"}
    assert {change.device_id for change in report.changes} == moved
    for change in report.changes:
        assert (change.technician_before, change.start_before) == before[change.device_id]
        assert (change.technician, change.start) == after[change.device_id]
        assert change.reason.startswith(("tickets.replanned.absent", "tickets.plan."))
    reasons = {order.device_id: order.assigned_reason for order in desk.orders()}
    assert all(reasons[change.device_id] == change.reason for change in report.changes)
    assert planner.plan(TENANT).changes == ()


def test_who_is_away_gets_no_new_work():
    desk, planner = a_desk(devices=2)
    ill(desk, "t1")
    for number in (1, 2):
        desk.see(a_condition(f"fault.part{number}", L3), device_id=f"d{number}")
    desk.dispatcher.dispatch(TENANT)
    planner.plan(TENANT)
    assert {technician for technician, _ in planned(desk).values()} == {"t2"}


def test_with_nobody_there_the_visits_wait_with_the_reason():
    desk, planner = a_desk(devices=1)
    desk.see(FUSER)
    desk.dispatcher.dispatch(TENANT)
    planner.plan(TENANT)
    ill(desk, "t1")
    ill(desk, "t2")
    (change,) = planner.plan(TENANT).changes
    assert (change.technician, change.start, change.reason) == (None, None, "tickets.plan.nobody_able")
    (order,) = desk.orders()
    assert (order.technician_id, order.planned_start) == (None, None)
    assert order.state is WorkOrderState.PLANNED


def test_a_visit_under_way_is_left_alone_and_the_next_begins_after_it():
    desk, planner = a_desk(devices=2)
    ill(desk, "t2", hours=24)
    desk.see(FUSER, device_id="d1")
    desk.dispatcher.dispatch(TENANT)
    planner.plan(TENANT)
    first = desk.orders()[0]
    desk.servicedesk.depart(TENANT, first.work_order_id, actor="t1")
    desk.see(a_condition("fault.part2", L3), device_id="d2")
    desk.dispatcher.dispatch(TENANT)
    planner.plan(TENANT)
    one, two = desk.orders()
    assert one.planned_start == first.planned_start
    assert two.planned_start >= one.planned_start + HOUR


def test_own_hours_and_a_missed_time():
    desk, planner = a_desk(devices=1)
    ill(desk, "t2", hours=24)
    with desk.uow_factory() as uow:
        uow.technicians.save(
            replace(a_technician("t1"), shift_starts_minutes=13 * 60, shift_ends_minutes=17 * 60)
        )
        uow.commit()
    desk.see(FUSER)
    desk.dispatcher.dispatch(TENANT)
    planner.plan(TENANT)
    (order,) = desk.orders()
    assert order.planned_start == T0 + 4 * HOUR + timedelta(minutes=20)  # 13:00 and the way
    desk.clock.move_to(order.planned_start + HOUR)
    (change,) = planner.plan(TENANT).changes
    assert change.reason.startswith("tickets.replanned.missed")
    assert change.start > order.planned_start + HOUR


@pytest.mark.parametrize("warehouse", [0, 1])
def test_only_a_van_with_the_part_goes_unless_a_warehouse_has_it(warehouse):
    desk, planner = a_desk(devices=1)
    with desk.uow_factory() as uow:
        uow.stock.save_item(an_item("fuser-1", colour=None, kind="fuser"))
        uow.stock.post([a_move(target=van_of(TechnicianId("t2")), item_id="fuser-1", effect="van")])
        if warehouse:
            uow.stock.post([a_move(item_id="fuser-1", effect="warehouse")])
        uow.commit()
    desk.see(FUSER)
    desk.dispatcher.dispatch(TENANT)
    with desk.uow_factory() as uow:
        (listed,) = uow.work_orders.list(TENANT, WorkOrderFilter())
        order = uow.work_orders.save(replace(listed, parts=(PartNeed(kind="fuser"),)))
        uow.commit()
    with desk.uow_factory() as uow:
        vans = VanParts.of(uow, TENANT, [order])
    assert vans.needed(order) == ({} if warehouse else {"fuser-1": 1})
    assert vans.carried(TechnicianId("t2")) == {"fuser-1": 1}
    planner.plan(TENANT)
    if not warehouse:
        assert planned(desk)["d1"][0] == "t2"


def test_care_that_was_pulled_forward_stands_beside_the_visit_and_moves_nobody():
    """A core customer's care is no reason to break a promise: it fills what is open, at the site without another way."""
    desk, planner = a_desk(devices=3)
    for number in (1, 2):
        desk.see(a_condition(f"fault.part{number}", L3), device_id=f"d{number}")
    desk.dispatcher.dispatch(TENANT)
    planner.plan(TENANT)
    before = planned(desk)
    first = desk.orders()[0]
    with desk.uow_factory() as uow:
        care = replace(
            first, kind=WorkOrderKind.MAINTENANCE, device_id="d3", ticket_ids=(), planned_start=None
        )
        made = uow.work_orders.add(
            replace(care, assigned_reason=packed("tickets.assigned.care_along", percent=90))
        )
        uow.commit()
    assert planner.plan(TENANT).changes == ()
    (stop,) = (order for order in desk.orders() if order.work_order_id == made.work_order_id)
    assert stop.technician_id == first.technician_id
    starts = sorted(start for _, start in planned(desk).values())
    assert stop.planned_start == starts[-1] == starts[-2] + HOUR  # no way in between: the same site
    assert all(planned(desk)[device_id] == told for device_id, told in before.items())
