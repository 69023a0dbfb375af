"""Days to plan for tests and measurements: jobs, shifts, and the day of story 7."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from crm_core.domain.day_plan import DayPlan, Job, PlanRules, Shift

START = datetime(2026, 3, 3, 0, 0, tzinfo=UTC)  # 08:00 in Shanghai
HOUR = timedelta(hours=1)
MINUTES = timedelta(minutes=1)
KM = 1 / 111.2  # degrees of latitude
RULES = PlanRules(speed_kmh=25.0)
REGIONS = ("ne", "nw", "se", "sw")
_DEFAULT_HOME = (0.0, 0.0)


def a_job(key: str = "j", **changes: object) -> Job:
    fields: dict[str, object] = {
        "key": key, "place": (0.0, 0.0), "region": "ne", "skill": "Acme", "on_site": timedelta(minutes=25),
        "opens": START, "due": START + 8 * HOUR, **changes,
    }  # fmt: skip
    return Job(**fields)  # type: ignore[arg-type]  # the tests name the fields that differ


def a_shift(technician: str = "t", **changes: object) -> Shift:
    fields: dict[str, object] = {
        "technician": technician, "home": _DEFAULT_HOME, "regions": frozenset({"ne"}), "skills": frozenset({"acme"}),
        "starts": START, "ends": START + 8 * HOUR, **changes,
    }  # fmt: skip
    return Shift(**fields)  # type: ignore[arg-type]  # the tests name the fields that differ


def story_7(seed: int) -> tuple[list[Job], list[Shift]]:
    """Return 180 jobs and 14 technicians in 4 regions of a 30 km square; one van lacks the fuser.

    22 jobs of core customers have a window of 2 h, 40 of important ones are due some time of the day.
    """
    source = random.Random(seed)
    jobs = []
    for number in range(180):
        x, y = source.uniform(0, 30), source.uniform(0, 30)
        region = REGIONS[(x >= 15) + 2 * (y >= 15)]
        job = a_job(f"j{number:03}", place=(y * KM, x * KM), region=region, weight=source.choice((1.0, 2.0)))
        if number < 22:
            opens = START + source.choice((1, 2, 3, 4, 5)) * HOUR
            job = replace(job, opens=opens, due=opens + 2 * HOUR, weight=10.0, must=True)
        elif number < 62:
            job = replace(job, due=START + source.choice((3, 4, 6, 8)) * HOUR, weight=5.0, must=True)
        if number % 9 == 0:
            job = replace(job, parts={"fuser": 1})
        jobs.append(job)
    shifts = [
        a_shift(
            f"t{number:02}",
            regions=frozenset({REGIONS[number % 4]}),
            home=((7.5 + 15 * (number % 4 > 1)) * KM, (7.5 + 15 * (number % 2)) * KM),
            parts={} if number == 3 else {"fuser": 3},
        )
        for number in range(14)
    ]
    return jobs, shifts


def promised_by(plan: DayPlan, jobs: list[Job]) -> list[Job]:
    """Return the jobs with what a plan told the customers: technician and start."""
    told = {stop.job.key: (name, stop.starts) for name, route in plan.routes.items() for stop in route}
    return [
        replace(job, keeps=told[job.key][0], promised=told[job.key][1]) if job.key in told else job
        for job in jobs
    ]
