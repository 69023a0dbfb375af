"""Back-test of supply forecasts: walk through a history file as if each day were today.

Everything that is fitted comes from the training days of the same file; after them only the small states move on. The
threshold of the ticket is chosen on forecasts for devices that the forecasting trees have not seen.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from analytics.backtest.supply_history import SupplyHistory, as_dates, read_holidays, read_supply_history
from analytics.backtest.supply_report import supply_report
from analytics.backtest.tables import days_to_walk, write_table
from analytics.features import calendar_ahead
from analytics.supplies import FAR_DAYS, SupplyModel, SupplyRows, fit_supply_model, snapshot
from analytics.supply_forecasts import formula_days
from analytics.supply_state import SupplyState
from analytics.training import MIN_RUN_OUTS, SupplyRecorder
from analytics.usage import UsageState, weekday_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Progress = Callable[[str, float], None]

WARM_UP_DAYS: Final = 45
_PRIOR_PAGES_A_DAY: Final = 20.0
_WINDOW: Final = (3.0, 10.0)  # days before empty in which a ticket is right
_THRESHOLDS: Final = tuple(np.arange(4.5, 10.01, 0.25).tolist())
_COARSE: Final = 0.05  # steps of 5 % and more
_KINDS: Final = 6
_LATE_KINDS: Final = (3, 4, 5)  # gauges that say "some remaining", see `gauge_kind`
#: A fleet has too few of these gauges to search three thresholds: before a flag that comes in time only a forecast of a
#: day or two raises a ticket, otherwise a little later than for the fleet.
_LATE_MARGIN: Final = 0.5
_WAIT_FOR_FLAG: Final = 1.5
_USUAL_FLAG: Final = 0.12
_FLAG_IN_TIME: Final = 4.5  # days before empty
_SHRINK: Final = 200.0  # lives that the fleet's threshold counts for
_NEAR_FORMULA: Final = 60.0  # days; what lies farther away raises no ticket
_BLOCK: Final = 20  # days that are forecast in one call
_LATE_COSTS: Final = 0.3  # a late ticket is worse than an early one
_ROWS_AIMED: Final = 100_000
_MIN_ROWS: Final = 200  # fewer teach noise, like run-outs fewer than MIN_RUN_OUTS
_USUAL_THRESHOLD: Final = 6.0  # days, where no run-out of the training days can choose one


def silent(_what: str, _share: float) -> None:
    """Take progress and say nothing."""


@dataclass(slots=True)
class SupplyWalk:
    """States and what they knew on every day after the warm-up; `swapped` and `gauge` are [T, n], `formula` [T, n, 3]."""

    history: SupplyHistory
    recorder: SupplyRecorder
    formula: list[Floats] = field(default_factory=list)  # P10, P50, P90 of the formula on the recorder's days
    swapped: list[Bools] = field(default_factory=list)
    gauge: list[Ints] = field(default_factory=list)


def walk(
    history: SupplyHistory,
    holidays: frozenset[int],
    progress: Progress = silent,
    warm_up: int = WARM_UP_DAYS,
) -> SupplyWalk:
    """Feed the history day by day to the states and note what they knew from day `warm_up` on."""
    n = len(history.device_ids)
    usage = UsageState.empty(history.site, np.full(n, _PRIOR_PAGES_A_DAY))
    supply = SupplyState.empty(np.arange(n), history.model, history.nominal, np.ones(n))
    result = SupplyWalk(history, SupplyRecorder())
    for column in range(history.days):
        day = history.first_day + column
        holiday = day in holidays
        profile = usage.profile()
        usage.expect(day, profile[weekday_of(day)], holiday=holiday)
        pages = usage.take(day, history.counts[:, column], dry=supply.dry(), holiday=holiday)
        before = result.recorder.before(supply)
        supply.take(day, history.states[:, column], history.percents[:, column], pages)
        result.recorder.after(day, supply, before)
        result.swapped.append(supply.swapped.copy())
        result.gauge.append(gauge_kind(supply, profile.mean(0)))
        if column >= warm_up:
            snap = snapshot(day, usage, supply, calendar_ahead(day, holidays), profile)
            result.recorder.note(snap)
            result.formula.append(formula_days(usage, supply, snap).astype(np.float32))
        if column % 30 == 0:
            progress("walk", column / history.days)
    return result


def gauge_kind(supply: SupplyState, pages_per_day: Floats) -> Ints:
    """Return what may be expected of each gauge today.

    0 small steps, 1 coarse ones, 2 sticking; gauges that say "some remaining": 3 silent with a flag that comes too late,
    4 after the flag, 5 silent with a flag that will come in time.
    """
    kind = np.where(supply.resolution() >= _COARSE, 1, 0)
    kind = np.where(supply.sticks(), 2, kind)
    flag = np.where(np.isnan(supply.flag_level), _USUAL_FLAG, supply.flag_level)
    days_at_flag = flag / supply.slope * supply.nominal / np.maximum(pages_per_day, 0.1)
    silent = np.where(days_at_flag >= _FLAG_IN_TIME, 5, 3)
    return np.asarray(
        np.where(supply.speaks_late(), np.where(np.isnan(supply.reported), silent, 4), kind), dtype=np.int64
    )


@dataclass(slots=True)
class SupplyBacktest:
    """The fitted model (None: too few run-outs, the formula forecasts) and what was chosen on the training days."""

    model: SupplyModel | None
    thresholds: Floats  # by gauge kind
    rows: int
    run_outs: int


def train(
    result: SupplyWalk, train_days: int, seed: int, progress: Progress = silent, trees: int = 150
) -> SupplyBacktest:
    """Fit on the training days: model by run-outs seen, thresholds by cross-fitted forecasts."""
    last = result.history.first_day + train_days
    groups = np.arange(len(result.history.device_ids))
    lives = result.recorder.lives_known_by(last - 1)
    total = sum(min(int(end - start), 90) for _, start, end in lives)
    rows = result.recorder.rows(groups, last - 1, every=max(1, total // _ROWS_AIMED))
    if len(lives) < MIN_RUN_OUTS or len(rows.day) < _MIN_ROWS:
        return SupplyBacktest(None, choose_thresholds(result, None, train_days, seed), 0, len(lives))
    progress("fit", 0.0)
    model = fit_supply_model(rows, seed=seed, trees=trees)
    progress("thresholds", 0.6)
    thresholds = choose_thresholds(result, rows, train_days, seed, min(trees, 100))
    return SupplyBacktest(model, thresholds, len(rows.day), len(lives))


def choose_thresholds(
    result: SupplyWalk, rows: SupplyRows | None, train_days: int, seed: int, trees: int = 100
) -> Floats:
    """Return the P50 at which a ticket is raised, by gauge kind, that puts most training cartridges into the window.

    Without `rows` to learn from the P50 is the formula's.
    """
    first = result.recorder.days[0]
    length = result.history.first_day + train_days - first
    known = result.recorder.lives_known_by(result.history.first_day + train_days - 1)
    lives = [life for life in known if life[2] - life[1] >= 15 and life[1] >= first]
    if not lives:
        return _with_late_kinds(np.full(_KINDS, _USUAL_THRESHOLD), _USUAL_THRESHOLD)
    formula = np.stack(result.recorder.formula[:length])
    p50 = formula if rows is None else _cross_fitted(result, rows, formula, seed, trees)
    return _best_thresholds([_track(p50, result, life, first) for life in lives])


def _cross_fitted(result: SupplyWalk, rows: SupplyRows, formula: Floats, seed: int, trees: int) -> Floats:
    """Return P50 by [day, device], each by trees that had not seen the device; days that lie far are the formula's."""
    n = formula.shape[1]
    fold = np.random.default_rng(seed + 1).permutation(n) % 2
    p50 = np.maximum(formula, _NEAR_FORMULA)
    features = np.stack(result.recorder.features[: len(formula)])
    for part in (0, 1):
        others = rows.where(fold[rows.group] != part)
        near = (formula < _NEAR_FORMULA) & (fold == part)
        if near.any() and len(others.day):
            model = fit_supply_model(others, seed=seed, trees=trees, median_only=True)
            p50[near] = model.predict(features[near], formula[near])[:, 1]
    return p50


