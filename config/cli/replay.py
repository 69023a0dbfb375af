"""`drumbeat replay`: the past year under another policy, and the switch that lets it begin on a date."""

from datetime import datetime
from typing import Annotated, Final

import typer
from rich.progress import Progress

from analytics.policy_replay.service import PolicyReplay
from config.cli.common import JsonFlag, notes, print_json, print_table, session_of
from config.cli.policy import read_changes
from config.clock import SystemClock, VirtualClock
from config.wiring.core import open_core
from config.wiring.telemetry import open_telemetry
from crm_core.domain.errors import InvalidValue
from crm_core.domain.forecast import Interval
from crm_core.domain.policy_figures import PolicyChange, policy_note
from crm_core.domain.policy_replay import ReplayReport, ReplayRequest

app = typer.Typer(add_completion=False)


@app.command()
def replay(
    context: typer.Context,
    figures: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE, for example forecasts.life.replacement_share=0.85; repeat."),
    ] = None,
    replicates: Annotated[int, typer.Option(help="Years drawn from the fitted rates, at least 30.")] = 30,
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = 0,
    days: Annotated[int, typer.Option(help="Days of the past, at most 366.")] = 365,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day after the year, UTC; today unless told."),
    ] = None,
    apply_from: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Afterwards let the changed figures begin on this day."),
    ] = None,
    version: Annotated[str | None, typer.Option(help="Name of the new version; with --apply-from.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say what the past year would have been under changed figures: tickets, visits, stock-outs, waste, breaches, money.

    The product's own rules run over rates that are fitted to the year. Each figure has P10, P50 and P90 over the
    replicates; `difference` compares years with the same chance. Without --set it shows how well the year is reproduced.
    """
    if (apply_from is None) != (version is None):
        raise InvalidValue("--apply-from and --version belong together")
    settings = session_of(context).settings
    now = SystemClock() if until is None else VirtualClock(datetime.fromisoformat(f"{until:%Y-%m-%d}T00:00Z"))
    core = open_core(settings, now)
    telemetry = open_telemetry(core)
    request = ReplayRequest(figures=read_changes(figures or []), replicates=replicates, seed=seed, days=days)
    service = PolicyReplay(telemetry.store, core.uow_factory, core.catalogue, core.shelf, core.clock)
    try:
        with Progress(console=notes, transient=True) as bar:
            task = bar.add_task("replay", total=2 * days)
            report = service.replay(
                core.tenant, request, lambda done, of: bar.update(task, completed=done, total=of)
            )
    finally:
        telemetry.close()
    if as_json:
        print_json(report_as_dict(report))
    else:
        _show(report)
    if apply_from is not None and version is not None:
        core = open_core(settings, SystemClock())
        change = PolicyChange(
            version=version, effective_from=apply_from.date(), figures=request.figures, note="after a replay"
        )
        made = core.shelf.apply(change)
        with core.uow_factory() as uow:
            uow.trust.note(policy_note(core.tenant, made))
            uow.commit()
        notes.print(f"version {made.version} begins on {made.effective_from}", markup=False)


def report_as_dict(report: ReplayReport) -> dict[str, object]:
    """Return a report as JSON holds it."""
    return {
        "first_day": report.first_day.isoformat(),
        "last_day": report.last_day.isoformat(),
        "devices": report.devices,
        "supplies": report.supplies,
        "unknown_supplies": report.unknown_supplies,
        "replicates": report.replicates,
        "seed": report.seed,
        "policy_version": report.policy_version,
        "changes": {key: list(pair) for key, pair in report.changes.items()},
        "figures": {
            each.name: {
                "unit": each.unit,
                "recorded": each.recorded,
                "present": _quantiles(each.present),
                "changed": _quantiles(each.changed),
                "difference": _quantiles(each.difference),
            }
            for each in report.figures
        },
    }


def _show(report: ReplayReport) -> None:
    title = f"{report.first_day} to {report.last_day}: {report.devices} devices, {report.replicates} replicates, seed {report.seed}"
    print_table(
        ("figure", "unit", "recorded", "present P50 (P10-P90)", "changed P50 (P10-P90)", "difference"),
        (
            (
                each.name,
                each.unit,
                "" if each.recorded is None else f"{each.recorded:,.0f}",
                _words(each.present),
                _words(each.changed),
                _words(each.difference),
            )
            for each in report.figures
        ),
        title=title,
    )
    if report.unknown_supplies:
        notes.print(
            f"{report.unknown_supplies} supplies have no gauge with numbers: their tickets are taken as they came",
            markup=False,
        )


def _quantiles(interval: Interval) -> dict[str, float]:
    return {"p10": interval.p10, "p50": interval.p50, "p90": interval.p90}


def _words(interval: Interval) -> str:
    return f"{interval.p50:,.0f} ({interval.p10:,.0f} to {interval.p90:,.0f})"


APPS: Final = {"replay": app}
