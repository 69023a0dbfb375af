"""Due times against an oracle that knows nothing but the clock on the wall and walks minute by minute.

Zones whose summer time is half an hour, begins at midnight or changes the date; windows over midnight and in the skipped
and the repeated hour; holidays and swapped workdays beside them; pauses, in open and in closed time; 2024 to 2032.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_core.business_time import add_business, elapsed_business
from crm_core.domain.service import ClockKind
from crm_core.domain.sla import BusinessCalendar, Promise, WorkWindow
from crm_core.sla import Pause, due_time, paused_due, recomputed, start_clock
from tests.policies import a_calendar, a_policy

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
BERLIN = ZoneInfo("Europe/Berlin")
#: Zone and days on which its clocks change (2024 to 2032), or the year does.
CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29)), ("Europe/Berlin", date(2028, 10, 29)),
    ("America/New_York", date(2024, 3, 10)), ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)), ("Australia/Lord_Howe", date(2025, 10, 5)),
    ("America/Havana", date(2026, 3, 8)), ("Africa/Casablanca", date(2024, 3, 10)),
    ("Pacific/Chatham", date(2026, 9, 27)), ("Pacific/Apia", date(2011, 12, 30)), ("Asia/Beirut", date(2025, 3, 30)),
    ("Pacific/Kiritimati", date(2031, 12, 31)), ("Pacific/Honolulu", date(2027, 12, 31)),
    ("Asia/Shanghai", date(2024, 2, 29)), ("Asia/Kathmandu", date(2032, 2, 28)),
]  # fmt: skip


def weekly(calendar: BusinessCalendar, day: date) -> tuple[WorkWindow, ...]:
    """Return the windows that begin on a day, said once more in other words than the product's."""
    plain = calendar.windows.get(day.weekday(), ())
    if day in calendar.swap_workdays and not plain:
        plain = calendar.windows.get(0, ())
    return () if day in calendar.holidays else plain


def is_open(calendar: BusinessCalendar, zone: ZoneInfo, instant: datetime) -> bool:
    local = instant.astimezone(zone)
    now, day = local.time(), local.date()
    for window in weekly(calendar, day):
        if window.start <= now and (window.end < window.start or window.end == time(0) or now < window.end):
            return True
    return any(now < window.end < window.start for window in weekly(calendar, day - DAY))


def walked(
    calendar: BusinessCalendar, start: datetime, minutes: int, pauses: tuple[Pause, ...]
) -> datetime | None:
    """Return when `minutes` open minutes outside the pauses are over; None when a week is not enough."""
    zone, now = ZoneInfo(calendar.time_zone), start
    while now < start + 7 * DAY:
        if not any(each.start <= now < each.end for each in pauses):
            minutes -= is_open(calendar, zone, now)
        now += MINUTE
        if not minutes:
            return now
    return None


@st.composite
def days_of_windows(draw: st.DrawFn) -> tuple[WorkWindow, ...]:
    """Return 1 to 4 windows, many of them short and at night; the last may run over midnight."""
    minutes = st.integers(0, 240) | st.integers(0, 1439)
    marks = sorted(draw(st.lists(minutes, min_size=2, max_size=8, unique=True)))
    edges = [time(*divmod(mark, 60)) for mark in marks]
    spans = [WorkWindow(*pair) for pair in pairwise(edges)][::2]
    last = edges[-1]
    if draw(st.booleans()) and spans[-1].end < last:
        spans.append(WorkWindow(last, draw(st.sampled_from([time(0), edges[0], time(2, 30)]))))
    return tuple(spans)


@st.composite
def cases(draw: st.DrawFn) -> tuple[BusinessCalendar, datetime, int, tuple[Pause, ...]]:
    zone, change = draw(st.sampled_from(CHANGES))
    around = st.integers(-3, 4).map(lambda days: change + days * DAY)
    calendar = a_calendar(
        time_zone=zone,
        windows=draw(st.dictionaries(st.integers(0, 6), days_of_windows(), min_size=2)),
        holidays=frozenset(draw(st.lists(around, max_size=2))),
        swap_workdays=frozenset(draw(st.lists(around, max_size=2))),
    )
    start = datetime.combine(change, time(0), UTC) + draw(st.integers(-2000, 1500)) * MINUTE
    edges = sorted(draw(st.lists(st.integers(-100, 2500), max_size=6, unique=True)))
    pauses = tuple(
        Pause(start + begin * MINUTE, start + end * MINUTE) for begin, end in list(pairwise(edges))[::2]
    )
    return calendar, start, draw(st.integers(1, 900)), pauses


