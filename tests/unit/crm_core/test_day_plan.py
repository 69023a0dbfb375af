"""The insertion heuristic on its own: the same plan every time, whole minutes, time of travel (the rest is the contract)."""

import random
from datetime import timedelta

import pytest

from crm_core.day_plan import InsertionPlanner
from crm_core.domain.day_plan import travel_time
from tests.day_plans import HOUR, KM, RULES, START, a_job, a_shift, story_7


def test_the_plan_is_the_same_every_time():
    jobs, shifts = story_7(3)
    planner = InsertionPlanner()
    shuffled = random.Random(0).sample(jobs, len(jobs)), random.Random(1).sample(shifts, len(shifts))
    assert planner.plan(jobs, shifts, RULES) == planner.plan(*shuffled, RULES)


def test_a_core_customer_comes_before_who_can_wait():
    can_wait = a_job("wait", on_site=7 * HOUR, due=START + HOUR)
    core = a_job("core", on_site=2 * HOUR, must=True)
    plan = InsertionPlanner().plan([can_wait, core], [a_shift()], RULES)
    assert [stop.job.key for stop in plan.routes["t"]] == ["core"]
    assert plan.left_out == {"wait": "tickets.plan.day_full"}


def test_a_late_must_takes_the_place_of_one_that_is_planned():
    jobs = [
        a_job("early", on_site=HOUR, must=True, due=START, weight=10.0),
        a_job("first", on_site=HOUR, keeps="t"),
        a_job("late", on_site=2 * HOUR, due=START + 2 * HOUR, must=True, weight=5.0),
    ]
    plan = InsertionPlanner().plan(jobs, [a_shift(ends=START + 3 * HOUR)], RULES)
    assert [stop.job.key for stop in plan.routes["t"]] == ["early", "late"]
    assert plan.left_out == {"first": "tickets.plan.made_room"}


def test_travel_takes_time():
    assert travel_time((0.0, 0.0), (25 * KM, 0.0), RULES) == HOUR
    assert travel_time((0.0, 0.0), (0.1 * KM, 0.0), RULES) == timedelta(minutes=1)
    assert travel_time(None, (0.0, 0.0), RULES) == travel_time(None, None, RULES) == timedelta(minutes=20)
    assert travel_time("hq", "hq", RULES) == timedelta()
    assert travel_time("hq", "branch", RULES) == timedelta(minutes=20)
    assert travel_time((1.0, 1.0), (1.0, 1.0), RULES) == timedelta()
    assert travel_time((0.0, 0.0), (0.0, 180.0), RULES) > timedelta(days=30)  # the other side of the earth
    plan = InsertionPlanner().plan([a_job(place=(25 * KM, 0.0))], [a_shift()], RULES)
    assert plan.travel == HOUR


@pytest.mark.parametrize("seconds", [0, 1, 59])
def test_plans_count_in_whole_minutes(seconds):
    shift = a_shift(starts=START + timedelta(seconds=seconds))
    job = a_job(on_site=timedelta(seconds=61), due=START + HOUR + timedelta(seconds=59))
    plan = InsertionPlanner().plan([job, a_job("k")], [shift], RULES)
    assert [stop.starts.second for stop in plan.stops] == [0, 0]
    assert {stop.starts - START for stop in plan.stops} >= {timedelta(minutes=1 if seconds else 0)}
