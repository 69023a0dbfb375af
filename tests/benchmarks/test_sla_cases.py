"""200,000 random promises: stored due = recomputed, the inverse exact, and the cost of one due time (issue 7).

`make soak` runs all of them, `make test-all` a twentieth. The oracle walks the calendar span by span; windows in the hours
that summer time skips or repeats belong to the one that walks minute by minute (tests/unit/crm_core/test_clock_oracle.py).
"""

import random
import time as wall
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from crm_core.business_time import add_business, elapsed_business, windows_on
from crm_core.domain.service import ClockKind
from crm_core.domain.sla import Promise, WorkWindow
from crm_core.sla import due_time, recomputed, start_clock
from tests.policies import a_calendar, a_policy

CASES = 200_000
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Sydney", "UTC")


def a_random_calendar(random_source, number):
    """Return 1 to 4 windows a day, a third of the days of two fortnights free, some swapped weekend days."""
    edges = sorted(random_source.sample(range(4 * 60, 24 * 60), 2 * random_source.randint(1, 4)))
    day = tuple(
        WorkWindow(time(*divmod(begin, 60)), time(*divmod(end, 60)))
        for begin, end in zip(edges[::2], edges[1::2], strict=True)
    )
    days = [date(2025, 1, 1) + timedelta(days=offset) for offset in range(3 * 365)]
    return a_calendar(
        name=f"c{number}",
        windows=dict.fromkeys(range(random_source.randint(1, 7)), day),
        time_zone=random_source.choice(ZONES),
        holidays=frozenset(random_source.sample(days, 40)),
        swap_workdays=frozenset(random_source.sample(days, 20)),
        provisional_from=2027,
    )


def oracle(calendar, start, duration):
    """Return the due time by walking day after day."""
    zone, left = ZoneInfo(calendar.time_zone), duration
    day = start.astimezone(zone).date()
    while True:
        for window in windows_on(calendar, day):
            opens = datetime.combine(day, window.start, zone).astimezone(UTC)
            closes = datetime.combine(day, window.end, zone).astimezone(UTC)
            begin = max(opens, start)
            if begin < closes:
                if left <= closes - begin:
                    return begin + left
                left -= closes - begin
        day += timedelta(days=1)


def run(cases, seed):
    source = random.Random(seed)
    calendars = [a_random_calendar(source, number) for number in range(40)]
    policy = a_policy().sla
    for case in range(cases):
        calendar = source.choice(calendars)
        start = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=source.randrange(2 * 365 * 86_400))
        duration = timedelta(seconds=source.randrange(120 * 3600))
        due = add_business(calendar, start, duration)
        assert elapsed_business(calendar, start, due) == duration, case
        if case % 20 == 0:
            assert due == oracle(calendar, start, duration), case
            promise = Promise(kind=ClockKind.RESTORE, duration=duration, business_hours=bool(case % 3))
            clock = start_clock(replace(policy, calendar=calendar), "v", promise, start)
            assert recomputed(calendar, clock, ()) == clock
            assert clock.due_at == due_time(calendar, start, promise).due_at
    calendar = calendars[0]
    starts = [
        datetime(2025, 6, 1, tzinfo=UTC) + timedelta(seconds=source.randrange(365 * 86_400))
        for _ in range(20_000)
    ]
    length = timedelta(hours=24)
    add_business(calendar, starts[0], timedelta(hours=3000))
    began = wall.process_time()
    for start in starts:
        add_business(calendar, start, length)
    each = (wall.process_time() - began) / len(starts) * 1e6
    print(f"\n{cases} cases exact; one due time takes {each:.2f} us (limit 5 us)")


@pytest.mark.heavy
def test_a_twentieth_of_the_cases():
    run(CASES // 20, seed=1)


@pytest.mark.soak
def test_all_cases():
    run(CASES, seed=7)
