"""Back-test on the own history of an installation: it shows whether forecasts are good for these machines.

The history in the telemetry store is walked once; what was known each day is compared with the run-outs that the
polls showed later. The model is fitted on the earlier part of the days and judged on the later part only.
"""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.backtest.pictures import Plot, histogram
from analytics.backtest.report import write_report
from analytics.evaluation import mean_absolute_error, refuse_random_split
from analytics.features import FleetState, day_number
from analytics.history_walk import walk_history
from analytics.priors import SupplyPriorBook
from analytics.supplies import SupplyRows, fit_supply_model
from analytics.survival import kaplan_meier
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.fleet import Device
from crm_core.domain.identity import TenantId
from crm_core.ports import TelemetryStore

Floats = npt.NDArray[np.float64]
Progress = Callable[[str, float], None]

_DAYS_LEFT: Final = (14, 7, 3)
_NEAR: Final = 30.0
_MIN_ROWS: Final = 60


def backtest_own(
    store: TelemetryStore, devices: Sequence[Device], catalogue: Catalogue, tenant: TenantId, as_of: date, *,
    train_share: float = 0.6, holidays: frozenset[date] = frozenset(), seed: int = 0, html: Path | None = None,
    progress: Progress,
) -> dict[str, object]:  # fmt: skip
    """Return the scores of formula and model on the later days, as JSON; with too little history it says what lacks."""
    progress("walk", 0.1)
    closed = frozenset(day_number(day) for day in holidays)
    state = FleetState(tenant, SupplyPriorBook(catalogue), holidays=closed)
    until = day_number(as_of)
    walked = walk_history(store, state, {str(device.device_id): device for device in devices}, until, closed)
    lives = walked.supplies.lives
    length = until - walked.first_day + 1
    split = walked.first_day + int(train_share * length)
    groups = state.supply.usage_row
    summary: dict[str, object] = {
        "devices": len(state.device_ids), "supplies": len(state.keys), "days": max(length, 0), "run_outs": len(lives),
        "trained_until": str(np.datetime64("1970-01-01") + split),
    }  # fmt: skip
    rows = walked.supplies.rows(groups, until)
    train, test = walked.supplies.rows(groups, split), rows.where(rows.day > split)
    if len(train.day) < _MIN_ROWS or len(test.day) < _MIN_ROWS:
        return {**summary, "verdict": "too few run-outs yet: forecasts rest on formula and catalogue"}
    refuse_random_split(train.day, test.day, train.group, test.group, 1)
    progress("fit", 0.5)
    trees = int(np.clip(len(train.day) // 60, 30, 150))
    predicted = fit_supply_model(train, seed=seed, trees=trees).predict(test.features, test.formula_days)
    summary |= {"formula": _scores(test, test.formula_days), "model": _scores(test, predicted[:, 1])}
    near = predicted[:, 1] <= _NEAR
    inside = (predicted[near, 0] <= test.true_days[near]) & (test.true_days[near] <= predicted[near, 2])
    summary["p10_p90_holds"] = round(float(inside.mean()), 3) if near.any() else None
    if html is not None:
        write_report(html, "Back-test on the own history", _flat(summary), _pictures(test, predicted, lives))
        summary["html"] = str(html)
    progress("done", 1.0)
    return summary


def _scores(test: SupplyRows, days: Floats) -> dict[str, object]:
    """Return mean errors in days: at 14, 7 and 3 days left, and wherever at most 30 were left."""
    scores: dict[str, object] = {}
    for left in _DAYS_LEFT:
        at = np.abs(test.true_days - left) <= 0.5
        scores[f"error_at_{left}_days"] = (
            round(mean_absolute_error(test.true_days[at], days[at]), 2) if at.any() else None
        )
    soon = test.true_days <= _NEAR
    scores["error_within_30_days"] = (
        round(mean_absolute_error(test.true_days[soon], days[soon]), 2) if soon.any() else None
    )
    return scores


def _flat(summary: dict[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in summary.items():
        if isinstance(value, dict):
            flat |= {f"{name}: {part.replace('_', ' ')}": figure for part, figure in value.items()}
        else:
            flat[name.replace("_", " ")] = value
    return flat


def _pictures(
    test: SupplyRows, predicted: Floats, lives: list[tuple[int, int, float]]
) -> list[tuple[str, str, str]]:
    error = np.clip(predicted[:, 1] - test.true_days, -15, 15)[test.true_days <= _NEAR]
    length = np.array([end - start for _, start, end in lives])
    curve = kaplan_meier(length, np.ones(len(length), bool))
    plot = Plot("days in use", "still in use", float(np.quantile(length, 0.99)), 1.0, percent_y=True)
    plot.band(curve.times, curve.low, curve.high)
    plot.steps(curve.times, curve.alive, "main")
    return [
        ("Errors of P50", "Forecast minus outcome: green is within three days, to the right the forecast said too late.",
         histogram(error, np.arange(-15.0, 16.0), "error in days", (-3, 3), "forecasts")),
        ("Lives of supplies", "Share still in use after so many days, with an 80 % interval.", plot.svg("survival")),
    ]  # fmt: skip
