"""What a back-test of failure chances shows to people: calibration, what a ticket budget finds, survival of parts."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from analytics.backtest.failure_history import COMPONENTS, FailureHistory
from analytics.backtest.pictures import Plot, reliability
from analytics.backtest.report import write_report
from analytics.survival import kaplan_meier

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_MOST_PAGES = 150.0  # thousand pages shown
_SHOWN = {"drum": "main", "fuser": "truth", "feed_rollers": "third"}  # with the style of each line


def chance_pictures(chance: Floats, happened: Bools, horizon: str) -> list[tuple[str, str, str]]:
    """Return calibration and precision by share of rows, for chances and outcomes [m]."""
    order = np.argsort(-chance, kind="stable")
    hits = np.cumsum(happened[order])
    share = np.linspace(0.001, 0.1, 60)
    count = np.maximum((share * len(chance)).astype(int), 1)
    precision = hits[count - 1] / count
    plot = Plot(
        "share of device-days looked at, the riskiest first", "followed by a failure", 0.1, 1.0, percent=True
    )
    plot.line(share, precision, "main")
    plot.line([0, 0.1], [float(happened.mean())] * 2, "ideal")
    return [
        (f"Calibration, {horizon}",
         "Each dot: forecast chance and how often it happened. On the dashed line is honest; below it chances were too high.",
         reliability(chance, happened.astype(float))),
        (f"Precision, {horizon}",
         "Of the riskiest device-days, the share that a failure followed. Dashed: what chance alone would find.",
         plot.svg("precision")),
    ]  # fmt: skip


def failure_report(
    path: Path,
    history: FailureHistory,
    first: int,
    seven: Floats,
    fourteen: Floats,
    summary: dict[str, object],
) -> None:
    """Write the report; chances are [walked days, n] from day index `first`. Outcomes are the stops seen later in the file."""
    stops = np.zeros((len(history.device_ids), history.days), bool)
    day = np.arange(history.days)
    stops[history.stop_day == day] = True
    ahead = np.concatenate([np.zeros((len(stops), 1)), np.cumsum(stops, axis=1)], axis=1)
    pictures = []
    for horizon, chance in ((7, seven), (14, fourteen)):
        last = history.days - horizon
        happened = (
            np.stack([ahead[:, t + 1 + horizon] > ahead[:, t + 1] for t in range(first, last)])
            if last > first
            else None
        )
        if happened is not None:
            rows = chance[: last - first].ravel()
            pictures += chance_pictures(rows, happened.ravel(), f"{horizon} days")
    pictures.append(
        (
            "Survival of parts",
            "Share still working after so many pages (Kaplan-Meier; parts that still run count as long as they ran).",
            _parts(history),
        )
    )
    write_report(path, "Back-test of failure forecasts", summary, pictures)


def _parts(history: FailureHistory) -> str:
    plot = Plot("thousand pages on the part", "still working", _MOST_PAGES, 1.0, percent_y=True)
    for name, style in _SHOWN.items():
        kind = COMPONENTS.index(name)
        replaced = np.diff(history.repairs[kind], axis=1)[:, 1:] > 0
        ended = history.part_pages[kind][:, :-1][replaced]
        running = history.part_pages[kind][:, -1]
        lives = np.concatenate([ended, running]) / 1000.0
        curve = kaplan_meier(lives, np.r_[np.ones(len(ended), bool), np.zeros(len(running), bool)])
        shown = curve.times <= _MOST_PAGES
        plot.steps(curve.times[shown], curve.alive[shown], style)
    plot.legend([(name.replace("_", " "), style) for name, style in _SHOWN.items()])
    return plot.svg("survival of parts")
