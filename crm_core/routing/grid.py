"""A day plan in the integers that solvers take: minutes since the first shift began, and a matrix of travel times.

Node 0 is the end of every route (going home costs nothing), then come the starts of the shifts, then the jobs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from crm_core.day_plan import Draft
from crm_core.domain.day_plan import MINUTE, Job, Shift

#: What leaving a job out costs, in minutes of travel: so much for any job, so much for each point of its weight, and so
#: much more for what must be done. The order of these decides as `Draft.score` does.
LEFT_OUT: Final = 2_000
LEFT_OUT_WEIGHT: Final = 1_000
LEFT_OUT_MUST: Final = 1_000_000
_RANKS: Final = 3  # weights of musts that are told apart; the integers of the solvers hold no more


@dataclass(frozen=True, slots=True)
class Grid:
    """Shifts and jobs of a draft by number; `travel[i][j]` in minutes between nodes."""

    draft: Draft
    shifts: Sequence[Shift]
    jobs: Sequence[Job]
    travel: Sequence[Sequence[int]]
    begins: datetime
    horizon: int

    def minute(self, at: datetime) -> int:
        """Return an instant in whole minutes since the first shift began; never below 0 nor past the horizon."""
        return min(max((at - self.begins) // MINUTE, 0), self.horizon)

    def start_node(self, shift: int) -> int:
        return 1 + shift

    def job_node(self, job: int) -> int:
        return 1 + len(self.shifts) + job

    def able(self, job: Job) -> list[int]:
        """Return the numbers of the shifts that may do the job."""
        return [number for number, shift in enumerate(self.shifts) if shift.may_do(job)]

    def parts(self) -> list[str]:
        """Return the parts that some job takes from a van."""
        return sorted({part for job in self.jobs for part in job.parts})

    def drafted(self) -> list[list[int]]:
        """Return the draft's routes as numbers of jobs, shift by shift."""
        number = {job.key: place for place, job in enumerate(self.jobs)}
        return [[number[job.key] for job in self.draft.routes[shift.technician]] for shift in self.shifts]

    def routes(self, found: Sequence[Sequence[int]]) -> dict[str, list[Job]]:
        """Return numbers of jobs, shift by shift, as routes."""
        return {
            shift.technician: [self.jobs[job] for job in route]
            for shift, route in zip(self.shifts, found, strict=True)
        }


def grid_of(draft: Draft) -> Grid | None:
    """Return the grid of what somebody can do; None when there is nothing to improve."""
    shifts = [shift for shift in draft.shifts.values() if shift.starts < shift.ends]
    jobs = [job for job in draft.jobs.values() if any(shift.may_do(job) for shift in shifts)]
    if not shifts or not jobs:
        return None
    begins = min(shift.starts for shift in shifts)
    places = [*(shift.home for shift in shifts), *(job.place for job in jobs)]
    first_job = len(shifts)
    rows = [[0] * (1 + len(places))]
    for one, here in enumerate(places):
        way = [
            draft.travel.between(here, there) // MINUTE if other >= first_job and other != one else 0
            for other, there in enumerate(places)
        ]
        rows.append([0, *way])
    return Grid(
        draft=draft,
        shifts=shifts,
        jobs=jobs,
        travel=rows,
        begins=begins,
        horizon=max((shift.ends - begins) // MINUTE for shift in shifts),
    )


def left_out_prices(jobs: Sequence[Job]) -> list[int]:
    """Return what it costs to leave each job out, in minutes of travel: a heavier must more than all lighter ones together."""
    ranks = sorted({job.weight for job in jobs if job.must})[-_RANKS:]
    owed = [LEFT_OUT_MUST * (1 + len(jobs)) ** sum(job.weight > rank for rank in ranks) for job in jobs]
    return [
        LEFT_OUT + round(LEFT_OUT_WEIGHT * job.weight) + (price if job.must else 0)
        for job, price in zip(jobs, owed, strict=True)
    ]