@settings(max_examples=40, deadline=None)
@given(cases(), st.booleans())
def test_due_times_are_what_the_clock_on_the_wall_says(
    case: tuple[BusinessCalendar, datetime, int, tuple[Pause, ...]], in_zone: bool
) -> None:
    """Also when the instants come in local time, where Python reckons by what the wall shows."""
    calendar, start, minutes, pauses = case
    expected = walked(calendar, start, minutes, pauses)
    if expected is None:
        return
    if in_zone:
        zone = ZoneInfo(calendar.time_zone)
        start = start.astimezone(zone)
        pauses = tuple(Pause(each.start.astimezone(zone), each.end.astimezone(zone)) for each in pauses)
    promise = Promise(kind=ClockKind.RESTORE, duration=minutes * MINUTE, business_hours=True)
    due = paused_due(calendar, start, promise, pauses).due_at
    assert due == expected
    assert due.utcoffset() == timedelta()
    plain = add_business(calendar, start, promise.duration)
    assert elapsed_business(calendar, start, plain) == promise.duration
    clock = start_clock(replace(a_policy().sla, calendar=calendar), "v", promise, start)
    assert recomputed(calendar, clock, pauses).due_at == expected
    assert recomputed(calendar, recomputed(calendar, clock, pauses), ()) == clock


def always(**changes: object) -> BusinessCalendar:
    whole = (WorkWindow(time(0), time(0)),)
    return a_calendar(windows=dict.fromkeys(range(7), whole), **changes)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Asia/Shanghai", date(2026, 3, 29), 24),
        ("Pacific/Apia", date(2011, 12, 30), 0),  # a day that Samoa never had
    ],
)
def test_a_day_that_is_open_around_the_clock_has_the_hours_it_has(zone: str, day: date, hours: float) -> None:
    calendar = always(time_zone=zone, holidays=frozenset({day - DAY, day + DAY}))
    begin = datetime.combine(day - DAY, time(0), UTC)
    assert elapsed_business(calendar, begin - DAY / 2, begin + 3 * DAY) - elapsed_business(
        replace(calendar, holidays=calendar.holidays | {day}), begin - DAY / 2, begin + 3 * DAY
    ) == timedelta(hours=hours)


def test_a_promise_by_the_wall_clock_is_a_length_of_time_in_any_zone() -> None:
    promise = Promise(kind=ClockKind.RESTORE, duration=timedelta(hours=24), business_hours=False)
    start = datetime(2026, 3, 28, 12, 0, tzinfo=BERLIN)
    assert due_time(always(), start, promise).due_at == datetime(2026, 3, 29, 11, 0, tzinfo=UTC)
    pause = Pause(start, datetime(2026, 3, 29, 12, 0, tzinfo=BERLIN))  # 23 hours
    assert paused_due(always(), start, promise, (pause,)).due_at == datetime(2026, 3, 30, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("length", [timedelta(0), MINUTE, timedelta(hours=3)])
def test_a_pause_that_begins_as_the_promise_falls_due_moves_nothing(length: timedelta) -> None:
    start = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    promise = Promise(kind=ClockKind.RESTORE, duration=timedelta(hours=1), business_hours=True)
    due = paused_due(always(), start, promise, ()).due_at
    assert paused_due(always(), start, promise, (Pause(due, due + length),)).due_at == due
    before = Pause(due - MINUTE, due - MINUTE + length)
    assert paused_due(always(), start, promise, (before,)).due_at == due + length


def test_a_window_without_length_never_opens() -> None:
    nine = WorkWindow(time(9), time(9))
    calendar = a_calendar(windows=dict.fromkeys(range(7), (nine, WorkWindow(time(10), time(11)))))
    start = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
    assert elapsed_business(calendar, start, start + 7 * DAY) == timedelta(hours=7)


def test_the_tail_of_the_night_before_a_holiday_counts_and_says_so() -> None:
    night = (WorkWindow(time(22), time(6)),)
    calendar = a_calendar(windows=dict.fromkeys(range(7), night), holidays=frozenset({date(2027, 1, 1)}))
    start = datetime(2026, 12, 31, 13, 0, tzinfo=UTC)  # 21:00 in Shanghai
    promise = Promise(kind=ClockKind.RESTORE, duration=timedelta(hours=9), business_hours=True)
    due = due_time(calendar, start, promise)
    assert due.due_at == datetime(2027, 1, 2, 15, 0, tzinfo=UTC)
    assert due.parts == ("2026-12-31: 2 h", "2027-01-01: 6 h", "2027-01-02: 1 h")
