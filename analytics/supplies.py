"""When a supply runs out: the hierarchical forecast, and gradient boosting on what it gets wrong.

Days to empty are pages left (level filter, `supply_state`) over pages a day (`usage`). That formula knows nothing of
gauge bias, of weeks that are not like the others, of cartridges that stop early; boosting learns these from the
company's own run-outs as a correction of its logarithm. Three quantiles are learned and made honest by conformal
calibration on devices that no tree has seen (Romano, Patterson, Candes 2019).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingRegressor

from analytics.conformal import conformal_widening
from analytics.evaluation import refuse_random_split
from analytics.supply_state import SupplyState
from analytics.usage import UsageState, days_to_use, weekday_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FAR_DAYS: Final = 120.0  # beyond this nobody plans
QUANTILES: Final = (0.1, 0.5, 0.9)
_NEAR_DAYS: Final = 30.0  # intervals are calibrated where people act on them
_MIN_CALIBRATION: Final = 200
_FOLDS: Final = 4
#: Left out on each side of the held-out rows. Less than 10 %: days to come hold what no training day did (the first
#: Christmas, a closure, a new customer), and then more than a tenth falls out.
_TAIL: Final = 0.09
_HALF_DAY: Final = 0.5  # polls show the day of a run-out, not the hour: no interval is sharper than that

FEATURES: Final = (
    "log_formula", "log_formula_fast", "log_formula_slow", "log_formula_cartridge", "log_formula_linear", "log_formula_step",
    "level", "reported", "level_sd", "slope_ratio", "slope_sd", "slope_recent", "slope_long", "cart_use", "carts",
    "resolution", "sticky", "some_remaining", "flag_level", "empty_level", "empty_step_use", "seg_used", "seg_level0",
    "seg_days", "seen_start", "step_level", "use_since_step", "days_since_step", "fast", "mid", "slow", "idle", "spread",
    "next3", "next7", "next14", "weekday", "holidays14", "last_pages", "gap_days", "age_days", "site_trend", "model_slope",
    "nominal_days", "swaps_early", "swap_level", "last_life", "surprise", "dry",
    "closed_days",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of n supplies at the end of one day: features [n, len(FEATURES)] and the formula's days [n]."""

    day: int
    features: npt.NDArray[np.float32]
    formula_days: Floats
    pages_per_day: Floats
    usable: Bools  # the supply has answered at least once


