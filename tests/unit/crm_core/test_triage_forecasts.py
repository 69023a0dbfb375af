"""What forecasts and silence make of triage: one cause with the device's own words, zones of no decision."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.domain.fleet import SnmpAddress, Transport
from crm_core.domain.service import SignalOrigin, TicketEvent, TicketState
from crm_core.domain.telemetry import DeviceState
from crm_core.raising import rests_until
from crm_core.servicedesk import Outcome
from crm_core.silence import heard_since, is_silent, silent_until
from crm_core.ticket_states import Move
from tests.builders import (
    T0,
    TENANT,
    a_condition,
    a_device,
    a_life_forecast,
    a_supply_forecast,
    a_ticket,
)
from tests.policies import L2, a_policy
from tests.unit.crm_core.desk import Desk

POLICY = a_policy()
TONER = a_condition("supply.1.1", L2)


def forecast(desk, *rows):
    with desk.uow_factory() as uow:
        uow.forecasts.save_all(rows)
        uow.commit()
    return desk.triage.consider_forecasts(TENANT)


def test_a_supply_that_must_be_replenished_gets_a_ticket_with_its_interval():
    desk = Desk()
    assert forecast(desk, a_supply_forecast(days=5)).opened == 1
    ticket = desk.ticket()
    assert (ticket.cause, ticket.level, ticket.title_key) == (
        "supply.1.1",
        L2,
        "tickets.title.consumable_forecast",
    )
    assert ticket.evidence[0].origin is SignalOrigin.FORECAST
    assert "P50 5.0 d (3.5 to 7.5)" in ticket.evidence[0].summary
    assert desk.triage.consider_forecasts(TENANT).opened == 0


def test_a_forecast_and_the_device_speak_of_one_cause():
    desk = Desk()
    forecast(desk, a_supply_forecast(days=5))
    desk.later(hours=1)
    desk.see(TONER)
    assert {evidence.origin for evidence in desk.ticket().evidence} == {
        SignalOrigin.FORECAST,
        SignalOrigin.TELEMETRY,
    }
    desk.later(hours=1)
    desk.see()
    assert desk.ticket().is_open  # the forecast still holds
    desk.later(days=1)
    forecast(desk, a_supply_forecast(days=60, replenish=False, made_at=desk.clock.now()))
    assert desk.ticket().state is TicketState.AUTO_RESOLVED


@pytest.mark.parametrize("days", [10.0, None])
def test_between_raising_and_clearing_a_forecast_decides_nothing(days):
    desk = Desk()
    forecast(desk, a_supply_forecast(days=5))
    desk.later(days=1)
    forecast(desk, a_supply_forecast(days=days, replenish=False, made_at=desk.clock.now()))
    assert desk.ticket().is_open


def test_eighty_percent_of_the_design_life_is_a_proposal():
    desk = Desk()
    forecast(desk, a_life_forecast(0.79))
    assert desk.tickets() == []
    desk.later(days=1)
    forecast(desk, a_life_forecast(0.8, made_at=desk.clock.now()))
    assert (desk.ticket().cause, desk.ticket().category) == ("life.device", "replacement")


def talked_over(outcome=Outcome.FIXED):
    """Return a desk on which a proposal was talked over just now."""
    desk = Desk()
    forecast(desk, a_life_forecast(0.85))
    desk.dispatcher.dispatch(TENANT)
    desk.servicedesk.done(TENANT, desk.orders()[-1].work_order_id, actor="t1", outcome=outcome)
    return desk


@pytest.mark.parametrize("outcome", [Outcome.FIXED, Outcome.NO_FAULT_FOUND])
def test_a_proposal_that_was_talked_over_rests_and_then_comes_back(outcome):
    desk = talked_over(outcome)
    for _ in range(89):
        desk.later(days=1)
        forecast(desk, a_life_forecast(0.86, made_at=desk.clock.now()))
        desk.servicedesk.close_settled(TENANT)
        assert len(desk.tickets()) == 1
    first = desk.ticket()
    assert first.state is TicketState.CLOSED
    assert any(event.note == "tickets.note.talked?until=2026-05-31" for event in first.events), first.events
    desk.later(days=1)
    forecast(desk, a_life_forecast(0.86, made_at=desk.clock.now()))
    assert [each.is_open for each in desk.tickets()] == [False, True]


def test_a_talk_that_failed_does_not_rest():
    desk = talked_over(Outcome.NOT_FIXED)
    desk.later(days=1)
    forecast(desk, a_life_forecast(0.86, made_at=desk.clock.now()))
    assert desk.ticket().state is TicketState.ESCALATED


@pytest.mark.parametrize("talk", [Move.DONE, Move.FIX_BY_PHONE])
def test_only_a_proposal_that_was_talked_over_rests(talk):
    event = TicketEvent(
        at=T0, actor="li", event=talk.value, from_state=TicketState.NEW, to_state=TicketState.CLOSED
    )
    rest = timedelta(days=90)
    assert rests_until(a_ticket(category="replacement", events=(event,)), rest) == T0 + rest
    assert rests_until(a_ticket(category="replacement"), rest) is None
    assert rests_until(a_ticket(category="part", events=(event,)), rest) is None


def state(last_seen, device_id="d1"):
    return DeviceState(
        device_id=device_id, last_seen=last_seen, life_count=None, lowest_supply_percent=None,
        lowest_supply_index=None, error_names=(), worst_alert_severity=None, source="snmp",
    )  # fmt: skip


def test_silence_counts_only_when_offices_are_open():
    desk = Desk()
    friday_evening = T0 + timedelta(days=4, hours=9)
    for later, opened in (
        (timedelta(days=2), 0),
        (timedelta(days=2, hours=19), 0),
        (timedelta(days=2, hours=20), 1),
    ):
        desk.clock.move_to(friday_evening + later)
        assert desk.triage.consider_silence(TENANT, [state(friday_evening)]).opened == opened, later
    assert desk.ticket().cause == "silence"
    desk.later(hours=1)
    assert desk.triage.consider_silence(TENANT, [state(desk.clock.now())]).auto_resolved == 1


@pytest.mark.parametrize(
    ("transport", "snmp", "last_seen", "since"),
    [
        (Transport.SNMP, None, None, None),  # a stand-by machine, or one off line: nobody can hear it
        (Transport.SNMP, None, T0, T0),  # it was heard once
        (Transport.SNMP, SnmpAddress(host="192.0.2.7"), None, T0 - timedelta(days=9)),
        (Transport.MQTT, None, None, T0 - timedelta(days=9)),  # an agent should have pushed by now
    ],
)
def test_silence_counts_for_devices_that_can_be_heard(transport, snmp, last_seen, since):
    device = a_device(transport=transport, snmp=snmp, registered_at=T0 - timedelta(days=9))
    assert heard_since(device, last_seen) == since


@given(
    now=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
    age=st.timedeltas(timedelta(), timedelta(days=30)),
)
def test_one_instant_tells_who_is_silent(now, age):
    quiet = silent_until(POLICY, now)
    assert is_silent(POLICY, quiet, now)
    assert is_silent(POLICY, now - age, now) == (now - age <= quiet)


def test_nobody_is_silent_where_more_service_hours_are_asked_for_than_there_were():
    patient = replace(POLICY, triage=replace(POLICY.triage, silent_business_time=timedelta(days=3660)))
    assert silent_until(patient, datetime(2026, 11, 20, tzinfo=UTC)) is None
