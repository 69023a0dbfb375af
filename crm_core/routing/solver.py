"""What all solvers do alike: begin with the heuristic's draft, search, and answer only with what is better."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from crm_core.day_plan import draft
from crm_core.domain.day_plan import DayPlan, Job, PlanRules, Shift
from crm_core.routing.grid import Grid, grid_of


class SolverPlanner(ABC):
    """A planner over a solver (`ports.planning.RoutePlanner`); `seconds` limits its search."""

    name: str

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def plan(self, jobs: Iterable[Job], shifts: Sequence[Shift], rules: PlanRules) -> DayPlan:
        found = draft(jobs, shifts, rules)
        grid = grid_of(found)
        routes = None if grid is None else self.search(grid, self._seconds)
        if grid is None or routes is None:
            return found.plan(found.routes)
        return found.better(grid.routes(routes), self.name)

    @abstractmethod
    def search(self, grid: Grid, seconds: float) -> list[list[int]] | None:
        """Return the routes as numbers of jobs, shift by shift; None when nothing was found."""
