"""Back-test in the layout of the Azure predictive-maintenance sample: machines, errors, maintenance, telemetry by day.

The decision for a day is taken at the midnight after it, from rows strictly before that instant. One hazard over
(machine, day, component) rows serves all components, as for printers; machines of the test are unseen in training.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from analytics.backtest.failure_report import chance_pictures
from analytics.backtest.report import write_report
from analytics.backtest.supplies import silent
from analytics.backtest.tables import days_of, instants, names, numbers, read_table, span_of, write_table
from analytics.calibration import LogOddsCalibration, cross_fitted, fit_calibration
from analytics.evaluation import refuse_random_split
from analytics.supplies import without_empty_columns
from crm_core.domain.errors import InvalidValue, NotFound

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Progress = Callable[[str, float], None]

_SENSORS: Final = ("volt", "rotate", "pressure", "vibration")
_HOUR: Final = 3600
_DAY: Final = 86400
HORIZON_DAYS: Final = {"p_fail_24h": 1, "p_fail_7d": 7}
_UNKNOWN_DAYS: Final = 400.0
_NONE: Final = np.zeros(0, np.int64)
_FOLDS: Final = 6  # of machines, for the calibration
_MOST_MACHINES: Final = 1_000_000
_LEAST_DAYS: Final = 30  # to learn from
_MIN_MACHINES: Final = 12  # fewer are not enough to hold some back


_NEEDED: Final = {
    "telemetry_daily": ("machineID", "date", *_SENSORS), "machines": ("machineID", "model", "age"),
    "failures": ("machineID", "datetime", "failure"), "maint": ("machineID", "datetime", "comp"),
    "errors": ("machineID", "datetime", "errorID"),
}  # fmt: skip


def _table(folder: Path, stem: str) -> tuple[Path, pd.DataFrame]:
    """Return a table from `<stem>.csv.gz` or `<stem>.csv`, with its path for complaints."""
    for path in (folder / f"{stem}.csv.gz", folder / f"{stem}.csv"):
        if path.exists():
            table = read_table(path, _NEEDED[stem], may_be_empty=stem in ("errors", "maint"))
            return path, table.assign(machineID=numbers(path, table, "machineID"))
    raise NotFound(f"{folder}: there is no {stem}.csv.gz and no {stem}.csv")


def machine_range(text: str) -> list[int]:
    """Return the machines of a text such as `1-40` or `1-10,15`; raise `InvalidValue` for anything else."""
    machines: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.strip().isdigit() or (last and not last.strip().isdigit()):
            raise InvalidValue(f"{text!r} is not a list of machines; write for example 1-40 or 1-10,15")
        if int(last or first) < int(first) or int(last or first) - int(first) > _MOST_MACHINES:
            raise InvalidValue(
                f"{part.strip()!r} must rise and name at most {_MOST_MACHINES} machines; write for example 1-40"
            )
        machines.extend(range(int(first), int(last or first) + 1))
    return list(dict.fromkeys(machines))


@dataclass(frozen=True, slots=True)
class Plant:
    """All machines over T days from `first_day` (days since 1970): instants in seconds, sensors [machine, day, 4]."""

    machines: list[int]
    first_day: int
    days: int
    sensors: Floats
    model: Ints
    age: Floats
    errors: list[list[Ints]]  # [machine][kind] sorted instants
    fitted: list[list[Ints]]  # [machine][component] sorted instants
    failed: list[list[Ints]]


def load_plant(folder: Path) -> Plant:
    """Read telemetry_daily, errors, maint, failures and machines from a folder."""
    (told, daily), (listed, machines) = _table(folder, "telemetry_daily"), _table(folder, "machines")
    ids = sorted(int(machine) for machine in machines["machineID"].dropna().unique())
    index = pd.Index(ids)
    daily = daily[instants(told, daily, "date").notna()]
    day = days_of(told, daily, "date").astype(np.int64)
    first, length = span_of(told, day)
    sensors = np.full((len(ids), length, len(_SENSORS)), np.nan)
    row = index.get_indexer(daily["machineID"])
    ok = row >= 0
    sensors[row[ok], day[ok] - first] = np.stack([numbers(told, daily, name) for name in _SENSORS], axis=1)[
        ok
    ]
    facts = machines.drop_duplicates("machineID").set_index("machineID").reindex(ids)
    failures, maint, errors = (_table(folder, stem) for stem in ("failures", "maint", "errors"))
    components = sorted({*names(maint[1], "comp"), *names(failures[1], "failure")} - {""})
    if not components:
        raise InvalidValue(f"{failures[0]}: no row names the component that failed")
    kinds = sorted({*names(errors[1], "errorID")} - {""})
    return Plant(
        machines=ids, first_day=first, days=length, sensors=sensors,
        model=pd.factorize(facts["model"].astype(str), sort=True)[0].astype(np.int64), age=numbers(listed, facts, "age"),
        errors=_instants(*errors, "errorID", index, kinds), fitted=_instants(*maint, "comp", index, components),
        failed=_instants(*failures, "failure", index, components),
    )  # fmt: skip


def _instants(
    path: Path, table: pd.DataFrame, column: str, machines: pd.Index, known: list[str]
) -> list[list[Ints]]:
    at = instants(path, table, "datetime")
    table = table[at.notna()]
    seconds = at[at.notna()].dt.tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)
    row, kind = (
        machines.get_indexer(table["machineID"]),
        pd.Index(known, dtype=object).get_indexer(names(table, column)),
    )
    return [
        [np.sort(seconds[(row == machine) & (kind == k)]) for k in range(len(known))]
        for machine in range(len(machines))
    ]


def _count(instants: Ints, until: Ints, days: float) -> Floats:
    """Return how many instants lie in the `days` before each `until` (strictly before)."""
    upper = np.searchsorted(instants, until, side="left")
    return np.asarray(upper - np.searchsorted(instants, until - int(days * _DAY), side="left"), dtype=float)


def _since(instants: Ints, until: Ints) -> Floats:
    """Return days since the last instant strictly before each `until`."""
    if len(instants) == 0:
        return np.full(len(until), _UNKNOWN_DAYS)
    at = np.searchsorted(instants, until, side="left") - 1
    return np.asarray(np.where(at >= 0, (until - instants[np.maximum(at, 0)]) / _DAY, _UNKNOWN_DAYS))


def machine_features(plant: Plant, machine: int) -> npt.NDArray[np.float32]:
    """Return features [T, components, f] of one machine, decided at the midnight after each day."""
    until = (plant.first_day + np.arange(plant.days) + 1) * _DAY
    frame = pd.DataFrame(plant.sensors[machine])
    usual = frame.expanding(min_periods=1).median()
    spread = frame.expanding(min_periods=3).std()
    columns: list[Floats] = []
    for window in (1, 2, 3, 7):
        columns += list(((frame.rolling(window, min_periods=1).mean() - usual) / spread).to_numpy().T)
    columns += list(frame.to_numpy().T)
    for times in plant.errors[machine]:
        columns += [_count(times, until, days) for days in (0.5, 1, 2, 3, 7, 30)]
        columns.append(_since(times, until))
    every = np.sort(np.concatenate([_NONE, *plant.errors[machine]]))
    columns += [_count(every, until, days) for days in (1, 3, 7)]
    ages = [_since(instants, until) for instants in plant.fitted[machine]]
    columns += [*ages, *np.sort(np.stack(ages), axis=0)[-2:]]
    broken = np.sort(np.concatenate([_NONE, *plant.failed[machine]]))
    columns += [
        _since(broken, until),
        np.full(len(until), plant.age[machine]),
        np.full(len(until), float(plant.model[machine])),
    ]
    common = np.stack(columns, axis=1)
    parts = []
    for component, fitted in enumerate(plant.fitted[machine]):
        own = [ages[component], _since(plant.failed[machine][component], until), _count(fitted, until, 90)]
        own += [np.mod(ages[component], 15.0), np.full(len(until), float(component))]
        parts.append(np.hstack([common, np.stack(own, axis=1)]))
    return np.stack(parts, axis=1).astype(np.float32)


def labels(plant: Plant, machine: int, horizon_days: int) -> Bools:
    """Return [T, components]: a failure at or after the midnight after the day and within `horizon_days`."""
    start = (plant.first_day + np.arange(plant.days) + 1) * _DAY
    return np.stack(
        [
            np.searchsorted(instants, start + horizon_days * _DAY) > np.searchsorted(instants, start)
            for instants in plant.failed[machine]
        ],
        axis=1,
    )


def _classifier(seed: int, horizon: int, trees: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=trees, learning_rate=0.04, max_leaf_nodes=8 if horizon > 1 else 12, min_samples_leaf=60,
        l2_regularization=10.0, max_features=0.3, early_stopping=False, random_state=seed,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hazard:
    """A fitted hazard of one horizon: bags over (machine, day, component) rows, and the calibration of the machine's chance."""

    models: list[HistGradientBoostingClassifier]
    calibration: LogOddsCalibration

    def chance(self, features: npt.NDArray[np.float32]) -> Floats:
        """Return the chance that any component of a machine fails, [T], from features [T, components, f]."""
        return self.calibration(_machine_chance(self.models, features))


