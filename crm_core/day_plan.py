"""The day plan by insertion: a heuristic that always has an answer, at once, and where the solvers begin. Pure.

Promised starts are laid down first and stay to the minute. Then jobs are inserted one after the other, those that must be
in time first, then by weight, each where it costs least: minutes of travel plus weighted minutes of lateness. A must that
finds no place takes that of another job, which goes elsewhere or, if it can wait, is left out; only so many promised starts
give way as the rules allow. Where that is not enough, a search orders the musts of two technicians anew (`day_search`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from math import floor
from typing import Final

from crm_core.day_search import RouteSearch
from crm_core.domain.day_plan import MINUTE, DayPlan, Job, PlanRules, Shift, Travel

ABSENT: Final = "tickets.plan.absent"
DELAYED: Final = "tickets.plan.delayed"
MADE_ROOM: Final = "tickets.plan.made_room"
DAY_FULL: Final = "tickets.plan.day_full"
PROMISES_KEPT: Final = "tickets.plan.promises_kept"
NOBODY_ABLE: Final = "tickets.plan.nobody_able"
NO_PART: Final = "tickets.plan.no_part"
_GIVE_WAY_MOST: Final = 3  # neighbours on a route
_ALL_SETS_OF: Final = 10  # so many musts are tried in every combination ...
_LEFT_OUT_MOST: Final = 2  # ... of more than that so many are left out at once
_SEARCH_STEPS: Final = 60_000  # of a whole plan: about a second at most
_STEPS_EACH: Final = 3_000  # of one search, so that a hopeless one leaves time for the others
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)

Routes = Mapping[str, Sequence[Job]]


@dataclass(slots=True, kw_only=True)
class Draft:
    """What the heuristic found, in a form that a solver can improve on. `jobs` have their promises settled."""

    shifts: Mapping[str, Shift]
    travel: Travel
    jobs: dict[str, Job]
    routes: dict[str, list[Job]]
    released: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def able(self, job: Job) -> list[Shift]:
        """Return the shifts whose technician may do the job at all."""
        return [shift for shift in self.shifts.values() if shift.may_do(job)]

    def better(self, routes: Routes, by: str) -> DayPlan:
        """Return the plan of `routes` if they keep every hard rule and are better than the draft, else the draft's."""
        if self.allows(routes) and self.score(routes) < self.score(self.routes):
            return self.plan(routes, by)
        return self.plan(self.routes)

    def allows(self, routes: Routes) -> bool:
        """Return True if the routes keep every hard rule and promise, and no job stands twice."""
        keys = [job.key for route in routes.values() for job in route]
        if len(keys) != len(set(keys)) or any(
            job.promised and key not in keys for key, job in self.jobs.items()
        ):
            return False
        return all(
            self.travel.cost(self.shifts[name], route) is not None
            and all(self.shifts[name].may_do(job) for job in route)
            for name, route in routes.items()
        )

    def score(self, routes: Routes) -> tuple[tuple[float, ...], float, float]:
        """Return what to minimise: promises missed, the heaviest first; weight of what is left out; travel and lateness.

        One core customer outweighs any number of others who must be in time.
        """
        there = {job.key for route in routes.values() for job in route}
        missing = [job for job in self.jobs.values() if job.key not in there]
        owed = _weights(job for job in missing if job.must)
        costs = (self.travel.cost(self.shifts[name], route) for name, route in routes.items())
        return owed, sum(job.weight for job in missing), sum(cost or 0.0 for cost in costs)

    def plan(self, routes: Routes, by: str = "insertion") -> DayPlan:
        """Return the plan with times of arrival, and a reason for each job that has no place."""
        there = {job.key for route in routes.values() for job in route}
        return DayPlan(
            routes={
                name: tuple(self.travel.walk(self.shifts[name], routes.get(name, ()))) for name in self.shifts
            },
            left_out={key: self._why(job) for key, job in self.jobs.items() if key not in there},
            released=dict(self.released),
            by=by,
        )

    def _why(self, job: Job) -> str:
        known = self.left_out.get(job.key)
        if known is not None:
            return known
        if self.able(job):
            return DAY_FULL
        return NO_PART if job.parts and self.able(replace(job, parts={})) else NOBODY_ABLE


class InsertionPlanner:
    """The planner that needs nothing but itself (`ports.planning.RoutePlanner`). The same jobs give the same plan."""

    name = "insertion"

    def plan(self, jobs: Iterable[Job], shifts: Sequence[Shift], rules: PlanRules) -> DayPlan:
        found = draft(jobs, shifts, rules)
        return found.plan(found.routes)


def draft(jobs: Iterable[Job], shifts: Sequence[Shift], rules: PlanRules) -> Draft:
    """Return the heuristic's routes, with what they were made of."""
    return _Inserting(jobs, shifts, rules).run()


