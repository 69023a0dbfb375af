"""What a supply back-test shows to people: lead times of tickets, calibration, a forecast fan, lives of cartridges.

Outcomes are the run-outs that the polls show later in the same file. They are used for the pictures only.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from analytics.backtest.pictures import Plot, histogram
from analytics.backtest.report import write_report
from analytics.backtest.spread import mean_with_spread
from analytics.survival import kaplan_meier

Floats = npt.NDArray[np.float64]
Life = tuple[int, int, float]  # device row, first day, day of the run-out


def supply_report(
    path: Path,
    table: pd.DataFrame,
    lives: list[Life],
    first_walk_day: int,
    days: int,
    summary: dict[str, object],
) -> dict[str, object]:
    """Write the report and return its figures. `table` is sorted by device and day, one row each."""
    walked = [life for life in lives if life[1] >= first_walk_day]
    columns = ["days_to_empty_p10", "days_to_empty_p50", "days_to_empty_p90"]
    quantiles = table[columns].to_numpy(float).reshape(-1, days, 3)
    tickets = table["raise_ticket"].to_numpy(bool).reshape(-1, days)
    lead = np.array(
        [_lead(tickets[row], start - first_walk_day, end - first_walk_day) for row, start, end in walked]
    )
    predicted, truth, device = _pairs(quantiles, walked, first_walk_day)
    of_life = np.array([row for row, _, _ in walked], dtype=np.int64)
    soon = truth <= 30
    near = predicted[:, 1] <= 30.0 if len(predicted) else np.zeros(0, bool)
    inside = (predicted[near, 0] <= truth[near]) & (truth[near] <= predicted[near, 2])
    figures = {
        "run-outs seen in the walk": len(walked),
        "tickets 3 to 10 days before": _share((lead >= 3) & (lead <= 10), of_life),
        "late or never": _share(lead < 3, of_life),
        "mean error where 30 days or less were left, days": _mean(
            np.abs(predicted[:, 1] - truth)[soon], device[soon]
        ),
        "P10-P90 holds (P50 at most 30 days)": _share(inside, device[near]),
    }
    pictures = [
        (
            "Lead time of tickets", "Days from the ticket to the run-out. Green: in time, 3 to 10 days. 0: no ticket.",
            histogram(np.minimum(lead, 30), np.arange(0.0, 31.0), "days before empty", (3, 11)),
        ),
        ("Forecast and outcome", "Median of what happened for each forecast, with the middle 80 %. The dashed line is perfect.",
         _calibration(predicted, truth)),
        ("One device through the walk", "Band P10 to P90 and P50 of days to empty; green: what happened.",
         _fan(quantiles, walked, first_walk_day, days)),
        ("Lives of cartridges", "Share still in use after so many days, with an 80 % interval.", _lives(lives)),
    ]  # fmt: skip
    write_report(path, "Back-test of supply forecasts", {**summary, **figures}, pictures)
    return figures


def _share(hits: npt.NDArray[np.bool_], device: npt.NDArray[np.int64]) -> str:
    if len(hits) == 0:
        return "-"
    share, low, high = (100 * figure for figure in mean_with_spread(hits, device))
    return f"{share:.1f} % ({low:.1f}-{high:.1f})"


def _mean(values: Floats, device: npt.NDArray[np.int64]) -> str:
    if len(values) == 0:
        return "-"
    mean, low, high = mean_with_spread(values, device)
    return f"{mean:.2f} ({low:.2f}-{high:.2f})"


def _lead(tickets: npt.NDArray[np.bool_], start: int, end: float) -> float:
    empty = int(np.ceil(end - 1e-9))
    hit = np.flatnonzero(tickets[start:empty])
    return float(empty - start - hit[0]) if len(hit) else 0.0


def _pairs(
    quantiles: Floats, lives: list[Life], first_day: int
) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Return forecasts [m, 3], true days [m] and device rows [m] of all days of the lives."""
    forecasts: list[Floats] = [np.zeros((0, 3))]
    truths: list[Floats] = [np.zeros(0)]
    devices = [np.zeros(0, np.int64)]
    for row, start, end in lives:
        days = np.arange(start, int(np.floor(end)) + 1)
        forecasts.append(quantiles[row, days - first_day])
        truths.append(np.asarray(end - days, dtype=float))
        devices.append(np.full(len(days), row, np.int64))
    return np.concatenate(forecasts), np.concatenate(truths), np.concatenate(devices)


def _calibration(predicted: Floats, truth: Floats) -> str:
    plot = Plot("forecast days to empty (P50)", "days that it took", 40, 60)
    plot.line([0, 40], [0, 40], "ideal")
    edges = np.arange(0.0, 41.0, 2.0)
    at = np.digitize(predicted[:, 1], edges) - 1
    rows = [
        (edges[k] + 1, *np.quantile(truth[at == k], (0.1, 0.5, 0.9)))
        for k in range(len(edges) - 1)
        if (at == k).sum() > 9
    ]
    if rows:
        x, low, mid, high = np.array(rows).T
        plot.band(x, low, high)
        plot.line(x, mid, "main")
    return plot.svg("forecast and outcome")


def _fan(quantiles: Floats, lives: list[Life], first_day: int, days: int) -> str:
    if not lives:
        return Plot("day of the walk", "days to empty", days, 60).svg("forecast fan")
    counts = np.bincount([row for row, _, _ in lives])
    row = int(np.argmin(np.abs(counts - 5)))
    most = float(np.clip(np.nanquantile(quantiles[row, :, 2], 0.95), 10, 120))
    plot = Plot("day of the walk", "days to empty", days, most)
    x = np.arange(days, dtype=float)
    plot.band(x, quantiles[row, :, 0], quantiles[row, :, 2])
    plot.line(x, quantiles[row, :, 1], "main")
    for _, start, end in (life for life in lives if life[0] == row):
        plot.line([start - first_day, end - first_day], [end - start, 0.0], "truth")
    return plot.svg("forecast fan")


def _lives(lives: list[Life]) -> str:
    length = np.array([end - start for _, start, end in lives])
    if not len(length):
        return Plot("days in use", "still in use", 100, 1, percent_y=True).svg("survival")
    curve = kaplan_meier(length, np.ones(len(length), bool))
    plot = Plot("days in use", "still in use", float(np.quantile(length, 0.99)), 1.0, percent_y=True)
    plot.band(curve.times, curve.low, curve.high)
    plot.steps(curve.times, curve.alive, "main")
    return plot.svg("survival")
