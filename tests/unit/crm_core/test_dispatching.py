"""Dispatch: one visit for what is open at a device, the right person with a reason, the strictest promise, the parts."""

from dataclasses import replace

import pytest

from config.locale_files import load_messages
from crm_core.domain.errors import Conflict, IllegalTransition, InvalidValue, NotFound
from crm_core.domain.service import ClockKind, TicketState, WorkOrderKind, WorkOrderState
from crm_core.guides import GUIDE_STEPS
from tests.builders import (
    T0,
    TENANT,
    a_condition,
    a_contract,
    a_device,
    a_site,
    a_supply_forecast,
    a_technician,
)
from tests.policies import L1, L2, L3
from tests.unit.crm_core.desk import HOUR, Desk

FUSER = a_condition("fault.fuser", L3)
TONER = a_condition(
    "supply.1.1", L2, detail={"supply_index": "1.1", "kind": "toner", "colour": "cyan", "label": "x"}
)


def test_each_ticket_gets_one_order_and_no_second_one():
    desk = Desk(devices=2)
    desk.see(FUSER)
    desk.see(FUSER, device_id="d2")
    report = desk.dispatcher.dispatch(TENANT)
    assert (report.created, report.assigned, report.unassigned) == (2, 2, 0)
    assert desk.dispatcher.dispatch(TENANT).created == 0
    assert {ticket.state for ticket in desk.tickets()} == {TicketState.SCHEDULED}


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        (a_condition("jam.any", L1), WorkOrderKind.PHONE),
        (TONER, WorkOrderKind.SUPPLY),
        (a_condition("fault.fuser", L3), WorkOrderKind.REPAIR),
        (a_condition("failure_risk.fuser", L3, category="failure_risk"), WorkOrderKind.INSPECTION),
        (a_condition("life.fuser", L2, category="part"), WorkOrderKind.MAINTENANCE),
        (a_condition("life.device", L1, category="replacement"), WorkOrderKind.REPLACEMENT),
    ],
)
def test_the_kind_of_a_job(condition, kind):
    desk = Desk()
    desk.see(condition)
    desk.dispatcher.dispatch(TENANT)
    assert desk.orders()[0].kind is kind


def test_a_talk_about_a_new_machine_brings_nothing():
    desk = Desk()
    desk.see(a_condition("life.device", L1, category="replacement", detail={"component": "device"}))
    desk.dispatcher.dispatch(TENANT)
    assert desk.orders()[0].parts == ()


def test_one_visit_serves_all_that_is_open_at_a_device():
    desk = Desk()
    desk.see(TONER, a_condition("fault.fuser", L3), a_condition("jam.any", L1))
    desk.dispatcher.dispatch(TENANT)
    visit, call = sorted(desk.orders(), key=lambda order: order.kind is WorkOrderKind.PHONE)
    assert (visit.kind, len(visit.ticket_ids)) == (WorkOrderKind.REPAIR, 2)
    assert (call.kind, len(call.ticket_ids)) == (WorkOrderKind.PHONE, 1)


def test_what_comes_later_joins_a_visit_that_has_not_begun():
    desk = Desk()
    desk.see(TONER)
    desk.dispatcher.dispatch(TENANT)
    other = a_condition("supply.1.2", L2, detail={"supply_index": "1.2", "kind": "toner", "colour": "black"})
    desk.later(minutes=5)
    desk.see(TONER, other)
    assert desk.dispatcher.dispatch(TENANT).extended == 1
    (order,) = desk.orders()
    assert [(part.colour, part.part_number) for part in order.parts] == [
        ("cyan", "TN-cyan"),
        ("black", "TN-black"),
    ]
    desk.servicedesk.depart(TENANT, order.work_order_id, actor="t1")
    desk.later(minutes=5)
    desk.see(TONER, other, a_condition("supply.1.3", L2))
    assert desk.dispatcher.dispatch(TENANT).created == 1


def test_supplies_that_run_out_soon_are_taken_along():
    desk = Desk()
    with desk.uow_factory() as uow:
        uow.forecasts.save_all(
            [
                a_supply_forecast("1.1", 3),
                a_supply_forecast("1.2", 6, replenish=False, colour="yellow"),
                a_supply_forecast("1.3", 60, replenish=False, colour="magenta"),
            ]
        )
        uow.commit()
    desk.see(TONER)
    desk.dispatcher.dispatch(TENANT)
    assert [part.colour for part in desk.orders()[0].parts] == ["cyan", "yellow"]
    assert desk.orders()[0].parts[1].note == "tickets.part.soon?days=6"


