"""Which route planner finds the day's routes, and which solvers are there, for `drumbeat doctor`."""

from collections.abc import Iterator

from config.health_findings import Finding, Verdict
from config.settings import Planning
from config.wiring.planning import SOLVERS, install_command, is_installed


def examine_planning(planning: Planning) -> Iterator[Finding]:
    """Yield what plans the days; a solver that the settings name and that is not installed fails."""
    there = [solver for solver in SOLVERS if is_installed(solver)]
    absent = [solver for solver in SOLVERS if solver not in there]
    if planning.solver in absent:
        yield Finding(
            "day plan",
            Verdict.FAILED,
            f"planning.solver is {planning.solver}, which is not installed",
            f"run {install_command(planning.solver)}, or set planning.solver = insertion",
        )
        return
    extras = ", ".join(
        f"{solver} {'installed' if solver in there else 'not installed'}" for solver in SOLVERS
    )
    advice = f"for shorter routes: {install_command(absent[0])}" if len(absent) == len(SOLVERS) else ""
    yield Finding("day plan", Verdict.OK, f"routes by {planning.solver}; solvers: {extras}", advice)
