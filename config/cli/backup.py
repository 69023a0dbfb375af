"""`drumbeat backup` and `drumbeat restore`: everything a firm would miss, in one file, and back again."""

from pathlib import Path
from typing import Annotated, Final

import typer

from config.backup import BackupReport, make_backup, restore_backup
from config.cli.common import JsonFlag, notes, print_json, session_of, version
from config.clock import SystemClock

backup_app, restore_app = typer.Typer(add_completion=False), typer.Typer(add_completion=False)


@backup_app.command()
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="File to write, for example drumbeat-2026-11-22.tar.gz.")],
    as_json: JsonFlag = False,
) -> None:
    """Write databases, keys, credentials and models into one file; the product may run meanwhile."""
    settings = session_of(context).settings
    report = make_backup(settings, file, SystemClock().now(), version())
    _tell(report, "backed up", as_json=as_json)


@restore_app.command()
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file that `drumbeat backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Move the present data aside to <folder>.before-restore.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Put a backup into the data folder after every checksum fits; stop the product first."""
    folder = session_of(context).settings.general.folder
    _tell(restore_backup(file, folder, replace=replace), "restored", as_json=as_json)


def _tell(report: BackupReport, word: str, *, as_json: bool) -> None:
    for part in report.left_out:
        notes.print(f"not included: {part}", markup=False)
    if as_json:
        print_json(
            {
                "file": str(report.file),
                "made_at": report.made_at,
                "bytes": report.bytes,
                "parts": report.parts,
                "left_out": list(report.left_out),
            }
        )
    else:
        typer.echo(f"{word} {len(report.parts)} parts, {report.bytes} bytes, state of {report.made_at}")


APPS: Final = {"backup": backup_app, "restore": restore_app}
