"""Learning from the company's own history, and never promoting what does not beat knowing nothing.

The whole history is walked once, day by day, through the same states as in the nightly run; what they knew each day
becomes training rows, what happened later becomes labels. Splits are by time with a gap; `evaluation` refuses others.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from analytics.drift import deciles, shares
from analytics.evaluation import Score, mean_absolute_error, refuse_random_split
from analytics.promotion import calibration_curve, figures, gauge_of_rows, judge, metrics_by, origins_of, roll
from analytics.supplies import Snapshot, SupplyModel, SupplyRows, fit_supply_model
from analytics.supply_state import SupplyState

Floats = npt.NDArray[np.float64]
Levels = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MIN_RUN_OUTS: Final = 40  # fewer teach noise: the formula stays in charge
MIN_TEST_ROWS: Final = 100
MIN_DEVICE_WEEKS: Final = 120
TEST_SHARE: Final = 0.3  # of the days, the last ones
FAR_ROWS: Final = 90.0
MOST_ROWS: Final = 20_000  # neighbouring days teach the same: more are thinned out


@dataclass(slots=True)
class SupplyRecorder:
    """Collects, while states walk through history, what was known on which day and which cartridges ran out when."""

    days: list[int] = field(default_factory=list)
    features: list[npt.NDArray[np.float32]] = field(default_factory=list)
    formula: list[Floats] = field(default_factory=list)
    lives: list[tuple[int, int, float]] = field(
        default_factory=list
    )  # supply, first day, end (day, half days)
    seen_on: list[int] = field(default_factory=list)  # day on which each life was known to have ended

    def note(self, snap: Snapshot) -> None:
        """Keep the snapshot of one day."""
        self.days.append(snap.day)
        self.features.append(snap.features)
        self.formula.append(snap.formula_days)

    def before(self, supply: SupplyState) -> tuple[Bools, Levels, Levels]:
        """Return what must be remembered of the cartridges in place before the next day is taken."""
        return supply.ran_out(), supply.empty_day.copy(), supply.seg_day.copy()

    def after(self, day: int, supply: SupplyState, before: tuple[Bools, Levels, Levels]) -> None:
        """Write down the cartridges that were found replaced on `day` after having run out.

        One that was empty when it was first seen was never watched: it teaches nothing and counts for nothing.
        """
        ran_out, empty_day, seg_day = before
        for row in np.flatnonzero(supply.swapped[: len(ran_out)] & ran_out):
            found = empty_day[row]
            end = (float(day) if np.isnan(found) else float(found)) - 0.5
            if end > seg_day[row]:
                self.lives.append((int(row), int(seg_day[row]), end))
                self.seen_on.append(day)

    def lives_known_by(self, day: int) -> list[tuple[int, int, float]]:
        """Return the lives whose end the polls had shown by the end of `day`: later knowledge is no label."""
        return [life for life, seen in zip(self.lives, self.seen_on, strict=True) if seen <= day]

    def rows(self, groups: Ints, until_day: int, every: int = 1) -> SupplyRows:
        """Return rows of all lives that ended by `until_day`, kept by what was forecast then, never by the outcome."""
        if not self.lives or not self.days:
            return _no_rows(self.features[0].shape[1] if self.features else 1)
        first = self.days[0]
        parts = []
        for row, start, end in self.lives_known_by(until_day):
            days = np.arange(max(start, first), int(np.floor(end)) + 1)
            days = days[(days + row) % every == 0]
            if len(days):
                parts.append((np.full(len(days), row), days, end - days))
        if not parts:
            return _no_rows(self.features[0].shape[1])
        supply, day, truth = (np.concatenate(column) for column in zip(*parts, strict=True))
        features = np.stack([self.features[d - first][s] for d, s in zip(day, supply, strict=True)])
        formula = np.array([self.formula[d - first][s] for d, s in zip(day, supply, strict=True)])
        rows = SupplyRows(features, formula, truth, groups[supply], day)
        seen = (formula * 1.25 + 3.0 < until_day - day) & (formula < FAR_ROWS)
        return rows.where(seen)


def _no_rows(width: int) -> SupplyRows:
    none = np.zeros(0)
    return SupplyRows(
        np.zeros((0, width), np.float32), none, none, none.astype(np.int64), none.astype(np.int64)
    )


@dataclass(frozen=True, slots=True)
class Trained:
    """An estimator with its held-out score; `content` is None when there was too little to learn from.

    `promote` says whether it may take over; None: it may if it beats its base rate. `details` go to the card.
    """

    name: str
    content: dict[str, object] | None
    score: Score | None
    note: str
    promote: bool | None = None
    details: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Champion:
    """The supply model in charge and the last day that it learned from."""

    model: SupplyModel
    last_day: int


def train_supplies(
    recorder: SupplyRecorder, groups: Ints, last_day: int, seed: int, champion: Champion | None = None,
    kinds: npt.NDArray[np.object_] | None = None,
) -> Trained:  # fmt: skip
    """Fit the residual boosting on all run-outs and judge it by a rolling back-test; the base rate is the formula's error.

    `groups` has the device row of each supply, `kinds` the model of each device (for the card).
    """
    first = recorder.days[0] if recorder.days else last_day
    every = 1 + sum(int(end - start) for _, start, end in recorder.lives) // MOST_ROWS
    lives = len(recorder.lives_known_by(origins_of(first, last_day)[0]))
    if lives < MIN_RUN_OUTS:
        return Trained(
            "supplies", None, None, f"{lives} run-outs seen in training days, {MIN_RUN_OUTS} are needed"
        )
    everything = recorder.rows(groups, last_day, every)
    trees = int(np.clip(len(everything.day) // 100, 30, 150))
    rolled = roll(lambda day: recorder.rows(groups, day, every), first, last_day, seed, trees)
    if rolled is None or len(rolled.rows.day) < MIN_TEST_ROWS:
        return Trained("supplies", None, None, "too few run-outs on the days held back")
    rows = rolled.rows
    score = Score(
        estimator="supplies", metric="mean absolute error of days to empty (P50)", better="lower", rows=len(rows.day),
        held_out=mean_absolute_error(rows.true_days, rolled.days[:, 1]),
        base_rate=mean_absolute_error(rows.true_days, rows.formula_days),
    )  # fmt: skip
    model, learned = (champion.model, champion.last_day) if champion else (None, None)
    verdict = judge(score, rolled, model, learned)
    final = fit_supply_model(everything, seed=seed, trees=trees)
    content: dict[str, object] = {"regressors": final.regressors, "widen": list(final.widen), "seed": seed}
    whole = figures(rolled.days, rows.true_days)
    edges = deciles(everything.features)
    details: dict[str, object] = {
        "rows_sha256": hashlib.sha256(everything.features.tobytes() + everything.true_days.tobytes()).hexdigest(),
        "run_outs": lives, "rolling": whole, "by_gauge": metrics_by(rolled, gauge_of_rows(rows.features)),
        "by_model": metrics_by(rolled, kinds[rows.group]) if kinds is not None else {},
        "calibration": calibration_curve(rolled.days, rows.true_days), "deciles": edges,
        "shares": shares(everything.features, edges), "verdict": verdict.reason,
    }  # fmt: skip
    note = f"{lives} run-outs; 80 % interval covers {100 * whole['coverage']:.0f} %; {verdict.reason}"
    return Trained("supplies", content, score, note, promote=verdict.promote, details=details)


def supply_model_of(content: object) -> SupplyModel:
    """Return the model of a registry content."""
    assert isinstance(content, dict)
    low, high = content["widen"]
    return SupplyModel(content["regressors"], (float(low), float(high)), int(content["seed"]))


# --- pages a day --------------------------------------------------------------------------------------------------------

PAGES_AHEAD: Final = 14
_PAGE_LAGS: Final = (1, 2, 3, 4, 7, 14, 28, 56)


def page_table(pages: Floats, first_day: int) -> pd.DataFrame:
    """Return one row a device and week: means of the last days, and the mean of the next PAGES_AHEAD days (target).

    `pages` is [device, day], NaN where the device did not answer.
    """
    frame = pd.DataFrame(pages.T)
    past = {f"mean_{lag}": frame.rolling(lag, min_periods=1).mean() for lag in _PAGE_LAGS}
    past["deviation_28"] = frame.rolling(28, min_periods=3).std()
    past["mean_all"] = frame.expanding(min_periods=3).mean()
    past["target"] = frame.rolling(PAGES_AHEAD, min_periods=PAGES_AHEAD // 2).mean().shift(-PAGES_AHEAD)
    long = pd.concat(
        {
            name: table.stack()  # noqa: PD013 - a Series by (day, device), which melt does not give
            for name, table in past.items()
        },
        axis=1,
    )
    long.index.names = ["day", "device"]
    long = long.dropna(subset=["target", "mean_all"]).reset_index()
    long["day"] += first_day
    long["weekday"] = (long["day"] + 3) % 7
    return long[(long["day"] + long["device"]) % 7 == 0]


def _page_features(rows: pd.DataFrame, names: list[str]) -> Floats:
    """Return logarithms of the means; what is missing is taken from the mean of all days."""
    filled = rows[names].apply(lambda column: column.fillna(rows["mean_all"]))
    return np.asarray(np.log1p(filled.to_numpy(float)))


def train_pages(pages: Floats, first_day: int) -> Trained:
    """Fit mean pages a day of the next two weeks; the base rate is the error of 'the last two weeks go on'."""
    table = page_table(pages, first_day) if pages.shape[1] > 60 else pd.DataFrame()
    if len(table) < MIN_DEVICE_WEEKS:
        return Trained("pages", None, None, f"{len(table)} device-weeks seen, {MIN_DEVICE_WEEKS} are needed")
    split = table["day"].quantile(1 - TEST_SHARE)
    train, test = table[table["day"] <= split - PAGES_AHEAD], table[table["day"] > split]
    if len(train) < 60 or len(test) < 30:
        return Trained("pages", None, None, "too few weeks to hold some back")
    refuse_random_split(
        train["day"].to_numpy(),
        test["day"].to_numpy(),
        train["device"].to_numpy(),
        test["device"].to_numpy(),
        PAGES_AHEAD,
    )

    names = [name for name in table.columns if name not in ("day", "device", "target")]

    def fit(rows: pd.DataFrame) -> Pipeline:
        model = make_pipeline(StandardScaler(), Ridge(alpha=3.0))
        return model.fit(_page_features(rows, names), np.log1p(rows["target"].to_numpy(float)))

    predicted = np.expm1(fit(train).predict(_page_features(test, names)))
    truth, lately = test["target"].to_numpy(float), test["mean_14"].to_numpy(float)
    score = Score(
        estimator="pages", metric="mean absolute error of pages a day over 14 days", better="lower", rows=len(test),
        held_out=mean_absolute_error(truth, predicted),
        base_rate=mean_absolute_error(truth, np.where(np.isnan(lately), test["mean_all"], lately)),
    )  # fmt: skip
    return Trained("pages", {"regressor": fit(table), "features": names}, score, f"{len(table)} device-weeks")