class _Learner:
    """Fits hazards on rows whose horizon ends within the training days; nothing later is ever looked at."""

    def __init__(
        self, plant: Plant, features: dict[int, npt.NDArray[np.float32]], split: int, trees: int
    ) -> None:
        self._plant, self._features, self._split, self._trees = plant, features, split, trees

    def _whole(self, horizon: int) -> slice:
        return slice(3, self._split - horizon)

    def _bags(
        self, machines: Iterable[int], horizon: int, seeds: Iterable[int]
    ) -> list[HistGradientBoostingClassifier]:
        whole, chosen = self._whole(horizon), list(machines)
        learned, judged = np.arange(whole.start, whole.stop), np.arange(self._split, self._plant.days)
        every = np.arange(len(self._plant.machines))
        refuse_random_split(learned, judged, np.array(chosen), every, horizon)
        matrix = np.concatenate(
            [
                self._features[machine][whole].reshape(-1, self._features[machine].shape[2])
                for machine in chosen
            ]
        )
        label = np.concatenate(
            [labels(self._plant, machine, horizon)[whole].reshape(-1) for machine in chosen]
        )
        matrix = without_empty_columns(matrix)
        return [_classifier(seed, horizon, self._trees).fit(matrix, label) for seed in seeds]

    def fit(self, machines: list[int], horizon: int, seed: int, bags: int) -> Hazard:
        """Return the hazard of all training machines, calibrated on machines that a fold's model had not seen."""

        def held_out(train: Ints, held: Ints) -> tuple[Floats, Bools]:
            models, whole = self._bags(train.tolist(), horizon, [seed]), self._whole(horizon)
            chance = [_machine_chance(models, self._features[machine][whole]) for machine in held.tolist()]
            truth = [labels(self._plant, machine, horizon)[whole].any(1) for machine in held.tolist()]
            return np.concatenate(chance), np.concatenate(truth)

        calibration = LogOddsCalibration()
        if len(machines) >= _MIN_MACHINES:
            calibration = fit_calibration(*cross_fitted(np.array(machines), _FOLDS, seed, held_out))
        return Hazard(self._bags(machines, horizon, range(seed, seed + bags)), calibration)


