"""`drumbeat jobs`: the recurring work of a whole process, listed or run once here and now.

Running a job here is safe while a server runs: who leads is decided by a lease in the database, and effects are unique.
"""

from typing import Annotated, Final

import typer

from config.cli.common import JsonFlag, print_json, print_table, session_of
from config.clock import SystemClock
from config.wiring.process import Process, build_jobs

app = typer.Typer(add_completion=False, no_args_is_help=True, help="List the recurring jobs, or run one now.")


@app.command("list")
def list_jobs(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List all jobs with their schedules."""
    process = _process(context)
    try:
        jobs = process.supervisor.list()
    finally:
        process.life.stop()
    if as_json:
        print_json([{"name": job.name, "schedule": job.schedule} for job in jobs])
    else:
        print_table(("job", "schedule"), ((job.name, job.schedule) for job in jobs))


@app.command()
def run(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the job, as `jobs list` shows it.")],
    as_json: JsonFlag = False,
) -> None:
    """Run one job in this process and wait for its end."""
    process = _process(context)
    process.life.start()
    try:
        job = process.supervisor.run_now(name)
    finally:
        process.life.stop()
    if as_json:
        print_json({"name": job.name, "seconds": job.last_seconds, "ok": job.last_error is None})
    else:
        typer.echo(f"{job.name}: done in {job.last_seconds} s")


def _process(context: typer.Context) -> Process:
    return build_jobs(session_of(context).settings, SystemClock())


APPS: Final = {"jobs": app}