def test_the_strictest_promise_is_the_due_time():
    desk = Desk()
    with desk.uow_factory() as uow:
        uow.contracts.save(a_contract(on_site_hours=2))
        uow.devices.save(a_device("d1", contract_id="k1"))
        uow.commit()
    desk.see(a_condition("fault.fuser", L3), a_condition("jam.any", L1))
    desk.dispatcher.dispatch(TENANT)
    due = {order.kind: order.due_at for order in desk.orders()}
    assert due[WorkOrderKind.REPAIR] == T0 + 2 * HOUR
    respond = desk.tickets()[1].clock(ClockKind.RESPOND).due_at
    assert due[WorkOrderKind.PHONE] == respond


def test_region_and_skill_decide_then_the_fewest_jobs():
    desk = Desk(devices=4)
    with desk.uow_factory() as uow:
        uow.technicians.save(a_technician("t1", ("north",), ("acme",)))
        uow.technicians.save(a_technician("t2", ("*",), ("Acme", "Ricoh")))
        uow.technicians.save(a_technician("t3", ("south",), ("*",)))
        uow.technicians.save(a_technician("t4", ("north",), ("Kyocera",)))
        uow.commit()
    for number in range(1, 5):
        desk.see(FUSER, device_id=f"d{number}")
    desk.dispatcher.dispatch(TENANT)
    assert [order.technician_id for order in desk.orders()] == ["t1", "t2", "t1", "t2"]
    reason = desk.orders()[3].assigned_reason
    messages = load_messages()
    assert messages.unpacked("en", reason) == "Serves north, skilled for Acme, has 1 open jobs (fewest of 2)"
    assert "north" in messages.unpacked("zh-CN", reason)
    assert messages.unpacked("en", "li: he knows the place") == "li: he knows the place"


def test_without_anybody_the_order_waits_and_is_assigned_later():
    desk = Desk()
    with desk.uow_factory() as uow:
        uow.sites.save(a_site(region="west"))
        uow.commit()
    desk.see(TONER)
    report = desk.dispatcher.dispatch(TENANT)
    assert (report.assigned, desk.orders()[0].state) == (0, WorkOrderState.PLANNED)
    with desk.uow_factory() as uow:
        uow.technicians.save(a_technician("t9", ("west",)))
        uow.commit()
    assert desk.dispatcher.dispatch(TENANT).assigned == 1
    assert desk.orders()[0].technician_id == "t9"


def test_a_call_needs_no_region():
    desk = Desk()
    with desk.uow_factory() as uow:
        uow.sites.save(a_site(region="west"))
        uow.commit()
    desk.see(a_condition("jam.any", L1))
    desk.dispatcher.dispatch(TENANT)
    assert desk.orders()[0].technician_id == "t1"


def test_a_dispatcher_may_send_somebody_else():
    desk = Desk()
    with desk.uow_factory() as uow:
        uow.technicians.save(a_technician("t2"))
        uow.commit()
    desk.see(TONER)
    desk.dispatcher.dispatch(TENANT)
    (order,) = desk.orders()
    again = desk.dispatcher.reassign(TENANT, order.work_order_id, "t2", actor="li", reason="knows the place")
    assert (again.technician_id, again.assigned_reason) == ("t2", "li: knows the place")
    with pytest.raises(Conflict):
        desk.dispatcher.reassign(
            TENANT, order.work_order_id, "t1", actor="li", expected_version=order.version
        )
    with pytest.raises(NotFound):
        desk.dispatcher.reassign(TENANT, order.work_order_id, "t404", actor="li")
    desk.servicedesk.depart(TENANT, order.work_order_id, actor="t2")
    with pytest.raises(IllegalTransition):
        desk.dispatcher.reassign(TENANT, order.work_order_id, "t1", actor="li")


def test_who_left_gets_no_job():
    desk = Desk()
    desk.see(TONER)
    desk.dispatcher.dispatch(TENANT)
    with desk.uow_factory() as uow:
        uow.technicians.save(replace(a_technician("t2"), active=False))
        uow.commit()
    with pytest.raises(InvalidValue):
        desk.dispatcher.reassign(TENANT, desk.orders()[0].work_order_id, "t2", actor="li")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_guide_step_has_a_text(language):
    keys = load_messages().keys(language)
    for name, steps in GUIDE_STEPS.items():
        assert [f"guide.{name}.{step}" in keys for step in range(1, steps + 2)] == [True] * steps + [False], (
            name
        )
