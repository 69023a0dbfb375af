"""`drumbeat invoice`: what the month end would write, the month end itself, and what was written."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Final

import typer

from config.cli.common import JsonFlag, notes, print_json, print_table, session_of
from config.clock import SystemClock
from config.locale_files import load_messages
from config.wiring.billing import money_of
from config.wiring.core import open_core
from config.wiring.telemetry import open_telemetry
from crm_core.billing.run import RunReport
from crm_core.domain.billing import Invoice, InvoiceState
from crm_core.domain.messages import FALLBACK

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Preview and write invoices, and list them."
)

MonthOption = Annotated[
    str | None, typer.Option("--month", help="Month to bill, such as 2026-05; the last one unless told.")
]
ContractOption = Annotated[str | None, typer.Option("--contract", help="Only this contract.")]


@app.command()
def preview(
    context: typer.Context,
    month: MonthOption = None,
    contract: ContractOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the invoices that `run` would write; nothing is written."""
    _bill(context, month, contract, as_json=as_json, write=False)


@app.command()
def run(
    context: typer.Context,
    month: MonthOption = None,
    contract: ContractOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the invoices of a month that is over; what is written already stays as it is."""
    _bill(context, month, contract, as_json=as_json, write=True)


@app.command("list")
def list_invoices(
    context: typer.Context,
    customer: Annotated[str | None, typer.Option("--customer", help="Only of this customer.")] = None,
    state: Annotated[InvoiceState | None, typer.Option("--state", help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """List written invoices, newest first."""
    session = session_of(context)
    core = open_core(session.settings, SystemClock())
    with core.uow_factory() as uow:
        rows = uow.billing.invoices.where(session.tenant, customer_id=customer, state=state, limit=limit)
    _show(rows, as_json=as_json)


def _bill(
    context: typer.Context, month: str | None, contract: str | None, *, as_json: bool, write: bool
) -> None:
    session = session_of(context)
    core = open_core(session.settings, SystemClock())
    telemetry = open_telemetry(core)
    try:
        billing = money_of(core, telemetry.store).billing
        act = billing.run if write else billing.preview
        report = act(session.tenant, _month(month) if month else billing.last_month(), contract)
    finally:
        telemetry.close()
    _report(report, as_json=as_json)


def _report(report: RunReport, *, as_json: bool) -> None:
    messages = load_messages()
    problems = [(key, messages.unpacked(FALLBACK, text)) for key, text in report.problems]
    if as_json:
        print_json(
            {
                "month": f"{report.month:%Y-%m}",
                "dry_run": report.dry_run,
                "written": report.written,
                "existing": report.existing,
                "total": str(report.total),
                "invoices": [_row(row) for row in report.invoices],
                "problems": [{"contract": key, "text": text} for key, text in problems],
            }
        )
        return
    _show(report.invoices, as_json=False)
    for key, text in problems:
        notes.print(f"{key}: {text}", markup=False)
    notes.print(
        f"{report.month:%Y-%m}: {len(report.invoices)} invoices, {report.written} written now, "
        f"{report.existing} written before, total {report.total}"
    )


def _show(rows: Sequence[Invoice], *, as_json: bool) -> None:
    if as_json:
        print_json([_row(row) for row in rows])
        return
    columns = ("number", "customer", "contract", "period", "due", "total", "open", "state")
    print_table(
        columns,
        (
            (
                row.invoice_number or "(preview)",
                row.customer_id,
                row.contract_id,
                f"{row.period_from} - {row.period_to}",
                row.due_on,
                row.total,
                row.outstanding,
                row.state.value,
            )
            for row in rows
        ),
    )


def _row(row: Invoice) -> dict[str, Any]:
    return {
        "number": row.invoice_number,
        "kind": row.kind.value,
        "customer": row.customer_id,
        "contract": row.contract_id,
        "period_from": row.period_from.isoformat(),
        "period_to": row.period_to.isoformat(),
        "issued_on": row.issued_on.isoformat(),
        "due_on": row.due_on.isoformat(),
        "total": str(row.total),
        "outstanding": str(row.outstanding),
        "state": row.state.value,
        "estimated": any(used.estimated for used in row.usage),
    }


def _month(text: str) -> date:
    if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", text):
        raise typer.BadParameter("a month such as 2026-05", param_hint="--month")
    return date.fromisoformat(f"{text}-01")


APPS: Final = {"invoice": app}
