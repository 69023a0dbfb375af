"""`drumbeat simulate --scenario`: a story of the simulator, shown to a running service or run through at once."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.progress import Progress

from config.cli.common import notes, print_json
from config.cli.story_view import TerminalView
from config.supervision import Lifecycle, NamedPart
from config.targets import split_host
from crm_core.domain.errors import InvalidValue, StoreUnavailable
from crm_core.ports import Clock
from simulators.mqtt_agent import MqttPlace
from simulators.runner import LiveOptions, LiveRun, RunSummary, run_headless
from simulators.scenario import BadScenario, Scenario, load_scenario, scenario_names

FIRST_ADDRESS: Final = "127.46.0.1"
TICK_SECONDS: Final = 0.25


def known_stories() -> str:
    """Return the names of the shipped scenarios with their titles, a line each."""
    return "\n".join(f"{name:20} {load_scenario(name).title}" for name in scenario_names())


def load(name: str, *, seed: int | None, devices: int | None, show_on: date | None) -> Scenario:
    """Return a scenario; raises `InvalidValue` with what is wrong with it."""
    try:
        return load_scenario(name, seed=seed, devices=devices, show_on=show_on)
    except BadScenario as error:
        raise InvalidValue(str(error)) from error


def show_headless(
    name: str, *, seed: int | None, devices: int | None, out: Path | None, as_json: bool
) -> None:
    """Run a story through at once and tell what happened in it."""
    scenario = load(name, seed=seed, devices=devices, show_on=None)
    with Progress(console=notes, disable=not notes.is_terminal) as progress:
        task = progress.add_task(scenario.title, total=1.0)
        summary = run_headless(
            scenario, out=out, progress=lambda share: progress.update(task, completed=share)
        )
    _tell(summary, as_json=as_json)


def show_live(
    name: str,
    clock: Clock,
    options: LiveOptions,
    *,
    seed: int | None,
    devices: int | None,
    register: Callable[[LiveRun], int] | None,
    as_json: bool,
) -> None:
    """Show a story to a running service until it ends or Ctrl-C; the story is moved to this week.

    `register` makes its printers known to the service.
    """
    today = clock.now().astimezone(UTC).date()
    run = LiveRun(load(name, seed=seed, devices=devices, show_on=today), options, clock)
    summaries: list[RunSummary] = []
    life = Lifecycle([NamedPart("story", run.start, lambda: summaries.append(run.stop()))])
    try:
        life.start()
    except OSError as error:
        raise StoreUnavailable(
            f"cannot listen on the UDP port: {error.strerror or error}; choose another --port"
        ) from error
    view = TerminalView(Console(stderr=True)) if sys.stderr.isatty() else None
    try:
        if register is not None:
            notes.print(f"{register(run)} printers are registered", markup=False)
        _announce(run, clock.now())
        if view is not None:
            view.__enter__()
        life.wait(lambda: _beat(run, life, view), TICK_SECONDS)
    finally:
        if view is not None:
            view.__exit__(None, None, None)
        life.stop()
    _tell(summaries[0], as_json=as_json)


def _beat(run: LiveRun, life: Lifecycle, view: TerminalView | None) -> None:
    if not run.tick():
        life.ask_to_stop()
    if view is not None:
        view(run)


def _announce(run: LiveRun, now: datetime) -> None:
    count = len(run.fleet)
    where = []
    if run.server is not None:
        first, last = run.server.address_of(0), run.server.address_of(count - 1)
        where.append(f"SNMP on {first} to {last}, port {run.server.port}")
    if run.mqtt is not None:
        where.append(f"{len(run.mqtt.devices)} of them push over MQTT")
    begins = run.scenario.show_from
    notes.print(
        f"{run.scenario.title}: {count} printers, {'; '.join(where)}; the scene begins at {begins:%Y-%m-%d %H:%M} UTC "
        f"(now {now:%H:%M}); stop with Ctrl-C",
        markup=False,
    )


def mqtt_place(target: str | None, tenant: str) -> MqttPlace | None:
    """Return the broker of HOST:PORT, or None."""
    if target is None:
        return None
    host, port = split_host(target)
    return MqttPlace(host=host, port=port, tenant=tenant, client_prefix="story")


def _tell(summary: RunSummary, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(summary))
        return
    for name, value in asdict(summary).items():
        typer.echo(f"{name:16} {', '.join(value) if isinstance(value, list) else value}")
