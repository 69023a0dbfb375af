"""Clocks as they begin, to the last field: version, calendar and who promised; and offers that were talked over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crm_core.domain.fleet import ServiceTerms
from crm_core.domain.service import ClockKind, TicketEvent, TicketState
from crm_core.domain.sla import Promise
from crm_core.raising import PROPOSAL, rests_until
from crm_core.sla import call_back_promise, clocks_for, due_time, recomputed, start_clock
from crm_core.ticket_states import Move, moved
from tests.builders import T0, a_contract, a_customer, a_ticket
from tests.policies import L1, L3, a_calendar, a_policy

SLA = a_policy().sla
NAMED = replace(SLA, calendars={"night": replace(a_calendar(), name="night")})
NIGHT = ServiceTerms(calendar="night", respond_minutes=5, restore_hours={"L3": 1})


def clocks(terms=None, level=L3, category="", **changes):
    contract = replace(a_contract(**changes), service_terms=terms)
    return clocks_for(
        NAMED, "p7", level=level, customer=a_customer(), contract=contract, start=T0, category=category
    )


@pytest.mark.parametrize("category", ["", PROPOSAL])
@pytest.mark.parametrize("terms", [None, NIGHT, replace(NIGHT, respond_minutes=None, restore_hours={})])
def test_every_clock_says_version_calendar_and_kind_of_hours(terms, category):
    for clock in clocks(terms, category=category, on_site_hours=2):
        named = terms is not None and clock.kind is not ClockKind.ARRIVE
        assert clock.policy_version == "p7"
        assert clock.calendar == ("night" if named else "")
        assert clock.business_hours in {True, False}
        assert recomputed(NAMED.calendar_named(clock.calendar), clock, ()) == clock


def test_who_promised_is_kept_with_the_clock():
    respond, restore, arrive = clocks(NIGHT, on_site_hours=2)
    assert [clock.by_contract for clock in (respond, restore, arrive)] == [True, True, True]
    assert respond.business_hours is True
    assert restore.business_hours is NIGHT.business_hours
    assert arrive.business_hours is False
    respond, restore = clocks()
    assert (respond.by_contract, restore.by_contract) == (False, False)


def test_a_contract_that_promises_the_same_leaves_the_promise_to_policy():
    same = ServiceTerms(respond_minutes=SLA.first_response[a_customer().tier].total_seconds() / 60)
    assert clocks(same, level=L1)[0].by_contract is False


def test_an_explanation_names_the_hours_and_the_local_time():
    promise = Promise(kind=ClockKind.RESTORE, duration=timedelta(hours=3), business_hours=False)
    due = due_time(SLA.calendar, datetime(2026, 3, 2, 1, 0, tzinfo=UTC), promise)
    assert due.explanation == "3 h by the wall clock from 2026-03-02 09:00 = 2026-03-02 12:00"
    assert (due.due_at.tzinfo, due.due_at.hour) == (UTC, 4)


def test_a_clock_without_a_calendar_names_none():
    clock = start_clock(SLA, "p1", call_back_promise(SLA), T0)
    assert clock.calendar == ""
    assert clock.business_hours is SLA.call_back_business_hours


def test_a_move_without_words_has_none():
    ticket = moved(a_ticket(), Move.ACKNOWLEDGE, at=T0, actor="li", sla=SLA)
    assert ticket.events[-1].note == ""


@pytest.mark.parametrize(
    ("event", "rests"), [(Move.DONE, True), (Move.FIX_BY_PHONE, True), (Move.PROPOSE, False)]
)
def test_an_offer_rests_once_it_was_talked_over(event, rests):
    step = TicketEvent(
        at=T0, actor="li", event=event.value, from_state=TicketState.TRIAGED, to_state=TicketState.RESOLVED
    )
    offer = a_ticket(category=PROPOSAL, events=(step,))
    wait = timedelta(days=90)
    assert rests_until(offer, wait) == (T0 + wait if rests else None)
    assert rests_until(replace(offer, category="fuser"), wait) is None
