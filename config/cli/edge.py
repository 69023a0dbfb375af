"""`drumbeat edge`: the agent at a customer's site that polls its printers and pushes what they say."""

from pathlib import Path
from typing import Annotated, Final

import typer

from config.cli.common import session_of, version
from config.clock import SystemClock
from config.edge import EdgeProcess, load_edge

app = typer.Typer(add_completion=False)


@app.command()
def edge(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(help="Settings of the agent (TOML); without it DRUMBEAT_EDGE_... variables."),
    ] = None,
) -> None:
    """Poll the printers of one site and push their readings until Ctrl-C or SIGTERM; nothing is lost without a network."""
    EdgeProcess(load_edge(file), session_of(context).settings, SystemClock(), version()).run()


APPS: Final = {"edge": app}