def backtest_azure(
    folder: Path, train_machines: Iterable[int], test_machines: Iterable[int], train_until: date, out: Path, *, seed: int = 0,
    bags: int = 3, trees: int = 250, html: Path | None = None,
    progress: Progress = silent,
) -> dict[str, object]:  # fmt: skip
    """Write machineID, day, p_fail_24h, p_fail_7d of the test machines for every day after `train_until`."""
    plant = load_plant(folder)
    rows = {machine: at for at, machine in enumerate(plant.machines)}
    wanted_train, wanted_test = list(train_machines), list(test_machines)
    train = [rows[machine] for machine in wanted_train if machine in rows]
    test = [rows[machine] for machine in wanted_test if machine in rows]
    if not train or not test:
        raise InvalidValue(
            f"{folder} has machines {plant.machines[0]} to {plant.machines[-1]}: none of those to train or none of those to test on"
        )
    split = (train_until - date(1970, 1, 1)).days - plant.first_day + 1
    if not _LEAST_DAYS <= split < plant.days:
        raise InvalidValue(
            f"{folder} has {plant.days} days, {split} of them until {train_until}: "
            f"at least {_LEAST_DAYS} are needed to learn from and one to test on"
        )
    progress("features", 0.0)
    features = {machine: machine_features(plant, machine) for machine in {*train, *test}}
    learner = _Learner(plant, features, split, trees)
    chances: dict[str, Floats] = {}
    corrections: dict[str, list[float]] = {}
    for step, (name, horizon) in enumerate(HORIZON_DAYS.items()):
        progress("fit", step / len(HORIZON_DAYS))
        hazard = learner.fit(train, horizon, seed, bags)
        corrections[name] = [round(hazard.calibration.slope, 4), round(hazard.calibration.shift, 4)]
        chances[name] = np.stack([hazard.chance(features[machine][split:]) for machine in test])
    chances["p_fail_7d"] = np.maximum(chances["p_fail_24h"], chances["p_fail_7d"])
    table = _table_of(plant, test, split, chances)
    write_table(table, out)
    summary: dict[str, object] = {
        "machines": len(test), "rows": len(table), "trained_on": len(train), "seed": seed, "calibration": corrections,
        "out": str(out),
    }  # fmt: skip
    absent = [machine for machine in dict.fromkeys(wanted_train + wanted_test) if machine not in rows]
    if absent:
        summary["machines_not_in_the_folder"] = len(absent)
    if html is not None:
        write_report(html, "Back-test in the Azure layout", summary, _pictures(plant, test, split, chances))
        summary["html"] = str(html)
    progress("done", 1.0)
    return summary