def snapshot(
    day: int, usage: UsageState, supply: SupplyState, holidays: Bools, profile: Floats | None = None
) -> Snapshot:
    """Return features and the formula's days to empty at the end of `day`; `holidays` flags the days ahead."""
    profile = usage.profile() if profile is None else profile
    rows = supply.usage_row
    daily = profile.mean(0)
    multiplier = usage.multipliers(daily)
    ahead_device = usage.ahead(day, profile, holidays)
    ahead, per_day = ahead_device[:, rows], daily[rows]
    fast, mid, main, slow = (multiplier[row][rows] for row in range(4))
    left = supply.pages_left()
    days = days_to_use(left, ahead, main)
    model_slope = supply.model_slope()
    own_use = np.where(supply.cart_use > 0, supply.cart_use, 1.0 / model_slope)
    left_cartridge = np.maximum(own_use * supply.seg_level0 - supply.seg_used, 0.01) * supply.nominal
    level = np.where(np.isnan(supply.reported), supply.level, supply.reported)
    fallen = np.maximum(supply.seg_level0 - level, 0.0)
    linear = (np.maximum(level, 0.0) + 0.003) * (supply.seg_used + 0.05 / model_slope) / (fallen + 0.05)
    since_step = supply.seg_used - supply.step_used
    step_left = np.maximum(supply.empty_step_used - since_step + level * own_use, 0.003)
    site_fast = _site_trend(usage, multiplier)
    columns = (
        np.log1p(days), np.log1p(days_to_use(left, ahead, fast)), np.log1p(days_to_use(left, ahead, slow)),
        np.log1p(days_to_use(left_cartridge, ahead, main)), np.log1p(days_to_use(linear * supply.nominal, ahead, main)),
        np.log1p(days_to_use(step_left * supply.nominal, ahead, main)),
        supply.level, supply.reported, np.sqrt(supply.var_level), supply.slope / model_slope,
        np.sqrt(supply.var_slope) / supply.slope, (supply.short_drop + 0.02) / (supply.short_use * supply.slope + 0.02),
        (supply.long_drop + 0.05) / (supply.long_use * supply.slope + 0.05), supply.cart_use * supply.slope, supply.carts,
        supply.resolution(), np.where(supply.sticky_days >= 4, supply.sticky, np.nan), supply.some_remaining,
        supply.flag_level, supply.empty_level, supply.empty_step_used * supply.slope, supply.seg_used * supply.slope,
        supply.seg_level0, day - supply.seg_day, supply.seg_seen_start * 1.0, supply.step_level,
        since_step * supply.slope, day - supply.step_day, fast, mid, slow, usage.idle[rows], usage.spread[rows],
        ahead[2] / np.maximum(per_day, 1e-9), ahead[6] / np.maximum(per_day, 1e-9),
        ahead[13] / np.maximum(per_day, 1e-9), np.full(len(rows), float(weekday_of(day))),
        np.full(len(rows), float(holidays[:14].sum())), usage.last_pages[rows] / np.maximum(per_day, 1.0),
        np.where(np.isnan(usage.answered_day[rows]), 99.0, day - usage.answered_day[rows]),
        day - usage.first_day[rows], site_fast[rows], model_slope, supply.nominal / np.maximum(per_day * main, 1e-6),
        supply.swaps_early, supply.swap_level, supply.last_life, supply.surprise, supply.dry() * 1.0,
        usage.closed_days[rows],
    )  # fmt: skip
    matrix = np.stack([np.clip(column, -1e6, 1e6) for column in columns], axis=1).astype(np.float32)
    return Snapshot(day, matrix, np.minimum(days, 10 * FAR_DAYS), per_day * main, ~np.isnan(supply.seg_day))


def _site_trend(usage: UsageState, multiplier: Floats) -> Floats:
    """Return how the devices of each device's site print now against their last months, [n devices]."""
    sites = int(usage.site.max()) + 1 if len(usage.site) else 0
    weight = usage.expected_pages[1]
    seen = np.bincount(usage.site, weight * multiplier[1] / np.maximum(multiplier[3], 0.05), sites)
    total = np.bincount(usage.site, weight, sites)
    return np.asarray(((seen + 1e-6) / (total + 1e-6))[usage.site])


# --- learning --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SupplyRows:
    """Training rows: features [m, f], formula [m] and true [m] days, groups [m] (device), day [m]."""

    features: npt.NDArray[np.float32]
    formula_days: Floats
    true_days: Floats
    group: Ints
    day: Ints

    @classmethod
    def joined(cls, parts: list["SupplyRows"]) -> "SupplyRows":
        """Return the rows of all parts, one after the other."""
        names = ("features", "formula_days", "true_days", "group", "day")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def where(self, keep: Bools) -> "SupplyRows":
        """Return the rows for which `keep` is true."""
        return SupplyRows(
            self.features[keep],
            self.formula_days[keep],
            self.true_days[keep],
            self.group[keep],
            self.day[keep],
        )


def _central(seed: int, trees: int) -> HistGradientBoostingRegressor:
    """Return the middle estimator: the mean of log days, which errs less than the median on what ends soon."""
    return HistGradientBoostingRegressor(
        loss="squared_error", max_iter=trees * 16 // 15, learning_rate=0.062, max_leaf_nodes=18, min_samples_leaf=80,
        l2_regularization=20.0, max_features=0.3, early_stopping=False, random_state=seed,
    )  # fmt: skip


def _outer(quantile: float, seed: int, trees: int) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        loss="quantile", quantile=quantile, max_iter=trees * 3 // 5, learning_rate=0.11, max_leaf_nodes=16, min_samples_leaf=60,
        l2_regularization=2.0, max_features=0.5, early_stopping=False, random_state=seed,
    )  # fmt: skip


