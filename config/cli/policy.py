"""`drumbeat policy`: the figures of the business, each with its unit, requirement and reason, and their change by date."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

import typer
import yaml

from config.cli.common import JsonFlag, notes, print_json, print_table, session_of
from config.clock import SystemClock
from config.policy_shelf import PolicyShelf, open_shelf
from config.wiring.core import open_core
from crm_core.domain.errors import InvalidValue, NotFound
from crm_core.domain.policy_figures import (
    FigureValue,
    PolicyChange,
    PolicyFigure,
    PolicyVersionInfo,
    policy_note,
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show the figures of the business, where they come from, and change them from a date.",
)
OnDay = Annotated[
    datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="The day; today unless told.")
]


@app.command("list")
def list_figures(context: typer.Context, on: OnDay = None, as_json: JsonFlag = False) -> None:
    """List all figures in force on a day."""
    figures = _shelf(context).figures(None if on is None else on.date())
    if as_json:
        print_json([_as_dict(figure) for figure in figures])
    else:
        print_table(
            ("key", "value", "unit", "requirement"),
            ((figure.key, figure.value, figure.unit, figure.requirement) for figure in figures),
        )


@app.command()
def explain(
    context: typer.Context,
    key: Annotated[
        str, typer.Argument(help="Key of a figure or the beginning of some, for example sla.first_response.")
    ],
    on: OnDay = None,
    as_json: JsonFlag = False,
) -> None:
    """Say what a figure is, which requirement it fulfils, where it stands and since when."""
    figures = _shelf(context).figures(None if on is None else on.date())
    chosen = [figure for figure in figures if figure.key == key or figure.key.startswith(f"{key}.")]
    if not chosen:
        raise NotFound(f"no figure {key!r}; `drumbeat policy list` shows all")
    if as_json:
        print_json([_as_dict(figure) for figure in chosen])
        return
    for figure in chosen:
        typer.echo(f"{figure.key} = {figure.value} {figure.unit}".rstrip())
        note = f"; {figure.note}" if figure.note else ""
        typer.echo(
            f"    requirement {figure.requirement}{note} ({_file_of(figure)}, version {figure.version} since {figure.since})"
        )


@app.command()
def versions(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the versions of the policy: since when, and what each changed."""
    known = _shelf(context).versions()
    if as_json:
        print_json([_version_dict(each) for each in known])
        return
    for each in known:
        typer.echo(f"{each.version} from {each.effective_from}{'  (in force)' if each.in_force else ''}")
        for key, (old, new) in sorted(each.changes.items()):
            typer.echo(f"    {key}: {old} -> {new}")


@app.command()
def change(
    context: typer.Context,
    figures: Annotated[
        list[str],
        typer.Option("--set", help="KEY=VALUE, for example forecasts.life.replacement_share=0.85; repeat."),
    ],
    since: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day of the new figures.")
    ],
    version: Annotated[str, typer.Option(help="Name of the new version; tickets and invoices keep it.")],
    note: Annotated[str, typer.Option(help="Why; it stands with each changed figure.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Let figures change from a date on; everything is checked before anything is written.

    A running product takes the change over by itself when the day comes. `drumbeat replay` shows beforehand what it would do.
    """
    wanted = PolicyChange(
        version=version, effective_from=since.date(), figures=read_changes(figures), note=note
    )
    core = open_core(session_of(context).settings, SystemClock())
    made = core.shelf.apply(wanted, dry_run=dry_run)
    if not dry_run:
        with core.uow_factory() as uow:
            uow.trust.note(policy_note(core.tenant, made))
            uow.commit()
    if as_json:
        print_json(_version_dict(made) | {"dry_run": dry_run})
        return
    for key, (old, new) in sorted(made.changes.items()):
        typer.echo(f"{key}: {old} -> {new}")
    word = "would begin" if dry_run else "begins"
    typer.echo(f"version {made.version} {word} on {made.effective_from}")
    if not made.changes:
        notes.print("no figure has another value than now", markup=False)


def read_changes(told: Sequence[str]) -> dict[str, FigureValue]:
    """Return the figures of `KEY=VALUE` texts; numbers, true and false are read as such."""
    found: dict[str, FigureValue] = {}
    for one in told:
        key, equals, text = one.partition("=")
        if not equals or not key.strip() or key.strip() in found:
            raise InvalidValue(f"--set {one[:80]!r}: say KEY=VALUE, each key once")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        found[key.strip()] = value if isinstance(value, (bool, int, float)) else text.strip()
    return found


def _shelf(context: typer.Context) -> PolicyShelf:
    return open_shelf(session_of(context).settings, SystemClock())


def _file_of(figure: PolicyFigure) -> str:
    return f"{figure.key.partition('.')[0]}.yaml"


def _as_dict(figure: PolicyFigure) -> dict[str, object]:
    return {
        "key": figure.key,
        "value": figure.value,
        "unit": figure.unit,
        "requirement": figure.requirement,
        "note": figure.note,
        "file": _file_of(figure),
        "version": figure.version,
        "since": figure.since.isoformat(),
    }


def _version_dict(each: PolicyVersionInfo) -> dict[str, object]:
    return {
        "version": each.version,
        "effective_from": each.effective_from.isoformat(),
        "in_force": each.in_force,
        "changes": {key: list(pair) for key, pair in sorted(each.changes.items())},
    }


APPS: Final = {"policy": app}
