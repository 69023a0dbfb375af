"""`drumbeat audit`: who changed what, and whether the record of it is whole."""

from typing import Annotated, Final

import typer

from config.audit_anchors import FILE, verify, write_anchor
from config.cli.common import JsonFlag, print_json, print_table, session_of
from config.clock import SystemClock
from config.wiring.core import Core, open_core, open_lock
from crm_core.domain.trust import AuditEvent
from crm_core.domain.wire import instant_to_json

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Show and verify the audit chain of changes."
)


@app.command("list")
def list_events(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help="Only this kind, for example tickets.")] = None,
    object_id: Annotated[str | None, typer.Option("--object", help="Only this object.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only this actor, for example user:u-1.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """List changes, newest first: when, who, what. Values of records never stand here."""
    core = _core(context)
    with core.uow_factory() as uow:
        events = uow.trust.newest_events(
            core.tenant, kind=kind, object_id=object_id, actor=actor, limit=limit
        )
    if as_json:
        print_json([_as_dict(event) for event in events])
        return
    print_table(
        ("number", "at", "actor", "action", "kind", "object", "changed"),
        (
            (each.number, f"{each.at:%Y-%m-%d %H:%M:%S}", each.actor, each.action, each.kind, each.object_id, each.changed)
            for each in events
        ),
    )  # fmt: skip


@app.command("verify")
def verify_chain(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Walk through the whole chain and compare it with its anchors; exit code 1 when anything does not fit."""
    core = _core(context)
    report = verify(core, open_lock(core.settings))
    anchored = instant_to_json(report.last_anchor_at) if report.last_anchor_at else None
    if as_json:
        print_json(
            {
                "whole": report.whole,
                "events": report.events,
                "head": report.head.chain if report.head else None,
                "anchors": report.anchors,
                "last_anchor_at": anchored,
                "problems": list(report.problems),
            }
        )
    else:
        typer.echo(f"{report.events} events, {report.anchors} anchors, the last of {anchored or 'never'}")
        for problem in report.problems:
            typer.echo(f"BROKEN: {problem}")
        typer.echo("the chain is whole" if report.whole else "the chain is NOT whole")
    if not report.whole:
        raise typer.Exit(1)


@app.command()
def anchor(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Write down, signed, how long the chain is now; a running service does it every hour."""
    core = _core(context)
    made = write_anchor(core, open_lock(core.settings))
    if as_json:
        print_json({"anchored": made is not None, "number": made.number if made else None, "file": FILE})
    else:
        typer.echo(f"anchored event {made.number} in {FILE}" if made else "nothing new since the last anchor")


def _core(context: typer.Context) -> Core:
    return open_core(session_of(context).settings, SystemClock())


def _as_dict(event: AuditEvent) -> dict[str, object]:
    return {name: getattr(event, name) for name in _COLUMNS} | {"at": instant_to_json(event.at)}


_COLUMNS: Final = (
    "number", "at", "actor", "action", "kind", "object_id", "changed", "before", "after", "previous", "chain",
)  # fmt: skip

APPS: Final = {"audit": app}
