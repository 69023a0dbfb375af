"""`drumbeat policy`: the figures of the business, each with its unit, requirement and reason."""

from typing import Annotated, Final

import typer

from config.cli.common import JsonFlag, print_json, print_table, session_of
from config.clock import SystemClock
from config.loaders import load_knowledge
from config.policy_files import policy_on
from config.policy_taker import Figure
from crm_core.domain.errors import NotFound

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show the figures of the business and where they come from.",
)


@app.command("list")
def list_figures(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List all figures in force today."""
    figures = _figures(context)
    if as_json:
        print_json([_as_dict(figure) for figure in figures.values()])
    else:
        print_table(
            ("key", "value", "unit", "requirement"),
            ((figure.key, figure.value, figure.unit, figure.requirement) for figure in figures.values()),
        )


@app.command()
def explain(
    context: typer.Context,
    key: Annotated[
        str, typer.Argument(help="Key of a figure or the beginning of some, for example sla.first_response.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Say what a figure is, which requirement it fulfils and where it stands."""
    figures = _figures(context)
    chosen = [figure for name, figure in figures.items() if name == key or name.startswith(f"{key}.")]
    if not chosen:
        raise NotFound(f"no figure {key!r}; `drumbeat policy list` shows all")
    if as_json:
        print_json([_as_dict(figure) for figure in chosen])
        return
    for figure in chosen:
        typer.echo(f"{figure.key} = {figure.value} {figure.unit}".rstrip())
        note = f"; {figure.note}" if figure.note else ""
        typer.echo(f"    requirement {figure.requirement}{note} ({figure.file.name})")


def _figures(context: typer.Context) -> dict[str, Figure]:
    knowledge = load_knowledge(session_of(context).settings)
    return dict(policy_on(knowledge.policies, SystemClock().now().date()).figures)


def _as_dict(figure: Figure) -> dict[str, object]:
    return {
        "key": figure.key,
        "value": figure.value,
        "unit": figure.unit,
        "requirement": figure.requirement,
        "note": figure.note,
        "file": figure.file.name,
    }


APPS: Final = {"policy": app}
