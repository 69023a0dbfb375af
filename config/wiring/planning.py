"""The route planner that the settings name; the solvers are extras, loaded only when they are asked for."""

import importlib
from importlib.util import find_spec
from typing import Final

from crm_core.day_plan import InsertionPlanner
from crm_core.domain.errors import InvalidConfiguration
from crm_core.ports.planning import RoutePlanner

#: Solver (also the name of its extra and of its package) -> its adapter.
SOLVERS: Final = {
    "pyvrp": ("crm_core.routing.pyvrp_planner", "PyVrpPlanner"),
    "ortools": ("crm_core.routing.ortools_planner", "OrToolsPlanner"),
}


def route_planner(solver: str, seconds: float) -> RoutePlanner:
    """Return the planner; `InvalidConfiguration` with the command when its extra is not installed."""
    if solver == InsertionPlanner.name:
        return InsertionPlanner()
    module, name = SOLVERS[solver]
    if not is_installed(solver):
        raise InvalidConfiguration(
            f"planning.solver: {solver} is not installed; run {install_command(solver)}, or set it to insertion"
        )
    planner: RoutePlanner = getattr(importlib.import_module(module), name)(seconds)
    return planner


def is_installed(solver: str) -> bool:
    """Return True if the solver's package is there."""
    return find_spec(solver) is not None


def install_command(solver: str) -> str:
    """Return what to type to get a solver."""
    return f"pip install 'drumbeat[{solver}]'"
