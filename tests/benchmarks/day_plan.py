"""Measures the planners on the day of story 7: `python -m tests.benchmarks.day_plan [SECONDS] [SEEDS]`, a Markdown table."""

import os
import sys
import time
from datetime import timedelta

from config.wiring.planning import SOLVERS, install_command, is_installed, route_planner
from crm_core.domain.day_plan import DayPlan, Job, Shift
from crm_core.ports.planning import RoutePlanner
from tests.day_plans import RULES, promised_by, story_7

_ILL = 5


def main(seconds: float = 10.0, seeds: int = 5) -> None:
    """Print a row for each planner that is installed, over all seeds."""
    print(f"load {os.getloadavg()[0]:.1f}, {seconds:g} s of search, {seeds} days")
    print(
        "| planner | travel | left out | musts missed | CPU | wall | changed after a sick call | core missed then |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in ("insertion", *SOLVERS):
        if name in SOLVERS and not is_installed(name):
            print(f"| {name} | not installed: {install_command(name)} | | | | | | |")
            continue
        print(_row(route_planner(name, seconds), seeds))


def _row(planner: RoutePlanner, seeds: int) -> str:
    travel, left, missed, core, changed, cpu, wall = timedelta(), 0, 0, 0, 0.0, 0.0, 0.0
    for seed in range(seeds):
        jobs, shifts = story_7(seed)
        began, clock = time.process_time(), time.perf_counter()
        plan = planner.plan(jobs, shifts, RULES)
        cpu, wall = max(cpu, time.process_time() - began), max(wall, time.perf_counter() - clock)
        travel += plan.travel
        left += len(plan.left_out)
        missed += sum(job.must for job in jobs if job.key in plan.left_out)
        share, lost = _after_a_sick_call(planner, plan, jobs, shifts)
        changed, core = max(changed, share), core + lost
    return (
        f"| {planner.name} | {travel / seeds / timedelta(hours=1):.1f} h | {left / seeds:.1f} of 180 | {missed} "
        f"| {cpu:.2f} s | {wall:.2f} s | at most {changed:.1%} | {core} |"
    )


def _after_a_sick_call(
    planner: RoutePlanner, plan: DayPlan, jobs: list[Job], shifts: list[Shift]
) -> tuple[float, int]:
    """Return the share of promises that changed, and how many core customers got no place in time."""
    told = promised_by(plan, jobs)
    ill = shifts[_ILL].technician
    again = planner.plan(told, [shift for shift in shifts if shift.technician != ill], RULES)
    now = {stop.job.key: (name, stop.starts) for name, route in again.routes.items() for stop in route}
    promised = [job for job in told if job.promised is not None]
    moved = sum(now.get(job.key) != (job.keeps, job.promised) for job in promised)
    return moved / len(promised), sum(job.weight == 10.0 for job in jobs if job.key in again.left_out)


if __name__ == "__main__":
    main(*(kind(given) for kind, given in zip((float, int), sys.argv[1:], strict=False)))  # type: ignore[arg-type]  # seconds, then seeds