def _table_of(plant: Plant, test: list[int], split: int, chances: dict[str, Floats]) -> pd.DataFrame:
    days = (plant.first_day + np.arange(split, plant.days)).astype("datetime64[D]")
    table = pd.DataFrame(
        {
            "machineID": np.repeat([plant.machines[machine] for machine in test], len(days)), "day": np.tile(days, len(test)),
            **{name: value.reshape(-1) for name, value in chances.items()},
        }
    )  # fmt: skip
    table["day"] = pd.to_datetime(table["day"]).dt.date
    return table


def _pictures(
    plant: Plant, test: list[int], split: int, chances: dict[str, Floats]
) -> list[tuple[str, str, str]]:
    pictures = []
    for name, horizon in HORIZON_DAYS.items():
        happened = np.stack([labels(plant, machine, horizon)[split:].any(1) for machine in test])[
            :, :-horizon
        ]
        chance = np.asarray(chances[name])[:, :-horizon]
        if chance.size == 0:  # no day is left whose outcome the file shows
            continue
        pictures += chance_pictures(
            chance.ravel(), happened.ravel(), "24 hours" if horizon == 1 else f"{horizon} days"
        )
    return pictures


def _machine_chance(
    models: list[HistGradientBoostingClassifier], features: npt.NDArray[np.float32]
) -> Floats:
    flat = features.reshape(-1, features.shape[2])
    odds = np.mean([model.decision_function(flat) for model in models], axis=0).reshape(features.shape[:2])
    return np.asarray(1.0 - np.prod(1.0 - 1.0 / (1.0 + np.exp(-odds)), axis=1))
