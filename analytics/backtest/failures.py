"""Back-test of failure forecasts: P(7 d) and P(14 d) per device, and the component to blame, day by day.

One discrete-time hazard serves all components: a row per device, day and component, gradient boosting on log-loss; the
chance of the device is one minus the product of its components' chances. Labels are the failures that the company
knew in the training days; rows whose horizon reaches past them are left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from analytics.backtest.failure_features import FailureFeatures
from analytics.backtest.failure_history import (
    COMPONENTS,
    FailureHistory,
    load_history,
    read_kind,
)
from analytics.backtest.failure_report import failure_report
from analytics.backtest.supplies import silent
from analytics.backtest.supply_history import as_dates
from analytics.backtest.tables import days_to_walk, write_table
from analytics.evaluation import refuse_random_split
from analytics.supplies import without_empty_columns

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Progress = Callable[[str, float], None]

HORIZONS: Final = (7, 14)
_FIRST_DAY: Final = 20  # before, nothing is known of a device
_QUIET_SHARE: Final = 0.04  # of rows without sign and without failure that are kept, with weight
_LOUD_SHARE: Final = 0.16
_BAGS: Final = 2
_USUAL_RATE: Final = 1.0 / 365.0 / len(COMPONENTS)  # failures of a component a day: one of a device a year


@dataclass(frozen=True, slots=True)
class KnownFailures:
    """The company's service records: device row, day index of failure and repair, component."""

    device: Ints
    failed: Ints
    repaired: Ints
    component: Ints


def read_known(path: Path, history: FailureHistory, train_days: int) -> KnownFailures:
    """Return the failures before `train_days`; a repair that is not known lies beyond the file."""
    table = read_kind(path, "known_failures")
    failed = table["failed_on"].to_numpy() - history.first_day
    repaired = table["repaired_on"].to_numpy() - history.first_day
    device = pd.Index(history.device_ids).get_indexer(table["device_id"])
    component = pd.Index(COMPONENTS).get_indexer(table["component"])
    keep = (device >= 0) & (component >= 0) & (failed >= 0) & (failed < train_days)
    repaired = np.where(np.isnan(repaired), history.days + 1, repaired)
    return KnownFailures(
        device[keep].astype(np.int64),
        failed[keep].astype(np.int64),
        repaired[keep].astype(np.int64),
        component[keep].astype(np.int64),
    )


@dataclass(frozen=True, slots=True)
class HazardRows:
    """Training rows: component, device, day, weight, and by horizon whether the component failed within it."""

    kind: Ints
    device: Ints
    day: Ints
    weight: Floats
    label: dict[int, Bools]


def hazard_rows(
    features: FailureFeatures, known: KnownFailures, train_days: int, seed: int, first_day: int = _FIRST_DAY
) -> HazardRows:
    """Return all rows before a failure and a weighted sample of the others; rows of devices out of order are left out."""
    history = features.history
    shape = (len(COMPONENTS), len(history.device_ids), train_days)
    label = {horizon: np.zeros(shape, bool) for horizon in HORIZONS}
    usable = np.zeros(shape[1:], bool)
    usable[:, first_day : train_days - HORIZONS[0]] = True
    for device, failed, repaired, kind in zip(
        known.device, known.failed, known.repaired, known.component, strict=True
    ):
        for horizon, mark in label.items():
            mark[kind, device, max(0, failed - horizon) : failed] = True
        usable[device, failed : max(repaired, failed + 1)] = False
    chance = np.random.default_rng(seed).random(shape)
    before = label[HORIZONS[-1]]
    loud = features.decayed[1][:, :, :train_days] > 0.3
    keep = usable[None] & (before | (chance < np.where(loud, _LOUD_SHARE, _QUIET_SHARE)))
    kind, device, day = np.nonzero(keep)
    weight = np.where(before[keep], 1.0, np.where(loud[keep], 1 / _LOUD_SHARE, 1 / _QUIET_SHARE))
    return HazardRows(kind, device, day, weight, {h: mark[keep] for h, mark in label.items()})


def _classifier(seed: int, trees: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=trees, learning_rate=0.04, max_leaf_nodes=8, min_samples_leaf=150, l2_regularization=20.0,
        max_features=0.3, early_stopping=False, random_state=seed,
    )  # fmt: skip


@dataclass(slots=True)
class HazardBags:
    """Fitted hazards by horizon; a chance is the mean of the bags' log odds, without any the base rate of a component."""

    models: dict[int, list[HistGradientBoostingClassifier]]
    base: dict[int, float] = field(default_factory=dict)

    def predict(self, features: npt.NDArray[np.float32], horizon: int) -> Floats:
        """Return P(component fails within `horizon` days) of rows."""
        if not self.models[horizon]:
            return np.full(len(features), self.base[horizon])
        odds = np.mean([model.decision_function(features) for model in self.models[horizon]], axis=0)
        return np.asarray(1.0 / (1.0 + np.exp(-odds)))


