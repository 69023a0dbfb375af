"""Routes by OR-Tools (extra `ortools`), a guided local search that begins with our heuristic's plan.

It prices lateness by the minute, which PyVRP cannot; in turn it searches far fewer plans in the same time.
"""

from typing import Any, Final

from ortools.constraint_solver import pywrapcp, routing_enums_pb2

from crm_core.domain.day_plan import MINUTE
from crm_core.routing.grid import Grid, left_out_prices
from crm_core.routing.solver import SolverPlanner

_SCALE: Final = 10  # weights have one decimal


class OrToolsPlanner(SolverPlanner):
    """The planner over OR-Tools."""

    name = "ortools"

    def search(self, grid: Grid, seconds: float) -> list[list[int]] | None:
        return _solve(grid, seconds)


def _solve(grid: Grid, seconds: float) -> list[list[int]] | None:
    """Return the routes as numbers of jobs, shift by shift; None when the search found nothing."""
    count = len(grid.shifts)
    manager = pywrapcp.RoutingIndexManager(
        len(grid.travel), count, [grid.start_node(each) for each in range(count)], [0] * count
    )
    routing = pywrapcp.RoutingModel(manager)
    routing.SetArcCostEvaluatorOfAllVehicles(
        routing.RegisterTransitMatrix([[_SCALE * way for way in row] for row in grid.travel])
    )
    _keep_hours(grid, manager, routing)
    _keep_loads(grid, routing)
    for number, (job, price) in enumerate(zip(grid.jobs, left_out_prices(grid.jobs), strict=True)):
        index = manager.NodeToIndex(grid.job_node(number))
        if job.promised is not None:
            routing.VehicleVar(index).SetValues(grid.able(job))
            continue
        routing.VehicleVar(index).SetValues([-1, *grid.able(job)])
        routing.AddDisjunction([index], _SCALE * price)
    search = pywrapcp.DefaultRoutingSearchParameters()
    search.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    search.time_limit.FromMilliseconds(round(1000 * seconds))
    routing.CloseModelWithParameters(search)
    start = routing.ReadAssignmentFromRoutes(
        [[manager.NodeToIndex(grid.job_node(job)) for job in route] for route in grid.drafted()],
        True,  # noqa: FBT003  # what is not on a route is left out; the binding takes no names
    )
    answer = routing.SolveFromAssignmentWithParameters(start, search)
    return None if answer is None else [_route(grid, manager, routing, answer, each) for each in range(count)]


def _keep_hours(grid: Grid, manager: Any, routing: Any) -> None:
    """Add the clock: shifts and promises are hard, the due time of who can wait costs by the minute."""
    first = grid.job_node(0)
    lengths = [0] * first + [job.on_site // MINUTE for job in grid.jobs]
    ways = [[length + way for way in row] for length, row in zip(lengths, grid.travel, strict=True)]
    arrival = routing.RegisterTransitMatrix(ways)
    routing.AddDimension(arrival, grid.horizon, 2 * grid.horizon, False, "clock")  # noqa: FBT003  # starts at any time; the binding takes no names
    clock = routing.GetDimensionOrDie("clock")
    for number, shift in enumerate(grid.shifts):
        begins, ends = grid.minute(shift.starts), grid.minute(shift.ends)
        clock.CumulVar(routing.Start(number)).SetRange(begins, begins)
        clock.CumulVar(routing.End(number)).SetRange(begins, ends)
    for number, job in enumerate(grid.jobs):
        index = manager.NodeToIndex(grid.job_node(number))
        latest = grid.horizon if job.latest is None else grid.minute(job.latest)
        clock.CumulVar(index).SetRange(grid.minute(job.earliest), latest)
        if job.latest is None and job.due < grid.begins + grid.horizon * MINUTE:
            clock.SetCumulVarSoftUpperBound(index, grid.minute(job.due), round(_SCALE * job.weight))


def _keep_loads(grid: Grid, routing: Any) -> None:
    """Add what a van holds of each part, and how many jobs a technician does in a day."""
    first = grid.job_node(0)
    none = [0] * first
    for part in grid.parts():
        demand = routing.RegisterUnaryTransitVector([*none, *(job.parts.get(part, 0) for job in grid.jobs)])
        held = [shift.parts.get(part, 0) for shift in grid.shifts]
        routing.AddDimensionWithVehicleCapacity(demand, 0, held, True, f"part {part}")  # noqa: FBT003  # from 0; the binding takes no names
    one = routing.RegisterUnaryTransitVector([*none, *(1 for _ in grid.jobs)])
    most = [len(grid.jobs) if shift.most is None else shift.most for shift in grid.shifts]
    routing.AddDimensionWithVehicleCapacity(one, 0, most, True, "jobs")  # noqa: FBT003  # from 0; the binding takes no names


def _route(grid: Grid, manager: Any, routing: Any, answer: Any, shift: int) -> list[int]:
    found, first = [], grid.job_node(0)
    index = answer.Value(routing.NextVar(routing.Start(shift)))
    while not routing.IsEnd(index):
        found.append(manager.IndexToNode(index) - first)
        index = answer.Value(routing.NextVar(index))
    return found
