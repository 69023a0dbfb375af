"""Back-test on the own history of an installation: it shows whether forecasts are good for these machines.

The history in the telemetry store is walked once; what was known each day is compared with the run-outs that the
polls showed later. The model is fitted on the earlier part of the days and judged on the later part only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.backtest.pictures import Plot, histogram
from analytics.backtest.report import write_report
from analytics.evaluation import mean_absolute_error, refuse_random_split
from analytics.features import FleetState, day_number
from analytics.history_walk import HistoryWalk, walk_history
from analytics.learning import are_few, teachers
from analytics.priors import SupplyPriorBook
from analytics.supplies import SupplyRows, fit_supply_model
from analytics.survival import kaplan_meier
from analytics.training import MIN_RUN_OUTS
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.fleet import Device
from crm_core.domain.identity import TenantId
from crm_core.ports import TelemetryStore

Floats = npt.NDArray[np.float64]
Progress = Callable[[str, float], None]

_DAYS_LEFT: Final = (14, 7, 3)
_NEAR: Final = 30.0
_MIN_ROWS: Final = 60
_WALK_SHARE: Final = 0.8  # of the time

_NO_OUTCOMES: Final = (
    "Supplies: hardly any cartridge has run out so far, so forecasts cannot be compared with what happened. "
    "Let Drumbeat collect some more weeks."
)
_FORMULA_ONLY: Final = (
    "The trained model and its intervals: too few run-outs lie before or after the day up to which it would learn. "
    "The formula, which learns from none of them, is judged on all days instead."
)
_FEW: Final = (
    "Small differences: the figures rest on fewer than 40 cartridges, so half a day or some per cent between two of them "
    "may be chance."
)
_PART_ONLY: Final = (
    "Every device: of so large a fleet a part chosen by name was walked, the same that training learns from."
)
_FAILURES: Final = (
    "Failures: they are judged by the causes that technicians confirmed, each time the models are trained. "
    "The page Forecast quality shows it."
)


def backtest_own(
    store: TelemetryStore, devices: Sequence[Device], catalogue: Catalogue, tenant: TenantId, as_of: date, *,
    train_share: float = 0.6, holidays: frozenset[date] = frozenset(), seed: int = 0, html: Path | None = None,
    progress: Progress,
) -> dict[str, object]:  # fmt: skip
    """Return the scores of formula and model on the later days, as JSON.

    With little history the report is written all the same; `not_judged` says in sentences what could not be judged.
    """
    progress("walk", 0.0)
    closed = frozenset(day_number(day) for day in holidays)
    state = FleetState(tenant, SupplyPriorBook(catalogue), holidays=closed)
    until = day_number(as_of)
    fleet = {str(device.device_id): device for device in devices}
    chosen = teachers(fleet, seed)
    walked = walk_history(
        store,
        state,
        chosen,
        until,
        closed,
        one_by_one=are_few(chosen, fleet),
        each_day=_shown(progress, until),
    )
    judged = _judge(
        walked, walked.first_day + int(train_share * (until - walked.first_day + 1)), until, seed, progress
    )
    lacks = [*judged.lacks, *([_PART_ONLY] if len(chosen) < len(fleet) else []), _FAILURES]
    summary: dict[str, object] = {
        "devices": len(state.device_ids), "supplies": len(state.keys), "days": max(until - walked.first_day + 1, 0),
        "run_outs": len(walked.supplies.lives), **judged.figures, "not_judged": lacks,
    }  # fmt: skip
    if html is not None:
        write_report(
            html,
            "Back-test on the own history",
            _flat(summary),
            _pictures(judged, walked.supplies.lives),
            lacks,
        )
        summary["html"] = str(html)
    progress("done", 1.0)
    return summary


def _shown(progress: Progress, until: int) -> Callable[[int], None]:
    """Return what shows how much of the history was walked: most of the time goes there."""
    first: list[int] = []

    def each_day(day: int) -> None:
        if not first:
            first.append(day)
        progress("walk", _WALK_SHARE * (day - first[0] + 1) / (until - first[0] + 1))

    return each_day


@dataclass(frozen=True, slots=True)
class _Judged:
    """Rows with a known outcome and the days forecast for them (P50), the figures, and what could not be judged."""

    rows: SupplyRows
    days: Floats
    figures: dict[str, object]
    lacks: tuple[str, ...]


def _judge(walked: HistoryWalk, split: int, until: int, seed: int, progress: Progress) -> _Judged:
    """Judge formula and model on the days after `split`, or the formula alone on all days: it learns from none of them."""
    groups = walked.state.supply.usage_row
    rows = walked.supplies.rows(groups, until)
    train, test = walked.supplies.rows(groups, split), rows.where(rows.day > split)
    if len(train.day) >= _MIN_ROWS and len(test.day) >= _MIN_ROWS:
        progress("fit", _WALK_SHARE)
        judged = _with_model(train, test, split, seed)
        few = _known_after(walked.supplies.lives, split) < MIN_RUN_OUTS
        return replace(judged, lacks=(_FEW,)) if few else judged
    verdict: dict[str, object] = {"verdict": "too few run-outs yet: forecasts rest on formula and catalogue"}
    if len(rows.day) < _MIN_ROWS:
        return _Judged(rows.where(rows.day < 0), np.zeros(0), verdict, (_NO_OUTCOMES,))
    return _Judged(
        rows, rows.formula_days, verdict | {"formula": _scores(rows, rows.formula_days)}, (_FORMULA_ONLY,)
    )


def _with_model(train: SupplyRows, test: SupplyRows, split: int, seed: int) -> _Judged:
    refuse_random_split(train.day, test.day, train.group, test.group, 1)
    trees = int(np.clip(len(train.day) // 60, 30, 150))
    predicted = fit_supply_model(train, seed=seed, trees=trees).predict(test.features, test.formula_days)
    near = predicted[:, 1] <= _NEAR
    inside = (predicted[near, 0] <= test.true_days[near]) & (test.true_days[near] <= predicted[near, 2])
    figures: dict[str, object] = {
        "trained_until": str(np.datetime64(split, "D")),
        "formula": _scores(test, test.formula_days), "model": _scores(test, predicted[:, 1]),
        "p10_p90_holds": round(float(inside.mean()), 3) if near.any() else None,
    }  # fmt: skip
    return _Judged(test, predicted[:, 1], figures, ())


def _known_after(lives: list[tuple[int, int, float]], day: int) -> int:
    return sum(end > day for _, _, end in lives)


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
            flat[name] = value
    return flat


def _pictures(judged: _Judged, lives: list[tuple[int, int, float]]) -> list[tuple[str, str, str]]:
    """Return the pictures that this much history allows: none is drawn of nothing."""
    pictures = []
    soon = judged.rows.true_days <= _NEAR
    if soon.any():
        error = np.clip(judged.days - judged.rows.true_days, -15, 15)[soon]
        pictures.append(
            ("Errors of P50", "Forecast minus outcome: green is within three days, to the right the forecast said too late.",
             histogram(error, np.arange(-15.0, 16.0), "error in days", (-3, 3), "forecasts"))
        )  # fmt: skip
    length = np.array(
        [end - start for _, start, end in lives if end > start]
    )  # some were empty when first seen
    if len(length):
        curve = kaplan_meier(length, np.ones(len(length), bool))
        plot = Plot("days in use", "still in use", float(np.quantile(length, 0.99)), 1.0, percent_y=True)
        plot.band(curve.times, curve.low, curve.high)
        plot.steps(curve.times, curve.alive, "main")
        pictures.append(
            ("Lives of supplies", "Share still in use after so many days, with an 80 % interval.", plot.svg("survival"))
        )  # fmt: skip
    return pictures