Track = tuple[Floats, Ints]  # P50 and gauge kind of every day of a life, the day before the run-out last


def _track(p50: Floats, result: SupplyWalk, life: tuple[int, int, float], first: int) -> Track:
    row, start, end = life
    days = np.arange(start, int(np.ceil(end - 1e-9)))
    kinds = np.array([result.gauge[day - result.history.first_day][row] for day in days], dtype=np.int64)
    return p50[days - first, row], kinds


def _best_thresholds(tracks: list[Track]) -> Floats:
    """Return a threshold for every gauge kind: each near the fleet's best one while its own lives are few."""
    common = np.array([_worth(tracks, np.full(_KINDS, level)) for level in _THRESHOLDS]).reshape(
        len(_THRESHOLDS), -1
    )
    overall = common.mean(1) if common.shape[1] else np.zeros(len(_THRESHOLDS))
    chosen = np.full(_KINDS, _THRESHOLDS[int(np.argmax(_smooth(overall)))])
    last = np.array([kinds[-1] for _, kinds in tracks], dtype=np.int64)
    for kind in range(_LATE_KINDS[0]):
        mine = common[:, last == kind]
        blended = (mine.sum(1) + _SHRINK * overall) / (mine.shape[1] + _SHRINK)
        chosen[kind] = _THRESHOLDS[int(np.argmax(_smooth(blended)))]
    return _with_late_kinds(chosen, _THRESHOLDS[int(np.argmax(_smooth(overall)))])


