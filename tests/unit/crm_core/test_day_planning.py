"""Planning a day through the store: starts within the shift, promises kept, calls left alone."""

from datetime import timedelta

from crm_core.day_planning import DayPlanner
from crm_core.domain.service import WorkOrderKind
from tests.builders import T0, TENANT, a_condition, a_technician
from tests.policies import L1, L3, a_policy, a_triage_policy
from tests.unit.crm_core.desk import HOUR, Desk

FUSER = a_condition("fault.fuser", L3)


def planned(desk):
    return {order.device_id: (order.technician_id, order.planned_start) for order in desk.orders()}


def a_desk(devices=3):
    desk = Desk(devices=devices)
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
        assert timedelta() <= after[device_id][1] - start <= timedelta(minutes=30)


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
