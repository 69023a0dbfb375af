"""The day plan: who visits whom in which order - an insertion heuristic that always has an answer, pure.

Jobs are inserted one after the other, the ones with the tightest promise and the highest tier first, each where it costs
least: minutes of travel plus minutes of lateness times the weight of its tier. A job that fits no shift is left out
with the reason. A frozen job keeps its technician and its promised start, so a re-plan moves nobody without need.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import asin, cos, radians, sin, sqrt
from typing import Final

_EARTH_KM: Final = 6371.0
_UNKNOWN_TRAVEL: Final = timedelta(minutes=20)  # between places without coordinates
_SAME_PLACE: Final = timedelta()

Place = tuple[float, float] | None  # latitude and longitude in degrees


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One visit to plan. `opens` is the earliest start, `due` the promise; `weight` is what a late minute costs."""

    key: str
    place: Place
    region: str
    skill: str
    on_site: timedelta
    opens: datetime
    due: datetime
    weight: float = 1.0
    must: bool = False  # never left out for another one
    keeps: str | None = None  # technician that it is promised to already


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One technician's day; `home` is where the route begins."""

    technician: str
    home: Place
    regions: frozenset[str]
    skills: frozenset[str]
    starts: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Stop:
    """A planned visit: arrival is the planned start; `late` is how much it misses the promise."""

    job: Job
    starts: datetime
    travel: timedelta
    late: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPlan:
    """Routes by technician, and jobs that nobody can do today with the reason (a key of the message catalogue)."""

    routes: Mapping[str, tuple[Stop, ...]]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def travel(self) -> timedelta:
        return sum((stop.travel for route in self.routes.values() for stop in route), timedelta())


def travel_time(one: Place, other: Place, speed_kmh: float) -> timedelta:
    """Return the time between two places by great circle; a fixed guess where a place is unknown."""
    if one is None or other is None:
        return _UNKNOWN_TRAVEL
    if one == other:
        return _SAME_PLACE
    (lat1, lon1), (lat2, lon2) = ((radians(a), radians(b)) for a, b in (one, other))
    half = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return timedelta(hours=2 * _EARTH_KM * asin(sqrt(half)) / speed_kmh)


def plan_day(jobs: Iterable[Job], shifts: Sequence[Shift], speed_kmh: float) -> DayPlan:
    """Return the plan of one day. Deterministic: the same jobs and shifts give the same plan."""
    planner = _Planner(shifts, speed_kmh)
    left_out: dict[str, str] = {}
    waiting = sorted(jobs, key=lambda job: (job.keeps is None, not job.must, job.due, -job.weight, job.key))
    for job in waiting:
        why = planner.insert(job)
        if why is not None:
            left_out[job.key] = why
    for job in waiting:  # a must that found no place may take that of one that can wait
        if job.must and job.key in left_out:
            displaced = planner.make_room(job)
            if displaced is not None:
                del left_out[job.key]
                left_out.update({other.key: "tickets.plan.made_room" for other in displaced})
    for job in waiting:
        if job.key in left_out and planner.insert(job) is None:
            del left_out[job.key]
    return DayPlan(routes=planner.routes(), left_out=left_out)


class _Planner:
    """Routes under construction, as lists of jobs by technician."""

    def __init__(self, shifts: Sequence[Shift], speed_kmh: float) -> None:
        self._shifts = {shift.technician: shift for shift in shifts}
        self._jobs: dict[str, list[Job]] = {shift.technician: [] for shift in shifts}
        self._costs: dict[str, float] = dict.fromkeys(self._jobs, 0.0)
        self._speed = speed_kmh
        self._travel: dict[tuple[Place, Place], timedelta] = {}

    def insert(self, job: Job) -> str | None:
        """Insert where it costs least; return why it cannot be, or None."""
        able = [shift for shift in self._shifts.values() if _may_do(shift, job)]
        if not able:
            return "tickets.plan.nobody_able"
        best: tuple[float, str, list[Job]] | None = None
        for shift in able:
            route = self._jobs[shift.technician]
            for place in range(len(route) + 1):
                trial = [*route[:place], job, *route[place:]]
                cost = self._cost(shift, trial)
                if cost is None:
                    continue
                more = cost - self._costs[shift.technician]
                if best is None or (more, shift.technician) < best[:2]:
                    best = (more, shift.technician, trial)
        if best is None:
            return "tickets.plan.day_full"
        self._set(best[1], best[2])
        return None

    def make_room(self, job: Job) -> list[Job] | None:
        """Take out one job that can wait so that `job` fits; return it, or None when that does not help."""
        for shift in (shift for shift in self._shifts.values() if _may_do(shift, job)):
            route = self._jobs[shift.technician]
            optional = [other for other in route if not other.must and other.keeps is None]
            for other in sorted(optional, key=lambda each: (each.weight, each.key)):
                rest = [each for each in route if each is not other]
                for place in range(len(rest) + 1):
                    trial = [*rest[:place], job, *rest[place:]]
                    if self._cost(shift, trial) is not None:
                        self._set(shift.technician, trial)
                        return [other]
        return None

    def routes(self) -> dict[str, tuple[Stop, ...]]:
        return {name: tuple(self._stops(self._shifts[name], jobs)) for name, jobs in self._jobs.items()}

    def _set(self, technician: str, jobs: list[Job]) -> None:
        self._jobs[technician] = jobs
        cost = self._cost(self._shifts[technician], jobs)
        assert cost is not None  # only routes that fit the shift are kept
        self._costs[technician] = cost

    def _cost(self, shift: Shift, jobs: Sequence[Job]) -> float | None:
        """Return minutes of travel plus weighted lateness; None if the shift is too short or a must would be late."""
        now, place, cost = shift.starts, shift.home, 0.0
        for job in jobs:
            travel = self._between(place, job.place)
            now = max(now + travel, job.opens)
            if now > job.due:
                if job.must:
                    return None
                cost += job.weight * (now - job.due).total_seconds() / 60
            cost += travel.total_seconds() / 60
            now, place = now + job.on_site, job.place
        return cost if now <= shift.ends else None

    def _stops(self, shift: Shift, jobs: Sequence[Job]) -> Iterable[Stop]:
        now, place = shift.starts, shift.home
        for job in jobs:
            travel = self._between(place, job.place)
            now = max(now + travel, job.opens)
            yield Stop(job, now, travel, max(now - job.due, timedelta()))
            now, place = now + job.on_site, job.place

    def _between(self, one: Place, other: Place) -> timedelta:
        found = self._travel.get((one, other))
        if found is None:
            found = self._travel[one, other] = travel_time(one, other, self._speed)
        return found


def _may_do(shift: Shift, job: Job) -> bool:
    if job.keeps is not None and job.keeps != shift.technician:
        return False
    in_region = "*" in shift.regions or job.region in shift.regions
    return in_region and ("*" in shift.skills or job.skill.lower() in shift.skills)