class _Inserting:
    """Routes under construction."""

    def __init__(self, jobs: Iterable[Job], shifts: Sequence[Shift], rules: PlanRules) -> None:
        hours = {shift.technician: _in_minutes(shift) for shift in shifts}
        asked = sorted((_job_in_minutes(job) for job in jobs), key=lambda job: job.key)
        self._draft = Draft(
            shifts={name: hours[name] for name in sorted(hours)},
            travel=Travel(rules),
            jobs={job.key: job for job in asked},
            routes={name: [] for name in sorted(hours)},
        )
        self._rules = rules
        self._costs = dict.fromkeys(self._draft.routes, 0.0)
        self._may_change = floor(rules.changed_share * sum(job.promised is not None for job in asked))

    def run(self) -> Draft:
        self._keep_promises()
        waiting = sorted(self._missing(), key=_urgency)
        left = [job for job in waiting if not self._insert(job)]
        musts = [job for job in left if job.must]
        for job in musts:  # it grows: who gave way to a heavier one looks for another place, too
            musts += [each for each in self._make_room(job) if each.must]
        self._rearrange()
        for job in sorted(self._missing(), key=_urgency):  # the changes above may have opened a gap
            self._insert(job)
        return self._draft

    def _keep_promises(self) -> None:
        """Lay down the promised starts; who cannot be there within the slack is released, with the reason."""
        promised = [job for job in self._draft.jobs.values() if job.promised is not None]
        for job in sorted(promised, key=lambda each: (each.earliest, each.key)):
            shift = self._draft.shifts.get(job.keeps or "")
            if shift is None or not shift.may_do(job):
                self._release(job, ABSENT if shift is None else DELAYED)
                continue
            route = [*self._draft.routes[shift.technician], replace(job, promised=None, opens=job.earliest)]
            starts = list(self._draft.travel.walk(shift, route))[-1].starts
            kept = replace(job, promised=starts)
            if starts <= job.earliest + self._rules.slack and self._fits(shift, [*route[:-1], kept]):
                if starts != job.earliest:
                    self._note(job, DELAYED)
                self._draft.jobs[job.key] = kept
                self._set(shift, [*route[:-1], kept])
            else:
                self._release(job, DELAYED)

    def _release(self, job: Job, why: str) -> None:
        free = replace(job, keeps=None, promised=None)
        self._draft.jobs[job.key] = free
        self._note(job, why)

    def _note(self, job: Job, why: str) -> None:
        self._draft.released[job.key] = why
        self._may_change -= 1

    def _insert(self, job: Job) -> bool:
        best: tuple[float, str, list[Job]] | None = None
        for shift in self._draft.able(job):
            route = self._draft.routes[shift.technician]
            for trial in _with(route, job):
                cost = self._draft.travel.cost(shift, trial)
                more = None if cost is None else cost - self._costs[shift.technician]
                if more is not None and (best is None or (more, shift.technician) < best[:2]):
                    best = (more, shift.technician, trial)
        if best is None:
            return False
        self._set(self._draft.shifts[best[1]], best[2])
        return True

    def _make_room(self, job: Job) -> list[Job]:
        """Let others give way to `job`, to another place of the day or, if they weigh less, out of it; return these."""
        runs = [
            (others, shift)
            for shift in self._draft.able(job)
            for others in _who_may_give_way(shift, self._draft.routes[shift.technician], job)
        ]
        for others, shift in sorted(runs, key=_patience):
            if not self._may_give_way(others):
                self._note_kept(job, others, shift)
                continue
            homeless = self._swap(job, others, shift)
            if homeless is not None:
                self._draft.left_out.pop(job.key, None)
                return homeless
        return []

    def _note_kept(self, job: Job, others: Sequence[Job], shift: Shift) -> None:
        """Note that `job` would have a place if more promises might change: a human being may decide so."""
        if any(each.must and each.weight >= job.weight for each in others):
            return
        rest = [each for each in self._draft.routes[shift.technician] if each not in others]
        if any(self._fits(shift, trial) for trial in _with(rest, job)):
            self._draft.left_out[job.key] = PROMISES_KEPT

    def _rearrange(self) -> None:
        """Lay the musts of two technicians on their routes anew, while that leaves fewer or lighter ones without a place."""
        search = RouteSearch(self._draft.travel, steps=_SEARCH_STEPS, each=_STEPS_EACH)
        shifts = list(self._draft.shifts.values())
        pairs: list[tuple[Shift, ...]] = list(combinations(shifts, 2)) if len(shifts) > 1 else [tuple(shifts)]
        while any(self._lay_anew(search, pair) for pair in pairs):
            pass  # each time the musts without a place weigh less, so it ends

    def _lay_anew(self, search: RouteSearch, pair: Sequence[Shift]) -> bool:
        """Return True if the routes of a pair could be laid with more musts on them; who can wait finds its place after."""
        missing = [job for job in self._missing() if job.must and any(shift.may_do(job) for shift in pair)]
        there = [each for shift in pair for each in self._draft.routes[shift.technician]]
        firm = [each for each in there if each.promised is not None]
        musts = [each for each in there if each.must and each.promised is None] + missing
        for spared in _lighter(musts, missing):
            found = search.routes(pair, [*firm, *(job for job in musts if job not in spared)])
            if found is None:
                continue
            for shift in pair:
                self._set(shift, found[shift.technician])
            rest = [*spared, *(each for each in there if not each.must and each.promised is None)]
            homeless = [each for each in sorted(rest, key=_urgency) if not self._insert(each)]
            self._draft.left_out |= {each.key: MADE_ROOM for each in homeless if each not in missing}
            return True
        return False

    def _missing(self) -> list[Job]:
        there = {job.key for route in self._draft.routes.values() for job in route}
        return [job for key, job in self._draft.jobs.items() if key not in there]

    def _may_give_way(self, others: Sequence[Job]) -> bool:
        told = sum(each.promised is not None for each in others)
        return told <= max(self._may_change, 0)

    def _swap(self, job: Job, others: Sequence[Job], shift: Shift) -> list[Job] | None:
        """Put `job` in the place of `others` and return who found no other; None when that is not allowed."""
        routes, costs = dict(self._draft.routes), dict(self._costs)
        rest = [each for each in routes[shift.technician] if each not in others]
        trial = next((each for each in _with(rest, job) if self._fits(shift, each)), None)
        if trial is None:
            return None
        self._set(shift, trial)
        freed = [replace(each, keeps=None, promised=None) for each in others]
        homeless = [each for each in freed if not self._insert(each)]
        if any(each.must and each.weight >= job.weight for each in homeless):
            self._draft.routes, self._costs = routes, costs
            return None
        for each in others:
            if each.promised is not None:
                self._release(each, MADE_ROOM)
        self._draft.left_out |= {each.key: MADE_ROOM for each in homeless}
        return homeless

    def _fits(self, shift: Shift, jobs: Sequence[Job]) -> bool:
        return self._draft.travel.cost(shift, jobs) is not None

    def _set(self, shift: Shift, jobs: list[Job]) -> None:
        cost = self._draft.travel.cost(shift, jobs)
        assert cost is not None  # only routes that keep the hard rules are kept
        self._draft.routes[shift.technician] = jobs
        self._costs[shift.technician] = cost


