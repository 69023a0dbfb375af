"""A terminal view of a live story: what the fleet is doing, drawn with rich. Texts are plain English for developers."""

from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simulators.device import devices_of
from simulators.runner import LiveRun, condition

COLOURS: Final = {
    "printing": "green",
    "idle": "bright_black",
    "asleep": "blue",
    "low": "yellow",
    "waiting": "magenta",
    "jammed": "red",
    "stopped": "bold red",
    "silent": "black on bright_black",
}
SHOWN_DEVICES: Final = 400
NEWEST: Final = 8


class TerminalView:
    """Draws a `LiveRun`; call it with the run after each tick, inside a `with` block. Only changed frames are drawn."""

    def __init__(self, console: Console | None = None) -> None:
        self._live = Live(console=console or Console(stderr=True), auto_refresh=False, transient=False)
        self._minute = ""
        self._before: dict[int, str] = {}
        self._news: list[str] = []

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, run: LiveRun) -> None:
        minute = f"{run.clock.now():%H:%M:%S}" if run.options.speed < 30 else f"{run.clock.now():%d %H:%M}"
        if minute != self._minute:
            self._minute = minute
            self._live.update(self.frame(run), refresh=True)

    def frame(self, run: LiveRun) -> Panel:
        """Return one picture of the run."""
        now = min(run.clock.now(), run.scenario.end)
        conditions = {device.number: condition(device, now) for device in devices_of(run.fleet)}
        for number, word in conditions.items():
            before = self._before.get(number)
            if before is not None and before != word and word in {"jammed", "stopped", "silent", "waiting"}:
                name = run.fleet.roster.devices[number].device_id
                self._news.append(f"{now:%H:%M} {name}: {before} -> {word}")
        self._before = conditions
        dots = Text()
        for word in list(conditions.values())[:SHOWN_DEVICES]:
            dots.append("\u25cf ", style=COLOURS[word])
        counts = Table.grid(padding=(0, 2))
        words = list(conditions.values())
        counts.add_row(*[Text(f"{word} {words.count(word)}", style=style) for word, style in COLOURS.items()])
        whole = (run.scenario.end - run.scenario.show_from).total_seconds()
        done = (now - run.scenario.show_from).total_seconds()
        wire = f"readings {run.summary.readings}  SNMP answers {run.summary.snmp_requests}  traps {run.summary.traps}"
        if run.mqtt is not None:
            wire += f"  waiting for a mark {run.mqtt.pending}"
        body = Group(
            Text(f"{now:%Y-%m-%d %H:%M:%S} UTC  x{run.options.speed:g}"),
            ProgressBar(total=whole, completed=done, width=60),
            dots,
            counts,
            Text(wire),
            Text("\n".join(self._news[-NEWEST:]), style="dim"),
        )
        return Panel(body, title=run.scenario.title, border_style="cyan")
