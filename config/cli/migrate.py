"""`drumbeat migrate`: the CRM database at the newest schema. Every start does the same by itself."""

from typing import Final

import typer

from config.cli.common import JsonFlag, print_json, session_of
from config.wiring.core import migrate_database

app = typer.Typer(add_completion=False)


@app.command()
def migrate(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Create the CRM database or bring it up to date; harmless when it is."""
    engine = migrate_database(session_of(context).settings)
    if as_json:
        print_json({"ok": True, "engine": engine})
    else:
        typer.echo(f"CRM database ({engine}) is up to date")


APPS: Final = {"migrate": app}
