"""`drumbeat import` and `drumbeat export`: lists as CSV and XLSX, in our names and in those of other systems."""

from pathlib import Path
from typing import Annotated, Final

import typer

from config.cli.common import JsonFlag, notes, print_json, print_table, session_of
from config.clock import SystemClock
from config.exchange_files import load_mappings
from config.wiring.core import open_core
from config.wiring.exchanging import build_exchange, land_through_ingest
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.exchange.importing import ImportReport
from crm_core.exchange.sheets import MOST_BYTES

import_app, export_app = typer.Typer(add_completion=False), typer.Typer(add_completion=False)
_SHOWN: Final = 20


@import_app.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV or XLSX file.")],
    kind: Annotated[
        str, typer.Option(help="customers, sites, contracts, devices, readings or print_totals.")
    ],
    system: Annotated[
        str,
        typer.Option("--from", help="System whose column names the file has; see `drumbeat export --list`."),
    ] = "drumbeat",
    columns: Annotated[
        list[str] | None, typer.Option("--map", help="FIELD=COLUMN, where a column has another name; repeat.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")] = False,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Import the good rows even if others are wrong.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Import a list in one transaction: all of it, or nothing when a row is wrong. Exit code 1 when nothing was written."""
    core = open_core(session_of(context).settings, SystemClock())
    desk = build_exchange(core, land_through_ingest(core))
    report = desk.take_in(
        core.tenant,
        system,
        kind,
        _read(file),
        dry_run=dry_run,
        skip_bad_rows=skip_bad_rows,
        columns=dict(_pair(each) for each in columns or []),
    )
    if as_json:
        print_json(report_as_dict(report))
    else:
        _show(report)
    if report.errors and not report.written and not dry_run:
        raise typer.Exit(1)


@export_app.command("export")
def export_list(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="List or object, for example devices or WorkOrder.")
    ] = None,
    system: Annotated[str, typer.Option("--to", help="System whose names the file shall have.")] = "drumbeat",
    form: Annotated[str, typer.Option("--format", help="csv or xlsx.")] = "csv",
    out: Annotated[Path | None, typer.Option(help="File to write; must not exist.")] = None,
    show_list: Annotated[
        bool, typer.Option("--list", help="Show what can be exported and imported.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Export a list as CSV or XLSX, safe to open in a spreadsheet."""
    if show_list or name is None:
        _show_mappings(as_json=as_json)
        return
    core = open_core(session_of(context).settings, SystemClock())
    made = build_exchange(core, land_through_ingest(core)).give_out(core.tenant, system, name, form)
    target = out or Path(made.name)
    if target.exists():
        raise Conflict(f"{target} exists; choose another file with --out")
    target.write_bytes(made.body)
    if as_json:
        print_json({"file": str(target), "rows": made.rows, "system": system, "object": name})
    else:
        typer.echo(f"wrote {made.rows} rows to {target}")


def report_as_dict(report: ImportReport) -> dict[str, object]:
    """Return a report as JSON holds it."""
    return {
        "kind": report.kind,
        "dry_run": report.dry_run,
        "written": report.written,
        "rows": report.rows,
        "created": report.created,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "matched": report.matched,
        "unknown": report.unknown,
        "errors": [{"row": each.row, "field": each.field, "reason": each.reason} for each in report.errors],
        "totals": report.totals,
    }


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise InvalidValue(f"{file} is larger than {MOST_BYTES} bytes: split it")
        return file.read_bytes()
    except OSError as error:
        raise InvalidValue(f"{file}: {error.strerror or error}") from error


def _pair(told: str) -> tuple[str, str]:
    name, equals, column = told.partition("=")
    if not equals:
        raise InvalidValue(f"--map {told[:80]!r}: say FIELD=COLUMN")
    return name.strip(), column.strip()


def _show(report: ImportReport) -> None:
    for error in report.errors[:_SHOWN]:
        typer.echo(f"row {error.row}: {error.field + ' ' if error.field else ''}{error.reason}")
    if len(report.errors) > _SHOWN:
        typer.echo(f"... and {len(report.errors) - _SHOWN} more")
    if report.unknown:
        typer.echo(f"unknown devices: {', '.join(report.unknown[:_SHOWN])}")
    if report.totals:
        print_table(("account", "mono", "colour", "yuan"), (tuple(each.values()) for each in report.totals))
    word = "would be" if report.dry_run else "were" if report.written else "were not"
    typer.echo(
        f"{report.rows} rows: {report.created} new, {report.updated} changed, {report.unchanged} as before, "
        f"{len(report.errors)} wrong, {len(report.matched)} devices matched, {len(report.unknown)} unknown; "
        f"they {word} written"
    )
    if report.errors and not report.written and not report.dry_run:
        notes.print("nothing was written; mend the rows or say --skip-bad-rows", markup=False)


def _show_mappings(*, as_json: bool) -> None:
    known = load_mappings()
    rows = [("import", system, kind) for system, kind in sorted(known.imports)]
    rows += [("export", system, name) for system, name in sorted(known.exports)]
    if as_json:
        print_json([{"direction": way, "system": system, "name": name} for way, system, name in rows])
    else:
        print_table(("direction", "system", "kind or object"), rows)


APPS: Final = {"import": import_app, "export": export_app}