def _with(route: Sequence[Job], job: Job) -> Iterable[list[Job]]:
    return ([*route[:place], job, *route[place:]] for place in range(len(route) + 1))


def _lighter(musts: Sequence[Job], missing: Sequence[Job]) -> Iterable[Sequence[Job]]:
    """Yield what may be left out of `musts` instead of `missing`, the best first: one heavy job outweighs many light ones."""
    now = _weights(missing)
    if not missing:
        return []
    most = len(musts) if len(musts) <= _ALL_SETS_OF else _LEFT_OUT_MOST
    sets = [each for size in range(most + 1) for each in combinations(musts, size) if _weights(each) < now]
    return sorted(sets, key=_weights)


def _weights(jobs: Iterable[Job]) -> tuple[float, ...]:
    return tuple(sorted((job.weight for job in jobs), reverse=True))


def _urgency(job: Job) -> tuple[bool, bool, float, datetime, str]:
    return job.keeps is None, not job.must, -job.weight, job.due, job.key


def _runs(route: Sequence[Job]) -> Iterable[Sequence[Job]]:
    """Yield the stretches of a route that may give way together."""
    for length in range(1, _GIVE_WAY_MOST + 1):
        for place in range(len(route) - length + 1):
            yield route[place : place + length]


def _who_may_give_way(shift: Shift, route: Sequence[Job], job: Job) -> Iterable[Sequence[Job]]:
    """Yield the stretches whose time `job` may take; with each who takes its part or place in the van at another time."""
    for run in _runs(route):
        rest = [each for each in route if each not in run]
        if shift.carries([*rest, job]):
            yield run
            continue
        for other in rest:
            if shift.carries([each for each in rest if each is not other] + [job]):
                yield [*run, other]


def _patience(pair: tuple[Sequence[Job], Shift]) -> tuple[int, int, float, str]:
    """Return what giving way would cost: promises first, then those that must be in time, then weights."""
    others, shift = pair
    told = sum(each.promised is not None for each in others)
    return told, sum(each.must for each in others), sum(each.weight for each in others), shift.technician


def _in_minutes(shift: Shift) -> Shift:
    return replace(shift, starts=_up(shift.starts), ends=_down(shift.ends))


def _job_in_minutes(job: Job) -> Job:
    told = None if job.promised is None else _up(job.promised)
    length = -(-job.on_site // MINUTE) * MINUTE
    return replace(job, opens=_up(job.opens), due=_down(job.due), promised=told, on_site=length)


def _down(at: datetime) -> datetime:
    return at - (at - _EPOCH) % MINUTE


def _up(at: datetime) -> datetime:
    return at + (_EPOCH - at) % MINUTE if (at - _EPOCH) % MINUTE != timedelta() else at
