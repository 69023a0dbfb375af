"""Histories have the columns and types of the shared files, come out byte for byte the same, and their truth is true."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from simulators.device import Fleet, make_roster
from simulators.history import History, black_slots, days_to_empty, record_history, write_histories
from simulators.models import default_models

FILES = {
    "supply_history": ("history", "truth"),
    "failure_history": ("events", "usage", "parts", "repairs", "known_failures", "truth"),
}
DAYS = 400


def made(seed: int = 4, count: int = 120) -> History:
    fleet = Fleet(
        make_roster(count, default_models(), seed=seed), seed=seed, start=date(2024, 1, 1), keep_days=2
    )
    return record_history(fleet, DAYS)


@pytest.fixture(scope="module")
def history() -> History:
    return made()


@pytest.fixture(scope="module")
def folder(history, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("histories")
    write_histories(history, place)
    return place


def test_the_same_seed_writes_the_same_bytes(folder: Path, tmp_path: Path):
    for path in write_histories(made(), tmp_path):
        assert path.read_bytes() == (folder / path.relative_to(tmp_path)).read_bytes(), path.name


@pytest.mark.shared
def test_columns_and_types_are_those_of_the_shared_files(folder: Path, shared: Path):
    for place, names in FILES.items():
        for name in names:
            ours = pq.read_schema(folder / place / f"{name}_s.parquet").remove_metadata()
            theirs = pq.read_schema(shared / "datasets" / place / f"{name}_a.parquet").remove_metadata()
            assert ours == theirs, (place, name)


def test_days_to_empty_point_at_the_day_the_cartridge_ran_empty(history: History):
    until = days_to_empty(history)
    checked = 0
    for device, day in zip(*np.nonzero(history.ran_empty), strict=True):
        put_in = np.flatnonzero(history.changed[device, : day + 1])
        first = int(put_in[-1]) if len(put_in) else 0
        for back in (3, 7, 14):
            if day - back >= first:
                error = until[device, day - back] - back
                assert -1.0 <= error <= 0.0, (device, day, back)  # within the day on which it ran out
                checked += 1
    assert checked > 300


def test_known_failures_know_nothing_of_the_future(folder: Path):
    known = pd.read_parquet(folder / "failure_history" / "known_failures_s.parquet")
    whole = pd.read_parquet(folder / "failure_history" / "truth_s.parquet")
    border = pd.Timestamp("2024-01-01") + pd.Timedelta(days=300)
    assert (pd.to_datetime(known.failed_on) < border).all()
    assert not (pd.to_datetime(known.repaired_on) >= border).any()
    assert 0 < len(known) < len(whole)


def test_a_stopped_device_prints_nothing_until_its_repair(folder: Path):
    truth = pd.read_parquet(folder / "failure_history" / "truth_s.parquet").astype({"device_id": str})
    usage = pd.read_parquet(folder / "failure_history" / "usage_s.parquet").astype({"device_id": str})
    pages = usage.pivot_table(index="device_id", columns="day", values="pages", observed=True)
    for row in truth.itertuples():
        days = [day for day in pages.columns if row.failed_on < day < row.repaired_on]
        assert pages.loc[row.device_id, days].sum() == 0


def test_a_fleet_that_has_lived_is_refused():
    fleet = Fleet(make_roster(3, default_models(), seed=1), seed=1, start=date(2024, 1, 1))
    fleet.record(2)
    with pytest.raises(ValueError, match="already lived"):
        record_history(fleet, 10)


def test_every_model_has_a_black_slot(history: History):
    assert (black_slots(history.fleet) >= 0).all()


def scored(shared: Path, place: str, *arguments: str) -> dict[str, object]:
    """Run a scorer of the data sets and return its JSON."""
    script = shared / "datasets" / place / "score.py"
    done = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=True, timeout=100
    )
    return json.loads(done.stdout)


@pytest.mark.shared
def test_truth_as_prediction_scores_below_half_a_day(folder: Path, shared: Path, tmp_path: Path):
    truth = folder / "supply_history" / "truth_s.parquet"
    table = pd.read_parquet(truth)
    predictions = table[["device_id", "day"]].copy()
    for quantile in ("p10", "p50", "p90"):
        predictions[f"days_to_empty_{quantile}"] = table.true_days_to_empty
    predictions["raise_ticket"] = False
    predictions.to_parquet(tmp_path / "p.parquet")
    result = scored(
        shared, "supply_history", "--truth", str(truth), "--predictions", str(tmp_path / "p.parquet"),
        "--from-day", "200", "--history", str(folder / "supply_history" / "history_s.parquet"),
    )  # fmt: skip
    at = result["at_true_days_left"]
    assert all(at[days]["n"] > 20 and at[days]["mae"] < 0.5 for days in ("14", "7", "3"))
    assert result["weekly_grid"]["mae_truth_le_30"] < 0.5
    assert {"pct1", "pct10"} <= set(result["by_gauge"])


@pytest.mark.shared
def test_truth_as_failure_prediction_scores_perfectly(folder: Path, shared: Path, tmp_path: Path):
    truth = pd.read_parquet(folder / "failure_history" / "truth_s.parquet").astype({"device_id": str})
    usage = pd.read_parquet(folder / "failure_history" / "usage_s.parquet")[["device_id", "day"]]
    rows = usage.astype({"device_id": str}).copy()
    day = pd.to_datetime(rows.day)
    rows["p_fail_7d"], rows["p_fail_14d"], rows["reason_component"] = 0.0, 0.0, None
    for failure in truth.itertuples():
        ahead = (pd.Timestamp(failure.failed_on) - day).dt.days
        mine = rows.device_id == failure.device_id
        rows.loc[mine & ahead.between(1, 7), "p_fail_7d"] = 1.0
        rows.loc[mine & ahead.between(1, 14), "p_fail_14d"] = 1.0
        rows.loc[mine & ahead.between(1, 14), "reason_component"] = failure.component
    rows[day >= pd.Timestamp("2024-01-01") + pd.Timedelta(days=200)].to_parquet(tmp_path / "p.parquet")
    result = scored(
        shared, "failure_history", "--truth", str(folder / "failure_history" / "truth_s.parquet"),
        "--usage", str(folder / "failure_history" / "usage_s.parquet"),
        "--predictions", str(tmp_path / "p.parquet"), "--from-day", "200",
    )  # fmt: skip
    assert result["daily"]["7"]["average_precision"] > 0.99
    assert result["daily"]["14"]["average_precision"] > 0.99
