"""Routes by PyVRP (extra `pyvrp`), an iterated local search that begins with our heuristic's plan.

PyVRP knows hard windows and optional visits with a prize, no price of being late. So a job that may be late stands
there several times, in windows one after the other with ever smaller prizes, of which at most one is chosen.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyvrp
from pyvrp.exceptions import PenaltyBoundWarning
from pyvrp.stop import MaxRuntime, MultipleCriteria, NoImprovement

from crm_core.domain.day_plan import MINUTE
from crm_core.routing.grid import Grid, left_out_prices
from crm_core.routing.solver import SolverPlanner

_LATE_BANDS: Final = (60, 180)  # minutes after which a late start is dearer, then dearer again
_IDLE_ROUNDS: Final = 20_000  # without a better plan
_NEVER: Final = 1_000_000  # minutes of way to where a technician may not go
_NO_LIMIT: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Window:
    """One time at which a job may begin, and what beginning then is worth."""

    job: int
    opens: int
    closes: int
    prize: int


class PyVrpPlanner(SolverPlanner):
    """The planner over PyVRP."""

    name = "pyvrp"

    def search(self, grid: Grid, seconds: float) -> list[list[int]] | None:
        prices = left_out_prices(grid.jobs)
        windows = [each for number, price in enumerate(prices) for each in _windows(grid, number, price)]
        data = _problem(grid, windows)
        stop = MultipleCriteria([MaxRuntime(seconds), NoImprovement(_IDLE_ROUNDS)])
        begin = _initial(grid, data, windows)
        with warnings.catch_warnings():
            # a day on which not all fits is no fault of ours: an infeasible answer is refused below
            warnings.simplefilter("ignore", PenaltyBoundWarning)
            result = pyvrp.solve(data, stop, seed=0, collect_stats=False, initial_solution=begin)
        if not result.is_feasible():
            return None
        routes: list[list[int]] = [[] for _ in grid.shifts]
        for route in result.best.routes():
            routes[route.vehicle_type()] = [windows[each.idx].job for each in route if each.is_client()]
        return routes


def _windows(grid: Grid, number: int, price: int) -> list[_Window]:
    """Return when a job may begin: once in time, and unless it must be, later for less than `price`."""
    job, opens = grid.jobs[number], grid.minute(grid.jobs[number].earliest)
    if job.latest is not None:
        return [_Window(number, opens, grid.minute(job.latest), price)]
    due = grid.minute(job.due) if job.due >= grid.begins else -1
    windows = [_Window(number, opens, due, price)] if due >= opens else []
    since = max(due + 1, opens)
    if since > grid.horizon:
        return windows
    cuts = [since, *(since + cut for cut in _LATE_BANDS if since + cut < grid.horizon), grid.horizon + 1]
    for begin, end in pairwise(cuts):
        late = (begin + end) // 2 - since
        windows.append(_Window(number, begin, end - 1, max(1, price - round(job.weight * late))))
    return windows


def _problem(grid: Grid, windows: Sequence[_Window]) -> pyvrp.ProblemData:
    parts = grid.parts()
    clients, groups = [], []
    by_job: dict[int, list[int]] = {}
    for index, window in enumerate(windows):
        by_job.setdefault(window.job, []).append(index)
    group_of = {job: place for place, job in enumerate(job for job, them in by_job.items() if len(them) > 1)}
    for window in windows:
        job = grid.jobs[window.job]
        clients.append(
            pyvrp.Client(
                location=grid.job_node(window.job),
                delivery=[1, *(job.parts.get(part, 0) for part in parts)],
                service_duration=job.on_site // MINUTE,
                tw_early=window.opens,
                tw_late=window.closes,
                prize=window.prize,
                required=job.promised is not None,
                group=group_of.get(window.job),
            )
        )
    groups = [pyvrp.ClientGroup(by_job[job], required=False) for job in group_of]
    ways = [_ways(grid, number) for number in range(len(grid.shifts))]
    return pyvrp.ProblemData(
        [pyvrp.Location(0, 0) for _ in grid.travel],
        clients,
        [pyvrp.Depot(node) for node in range(1 + len(grid.shifts))],
        [_vehicle(grid, number, parts) for number in range(len(grid.shifts))],
        ways,
        ways,
        groups,
    )


def _ways(grid: Grid, number: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Return the travel times as one technician sees them: jobs of others are out of reach."""
    ways = np.array(grid.travel, dtype=np.int64)
    shift = grid.shifts[number]
    for place, job in enumerate(grid.jobs):
        if not shift.may_do(job):
            ways[:, grid.job_node(place)] = _NEVER
    np.fill_diagonal(ways, 0)
    return ways


def _vehicle(grid: Grid, number: int, parts: Sequence[str]) -> pyvrp.VehicleType:
    shift = grid.shifts[number]
    most = _NO_LIMIT if shift.most is None else shift.most
    return pyvrp.VehicleType(
        capacity=[most, *(shift.parts.get(part, 0) for part in parts)],
        start_depot=grid.start_node(number),
        end_depot=0,
        tw_early=grid.minute(shift.starts),
        tw_late=grid.minute(shift.ends),
        profile=number,
    )


def _initial(grid: Grid, data: pyvrp.ProblemData, windows: Sequence[_Window]) -> pyvrp.Solution:
    """Return the draft as a solution: each job in the window that its start lies in."""
    routes = []
    for number, shift in enumerate(grid.shifts):
        stops = list(grid.draft.travel.walk(shift, grid.draft.routes[shift.technician]))
        if not stops:
            continue
        visits = [
            next(
                index
                for index, window in enumerate(windows)
                if grid.jobs[window.job].key == stop.job.key
                and window.opens <= grid.minute(stop.starts) <= window.closes
            )
            for stop in stops
        ]
        routes.append(pyvrp.Route(data, visits, number))
    return pyvrp.Solution(data, routes)
