"""The SLA engine: story 2 with its exact figures, and inverses and recomputation on random cases."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.business_time import add_business, elapsed_business
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.fleet import CustomerTier
from crm_core.domain.service import ClockKind, TicketLevel
from crm_core.domain.sla import Promise, WorkWindow
from crm_core.sla import Pause, clocks_for, due_time, paused_due, recomputed
from tests.builders import T0, a_contract, a_customer
from tests.policies import a_calendar, a_policy

SHANGHAI = ZoneInfo("Asia/Shanghai")
FESTIVAL = a_calendar(
    holidays=frozenset(date(2026, 2, day) for day in range(15, 24)),
    swap_workdays=frozenset({date(2026, 2, 14), date(2026, 2, 28)}),
)


def local(*parts):
    return datetime(*parts, tzinfo=SHANGHAI)


def hours(number, *, business=True):
    return Promise(kind=ClockKind.RESTORE, duration=timedelta(hours=number), business_hours=business)


@pytest.mark.parametrize(
    ("promise", "due"),
    [
        (hours(0.5), local(2026, 2, 13, 18, 0)),
        (hours(2), local(2026, 2, 14, 10, 30)),
        (hours(24), local(2026, 2, 25, 17, 30)),
        (hours(24, business=False), local(2026, 2, 14, 17, 30)),
    ],
)
def test_spring_festival(promise, due):
    """Story 2: a core customer raises an L2 on Friday 2026-02-13 17:30; Saturday is a swap workday."""
    answer = due_time(FESTIVAL, local(2026, 2, 13, 17, 30), promise)
    assert answer.due_at == due
    assert due.strftime("%Y-%m-%d %H:%M") in answer.explanation
    assert not answer.provisional


def test_the_explanation_names_swaps_and_holidays():
    parts = due_time(FESTIVAL, local(2026, 2, 13, 17, 30), hours(24)).parts
    assert parts[0] == "2026-02-13: 30 min"
    assert parts[1] == "2026-02-14 (swap workday): 8 h"
    assert "2026-02-16: holiday" in parts
    assert parts[-1] == "2026-02-25: 7 h 30 min"


def test_a_year_without_a_calendar_is_provisional_and_computed_again_when_it_is_published():
    start = local(2026, 12, 31, 17, 30)
    unpublished = a_calendar(provisional_from=2027)
    answer = due_time(unpublished, start, hours(2))
    assert (answer.provisional, answer.due_at) == (True, local(2027, 1, 1, 10, 30))
    clock = clocks_for(
        a_policy(calendar=unpublished).sla,
        "v",
        level=TicketLevel.L1,
        customer=None,
        contract=None,
        start=start,
    )[0]
    published = a_calendar(provisional_from=2028, holidays=frozenset({date(2027, 1, 1)}))
    again = recomputed(published, clock, ())
    assert (clock.provisional, again.provisional) == (True, False)
    assert again.due_at == local(2027, 1, 4, 10, 30)


@pytest.mark.parametrize(
    ("tier", "respond"),
    [
        (CustomerTier.CORE, "09:30"),
        (CustomerTier.IMPORTANT, "10:00"),
        (CustomerTier.ORDINARY, "11:00"),
        (CustomerTier.POTENTIAL, "11:00"),
    ],
)
def test_first_response_by_tier(tier, respond):
    clocks = clocks_for(
        a_policy().sla, "v", level=TicketLevel.L2, customer=a_customer(tier=tier), contract=None, start=T0
    )
    assert clocks[0].due_at.astimezone(SHANGHAI).strftime("%H:%M") == respond
    assert clocks[1].due_at == T0 + timedelta(hours=24)
    assert len(clocks) == 2


@pytest.mark.parametrize("promised", [2, 24])
def test_arrival_as_the_contract_says(promised):
    clocks = clocks_for(
        a_policy().sla,
        "v",
        level=TicketLevel.L3,
        customer=None,
        contract=a_contract(on_site_hours=promised),
        start=T0,
    )
    assert {clock.kind: clock.due_at for clock in clocks}[ClockKind.ARRIVE] == T0 + timedelta(hours=promised)


def test_a_pause_moves_the_due_time_by_the_business_time_it_took():
    calendar, start = a_calendar(), local(2026, 3, 2, 9, 0)
    pause = Pause(local(2026, 3, 2, 11, 0), local(2026, 3, 2, 14, 0))  # an hour before lunch and one after
    assert paused_due(calendar, start, hours(3), (pause,)).due_at == local(2026, 3, 2, 15, 0)
    assert paused_due(calendar, start, hours(3, business=False), (pause,)).due_at == local(2026, 3, 2, 15, 0)
    late = Pause(local(2026, 3, 2, 13, 0), local(2026, 3, 2, 14, 0))
    assert paused_due(calendar, start, hours(3), (late,)).due_at == local(2026, 3, 2, 12, 0)


def test_a_calendar_that_never_opens_is_refused():
    with pytest.raises(InvalidConfiguration):
        add_business(a_calendar(windows={}), T0, timedelta(hours=1))


starts = st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)).map(
    lambda naive: naive.replace(tzinfo=UTC)
)
durations = st.integers(0, 200 * 3600).map(lambda seconds: timedelta(seconds=seconds))
windows = st.lists(st.integers(0, 1439), min_size=2, max_size=8, unique=True).map(
    lambda minutes: tuple(
        WorkWindow(time(begin // 60, begin % 60), time(end // 60, end % 60))
        for begin, end in zip(sorted(minutes)[::2], sorted(minutes)[1::2], strict=False)
    )
)
calendars = st.builds(
    lambda day, zone, holidays: a_calendar(
        windows=dict.fromkeys(range(5), day), time_zone=zone, holidays=frozenset(holidays)
    ),
    windows,
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "UTC"]),
    st.lists(st.dates(date(2025, 1, 1), date(2027, 12, 31)), max_size=30),
)


@given(calendars, starts, durations)
def test_due_and_elapsed_are_inverse(calendar, start, duration):
    due = add_business(calendar, start, duration)
    assert due >= start
    assert elapsed_business(calendar, start, due) == duration


@given(calendars, starts, durations, durations)
def test_business_time_adds_up(calendar, start, first, second):
    middle = add_business(calendar, start, first)
    assert elapsed_business(calendar, start, add_business(calendar, middle, second)) == first + second


@given(starts, st.integers(1, 40), st.lists(st.integers(0, 72 * 60), min_size=2, max_size=6, unique=True))
def test_a_stored_due_time_equals_its_recomputation(start, length, minutes):
    calendar = a_calendar()
    clock = clocks_for(a_policy().sla, "v", level=TicketLevel.L1, customer=None, contract=None, start=start)[
        0
    ]
    assert recomputed(calendar, clock, ()) == clock
    edges = [start + timedelta(minutes=minute) for minute in sorted(minutes)]
    pauses = tuple(Pause(*pair) for pair in zip(edges[::2], edges[1::2], strict=False))
    due = recomputed(calendar, clock, pauses).due_at
    stood = sum((elapsed_business(calendar, p.start, min(p.end, due)) for p in pauses), timedelta())
    assert elapsed_business(calendar, start, due) == timedelta(seconds=clock.duration_seconds) + stood


def test_new_year_comes_earlier_in_shanghai_than_in_utc():
    calendar = a_calendar(windows=dict.fromkeys(range(7), (WorkWindow(time(0), time(12)),)))
    eve, after = local(2025, 12, 31, 11, 0), local(2026, 1, 1, 2, 0)
    assert add_business(calendar, eve, timedelta(hours=3)) == after
    assert elapsed_business(calendar, eve, after) == timedelta(hours=3)