def _with_late_kinds(chosen: Floats, common: float) -> Floats:
    chosen[list(_LATE_KINDS)] = (common - _LATE_MARGIN, common - _LATE_MARGIN, _WAIT_FOR_FLAG)
    return chosen


def _smooth(values: Floats) -> Floats:
    return np.asarray(np.convolve(np.pad(values, 2, mode="edge"), np.ones(5) / 5, mode="valid"))


def _worth(tracks: list[Track], levels: Floats) -> Floats:
    """Return the worth of the tickets that thresholds by kind would have raised: 1 in time, negative when late."""
    lead = np.array([_lead(p50 <= levels[kinds]) for p50, kinds in tracks])
    return np.asarray(
        ((lead >= _WINDOW[0]) & (lead <= _WINDOW[1])) - _LATE_COSTS * (lead < _WINDOW[0]), dtype=float
    )


def _lead(raised: Bools) -> float:
    """Return the days from the first day raised to the run-out; 0 if there was none before."""
    hit = np.flatnonzero(raised)
    return float(len(raised) - hit[0]) if len(hit) else 0.0


def _forecasts(result: SupplyWalk, model: SupplyModel | None, start: int, stop: int) -> Floats:
    """Return P10, P50, P90 [days, n, 3] of the days `start` to `stop` of the history."""
    noted = result.recorder.days[0] - result.history.first_day
    coming = slice(start - noted, stop - noted)
    if model is None:
        return np.stack(result.formula[coming]).astype(float)
    features = np.concatenate(result.recorder.features[coming])
    formula = np.concatenate(result.recorder.formula[coming])
    return model.predict(features, formula).reshape(stop - start, -1, 3)


def predict(
    result: SupplyWalk, fitted: SupplyBacktest, train_days: int, progress: Progress = silent
) -> pd.DataFrame:
    """Return one row a device and day from `train_days` on, made with nothing later than that day."""
    history = result.history
    n = len(history.device_ids)
    raised = np.zeros(n, bool)
    parts = []
    ahead = np.zeros((0, n, 3))
    for column in range(train_days, history.days):
        block = (column - train_days) % _BLOCK
        if block == 0:
            ahead = _forecasts(result, fitted.model, column, min(column + _BLOCK, history.days))
        days = ahead[block]
        raised &= ~result.swapped[column]
        raise_now = (days[:, 1] <= fitted.thresholds[result.gauge[column]]) & ~raised
        raised |= raise_now
        days = np.minimum(days, FAR_DAYS)
        parts.append(
            pd.DataFrame(
                {
                    "device_id": history.device_ids, "day": as_dates(np.full(n, history.first_day + column)),
                    "days_to_empty_p10": days[:, 0], "days_to_empty_p50": days[:, 1], "days_to_empty_p90": days[:, 2],
                    "raise_ticket": raise_now,
                }
            )
        )  # fmt: skip
        if column % 30 == 0:
            progress("forecast", (column - train_days) / max(history.days - train_days, 1))
    return pd.concat(parts, ignore_index=True).sort_values(
        ["device_id", "day"], kind="stable", ignore_index=True
    )


def backtest_supplies(
    history: Path,
    train_days: int,
    out: Path,
    *,
    holidays: Path | None = None,
    seed: int = 0,
    trees: int = 150,
    html: Path | None = None,
    progress: Progress = silent,
) -> dict[str, object]:
    """Write the forecasts of a history file to `out` (columns of the protocol) and return a summary for JSON."""
    data = read_supply_history(history)
    days_to_walk(data.days, train_days)
    result = walk(data, read_holidays(holidays), progress, min(WARM_UP_DAYS, train_days))
    fitted = train(result, train_days, seed, progress, trees)
    table = predict(result, fitted, train_days, progress)
    table["day"] = table["day"].dt.date
    write_table(table, out)
    summary: dict[str, object] = {
        "devices": len(data.device_ids), "days": data.days, "rows": len(table), "training_rows": fitted.rows,
        "run_outs_learned": fitted.run_outs, "tickets": int(table["raise_ticket"].sum()),
        "ticket_thresholds": fitted.thresholds.tolist(), "seed": seed, "out": str(out),
    }  # fmt: skip
    if fitted.model is None:
        summary["forecast_by"] = "formula: too few run-outs in the training days to learn from"
    if html is not None:
        first_walk_day = data.first_day + train_days
        walked_days = data.days - train_days
        summary |= supply_report(html, table, result.recorder.lives, first_walk_day, walked_days, summary)
        summary["html"] = str(html)
    progress("done", 1.0)
    return summary
