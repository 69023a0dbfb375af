"""`drumbeat demo`: a rental firm with a past and a present, from one command, on one machine, with no server."""

import os
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from config.cli.common import JsonFlag, notes, print_json, print_table, session_of
from config.cli.words import LanguageOption, TerminalWords, terminal_words
from config.clock import SystemClock
from config.demo.apart import kept_apart
from config.demo.firm import read_note
from config.demo.history import Progress as ReportDay
from config.demo.live import LiveDemo, build_live
from config.demo.run import DemoCounts, Wanted, make_history
from config.logging import configure_logging
from config.settings import Api, Settings, known_keys
from crm_core.domain.errors import InvalidValue

app = typer.Typer(add_completion=False)

FOLDER: Final = "demo"  # within general.data_dir, so that a demonstration never touches a real firm's data
LIVE_POLL_SECONDS: Final = 60
DEFAULT_UNTIL: Final = datetime(2026, 1, 1, tzinfo=UTC)


@app.command()
def demo(
    context: typer.Context,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another history.")] = 1,
    devices: Annotated[int, typer.Option(min=1, max=5000, help="How many printers the firm rents out.")] = 60,
    days: Annotated[int, typer.Option(min=1, max=380, help="How many days of history to make.")] = 180,
    data: Annotated[
        Path | None, typer.Option(help="Data folder; a second start goes on with what is in it.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the pages; 0 = any free one.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Make the history, print its figures and end.")
    ] = False,
    as_json: JsonFlag = False,
    until: Annotated[
        str | None, typer.Option(help="End of the history of --once, for example 2026-01-01T00:00Z.")
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the browser when ready.")
    ] = True,
    language: LanguageOption = None,
) -> None:
    """Start the whole product with a simulated fleet; Ctrl-C stops it and keeps the data."""
    settings, words = session_of(context).settings, terminal_words("demo", language)
    if (as_json or until is not None) and not once:
        raise InvalidValue("--json and --until belong to --once")
    if once:
        wanted = Wanted(seed=seed, devices=devices, days=days, until=_instant(until))
        with _folder_of(data) as folder:
            counts = _history(kept_apart(settings.changed(general={"data_dir": folder})), wanted, words)
        _print_counts(counts, words, as_json=as_json)
        return
    settings = kept_apart(demo_settings(settings, data, port))
    configure_logging(settings.log.level, settings.log.format)
    now = SystemClock().now()
    note = read_note(settings.general.folder)
    wanted = Wanted(
        seed=seed if note is None else note.seed,
        devices=devices if note is None else note.devices,
        days=days,
        until=now,
    )
    notes.print(_opening_words(settings, wanted, words, fresh=note is None), markup=False)
    _history(settings, wanted, words)
    _serve(build_live(settings, SystemClock()), words, browser=browser)


def _serve(live: LiveDemo, words: TerminalWords, *, browser: bool) -> None:
    life = live.process.life
    life.start()
    try:
        _greet(live, words)
        if browser and _has_desktop():
            webbrowser.open(live.process.address)
        life.wait()
    finally:
        notes.print(words("stopping"), markup=False)
        life.stop()
    notes.print(words("stopped", folder=live.process.core.settings.general.folder), markup=False)


def _greet(live: LiveDemo, words: TerminalWords) -> None:
    notes.print()
    notes.print("  " + words("address", address=live.process.address), style="bold", markup=False)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("name", "password", "role"):
        table.add_column(words(f"column.{column}"))
    for person in live.firm.people:
        table.add_row(f"  {person.name}", person.password, words(f"role.{person.role.value}"))
    notes.print(table)
    notes.print("  " + words("only_here"), style="dim")


def _history(settings: Settings, wanted: Wanted, words: TerminalWords) -> DemoCounts:
    """Make the history with a bar on stderr: a bar that moves on a terminal, a line now and then elsewhere."""
    columns = (
        TextColumn(words("history")),
        BarColumn(),
        TextColumn(words("day", day="{task.completed:.0f}", of="{task.total:.0f}")),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=notes, transient=False, disable=not notes.is_terminal) as bar:
        task = bar.add_task(words("history"), total=wanted.days)

        def report(day: int, of: int) -> None:
            bar.update(task, completed=day, total=of)

        return make_history(settings, wanted, report if notes.is_terminal else _lines(words))


def _lines(words: TerminalWords) -> ReportDay:
    """Return a reporter that writes a line for every tenth of the way, where no bar can move."""
    said = [0]

    def report(day: int, of: int) -> None:
        tenth = day * 10 // of
        if tenth > said[0]:
            said[0] = tenth
            notes.print(f"{words('history')}: {words('day', day=day, of=of)}", markup=False)

    return report


def _print_counts(counts: DemoCounts, words: TerminalWords, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(counts))
        return
    rows = [(words(f"count.{name}"), value) for name, value in asdict(counts).items() if name != "tickets"]
    rows += [(words("count.tickets", level=level), number) for level, number in counts.tickets.items()]
    print_table((words("column.what"), words("column.many")), rows)


@contextmanager
def _folder_of(data: Path | None) -> Iterator[Path]:
    """Yield the folder of a demonstration that does not stay: the one given, else a temporary one."""
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="drumbeat-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def demo_settings(settings: Settings, data: Path | None, port: int | None) -> Settings:
    """Return the settings of the live demonstration: own folder, any free MQTT port, polls every minute.

    Only what was left at its default is changed.
    """
    defaults = {(section, key): value for section, key, value in known_keys()}
    snmp = {}
    if settings.snmp.poll_interval_seconds == defaults["snmp", "poll_interval_seconds"]:
        snmp["poll_interval_seconds"] = LIVE_POLL_SECONDS
    mqtt: dict[str, object] = {"enabled": True}
    if settings.mqtt.broker == "embedded" and settings.mqtt.port == defaults["mqtt", "port"]:
        mqtt["port"] = 0
    api: dict[str, object] = {} if port is None else {"port": port}
    if port is None and settings.api.port == defaults["api", "port"] and is_taken(settings.api):
        api["port"] = 0  # a first look must not fail because something else runs here
    log = {"level": "warning"} if settings.log.level == defaults["log", "level"] else {}
    folder = data or settings.general.folder / FOLDER
    return settings.changed(general={"data_dir": folder}, snmp=snmp, mqtt=mqtt, api=api, log=log)


def is_taken(api: Api) -> bool:
    """Return True if another program listens where the API would."""
    with closing(socket.socket(socket.AF_INET6 if ":" in api.host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((api.host, api.port))
        except OSError:
            return True
    return False


def _opening_words(settings: Settings, wanted: Wanted, words: TerminalWords, *, fresh: bool) -> str:
    folder = settings.general.folder
    if not fresh:
        return words("going_on", folder=folder)
    return words("begins", devices=wanted.devices, days=wanted.days, folder=folder)


def _instant(text: str | None) -> datetime:
    if text is None:
        return DEFAULT_UNTIL
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidValue(f"--until {text!r} is not an instant such as 2026-01-01T00:00Z") from error
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return instant.astimezone(UTC)


def _has_desktop() -> bool:
    """Return True where a browser window can appear; a text browser in this terminal would be in the way."""
    return sys.platform in {"darwin", "win32"} or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


APPS: Final = {"demo": app}
