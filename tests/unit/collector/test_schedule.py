"""Due times: jitter, back-off, probes, silence with a pattern, and what survives a restart."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.due_times import SqliteDueTimes
from collector.schedule import Action, PollSchedule, Reachability

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)  # a Monday
MINUTE = timedelta(minutes=1)


def schedule(**options) -> PollSchedule:
    return PollSchedule(interval=options.pop("interval", 5 * MINUTE), **options)


def test_first_turns_are_spread_over_the_interval():
    plan = schedule()
    for number in range(1000):
        plan.add(f"device-{number}", START)
    counts = [len(plan.due(START + minute * MINUTE, 10_000)) for minute in range(1, 6)]
    assert sum(counts) == 1000
    assert min(counts) > 120


def test_a_device_keeps_its_place_in_the_grid():
    plan = schedule()
    plan.add("a", START)
    now, turns = START, []
    while len(turns) < 4:
        now += timedelta(seconds=1)
        if plan.due(now, 10):
            turns.append(now)
            plan.answered("a", now + timedelta(seconds=3))
    gaps = {(later - earlier).total_seconds() for earlier, later in pairwise(turns)}
    assert gaps == {300.0}


def test_a_dead_device_is_probed_ever_more_rarely_and_no_more_than_every_quarter():
    plan = schedule(interval=MINUTE)
    plan.add("a", START)
    now, looks = START, []
    for _ in range(4 * 3600):
        now += timedelta(seconds=1)
        for due in plan.due(now, 10):
            looks.append((now, due.action))
            plan.failed("a", now)
    assert [action for _, action in looks[:3]] == [Action.POLL, Action.POLL, Action.PROBE]
    gaps = [(b - a).total_seconds() for (a, _), (b, _) in pairwise(looks[2:])]
    assert gaps[:4] == [120, 240, 480, 900]
    assert set(gaps[4:]) == {900}


def test_an_answer_ends_the_back_off():
    plan = schedule()
    for _ in range(5):
        plan.failed("a", START)
    assert plan.decide("a", START) is Action.WAIT
    assert plan.decide("a", START + timedelta(hours=1)) is Action.PROBE
    plan.answered("a", START)
    assert plan.decide("a", START) is Action.POLL


def test_a_trap_makes_a_device_due_at_once_even_in_back_off():
    plan = schedule()
    for _ in range(6):
        plan.failed("a", START)
    assert plan.wake("a", START)
    assert [due.action for due in plan.due(START, 10)] == [Action.POLL]
    assert not plan.wake("unknown", START)


def test_a_trap_during_a_poll_leads_to_one_more_poll_and_not_to_two_at_once():
    plan = schedule()
    plan.add("a", START)
    later = START + timedelta(hours=1)
    assert len(plan.due(later, 10)) == 1
    assert plan.wake("a", later)
    assert plan.wake("a", later)
    assert plan.due(later, 10) == []
    plan.answered("a", later)
    assert len(plan.due(later, 10)) == 1
    plan.answered("a", later)
    assert plan.due(later, 10) == []


def test_a_device_under_way_is_not_due_again():
    plan = schedule()
    plan.add("a", START)
    later = START + timedelta(hours=1)
    assert len(plan.due(later, 10)) == 1
    assert plan.due(later + timedelta(hours=1), 10) == []


def test_three_failures_running_are_silence():
    plan = schedule()
    assert plan.reachability("a", START) is Reachability.UNKNOWN
    plan.answered("a", START)
    assert plan.reachability("a", START) is Reachability.ANSWERING
    plan.failed("a", START)
    plan.failed("a", START)
    assert plan.reachability("a", START) is Reachability.MISSED
    plan.failed("a", START)
    assert plan.reachability("a", START) is Reachability.SILENT


def test_a_device_that_sleeps_every_night_is_resting_then_but_silent_by_day():
    plan = schedule()
    for day in range(14):
        for hour in range(24):
            at = START.replace(hour=0) + timedelta(days=day, hours=hour)
            (plan.answered if 7 <= hour < 19 else plan.failed)("a", at)
    night = START + timedelta(days=14, hours=18)  # Monday 02:00
    for _ in range(3):
        plan.failed("a", night)
    assert plan.reachability("a", night.replace(hour=2)) is Reachability.RESTING
    assert plan.reachability("a", night.replace(hour=11)) is Reachability.SILENT


def test_due_times_failures_and_patterns_survive_a_restart():
    plan = schedule()
    plan.add("fresh", START)
    for _ in range(4):
        plan.failed("dead", START)
    again = schedule()
    again.restore(plan.records())
    assert again.records() == plan.records()
    assert again.decide("dead", START) is Action.WAIT
    assert {due.key for due in again.due(START + timedelta(hours=1), 10)} == {"fresh", "dead"}


def test_devices_that_are_gone_are_forgotten():
    plan = schedule()
    plan.keep_only(["a", "b"], START)
    plan.keep_only(["b", "c"], START)
    assert {due.key for due in plan.due(START + timedelta(hours=1), 10)} == {"b", "c"}


@given(
    keys=st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=20),
    seconds=st.integers(min_value=1, max_value=3600),
)
def test_every_device_gets_exactly_one_turn_in_every_interval(keys, seconds):
    interval = timedelta(seconds=seconds)
    plan = schedule(interval=interval)
    for key in keys:
        plan.add(key, START)
    for lap in range(1, 4):
        now = START + lap * interval
        turns = [due.key for due in plan.due(now, 1000)]
        assert sorted(turns) == sorted(keys)
        for key in turns:
            plan.answered(key, now)


@pytest.mark.parametrize("limit", [1, 7])
def test_no_more_than_the_limit_at_once(limit):
    plan = schedule()
    for number in range(50):
        plan.add(f"d{number}", START)
    assert len(plan.due(START + timedelta(hours=1), limit)) == limit


def test_a_site_that_is_down_does_not_take_the_whole_window():
    plan = schedule(site_cap=3)
    for number in range(20):
        plan.add(f"down-{number}", START, site="vpn")
    for number in range(5):
        plan.add(f"other-{number}", START, site="office")
    later = START + timedelta(hours=1)
    turns = [due.key for due in plan.due(later, 100)]
    assert sum(key.startswith("down") for key in turns) == 3
    assert sum(key.startswith("other") for key in turns) == 3
    for key in turns:
        plan.failed(key, later)
    more = [due.key for due in plan.due(later, 100)]
    assert sum(key.startswith("down") for key in more) == 3
    assert sum(key.startswith("other") for key in more) == 2
    assert not set(more) & set(turns)


def test_every_device_of_a_full_site_gets_its_turn():
    plan = schedule(site_cap=2)
    for number in range(9):
        plan.add(f"d{number}", START, site="s")
    later, seen = START + timedelta(hours=1), []
    while turns := plan.due(later, 100):
        seen += [due.key for due in turns]
        for due in turns:
            plan.answered(due.key, later)
    assert sorted(seen) == [f"d{number}" for number in range(9)]


def test_due_times_are_kept_in_a_file(tmp_path):
    plan = schedule()
    plan.answered("alive", START)
    for _ in range(4):
        plan.failed("dead", START)
    SqliteDueTimes(tmp_path / "due.sqlite").save(plan.records())
    again = schedule()
    again.restore(SqliteDueTimes(tmp_path / "due.sqlite").load())
    assert sorted(again.records(), key=lambda record: record.key) == plan.records()
    assert again.reachability("dead", START) is Reachability.SILENT
