"""Champion and challenger: a new model takes over only if it has been better on days that neither had seen.

The challenger is fitted anew at several origins and judged on the days up to the next one (a rolling back-test). It must
beat knowing nothing on all of them, and the champion on those that lie after what the champion learned from. Too few of
these is no reason to change.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.evaluation import Score, mean_absolute_error, refuse_random_split
from analytics.supplies import FEATURES, SupplyModel, SupplyRows, fit_supply_model

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

ORIGINS: Final = (0.55, 0.70, 0.85)  # shares of the days
MIN_COMMON_ROWS: Final = 60
_ANY: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rolling back-test says: `promote`, and the sentence for the card and the log."""

    promote: bool
    reason: str


@dataclass(frozen=True, slots=True)
class RollingRows:
    """Rows judged by the rolling back-test with the challenger's quantiles [m, 3]."""

    rows: SupplyRows
    days: Floats


def origins_of(first_day: int, last_day: int) -> list[int]:
    """Return the last training day of each origin, and the last day as end of the last stretch."""
    return [first_day + int(share * (last_day - first_day)) for share in ORIGINS] + [last_day]


def roll(
    rows_known_by: Callable[[int], SupplyRows], first_day: int, last_day: int, seed: int, trees: int
) -> RollingRows | None:
    """Fit at every origin on what was known by then and predict up to the next one; None when rows are too few."""
    everything = rows_known_by(last_day)
    ends = origins_of(first_day, last_day)
    parts, made = [], []
    for origin, following in itertools.pairwise(ends):
        train = rows_known_by(origin)
        test = everything.where((everything.day > origin) & (everything.day <= following))
        if len(train.day) < MIN_COMMON_ROWS or len(test.day) == 0:
            continue
        refuse_random_split(train.day, test.day, train.group, test.group, 1)
        model = fit_supply_model(train, seed=seed, trees=trees, folds=2)
        parts.append(test)
        made.append(model.predict(test.features, test.formula_days))
    return RollingRows(SupplyRows.joined(parts), np.concatenate(made)) if parts else None


def judge(
    challenger: Score, rolled: RollingRows, champion: SupplyModel | None, champion_last_day: int | None
) -> Verdict:
    """Return whether the challenger takes over, and why."""
    if not challenger.beats_base:
        return Verdict(promote=False, reason="does not beat the formula on days that it had not seen")
    if champion is None or champion_last_day is None:
        return Verdict(
            promote=True, reason="beats the formula on days that it had not seen; there was no champion"
        )
    rows = rolled.rows
    fresh = rows.day > champion_last_day
    if fresh.sum() < MIN_COMMON_ROWS:
        return Verdict(
            promote=False,
            reason=f"only {int(fresh.sum())} rows lie after the champion's training: too few to compare",
        )
    theirs = champion.predict(rows.features[fresh], rows.formula_days[fresh])[:, 1]
    mine = mean_absolute_error(rows.true_days[fresh], rolled.days[fresh, 1])
    other = mean_absolute_error(rows.true_days[fresh], theirs)
    better = mine < other - _ANY
    return Verdict(
        promote=better,
        reason=f"{'beats' if better else 'does not beat'} the champion: {mine:.3f} against {other:.3f} days on "
        f"{int(fresh.sum())} rows after its training",
    )


# --- what the card says -----------------------------------------------------------------------------------------------


def gauge_of_rows(features: npt.NDArray[np.float32]) -> npt.NDArray[np.object_]:
    """Return how the gauge of each training row reports (the words of `scorecard.gauge_groups`)."""
    step, sticky, some = (
        features[:, FEATURES.index(name)] for name in ("resolution", "sticky", "some_remaining")
    )
    names = np.full(len(features), "steps_10", dtype=object)
    for limit, name in ((0.06, "steps_5"), (0.02, "steps_1"), (0.004, "ml")):
        names[step <= limit] = name
    names[(step < 0.02) & (np.nan_to_num(sticky) > 0.35)] = "sticking"
    names[some > 0.02] = "some_remaining"
    return names


def metrics_by(rolled: RollingRows, groups: npt.NDArray[np.object_]) -> dict[str, dict[str, float]]:
    """Return rows, mean error, coverage and width by group."""
    made = {}
    for name in sorted({str(group) for group in groups}):
        mine = groups == name
        made[name] = figures(rolled.days[mine], rolled.rows.true_days[mine])
    return made


def figures(days: Floats, truth: Floats) -> dict[str, float]:
    """Return rows, mean error of P50, coverage of P10-P90 and mean width."""
    inside = (days[:, 0] <= truth) & (truth <= days[:, 2])
    return {
        "rows": len(truth),
        "error": round(mean_absolute_error(truth, days[:, 1]), 3),
        "coverage": round(float(inside.mean()), 4),
        "width": round(float((days[:, 2] - days[:, 0]).mean()), 3),
    }


def calibration_curve(days: Floats, truth: Floats) -> list[dict[str, float]]:
    """Return, for tenths of the forecast P50, the mean forecast, the mean truth and the coverage."""
    made = []
    for part in np.array_split(np.argsort(days[:, 1], kind="stable"), 10):
        if len(part):
            mine = figures(days[part], truth[part])
            made.append(
                {
                    "forecast": round(float(days[part, 1].mean()), 2), "truth": round(float(truth[part].mean()), 2),
                    "coverage": mine["coverage"], "rows": mine["rows"],
                }
            )  # fmt: skip
    return made
