"""`drumbeat store`: what the telemetry store holds, and whether it is whole."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from collector.stores import maintenance
from collector.stores.influx_gaps import DayGap, JournalComparison
from collector.stores.sqlite import SqliteTelemetryStore
from config.cli.common import JsonFlag, notes, print_json, print_table, session_of
from config.clock import SystemClock
from config.wiring.core import open_core
from config.wiring.telemetry import open_telemetry
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.standing import Dimension, StandingFilter

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Show the telemetry store.")


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


@app.command()
def status(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the file: days kept, size, write-ahead log, what waits, what was shed; while a server runs as well."""
    found = asdict(maintenance.status(session_of(context).settings.telemetry_file))
    if as_json:
        print_json(found)
    else:
        print_table(("figure", "value"), found.items())


@app.command()
def verify(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Check file, checksums, every reading and every roll-up; exit code 1 if anything is wrong."""
    found = maintenance.verify(session_of(context).settings.telemetry_file)
    if as_json:
        print_json(asdict(found))
    else:
        typer.echo(f"{found.readings} readings, {found.rollups} roll-ups, {len(found.faults)} faults")
        for fault in found.faults:
            typer.echo(fault)
    if found.faults:
        raise typer.Exit(1)


@app.command()
def compare(
    context: typer.Context,
    first: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First UTC day; empty: all.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last UTC day, included.")
    ] = None,
    mend: Annotated[bool, typer.Option("--mend", help="Send again what is missing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Compare InfluxDB with the journal day by day, after a crash or a restored backup; exit code 1 if it lacks points."""
    telemetry = open_telemetry(open_core(session_of(context).settings, SystemClock()))
    try:
        if telemetry.comparison is None:
            raise InvalidConfiguration("there is nothing to compare: telemetry.store is not influxdb")
        wanted = [day for day in telemetry.comparison.days() if _within(day, first, last)]
        gaps = list(_gaps_of(telemetry.comparison, wanted, mend=mend))
        left = (
            sum(len(telemetry.comparison.gaps(day)) for day in {gap.day for gap in gaps})
            if mend
            else len(gaps)
        )
    finally:
        telemetry.close()
    if as_json:
        print_json({"days": len(wanted), "gaps": [asdict(gap) for gap in gaps], "left": left})
    else:
        _print_gaps(gaps, days=len(wanted), mended=mend)
    if left:
        raise typer.Exit(1)


def _within(day: date, first: datetime | None, last: datetime | None) -> bool:
    return (first is None or day >= first.date()) and (last is None or day <= last.date())


def _gaps_of(comparison: JournalComparison, days: Sequence[date], *, mend: bool) -> Iterator[DayGap]:
    """Yield what InfluxDB lacks day by day, and send it again if wanted; tell how far it is."""
    for number, day in enumerate(days, start=1):
        notes.print(f"{day} ({number} of {len(days)})")
        gaps = comparison.gaps(day)
        if gaps and mend:
            comparison.send_again(gaps)
        yield from gaps


def _print_gaps(gaps: Sequence[DayGap], *, days: int, mended: bool) -> None:
    if gaps:
        shown = ((gap.day, gap.device_id, gap.measurement, gap.kept, gap.found) for gap in gaps)
        print_table(("day", "device", "measurement", "journal", "InfluxDB"), shown)
    missing = sum(gap.missing for gap in gaps)
    done = "; sent again" if mended and gaps else "; --mend sends them again" if gaps else ""
    typer.echo(f"days compared: {days}, points that InfluxDB lacks: {missing}{done}")


@app.command()
def compact(context: typer.Context) -> None:
    """Give free pages back to the disk; writing waits while it runs."""
    typer.echo(f"{maintenance.compact(session_of(context).settings.telemetry_file)} bytes freed")


@app.command()
def export(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where the files go, one a day.")],
    first: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First UTC day.")],
    last: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last UTC day, included.")],
) -> None:
    """Write readings to Parquet files, for cold storage and for data tools; exit code 1 if one cannot be read."""
    file = session_of(context).settings.telemetry_file
    found = maintenance.export(file, folder, first.date(), last.date())
    for path in found.files:
        typer.echo(str(path))
    if not found.files:
        notes.print("there are no readings of these days")
    for line in found.left_out:
        notes.print(f"left out, cannot be read: {line}", markup=False)
    if found.left_out:
        raise typer.Exit(1)


@app.command()
def summary(
    context: typer.Context,
    low_percent: Annotated[int, typer.Option(min=0, max=100, help="Below this a supply is low.")] = 10,
    silent_hours: Annotated[float, typer.Option(min=0, help="Silent for longer than this.")] = 24.0,
    by: Annotated[Dimension, typer.Option(help="What to divide the fleet by; empty: the whole.")] = "region",
    as_json: JsonFlag = False,
) -> None:
    """Show how the fleet stands by region, customer, site or model: silent, low, critical, in error."""
    session, clock = session_of(context), SystemClock()
    telemetry = SqliteTelemetryStore(session.settings.telemetry_file, clock)
    try:
        since = clock.now() - timedelta(hours=silent_hours)
        wanted = StandingFilter(silent_before=since, low_percent=low_percent, by=by)
        rows = telemetry.standing(session.tenant, wanted)
    finally:
        telemetry.close()
    found = [msgspec.structs.asdict(row) for row in rows]
    for row in found:
        if row["mean_lowest_percent"] is not None:
            row["mean_lowest_percent"] = round(row["mean_lowest_percent"], 1)
    if as_json:
        print_json(found)
    elif found:
        print_table(tuple(found[0]), (tuple(row.values()) for row in found))


APPS: Final = {"store": app}