def fit_hazards(
    features: FailureFeatures,
    known: KnownFailures,
    train_days: int,
    seed: int,
    progress: Progress = silent,
    bags: int = _BAGS,
    trees: int = 250,
    first_day: int = _FIRST_DAY,
) -> HazardBags:
    """Fit the hazards on rows whose horizon ends within the training days."""
    n = len(features.history.device_ids)
    models: dict[int, list[HistGradientBoostingClassifier]] = {horizon: [] for horizon in HORIZONS}
    base: dict[int, float] = {}
    for bag in range(bags):
        rows = hazard_rows(features, known, train_days, seed + bag, first_day)
        matrix = without_empty_columns(features.rows(rows.kind, rows.device, rows.day))
        for step, horizon in enumerate(HORIZONS):
            progress("fit", (bag + step / 2) / bags)
            whole = rows.day < train_days - horizon
            label = rows.label[horizon][whole]
            walk_starts = np.full(n, train_days)
            refuse_random_split(rows.day[whole], walk_starts, rows.device[whole], np.arange(n), horizon)
            base[horizon] = _base_rate(label, rows.weight[whole], horizon)
            if label.any() and not label.all():
                models[horizon].append(
                    _classifier(seed + bag, trees).fit(matrix[whole], label, sample_weight=rows.weight[whole])
                )
    return HazardBags(models, base)


def _base_rate(label: Bools, weight: Floats, horizon: int) -> float:
    """Return how often a component failed within the horizon, as if one row of the usual rate had been seen besides."""
    return float((weight[label].sum() + 1.0) / (weight.sum() + 1.0 / (_USUAL_RATE * horizon)))


def component_chances(features: FailureFeatures, bags: HazardBags, day: int) -> dict[int, Floats]:
    """Return chances [7, n] by horizon at the end of one day (an index into the history)."""
    n = len(features.history.device_ids)
    kind, device = np.repeat(np.arange(len(COMPONENTS)), n), np.tile(np.arange(n), len(COMPONENTS))
    matrix = features.rows(kind, device, np.full(len(kind), day))
    return {horizon: bags.predict(matrix, horizon).reshape(len(COMPONENTS), n) for horizon in HORIZONS}


def backtest_failures(
    files: Mapping[str, Path],
    train_days: int,
    out: Path,
    *,
    seed: int = 0,
    bags: int = _BAGS,
    trees: int = 250,
    html: Path | None = None,
    progress: Progress = silent,
) -> dict[str, object]:
    """Write chances of every device and day from `train_days` on to `out`; return a summary for JSON.

    `files` has the paths of events, usage, parts, repairs and known_failures.
    """
    progress("read", 0.0)
    history = load_history(files, train_days)
    days_to_walk(history.days, train_days)
    features = FailureFeatures.of(history)
    known = read_known(files["known_failures"], history, train_days)
    fitted = fit_hazards(features, known, train_days, seed, progress, bags, trees)
    n = len(history.device_ids)
    parts = []
    for day in range(train_days, history.days):
        chances = component_chances(features, fitted, day)
        seven = 1.0 - np.prod(1.0 - chances[7], axis=0)
        fourteen = np.maximum(seven, 1.0 - np.prod(1.0 - chances[14], axis=0))
        blame = np.argmax(chances[7] + chances[14], axis=0)
        parts.append(
            pd.DataFrame(
                {
                    "device_id": history.device_ids, "day": as_dates(np.full(n, history.first_day + day)),
                    "p_fail_7d": seven, "p_fail_14d": fourteen, "reason_component": np.array(COMPONENTS)[blame],
                }
            )
        )  # fmt: skip
        if day % 20 == 0:
            progress("forecast", (day - train_days) / max(history.days - train_days, 1))
    table = pd.concat(parts, ignore_index=True).sort_values(
        ["device_id", "day"], kind="stable", ignore_index=True
    )
    table["day"] = table["day"].dt.date
    write_table(table, out)
    summary: dict[str, object] = {
        "devices": n, "days": history.days, "rows": len(table), "failures_learned": len(known.device), "seed": seed,
        "mean_p_fail_7d": round(float(table["p_fail_7d"].mean()), 5), "out": str(out),
    }  # fmt: skip
    if not all(fitted.models.values()):
        summary["forecast_by"] = "base rate: no known failure in the training days to learn from"
    if html is not None:
        by_day = [table[name].to_numpy(float).reshape(n, -1).T for name in ("p_fail_7d", "p_fail_14d")]
        failure_report(html, history, train_days, by_day[0], by_day[1], summary)
        summary["html"] = str(html)
    progress("done", 1.0)
    return summary
