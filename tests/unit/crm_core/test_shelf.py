"""What lies at the site decides about toner tickets: nothing, a hint, or a delivery - and nothing is promised twice."""

from dataclasses import replace

import pytest

from crm_core.domain.service import TicketLevel, TicketState, WorkOrderKind, WorkOrderState
from crm_core.domain.stock import SCRAP, SUPPLIER, cupboard_at, shelf_at, transit_to
from crm_core.domain.stock_policy import ShelfHint
from tests.builders import TENANT, a_condition, a_supply_forecast
from tests.policies import L1, L2, a_policy
from tests.stock_builders import WAREHOUSE, a_move, a_stock_policy, an_item
from tests.unit.crm_core.desk import Desk

SHELF = shelf_at("s1")
DETAIL = {"supply_index": "1.1", "kind": "toner", "colour": "black", "label": "black toner", "percent": 4.0}


def low(severity="warning", index="1.1"):
    detail = {**DETAIL, "supply_index": index}
    return a_condition(f"supply.{index}", L2, severity=severity, detail=detail)


class ShelfDesk(Desk):
    def __init__(self, hint=ShelfHint.WHEN_EMPTY, devices=1):
        super().__init__(policy=replace(a_policy(), stock=a_stock_policy(shelf_hint=hint)), devices=devices)
        self._number = 0
        with self.uow_factory() as uow:
            uow.stock.save_item(an_item())
            uow.commit()

    def put(self, place, quantity=1, source=SUPPLIER):
        self._number += 1
        with self.uow_factory() as uow:
            uow.stock.post([a_move(quantity, source, place, effect=f"put:{self._number}")])
            uow.commit()

    def promised(self):
        with self.uow_factory() as uow:
            return [(row.holder, row.place) for row in uow.stock.reservations(TENANT)]


@pytest.mark.parametrize("place", [SHELF, cupboard_at("s1"), transit_to("s1")])
def test_what_lies_at_the_site_or_comes_there_needs_no_ticket(place):
    desk = ShelfDesk()
    desk.put(place)
    report = desk.see(low())
    assert (report.covered, report.opened, desk.tickets()) == (1, 0, [])
    assert desk.promised() == [("cover:d1:supply.1.1", place)]
    desk.later(hours=1)
    assert desk.see(low()).covered == 1


def test_a_forecast_is_covered_too_and_one_piece_covers_one_machine():
    desk = ShelfDesk(devices=2)
    desk.put(SHELF)
    with desk.uow_factory() as uow:
        uow.forecasts.save_all([a_supply_forecast(device_id=each) for each in ("d1", "d2")])
        uow.commit()
    report = desk.triage.consider_forecasts(TENANT)
    assert (report.covered, report.opened) == (1, 1)
    assert desk.ticket().device_id == "d2"


def test_another_colour_or_model_covers_nothing():
    desk = ShelfDesk()
    desk.put(SHELF)
    cyan = a_condition("supply.1.2", L2, detail={**DETAIL, "supply_index": "1.2", "colour": "cyan"})
    assert desk.see(cyan).opened == 1


def test_who_stands_still_beside_a_full_cartridge_gets_a_call():
    desk = ShelfDesk()
    desk.put(SHELF)
    desk.see(low("critical"))
    ticket = desk.ticket()
    assert (ticket.level, ticket.category, ticket.title_key) == (L1, "shelf", "tickets.title.shelf")
    desk.dispatcher.dispatch(TENANT)
    assert [(order.kind, order.parts) for order in desk.orders()] == [(WorkOrderKind.PHONE, ())]
    desk.later(hours=1)
    desk.see(low("critical"))
    assert desk.ticket().level is L1  # saying it again makes it no delivery


@pytest.mark.parametrize(("hint", "tickets"), [(ShelfHint.NEVER, 0), (ShelfHint.ALWAYS, 1)])
def test_policy_says_when_people_are_told(hint, tickets):
    desk = ShelfDesk(hint)
    desk.put(SHELF)
    desk.see(low("critical" if hint is ShelfHint.NEVER else "warning"))
    assert len(desk.tickets()) == tickets


def test_a_hint_becomes_a_delivery_when_the_piece_is_gone():
    desk = ShelfDesk()
    desk.put(SHELF)
    desk.see(low("critical"))
    raised = desk.ticket().raised_at
    with desk.uow_factory() as uow:
        uow.stock.release(uow.stock.reservations(TENANT)[0])
        uow.commit()
    desk.put(SCRAP, source=SHELF)
    desk.later(hours=1)
    desk.see(low("critical"))
    ticket = desk.ticket()
    assert (ticket.level, ticket.category, ticket.raised_at) == (L2, "consumable", raised)
    assert "shelf_empty" in [event.event for event in ticket.events]


def test_what_arrives_meanwhile_calls_the_visit_off():
    desk = ShelfDesk()
    desk.see(low())
    desk.dispatcher.dispatch(TENANT)
    desk.put(SHELF)
    desk.later(hours=1)
    desk.see(low())
    assert desk.ticket().state is TicketState.AUTO_RESOLVED
    assert [order.state for order in desk.orders()] == [WorkOrderState.CANCELLED]
    desk.later(hours=1)
    assert desk.see(low()).opened == 0


def test_what_arrives_for_a_machine_that_stands_still_turns_the_visit_into_a_call():
    desk = ShelfDesk()
    desk.see(low("critical"))
    desk.dispatcher.dispatch(TENANT)
    desk.put(SHELF)
    desk.later(hours=1)
    desk.see(low("critical"))
    ticket = desk.ticket()
    assert (ticket.state, ticket.level, ticket.category) == (TicketState.TRIAGED, TicketLevel.L1, "shelf")
    desk.dispatcher.dispatch(TENANT)
    assert [(order.kind, order.state) for order in desk.orders()] == [
        (WorkOrderKind.SUPPLY, WorkOrderState.CANCELLED),
        (WorkOrderKind.PHONE, WorkOrderState.ASSIGNED),
    ]


def test_who_is_on_the_way_is_not_called_back():
    desk = ShelfDesk()
    desk.see(low())
    desk.dispatcher.dispatch(TENANT)
    desk.servicedesk.depart(TENANT, desk.orders()[0].work_order_id, actor="t1")
    desk.put(SHELF)
    desk.later(hours=1)
    desk.see(low())
    assert desk.ticket().state is TicketState.IN_PROGRESS


def test_a_need_that_is_over_frees_its_piece():
    desk = ShelfDesk()
    desk.put(SHELF)
    desk.put(WAREHOUSE)
    desk.see(low())
    desk.later(hours=1)
    desk.see()
    desk.later(hours=1)
    desk.see()
    assert desk.promised() == []
