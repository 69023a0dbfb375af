"""`drumbeat store`: what the telemetry store holds, and whether it is whole."""

from dataclasses import asdict
from typing import Final

import typer

from config.cli.common import JsonFlag, print_json, print_table, session_of
from config.clock import SystemClock
from config.wiring.core import open_core
from config.wiring.telemetry import open_telemetry

app = typer.Typer(no_args_is_help=True, help="Show the telemetry store.")


@app.callback()
def store() -> None:
    """Show the telemetry store."""


@app.command()
def stats(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show how many readings of how many devices there are, since when, and what waits for delivery."""
    session = session_of(context)
    telemetry = open_telemetry(open_core(session.settings, SystemClock()))
    try:
        figures = asdict(telemetry.store.stats(session.tenant)) | {
            "dead_letters": telemetry.dead_letters.count(),
            "parked": len(telemetry.outbox.parked()),
        }
    finally:
        telemetry.close()
    if as_json:
        print_json(figures)
    else:
        print_table(("figure", "value"), figures.items())


APPS: Final = {"store": app}
