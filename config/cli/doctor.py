"""`drumbeat doctor`: one look over an installation - secrets, backups, accounts, stores, silent devices."""

from functools import partial
from typing import Final

import typer

from config.cli.common import JsonFlag, print_json, print_table, session_of
from config.clock import SystemClock
from config.health import examine
from config.health_findings import Verdict
from config.wiring.core import open_core
from config.wiring.telemetry import open_telemetry

app = typer.Typer(add_completion=False)


@app.command()
def doctor(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Look over the installation; exit 1 when something does not work at all."""
    settings = session_of(context).settings
    findings = list(examine(settings, partial(open_core, settings, SystemClock()), open_telemetry))
    if as_json:
        print_json(
            [
                {"check": each.check, "verdict": each.verdict.value, "what": each.what, "advice": each.advice}
                for each in findings
            ]
        )
    else:
        rows = ((each.check, each.verdict.value, each.what, each.advice) for each in findings)
        print_table(("check", "verdict", "what", "advice"), rows)
    if any(each.verdict is Verdict.FAILED for each in findings):
        raise typer.Exit(1)


APPS: Final = {"doctor": app}
