"""The route planner by setting: the extra that is named must be there, and doctor says which are."""

import importlib.util

import pytest

from config.health_findings import Verdict
from config.health_planning import examine_planning
from config.settings import Planning
from config.wiring import planning
from config.wiring.planning import SOLVERS, route_planner
from crm_core.day_plan import InsertionPlanner
from crm_core.domain.errors import InvalidConfiguration


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(planning, "find_spec", lambda _name: None)


def test_the_heuristic_needs_nothing(nothing_installed):
    assert isinstance(route_planner("insertion", 10.0), InsertionPlanner)
    (finding,) = examine_planning(Planning(solver="insertion", seconds=10.0))
    assert finding.verdict is Verdict.OK
    assert "pyvrp not installed" in finding.what
    assert "pip install" in finding.advice


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_solver_that_is_named_and_not_there_stops_the_start_with_the_command(solver, nothing_installed):
    with pytest.raises(InvalidConfiguration, match=rf"pip install 'drumbeat\[{solver}\]'"):
        route_planner(solver, 10.0)
    (finding,) = examine_planning(Planning(solver=solver, seconds=10.0))
    assert finding.verdict is Verdict.FAILED


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_solver_that_is_there_is_taken(solver):
    if importlib.util.find_spec(solver) is None:
        pytest.skip(f"by design: the extra is not installed here; pip install 'drumbeat[{solver}]' brings it")
    assert route_planner(solver, 0.1).name == solver
    (finding,) = examine_planning(Planning(solver=solver, seconds=10.0))
    assert f"routes by {solver}" in finding.what