@dataclass(slots=True)
class SupplyModel:
    """Three quantile corrections of the formula, and the conformal widening of the outer two (log days, may narrow)."""

    regressors: list[list[HistGradientBoostingRegressor]]  # [quantile][bag]; the middle one is central
    widen: tuple[float, float]
    seed: int

    def predict(self, features: npt.NDArray[np.float32], formula_days: Floats) -> Floats:
        """Return days to empty [m, 3] for P10, P50, P90; they rise."""
        base = np.log1p(np.minimum(formula_days, 2 * FAR_DAYS))
        raw = np.stack(
            [np.mean([model.predict(features) for model in bag], axis=0) + base for bag in self.regressors],
            axis=1,
        )
        raw[:, 0] = np.minimum(raw[:, 0], raw[:, 1]) - self.widen[0]
        raw[:, 2] = np.maximum(raw[:, 2], raw[:, 1]) + self.widen[1]
        days = np.maximum(np.expm1(raw) + _HALF_DAY * np.array([-1.0, 0.0, 1.0]), 0.0)
        return np.asarray(np.sort(days, axis=1))


def without_empty_columns(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the features with columns that hold nothing but NaN set to 0: scikit-learn cannot bin an empty column."""
    return np.asarray(np.where(np.isnan(features).all(0), np.float32(0.0), features))


def _folds(rows: SupplyRows, seed: int, folds: int) -> list[tuple[Bools, Bools]]:
    """Return which rows each fold learns from and holds back; the rows of a device stay together.

    Of a single device the later half is held back once.
    """
    devices = np.random.default_rng(seed).permutation(np.unique(rows.group))
    if len(devices) > 1:
        held = [np.isin(rows.group, part) for part in np.array_split(devices, min(folds, len(devices)))]
        return [(~mine, mine) for mine in held]
    later = rows.day > np.median(rows.day)
    return [(~later, later)]


def fit_supply_model(
    rows: SupplyRows, *, seed: int = 0, trees: int = 150, median_only: bool = False, folds: int = _FOLDS
) -> SupplyModel:
    """Fit on run-outs; each quarter of the devices in turn is held back for the conformal step, then all are trained on.

    With `median_only` the outer quantiles are those of the middle one: enough where only P50 is asked.
    """
    base = np.log1p(np.minimum(rows.formula_days, 2 * FAR_DAYS))
    target = np.log1p(rows.true_days) - base
    weight = np.minimum(rows.formula_days + 3.0, 30.0) / 16.0  # by the forecast, never by the outcome
    features = without_empty_columns(rows.features)
    central = _central(seed, trees).fit(features, target, sample_weight=weight)
    if median_only:
        return SupplyModel([[central], [central], [central]], (0.0, 0.0), seed)
    thin = (rows.day + rows.group) % 2 == 0  # neighbouring days teach the outer quantiles the same

    def fit(among: Bools, quantile: float) -> HistGradientBoostingRegressor:
        # no weights: with them scikit-learn takes the quantile of each leaf in ten times the time
        keep = among & thin if (among & thin).any() else among
        return _outer(quantile, seed, trees).fit(without_empty_columns(features[keep]), target[keep])

    low, high = np.full(len(target), np.nan), np.full(len(target), np.nan)
    for learn, held in _folds(rows, seed, folds):
        if not held.any():  # all rows of one device and day
            continue
        refuse_random_split(rows.day[learn], rows.day[held], rows.group[learn], rows.group[held], 1)
        low[held] = fit(learn, QUANTILES[0]).predict(features[held])
        high[held] = fit(learn, QUANTILES[2]).predict(features[held])
    judged = ~np.isnan(low)
    near = judged & (np.expm1(base) <= _NEAR_DAYS)
    if near.sum() < _MIN_CALIBRATION:
        near = judged
    earliest, latest = (np.log1p(rows.true_days + shift) - base for shift in (_HALF_DAY, -_HALF_DAY))
    widen = conformal_widening(low[near], high[near], earliest[near], latest[near], _TAIL)
    every = np.ones(len(target), bool)
    return SupplyModel([[fit(every, QUANTILES[0])], [central], [fit(every, QUANTILES[2])]], widen, seed)
