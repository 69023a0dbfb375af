"""The back-tests on the development fleets, judged by the scorers that come with them: the bars of the project.

They take minutes: `make test-all` runs them. The bars hold for the mean over fleets; one fleet alone may be a tenth worse.
"""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analytics.backtest.azure import backtest_azure
from analytics.backtest.failures import backtest_failures
from analytics.backtest.rul import backtest_rul
from analytics.backtest.supplies import backtest_supplies
from analytics.backtest.supplies import walk as walk_supplies
from analytics.backtest.supply_history import read_holidays, read_supply_history
from analytics.evaluation import average_precision

pytestmark = [pytest.mark.shared, pytest.mark.heavy, pytest.mark.timeout(1800)]


def _score(folder: Path, **arguments: Path) -> dict[str, dict[str, dict[str, float]]]:
    options = [part for name, path in arguments.items() for part in (f"--{name}", str(path))]
    done = subprocess.run(
        [sys.executable, str(folder / "score.py"), *options], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_supplies_keep_the_bars(shared: Path, tmp_path: Path) -> None:
    folder = shared / "datasets" / "supply_history"
    history = folder / "history_b.parquet"
    backtest_supplies(history, 300, tmp_path / "p.parquet", holidays=folder / "holidays.csv")
    made = _score(
        folder, truth=folder / "truth_b.parquet", predictions=tmp_path / "p.parquet", history=history
    )
    for left, bar in (("14", 4.4), ("7", 2.8), ("3", 2.0)):
        assert made["at_true_days_left"][left]["mae"] <= bar
    grid, tickets = made["weekly_grid"], made["tickets"]
    assert grid["mae_truth_le_30"] <= 4.4
    assert 0.77 <= grid["coverage_p50_le_30"] <= 0.83
    assert grid["mean_width_p50_le_30"] <= 13.0
    assert tickets["in_3_10"] >= 0.79
    assert tickets["late"] <= 0.11
    assert tickets["never"] <= 0.04
    assert tickets["needless_per_100"] <= 1.0


@pytest.mark.parametrize("cut", [300, 365, 477])
def test_what_is_known_on_a_day_does_not_depend_on_later_days(shared: Path, tmp_path: Path, cut: int) -> None:
    folder = shared / "datasets" / "supply_history"
    holidays = read_holidays(folder / "holidays.csv")
    table = pd.read_parquet(folder / "history_a.parquet")
    table[table.polled_at < pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(days=cut + 1)].to_parquet(
        tmp_path / "h.parquet"
    )
    whole = walk_supplies(read_supply_history(folder / "history_a.parquet"), holidays)
    part = walk_supplies(read_supply_history(tmp_path / "h.parquet"), holidays)
    learned = part.history.first_day + 299
    assert part.recorder.lives_known_by(learned) == whole.recorder.lives_known_by(learned)
    for mine, other in zip(part.recorder.features, whole.recorder.features, strict=False):
        assert np.array_equal(mine, other, equal_nan=True)
    for mine_kinds, other_kinds in zip(part.gauge, whole.gauge, strict=False):
        assert np.array_equal(mine_kinds, other_kinds)


def test_failures_keep_the_bars(shared: Path, tmp_path: Path) -> None:
    folder = shared / "datasets" / "failure_history"
    files = {
        name: folder / f"{name}_b.parquet"
        for name in ("events", "usage", "parts", "repairs", "known_failures")
    }
    backtest_failures(files, 300, tmp_path / "p.parquet")
    made = _score(
        folder, truth=folder / "truth_b.parquet", usage=files["usage"], predictions=tmp_path / "p.parquet"
    )
    daily, ticket = made["daily"], made["tickets"]["2"]
    assert daily["7"]["average_precision"] >= 0.25
    assert daily["14"]["average_precision"] >= 0.235
    assert daily["7"]["ece"] <= 0.005
    assert daily["14"]["ece"] <= 0.007
    assert daily["7"]["top_1_percent"]["precision"] >= 0.44
    assert ticket["warned"] >= 0.16
    assert ticket["precision"] >= 0.65
    assert ticket["reason_correct"] >= 0.86


def test_remaining_life_keeps_the_bar_and_its_intervals(shared: Path, tmp_path: Path) -> None:
    folder = shared / "datasets" / "cmapss"
    inside: list[bool] = []
    for train, test, truth in (
        ("train_FD001.txt.gz", "test_FD001.txt.gz", "RUL_FD001.txt"),
        ("train_FD002_first85.txt.gz", "test_FD002_first128.txt.gz", "RUL_FD002_first128.txt"),
    ):
        backtest_rul(folder / train, folder / test, tmp_path / "r.csv")
        made = pd.read_csv(tmp_path / "r.csv")
        life = np.minimum(np.loadtxt(folder / truth)[: len(made)], 125.0)
        assert np.sqrt(np.mean((made.rul_p50 - life) ** 2)) <= 12.0
        inside += list((made.rul_p10 <= life) & (life <= made.rul_p90))
    assert 0.75 <= np.mean(inside) <= 0.85


def test_azure_layout_on_unseen_machines(shared: Path, tmp_path: Path) -> None:
    folder = shared / "datasets" / "azure_pdm"
    backtest_azure(folder, range(1, 41), range(41, 61), date(2015, 8, 31), tmp_path / "a.parquet")
    made = pd.read_parquet(tmp_path / "a.parquet")
    failures = pd.read_csv(folder / "failures.csv.gz", parse_dates=["datetime"])
    decided = pd.to_datetime(made.day) + pd.Timedelta(days=1)
    happened = np.zeros(len(made), bool)
    for machine, instant in zip(failures.machineID, failures.datetime, strict=True):
        gap = instant - decided
        happened |= (
            (made.machineID == machine) & (gap >= pd.Timedelta(0)) & (gap < pd.Timedelta(days=7))
        ).to_numpy()
    whole = (decided <= pd.Timestamp("2015-12-25")).to_numpy()
    assert average_precision(happened[whole], made.p_fail_7d.to_numpy()[whole]) >= 0.55
