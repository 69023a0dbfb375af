"""What is said up to a day does not change when everything after it is cut away: plant, units and the own history.

Supply and failure histories have the same test beside their other ones; here the rest, at several days each.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analytics.backtest.azure import backtest_azure
from analytics.backtest.rul import backtest_rul
from analytics.features import FleetState, day_number
from analytics.history_walk import HistoryWalk, walk_history
from analytics.priors import SupplyPriorBook
from collector.stores.memory import MemoryTelemetryStore
from config.catalogue_files import load_catalogue
from crm_core.domain.identity import DEFAULT_TENANT
from tests.unit.analytics import fleet

_UNTIL = pd.Timestamp("2015-02-28")


def _plant(folder: Path, last: pd.Timestamp | None = None) -> Path:
    """Write six machines over 90 days; with `last`, nothing after the midnight that ends that day."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2015-01-01", periods=90)
    daily, errors, failures = [], [], []
    for machine in range(1, 7):
        daily += [(day, machine, *rng.normal(100, 5, 4)) for day in days]
        for day in days[10 + machine :: 13]:
            errors.append((day + pd.Timedelta(hours=9), machine, "error1"))
            failures.append((day + pd.Timedelta(days=1, hours=6), machine, "comp1"))
    tables = {
        "telemetry_daily": pd.DataFrame(daily, columns=["date", "machineID", "volt", "rotate", "pressure", "vibration"]),
        "errors": pd.DataFrame(errors, columns=["datetime", "machineID", "errorID"]),
        "failures": pd.DataFrame(failures, columns=["datetime", "machineID", "failure"]),
        "maint": pd.DataFrame(failures, columns=["datetime", "machineID", "comp"]),
        "machines": pd.DataFrame({"machineID": range(1, 7), "model": ["m"] * 6, "age": range(6)}),
    }  # fmt: skip
    folder.mkdir()
    for name, table in tables.items():
        instant = next((column for column in ("datetime", "date") if column in table), None)
        keep = (
            table if instant is None or last is None else table[table[instant] < last + pd.Timedelta(days=1)]
        )
        keep.to_csv(folder / f"{name}.csv", index=False)
    return folder


def _azure(folder: Path) -> pd.DataFrame:
    backtest_azure(folder, [1, 2, 3, 4], [5, 6], _UNTIL.date(), folder / "out.csv", bags=1, trees=15)
    return pd.read_csv(folder / "out.csv", parse_dates=["day"])


def test_a_plant_cut_after_a_day_gives_the_same_rows_up_to_it(tmp_path: Path) -> None:
    whole = _azure(_plant(tmp_path / "whole"))
    for cut in ("2015-03-05", "2015-03-14", "2015-03-30"):
        last = pd.Timestamp(cut)
        again = _azure(_plant(tmp_path / cut, last))
        expected = whole[whole.day <= last].reset_index(drop=True)
        pd.testing.assert_frame_equal(again, expected, check_exact=True)


def _units(path: Path, lengths: dict[int, int], *, cut: int = 0) -> Path:
    """Write units that wear at a known rate over 26 columns; `cut` rows at the end of every unit but 1 are left out."""
    rows = []
    for unit, length in lengths.items():
        rng = np.random.default_rng(unit)
        for cycle in range(1, length + 1 - (cut if unit > 1 else 0)):
            wear = cycle / 150
            rows.append(
                [unit, cycle, 0.0, 0.0, 100.0, *(wear * (k + 1) + rng.normal(0, 0.02) for k in range(21))]
            )
    np.savetxt(path, np.array(rows), fmt="%.6f")
    return path


@pytest.mark.heavy
def test_a_unit_is_judged_by_its_own_rows_up_to_its_last_one(tmp_path: Path) -> None:
    train = _units(tmp_path / "train.txt", {unit: 110 + 7 * unit for unit in range(1, 13)})
    made = []
    for cut in (0, 5, 20):
        test = _units(tmp_path / f"test_{cut}.txt", {1: 60, 2: 90, 3: 75}, cut=cut)
        backtest_rul(train, test, tmp_path / "rul.csv", trees=10)
        made.append(pd.read_csv(tmp_path / "rul.csv"))
    assert made[0].iloc[0].tolist() == made[1].iloc[0].tolist() == made[2].iloc[0].tolist()
    assert made[0].iloc[1].tolist() != made[2].iloc[1].tolist()


def _walk(until: int, landed: int) -> HistoryWalk:
    store = MemoryTelemetryStore()
    for number, name in enumerate("ab"):
        fleet.land(store, *fleet.history(name, 90, number)[:landed])
    devices = {str(device.device_id): device for device in fleet.devices("a", "b")}
    state = FleetState(DEFAULT_TENANT, SupplyPriorBook(load_catalogue()))
    return walk_history(store, state, devices, day_number(fleet.day(until)), frozenset())


@pytest.mark.parametrize("cut", [20, 47, 80])
def test_the_own_history_cut_after_a_day_teaches_the_same_up_to_it(cut: int) -> None:
    whole, part = _walk(89, 90), _walk(cut, cut + 1)
    assert len(part.supplies.features) == cut + 1
    for one, other in zip(part.supplies.features, whole.supplies.features, strict=False):
        assert np.array_equal(one, other, equal_nan=True)
    known = day_number(fleet.day(cut))
    assert part.supplies.lives_known_by(known) == whole.supplies.lives_known_by(known)
