"""`drumbeat personal`: what is kept about a customer, given out or erased, and what is kept no longer."""

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from config.cli.common import JsonFlag, print_json, session_of
from config.clock import SystemClock
from config.wiring.core import Core, open_core
from crm_core.domain.errors import Conflict
from crm_core.domain.identity import CustomerId
from crm_core.trust.subjects import Forgotten

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Export or erase the personal data of a customer; apply retention.",
)
CustomerName = Annotated[str, typer.Argument(metavar="CUSTOMER", help="Id of the customer.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit chain.")]


@app.command()
def export(
    context: typer.Context,
    customer: CustomerName,
    reason: Reason,
    out: Annotated[
        Path | None, typer.Option(help="File to write (mode 0600); without it stdout gets the JSON.")
    ] = None,
) -> None:
    """Write everything personal that is kept about a customer as JSON, identity numbers in full."""
    core = _core(context)
    if out is not None and out.exists():
        raise Conflict(f"{out} exists; choose another file")
    body = core.subjects.export(core.tenant, CustomerId(customer), reason)
    if out is None:
        print_json(body)
        return
    out.touch(mode=0o600)
    out.write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    typer.echo(f"wrote {out}")


@app.command()
def erase(
    context: typer.Context,
    customer: CustomerName,
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Erase a customer's personal data for good; refused while a contract runs or a ticket is open."""
    core = _core(context)
    if not yes:
        typer.confirm(f"Erase the personal data of {customer} for good?", abort=True, err=True)
    _tell(core.subjects.erase(core.tenant, CustomerId(customer), reason), as_json=as_json)


@app.command()
def retention(
    context: typer.Context,
    apply: Annotated[bool, typer.Option("--apply", help="Erase; without it only the list is shown.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the customers whose data is kept no longer by the policy (trust.retention.personal), or erase them."""
    core = _core(context)
    rules = core.policy.trust.retention
    if apply:
        _tell(core.subjects.apply_retention(core.tenant, rules), as_json=as_json)
        return
    over = core.subjects.over_retention(core.tenant, rules)
    if as_json:
        print_json({"customers": list(over)})
    else:
        typer.echo("\n".join(over) if over else "nothing is over its time")


def _tell(forgotten: Forgotten, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "customers": list(forgotten.customers),
                "fields": forgotten.fields,
                "rows": forgotten.rows,
            }
        )
    else:
        names = ", ".join(forgotten.customers) or "nobody"
        typer.echo(f"erased: {names} ({forgotten.fields} sealed fields, {forgotten.rows} rows)")


def _core(context: typer.Context) -> Core:
    return open_core(session_of(context).settings, SystemClock())


APPS: Final = {"personal": app}
