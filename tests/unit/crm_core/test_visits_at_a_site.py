"""Who comes anyway brings and looks at more: deliveries of a site on one order, inspections with any visit."""

from crm_core.domain.service import WorkOrderKind, WorkOrderState
from crm_core.domain.stock import FOUND, SCRAP, inside, shelf_at, van_of
from crm_core.stock.visit_parts import VisitParts
from tests.builders import TENANT, a_condition, a_supply_forecast
from tests.policies import L2, L3
from tests.stock_builders import a_move, an_item
from tests.unit.crm_core.desk import Desk

FUSER = a_condition("fault.fuser", L3)
RISK = a_condition(
    "failure_risk.drum", L3, category="failure_risk", severity="warning", detail={"component": "drum"}
)


def low(index="1.1", colour="black"):
    detail = {"supply_index": index, "kind": "toner", "colour": colour, "label": "x"}
    return a_condition(f"supply.{index}", L2, severity="warning", detail=detail)


def a_desk(devices=3):
    desk = Desk(devices=devices)
    desk.uow_factory.on_commit(VisitParts(desk.clock))
    with desk.uow_factory() as uow:
        for colour in ("black", "cyan"):
            uow.stock.save_item(an_item(f"TN-{colour}", colour))
            uow.stock.post([a_move(3, target=van_of("t1"), item_id=f"TN-{colour}", effect=f"van:{colour}")])
        uow.commit()
    return desk


def parts_of(order):
    return [(need.colour, need.device_id, need.spare) for need in order.parts]


def held(desk, place, item="TN-black"):
    with desk.uow_factory() as uow:
        return uow.stock.balance(TENANT, item, place).quantity


def test_deliveries_of_a_site_travel_together():
    desk = a_desk()
    for device_id in ("d1", "d2"):
        desk.see(low(), device_id=device_id)
    desk.dispatcher.dispatch(TENANT)
    (order,) = desk.orders()
    assert len(order.ticket_ids) == 2
    assert parts_of(order) == [("black", None, False), ("black", "d2", False)]
    desk.see(FUSER, device_id="d3")  # a repair is a visit of its own
    desk.dispatcher.dispatch(TENANT)
    assert len(desk.orders()) == 2


def test_what_runs_out_soon_goes_along_unless_it_lies_there():
    desk = a_desk(devices=2)
    with desk.uow_factory() as uow:
        uow.forecasts.save_all(
            [
                a_supply_forecast("1.2", 12.0, replenish=False, colour="cyan"),
                a_supply_forecast("1.1", 10.0, replenish=False, device_id="d2"),
                a_supply_forecast("1.3", 20.0, replenish=False, colour="magenta"),
            ]
        )
        uow.commit()
    desk.see(low())
    desk.dispatcher.dispatch(TENANT)
    (order,) = desk.orders()
    assert parts_of(order) == [("black", None, False), ("cyan", None, True), ("black", "d2", True)]
    desk.repair()
    assert held(desk, inside("d1")) == 1
    assert held(desk, shelf_at("s1")) == 1  # for d2
    assert held(desk, shelf_at("s1"), "TN-cyan") == 1
    assert held(desk, van_of("t1")) == 1
    desk.later(days=1)
    desk.see(low("1.4", "yellow"))
    desk.dispatcher.dispatch(TENANT)
    assert [need.colour for need in desk.orders()[-1].parts] == ["yellow"]  # the others lie there


def test_a_visit_takes_waiting_inspections_of_its_site_along():
    desk = a_desk()
    desk.see(RISK, device_id="d2")
    desk.dispatcher.dispatch(TENANT)
    desk.see(FUSER, device_id="d1")
    desk.dispatcher.dispatch(TENANT)
    states = [(order.kind, order.state, len(order.ticket_ids)) for order in desk.orders()]
    assert states == [
        (WorkOrderKind.INSPECTION, WorkOrderState.CANCELLED, 1),
        (WorkOrderKind.REPAIR, WorkOrderState.ASSIGNED, 2),
    ]
    desk.see(RISK, device_id="d3")  # and one that comes later joins it
    desk.dispatcher.dispatch(TENANT)
    assert [len(order.ticket_ids) for order in desk.orders()] == [1, 3]


def test_parts_are_promised_while_the_order_waits_and_given_back_when_it_is_called_off():
    desk = a_desk(devices=1)
    desk.see(low())
    desk.dispatcher.dispatch(TENANT)
    (order,) = desk.orders()
    with desk.uow_factory() as uow:
        (promise,) = uow.stock.reservations(TENANT)
    assert (promise.holder, promise.place) == (f"order:{order.work_order_id}", van_of("t1"))
    desk.servicedesk.cancel_order(TENANT, order.work_order_id, actor="li", note="no")
    with desk.uow_factory() as uow:
        assert uow.stock.reservations(TENANT) == []


def test_what_the_books_do_not_know_of_was_found():
    desk = a_desk(devices=1)
    with desk.uow_factory() as uow:
        uow.stock.post([a_move(3, van_of("t1"), SCRAP, effect="gone")])
        uow.commit()
    desk.see(low())
    desk.repair()
    assert (held(desk, inside("d1")), held(desk, FOUND)) == (1, -1)
