"""What programs are told: every event that the documents name is published, once for its effect, and no other is."""

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from crm_core.billing.settling import blank_invoice, compose, write
from crm_core.domain.billing import InvoiceKind, InvoiceLine, LineKind
from crm_core.domain.money import Money
from crm_core.domain.notices import Channel, Webhook
from crm_core.domain.service import TicketState, WorkOrderState
from crm_core.notices.addressing import Addressing
from crm_core.notices.announcing import Announcer
from crm_core.notices.events import EVENTS, tell_of_forecasts
from crm_core.storage.memory import make_memory_uow_factory
from crm_core.ticket_states import Move
from tests.builders import T0, TENANT, a_condition, a_small_fleet, a_supply_forecast
from tests.policies import L3
from tests.unit.crm_core.test_swap_watch import Watched, black


def subscribe(uow_factory, *events):
    with uow_factory() as uow:
        uow.notices.save_webhook(
            Webhook(
                tenant=TENANT,
                url="https://example.org",
                secret="s",
                events=events,
                created_at=T0,
                created_by="x",
            )
        )
        uow.commit()


def told(uow_factory, topic):
    with uow_factory() as uow:
        rows = uow.notices.list(TENANT, channel=Channel.WEBHOOK)
    return [json.loads(row.payload) for row in reversed(rows) if row.topic == topic]


def test_the_documents_name_all_events_and_no_other(project):
    page = (project / "docs/notices.md").read_text(encoding="utf-8")
    listed = page.split("answers its secret, once. Events:")[1].split("families with")[0]
    named = set(re.findall(r"`([a-z]+\.[a-z_<>]+)`", listed))
    assert named == set(EVENTS)


def test_a_swap_is_told_once_with_what_was_left():
    desk = Watched()
    subscribe(desk.uow_factory, "supply.swapped")
    for level in (30, 29, 28, 100, 99, 98):
        desk.say(black(level))
    desk.watch.run(TENANT)
    (event,) = told(desk.uow_factory, "supply.swapped")
    assert (event["subject"], event["event"]) == ("device:d1", "supply.swapped")
    data = event["data"]
    assert (data["supply_index"], data["residual_percent"], data["early"], data["number"]) == (
        "1.1",
        28,
        True,
        2,
    )


def run(uow_factory, *forecasts):
    """Save what a night made, as analytics does; return how many events came of it."""
    with uow_factory() as uow:
        count = tell_of_forecasts(uow, TENANT, forecasts, T0)
        uow.forecasts.save_all(forecasts)
        uow.commit()
    return count


def test_a_forecast_is_told_when_it_asks_for_something_else():
    uow_factory = make_memory_uow_factory()
    a_small_fleet(uow_factory, devices=2)
    calm = a_supply_forecast(days=60, replenish=False)
    assert run(uow_factory, replace(calm, replenish=True)) == 0  # nobody asked
    subscribe(uow_factory, "forecast.*")
    assert run(uow_factory, calm) == 1
    assert run(uow_factory, replace(calm, level_percent=11.0)) == 0
    later = a_supply_forecast(days=4, made_at=T0 + timedelta(days=1))
    other = a_supply_forecast(days=90, replenish=False, device_id="d2", made_at=T0 + timedelta(days=1))
    assert run(uow_factory, later, other) == 1
    assert run(uow_factory, later, other) == 0
    first, second = told(uow_factory, "forecast.changed")
    assert first["data"]["before"]["replenish"] == ["1.1"]
    assert (second["subject"], second["data"]["after"]["replenish"]) == ("device:d1", ["1.1"])
    assert second["data"]["as_of"] == "2026-03-03"


def test_tickets_and_work_orders_are_told_in_every_state_that_they_pass():
    desk = Watched()
    subscribe(desk.uow_factory, "ticket.*", "workorder.*")
    desk.uow_factory.on_commit(
        Announcer(Addressing(desk.policy), desk.clock, lambda _uow, _ticket: Money(Decimal(0)))
    )
    desk.see(a_condition("fault.fuser", L3))
    desk.repair()
    with desk.uow_factory() as uow:
        topics = {row.topic for row in uow.notices.list(TENANT, channel=Channel.WEBHOOK)}
    assert topics >= {"ticket.new", "ticket.scheduled", "ticket.in_progress", "ticket.resolved_unverified"}
    assert topics >= {"workorder.assigned", "workorder.en_route", "workorder.on_site", "workorder.done"}
    steps = {*Move, "level_raised", "calendar_published"}
    known = {f"ticket.{each}" for each in {*TicketState, *steps}} | {
        f"workorder.{state}" for state in WorkOrderState
    }
    assert topics <= known


def test_an_invoice_is_told_once_when_it_is_issued():
    uow_factory = make_memory_uow_factory()
    a_small_fleet(uow_factory)
    subscribe(uow_factory, "*")
    line = InvoiceLine(kind=LineKind.RENT, text="billing.line.rent?line=1", amount=Decimal("12.34"))
    draft = blank_invoice(
        TENANT, run_key="k1:2026-02", kind=InvoiceKind.RENT, customer_id="c1", issued_on=date(2026, 3, 1),
        due_on=date(2026, 3, 16), policy_version="1", lines=(line,),
    )  # fmt: skip
    for _ in range(2):
        with uow_factory() as uow:
            made = write(uow, compose(uow, draft, frozenset()), T0)
            uow.commit()
    assert made is None  # the second run wrote nothing
    (event,) = told(uow_factory, "invoice.issued")
    assert (event["data"]["total"], event["subject"]) == ("12.34", "invoice:INV-2026-000001")
