"""The port of route planning: our own insertion heuristic always, solvers where they are installed."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from crm_core.domain.day_plan import DayPlan, Job, PlanRules, Shift


class RoutePlanner(Protocol):
    """Finds the routes of one day.

    Hard: skill, region, hours of the shift, parts that only the van has, the number of jobs a day, the start of a kept
    promise, and the due time of a must. Soft: travel and lateness. Jobs without a place in the day are left out with the
    reason, never dropped silently.
    """

    @property
    def name(self) -> str:
        """What the setting `planning.solver` calls it."""
        ...

    def plan(self, jobs: Iterable[Job], shifts: Sequence[Shift], rules: PlanRules) -> DayPlan:
        """Return the plan; every job is either on one route or left out."""
        ...
