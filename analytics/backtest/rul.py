"""Back-test on run-to-failure tables (C-MAPSS style): the generic life model for anything that wears with cycles.

Each unit is a history of settings and sensors up to its failure. Features are window means, trends and the drift from
the unit's own first rows, after the operating regime has been taken out; one boosting learns the capped remaining life.
Intervals are conformal on one row per training unit, drawn as test rows are: at one random moment of each life.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor

from analytics.backtest.pictures import Plot
from analytics.backtest.report import write_report
from analytics.backtest.supplies import silent
from analytics.evaluation import refuse_random_split
from analytics.survival import kaplan_meier
from crm_core.domain.errors import InvalidValue

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Progress = Callable[[str, float], None]

_COLUMNS: Final = 26
_SETTINGS: Final = slice(2, 5)
_SENSORS: Final = slice(5, 26)
_LEAST_MOVEMENT: Final = 1e-3  # of a sensor, in deviations of its regime
_WINDOWS: Final = (5, 15, 30)
_FOLDS: Final = 4
_MIN_UNITS: Final = 2  # one to learn from, one to judge the intervals by
_DRAWS: Final = 40  # random moments per training unit for the conformal step
_FIRST_DRAW: Final = 25  # cycles; of units that lived shorter any moment may be drawn
_LARGEST: Final = 1e9  # of any number in a table, and of the cap


def read_units(path: Path) -> Floats:
    """Return the rows [m, 26] of a table, by unit and cycle: unit, cycle, 3 settings, 21 sensors; `.gz` is read directly.

    Of rows of one unit and cycle the last one counts.
    """
    try:
        rows = pd.read_csv(path, sep=r"\s+", header=None, encoding="ascii").to_numpy(float)
    except (ValueError, EOFError, OSError) as error:
        raise InvalidValue(f"{path}: not a table of numbers ({str(error).splitlines()[0]})") from error
    if rows.shape[1] != _COLUMNS or not (np.abs(rows) <= _LARGEST).all():
        raise InvalidValue(
            f"{path}: expected {_COLUMNS} numbers of at most {_LARGEST:g} a row (unit, cycle, 3 settings, 21 sensors)"
        )
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    last = np.r_[(np.diff(rows[:, :2], axis=0) != 0).any(1), True]
    return np.asarray(rows[last])


@dataclass(slots=True)
class Regimes:
    """Operating regimes by settings, with mean and deviation of each sensor in them, and which sensors move at all."""

    clusters: KMeans
    scale: Floats
    mean: Floats
    deviation: Floats
    alive: Ints

    @classmethod
    def of(cls, rows: Floats, seed: int) -> "Regimes":
        """Find the regimes of training rows: one where the settings hardly move, else six at most."""
        settings = rows[:, _SETTINGS]
        rounded = np.unique(np.round(settings / np.maximum(np.abs(settings).max(0), 1e-9), 1), axis=0)
        wide = settings.std(0) > 0.05 * np.maximum(np.abs(settings).mean(0), 1.0)
        count = min(6, len(rounded)) if wide.any() else 1
        scale = np.maximum(settings.std(0), 1e-9) if count > 1 else np.ones(3)
        clusters = KMeans(n_clusters=count, n_init=4, random_state=seed).fit(settings / scale)
        label = clusters.labels_
        sensors = rows[:, _SENSORS]
        mean = np.stack([sensors[label == k].mean(0) for k in range(count)])
        deviation = np.stack([np.maximum(sensors[label == k].std(0), 1e-6) for k in range(count)])
        alive = np.flatnonzero(((sensors - mean[label]) / deviation[label]).std(0) > _LEAST_MOVEMENT)
        if len(alive) == 0:
            raise InvalidValue("no sensor of the training units moves: there is nothing to learn from")
        return cls(clusters, scale, mean, deviation, alive)

    def normalise(self, rows: Floats) -> tuple[Floats, Ints]:
        """Return sensors [m, 21] with their regime taken out, and the regime of each row."""
        label = self.clusters.predict(rows[:, _SETTINGS] / self.scale).astype(np.int64)
        return (rows[:, _SENSORS] - self.mean[label]) / self.deviation[label], label


def unit_features(rows: Floats, regimes: Regimes) -> tuple[Floats, Ints, Floats]:
    """Return features [m, f], unit [m] and cycle [m] of every row, each from rows of its unit up to itself."""
    sensors, _ = regimes.normalise(rows)
    frame = pd.DataFrame(sensors[:, regimes.alive])
    unit = rows[:, 0].astype(np.int64)
    groups = frame.groupby(unit, sort=False)
    parts = [
        groups.rolling(window, min_periods=1).mean().reset_index(level=0, drop=True).sort_index()
        for window in _WINDOWS
    ]
    first = groups.transform(lambda column: column.head(10).expanding().mean().reindex(column.index).ffill())
    smooth = groups.transform(lambda column: column.ewm(span=20).mean())
    slow = groups.transform(lambda column: column.ewm(span=60).mean())
    spread = groups.rolling(20, min_periods=2).std().reset_index(level=0, drop=True).sort_index().fillna(0.0)
    cycle = rows[:, 1]
    weights = np.asarray(smooth) - np.asarray(slow)
    columns = [
        *parts,
        parts[2] - first,
        parts[0] - parts[2],
        smooth - first,
        smooth,
        weights,
        spread,
        cycle[:, None],
    ]
    return np.hstack([np.asarray(column, dtype=float) for column in columns]), unit, cycle


def capped_life(unit: Ints, cycle: Floats, cap: float) -> Floats:
    """Return remaining cycles of every row of units that were run to failure, at most `cap`."""
    last = pd.Series(cycle).groupby(unit).transform("max").to_numpy()
    return np.asarray(np.minimum(last - cycle, cap))


@dataclass(slots=True)
class LifeModel:
    """Mean of boostings and of extremely random trees, and conformal half widths by predicted life."""

    regimes: Regimes
    members: list[HistGradientBoostingRegressor | ExtraTreesRegressor]
    cap: float
    edges: Floats
    low: Floats
    high: Floats

    def predict(self, features: Floats) -> Floats:
        """Return P10, P50, P90 of remaining life [m, 3], each within 0 and the cap."""
        middle = np.clip(
            np.mean([member.predict(features) for member in self.members], axis=0), 0.0, self.cap
        )
        low, high = (np.interp(middle, self.edges, width) for width in (self.low, self.high))
        return np.asarray(np.clip(np.stack([middle - low, middle, middle + high], axis=1), 0.0, self.cap))


def _members(
    features: Floats, life: Floats, seed: int, threads: int, trees: int, forest_trees: int
) -> list[HistGradientBoostingRegressor | ExtraTreesRegressor]:
    members: list[HistGradientBoostingRegressor | ExtraTreesRegressor] = [
        HistGradientBoostingRegressor(
            max_iter=trees * 5 // 2, learning_rate=0.04, max_leaf_nodes=12, min_samples_leaf=40, l2_regularization=5.0, max_features=0.3,
            random_state=seed + bag,
        ).fit(features, life)
        for bag in range(2)
    ]  # fmt: skip
    forest = ExtraTreesRegressor(
        n_estimators=forest_trees, min_samples_leaf=8, max_features=0.4, random_state=seed, n_jobs=threads
    )
    members.append(forest.fit(features[::2], life[::2]))
    return members


def fit_life_model(
    rows: Floats, cap: float, seed: int, threads: int, progress: Progress = silent, trees: int = 100
) -> LifeModel:
    """Fit on units run to failure; the intervals are calibrated on units that the fold's trees have not seen."""
    regimes = Regimes.of(rows, seed)
    features, unit, cycle = unit_features(rows, regimes)
    life = capped_life(unit, cycle, cap)
    rng = np.random.default_rng(seed)
    units = np.unique(unit)
    if len(units) < _MIN_UNITS:
        raise InvalidValue(
            f"{len(units)} unit run to failure: at least {_MIN_UNITS} are needed to learn from"
        )
    fold = rng.permutation(len(units)) % _FOLDS
    held_out = np.zeros(len(life))
    for part in range(min(_FOLDS, len(units))):
        progress("calibrate", part / _FOLDS)
        mine = np.isin(unit, units[fold == part])
        at = cycle.astype(np.int64)
        refuse_random_split(at[~mine], at[mine], unit[~mine], unit[mine], 1)
        members = _members(features[~mine], life[~mine], seed, threads, trees, trees * 2 // 5)
        held_out[mine] = np.clip(
            np.mean([member.predict(features[mine]) for member in members], axis=0), 0.0, cap
        )
    draw = np.concatenate([rng.choice(_moments(cycle, unit == u), _DRAWS) for u in units])
    edges, low, high = half_widths(held_out[draw], life[draw], cap)
    progress("fit", 0.8)
    return LifeModel(regimes, _members(features, life, seed, threads, trees, trees), cap, edges, low, high)


def _moments(cycle: Floats, mine: npt.NDArray[np.bool_]) -> Ints:
    """Return the rows of a unit at which a test might have cut it off."""
    grown = np.flatnonzero(mine & (cycle >= _FIRST_DRAW))
    return grown if len(grown) else np.flatnonzero(mine)


def half_widths(predicted: Floats, truth: Floats, cap: float) -> tuple[Floats, Floats, Floats]:
    """Return at some predicted lives how far below and above 80 % of the truths reach (10 % out on each side)."""
    edges = np.linspace(0.0, cap, 7)
    low, high = np.empty(len(edges)), np.empty(len(edges))
    for at, edge in enumerate(edges):
        near = np.argsort(np.abs(predicted - edge), kind="stable")[: max(200, len(predicted) // 6)]
        error = truth[near] - predicted[near]
        low[at], high[at] = (
            max(0.0, -float(np.quantile(error, 0.1))),
            max(0.0, float(np.quantile(error, 0.9))),
        )
    return edges, low, high


def backtest_rul(
    train: Path,
    test: Path,
    out: Path,
    *,
    cap: float = 125.0,
    seed: int = 0,
    threads: int = 1,
    trees: int = 100,
    html: Path | None = None,
    progress: Progress = silent,
) -> dict[str, object]:
    """Write unit, rul_p10, rul_p50, rul_p90 for the last row of each test unit; return a summary for JSON."""
    if not cap <= _LARGEST:
        raise InvalidValue(f"a cap of {cap} cycles is no number that a life could have")
    model = fit_life_model(read_units(train), cap, seed, threads, progress, trees)
    rows = read_units(test)
    features, unit, cycle = unit_features(rows, model.regimes)
    last = pd.Series(np.arange(len(unit))).groupby(unit).last()
    quantiles = model.predict(features[last.to_numpy()])
    table = pd.DataFrame(quantiles.round(3), columns=["rul_p10", "rul_p50", "rul_p90"])
    table.insert(0, "unit", last.index.to_numpy())
    table.to_csv(out, index=False)
    summary: dict[str, object] = {
        "units": len(table),
        "rows": len(cycle),
        "cap": cap,
        "regimes": len(model.regimes.mean),
        "seed": seed,
        "out": str(out),
    }
    if html is not None:
        pictures = [_fan(quantiles, cap), _survival(read_units(train))]
        write_report(html, "Back-test of remaining life", summary, pictures)
        summary["html"] = str(html)
    progress("done", 1.0)
    return summary


def _fan(quantiles: Floats, cap: float) -> tuple[str, str, str]:
    """Return the picture of all test units, shortest life first."""
    order = np.argsort(quantiles[:, 1], kind="stable")
    plot = Plot(
        "test units, shortest remaining life first", "remaining cycles", float(len(order)), cap * 1.05
    )
    x = np.arange(len(order), dtype=float)
    plot.band(x, quantiles[order, 0], quantiles[order, 2])
    plot.line(x, quantiles[order, 1], "main")
    return (
        "Remaining life",
        "P50 and the band from P10 to P90 for the last row of each test unit.",
        plot.svg("remaining life"),
    )


def _survival(rows: Floats) -> tuple[str, str, str]:
    """Return the survival curve of the training units, all of which ran until they failed."""
    lives = pd.Series(rows[:, 1]).groupby(rows[:, 0]).max().to_numpy(float)
    curve = kaplan_meier(lives, np.ones(len(lives), bool))
    plot = Plot("cycles", "still running", float(lives.max()) * 1.02, 1.0, percent_y=True)
    plot.band(curve.times, curve.low, curve.high)
    plot.steps(curve.times, curve.alive, "main")
    return (
        "Survival of the training units",
        "Share still running after so many cycles (Kaplan-Meier), with an 80 % interval.",
        plot.svg("survival"),
    )
