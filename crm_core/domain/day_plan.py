"""The words of a day plan: jobs, shifts, stops, the plan, and how long the way between two places takes.

All of it counts in whole minutes, so that every planner - our own heuristic and the solvers - means the same by "on time".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import asin, cos, radians, sin, sqrt
from typing import Final

MINUTE: Final = timedelta(minutes=1)
_EARTH_KM: Final = 6371.0

#: Latitude and longitude in degrees; or the name of a place whose coordinates are unknown, equal only to itself.
Place = tuple[float, float] | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One visit to plan. `opens` is the earliest start, `due` the promise; `weight` is what a late minute costs.

    `keeps` names the technician whom the customer expects, `promised` the start that the customer was told.
    `parts` are pieces that only a van can bring (how many of each); what a warehouse has is picked up on the way.
    """

    key: str
    place: Place
    region: str
    skill: str
    on_site: timedelta
    opens: datetime
    due: datetime
    weight: float = 1.0
    must: bool = False  # in time, and never left out for another one
    keeps: str | None = None
    promised: datetime | None = None
    parts: Mapping[str, int] = field(default_factory=dict)

    @property
    def earliest(self) -> datetime:
        """The earliest start: a promised one is kept to the minute."""
        return self.promised or self.opens

    @property
    def latest(self) -> datetime | None:
        """The latest start that is allowed at all; None when being late only costs."""
        return self.promised or (self.due if self.must else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One technician's day; `home` is where the route begins, `parts` is what the van holds, `most` limits the jobs."""

    technician: str
    home: Place
    regions: frozenset[str]
    skills: frozenset[str]
    starts: datetime
    ends: datetime
    parts: Mapping[str, int] = field(default_factory=dict)
    most: int | None = None

    def may_do(self, job: Job) -> bool:
        """Return True if skill, region, van and the customer's expectation allow the job; hours are another matter."""
        if job.keeps is not None and job.keeps != self.technician:
            return False
        in_region = "*" in self.regions or job.region in self.regions
        has_skill = "*" in self.skills or job.skill.lower() in self.skills
        return in_region and has_skill and self.carries([job])

    def carries(self, jobs: Sequence[Job]) -> bool:
        """Return True if the van holds the parts of all these jobs together, and they are not too many."""
        if self.most is not None and len(jobs) > self.most:
            return False
        wanted: dict[str, int] = {}
        for job in jobs:
            for part, quantity in job.parts.items():
                wanted[part] = wanted.get(part, 0) + quantity
        return all(self.parts.get(part, 0) >= quantity for part, quantity in wanted.items())


@dataclass(frozen=True, slots=True)
class Stop:
    """A planned visit: `starts` is the planned start; `late` is how much it misses the promise."""

    job: Job
    starts: datetime
    travel: timedelta
    late: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPlan:
    """Routes by technician, and with the reason (a key of the message catalogue) what is not as it was asked for.

    `left_out` are jobs that nobody can do today, `released` those whose promised start or technician
    could not be kept to the minute.
    `by` names the planner that found the routes.
    """

    routes: Mapping[str, tuple[Stop, ...]]
    left_out: Mapping[str, str] = field(default_factory=dict)
    released: Mapping[str, str] = field(default_factory=dict)
    by: str = "insertion"

    @property
    def stops(self) -> Iterator[Stop]:
        """All planned visits, route by route."""
        return (stop for route in self.routes.values() for stop in route)

    @property
    def travel(self) -> timedelta:
        return sum((stop.travel for stop in self.stops), timedelta())

    @property
    def late(self) -> int:
        """How many visits begin after their promise."""
        return sum(stop.late > timedelta() for stop in self.stops)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRules:
    """What holds for all jobs of a plan: how fast vans go, and what a re-plan may do to promises.

    A promised start that cannot be kept may slip by `slack`; to make room for a must, at most `changed_share` of all
    promised starts may change.
    """

    speed_kmh: float
    unknown_travel: timedelta = timedelta(minutes=20)  # between places of which one has no coordinates
    slack: timedelta = timedelta(minutes=30)
    changed_share: float = 0.15


class Travel:
    """Travel times between places, each worked out once."""

    def __init__(self, rules: PlanRules) -> None:
        self._rules = rules
        self._known: dict[tuple[Place, Place], timedelta] = {}

    def between(self, one: Place, other: Place) -> timedelta:
        """Return the time of the way in whole minutes."""
        found = self._known.get((one, other))
        if found is None:
            found = self._known[one, other] = travel_time(one, other, self._rules)
        return found

    def walk(self, shift: Shift, jobs: Sequence[Job]) -> Iterator[Stop]:
        """Yield the stops of a route in order, each as early as the way and its window allow."""
        now, place = shift.starts, shift.home
        for job in jobs:
            travel = self.between(place, job.place)
            now = max(now + travel, job.earliest)
            yield Stop(job, now, travel, max(now - job.due, timedelta()))
            now, place = now + job.on_site, job.place

    def cost(self, shift: Shift, jobs: Sequence[Job]) -> float | None:
        """Return minutes of travel plus weighted minutes of lateness; None when the route breaks a hard rule."""
        now, place, cost = shift.starts, shift.home, 0.0
        for job in jobs:
            travel = self.between(place, job.place)
            now = max(now + travel, job.earliest)
            latest = job.latest
            if latest is not None and now > latest:
                return None
            if now > job.due:
                cost += job.weight * ((now - job.due) / MINUTE)
            cost += travel / MINUTE
            now, place = now + job.on_site, job.place
        return cost if now <= shift.ends and shift.carries(jobs) else None


def travel_time(one: Place, other: Place, rules: PlanRules) -> timedelta:
    """Return the time between two places by great circle in whole minutes; the guess of the rules where a place is unknown."""
    if one is not None and one == other:
        return timedelta()
    if not isinstance(one, tuple) or not isinstance(other, tuple):
        return rules.unknown_travel
    (lat1, lon1), (lat2, lon2) = ((radians(a), radians(b)) for a, b in (one, other))
    half = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    hours = 2 * _EARTH_KM * asin(min(1.0, sqrt(half))) / rules.speed_kmh
    return max(1, round(60 * hours)) * MINUTE
