"""`drumbeat backtest`: would the forecasts have been right? Other programs script these commands, so they stay stable."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from threadpoolctl import threadpool_limits

from analytics.backtest.azure import backtest_azure, machine_range
from analytics.backtest.failures import backtest_failures
from analytics.backtest.own import backtest_own
from analytics.backtest.rul import backtest_rul
from analytics.backtest.scale import measure
from analytics.backtest.supplies import backtest_supplies
from config.cli.common import JsonFlag, notes, print_json, session_of
from config.clock import SystemClock
from config.policy_files import load_policies, policy_on
from config.wiring.core import open_core
from config.wiring.telemetry import open_telemetry
from crm_core.domain.errors import InvalidValue, NotFound

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Check forecasts against what happened, without looking ahead.",
)

Report = Callable[[str, float], None]
Seed = Annotated[
    int, typer.Option("--seed", help="Seed of everything random; the same seed gives the same rows.")
]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Threads of the fitting libraries.")]
TrainDays = Annotated[
    int, typer.Option("--train-days", min=30, help="Days to learn from; the walk starts after them.")
]
Out = Annotated[Path, typer.Option("--out", help="File to write.")]
Html = Annotated[Path | None, typer.Option("--html", help="Also write a report with pictures.")]


@contextmanager
def _progress() -> Iterator[Report]:
    """Show what is being done on stderr while it takes long."""
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True) as bar:
        task = bar.add_task("start", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)


def _checked(train_days: int, made: Iterable[Path | None], *paths: Path | None) -> None:
    """Refuse at once what would fail after minutes of work: files that are not there, and folders to write to."""
    for path in made:
        if path is not None and not path.absolute().parent.is_dir():
            raise NotFound(f"there is no folder {path.parent} to write {path.name} to")
    for path in paths:
        if path is not None and not path.exists():
            raise NotFound(f"there is no file {path}")
    if train_days > 5000:
        raise InvalidValue(f"--train-days {train_days} is longer than any history")


def _answer(summary: dict[str, object], as_json: bool) -> None:
    if as_json:
        print_json(summary)
        return
    for name, value in summary.items():
        typer.echo(f"{name}: {value}")


@app.command()
def supplies(
    context: typer.Context,
    history: Annotated[
        Path, typer.Option("--history", help="Supply history (parquet or csv), see docs/analytics.md.")
    ],
    train_days: TrainDays,
    out: Out,
    holidays: Annotated[
        Path | None, typer.Option("--holidays", help="csv with a column day: known holidays.")
    ] = None,
    html: Html = None,
    seed: Seed = 0,
    threads: Threads = 1,
    as_json: JsonFlag = False,
) -> None:
    """Forecast when every supply runs out, day by day."""
    session_of(context).prepare()
    _checked(train_days, (out, html), history, holidays)
    with threadpool_limits(limits=threads), _progress() as progress:
        summary = backtest_supplies(
            history, train_days, out, holidays=holidays, seed=seed, html=html, progress=progress
        )
    _answer(summary, as_json)


@app.command()
def failures(
    context: typer.Context,
    events: Annotated[Path, typer.Option("--events", help="Codes with their instants.")],
    usage: Annotated[Path, typer.Option("--usage", help="Pages and jams a day.")],
    parts: Annotated[Path, typer.Option("--parts", help="Parts fitted on the first day.")],
    repairs: Annotated[Path, typer.Option("--repairs", help="Parts fitted later.")],
    known_failures: Annotated[Path, typer.Option("--known-failures", help="Service records: the labels.")],
    train_days: TrainDays,
    out: Out,
    html: Html = None,
    seed: Seed = 0,
    threads: Threads = 1,
    as_json: JsonFlag = False,
) -> None:
    """Forecast the chance of a hardware failure within 7 and 14 days, day by day."""
    session_of(context).prepare()
    files = {
        "events": events,
        "usage": usage,
        "parts": parts,
        "repairs": repairs,
        "known_failures": known_failures,
    }
    _checked(train_days, (out, html), *files.values())
    with threadpool_limits(limits=threads), _progress() as progress:
        summary = backtest_failures(files, train_days, out, seed=seed, html=html, progress=progress)
    _answer(summary, as_json)


@app.command()
def rul(
    context: typer.Context,
    train: Annotated[
        Path, typer.Option("--train", help="Units run to failure: 26 blank-separated columns, .gz read.")
    ],
    test: Annotated[Path, typer.Option("--test", help="Units cut off before their failure.")],
    out: Out,
    cap: Annotated[
        float, typer.Option("--cap", min=1.0, help="Remaining life is learned up to this many cycles.")
    ] = 125.0,
    html: Html = None,
    seed: Seed = 0,
    threads: Threads = 1,
    as_json: JsonFlag = False,
) -> None:
    """Forecast the remaining life of units at their last row."""
    session_of(context).prepare()
    _checked(0, (out, html), train, test)
    with threadpool_limits(limits=threads), _progress() as progress:
        summary = backtest_rul(
            train, test, out, cap=cap, seed=seed, threads=threads, html=html, progress=progress
        )
    _answer(summary, as_json)


@app.command()
def azure(
    context: typer.Context,
    data: Annotated[
        Path, typer.Option("--data", help="Folder with telemetry_daily, errors, maint, failures, machines.")
    ],
    train_machines: Annotated[str, typer.Option("--train-machines", help="For example 1-40.")],
    test_machines: Annotated[str, typer.Option("--test-machines", help="For example 41-60.")],
    train_until: Annotated[
        datetime, typer.Option("--train-until", formats=["%Y-%m-%d"], help="Last day to learn from.")
    ],
    out: Out,
    html: Html = None,
    seed: Seed = 0,
    threads: Threads = 1,
    as_json: JsonFlag = False,
) -> None:
    """Forecast failures of machines in the layout of the Azure predictive-maintenance sample."""
    session_of(context).prepare()
    _checked(0, (out, html), data)
    with threadpool_limits(limits=threads), _progress() as progress:
        summary = backtest_azure(
            data, machine_range(train_machines), machine_range(test_machines), train_until.date(), out, seed=seed, html=html,
            progress=progress,
        )  # fmt: skip
    _answer(summary, as_json)


@app.command()
def scale(
    context: typer.Context,
    devices: Annotated[
        int, typer.Option("--devices", min=100, max=5_000_000, help="How many made-up devices.")
    ] = 100_000,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", help="Address of a Dask scheduler (extra dask); else this process."),
    ] = None,
    seed: Seed = 0,
    as_json: JsonFlag = False,
) -> None:
    """Measure how long scoring a fleet of so many devices takes on this machine or on a cluster."""
    session = session_of(context)
    session.prepare()
    policy = policy_on(load_policies(), SystemClock().now().date()).book.replenishment
    with threadpool_limits(limits=1):
        summary = measure(devices, policy, cluster=cluster, seed=seed)
    _answer(summary, as_json)


@app.command()
def own(
    context: typer.Context,
    html: Html = None,
    seed: Seed = 0,
    threads: Threads = 1,
    as_json: JsonFlag = False,
) -> None:
    """Judge the forecasts on this installation's own history: learn from the earlier days, score on the later ones."""
    session = session_of(context)
    _checked(0, (html,))
    clock = SystemClock()
    core = open_core(session.settings, clock)
    telemetry = open_telemetry(core)
    try:
        last = telemetry.store.stats(session.tenant).last_at
        if last is None:
            raise NotFound("the telemetry store has no readings yet; let Drumbeat collect some weeks first")
        with core.uow_factory() as uow:
            devices = uow.devices.all(session.tenant)
        with threadpool_limits(limits=threads), _progress() as progress:
            summary = backtest_own(
                telemetry.store,
                devices,
                core.catalogue,
                session.tenant,
                last.date(),
                holidays=core.policy.sla.calendar.holidays,
                seed=seed,
                html=html,
                progress=progress,
            )
    finally:
        telemetry.close()
    _answer(summary, as_json)


APPS: Final = {"backtest": app}
