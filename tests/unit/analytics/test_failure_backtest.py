"""The walk through a failure history: nothing of the future, chances within bounds, burst before failure found."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analytics.backtest.failure_history import COMPONENTS
from analytics.backtest.failures import backtest_failures

_DAYS, _TRAIN, _DEVICES = 150, 110, 14
_START = pd.Timestamp("2024-01-01")


def _fleet(folder: Path) -> dict[str, Path]:
    """Write a fleet in which fuser codes rise for five days before each failure."""
    rng = np.random.default_rng(3)
    events, usage, repairs, failures = [], [], [], []
    parts = [
        (f"d{d:02d}", "M1", f"S{d % 3}", name, _START - pd.Timedelta(days=100), 20_000, 90_000)
        for d in range(_DEVICES)
        for name in COMPONENTS
    ]
    for device in range(_DEVICES):
        name = f"d{device:02d}"
        broken = sorted(rng.choice(np.arange(25, _DAYS - 3, 12), 5, replace=False) + rng.integers(0, 8))
        for day in range(_DAYS):
            usage.append(
                (name, (_START + pd.Timedelta(days=day)).date(), int(rng.poisson(100)), int(rng.poisson(0.2)))
            )
            near = any(0 < failed - day <= 5 for failed in broken)
            for _ in range(rng.poisson(3.0 if near else 0.1)):
                at = _START.tz_localize("UTC") + pd.Timedelta(days=day, hours=9)
                events.append((name, "M1", f"S{device % 3}", at, "FUS-01", "warning", "fuser"))
            if rng.random() < 0.3:
                at = _START.tz_localize("UTC") + pd.Timedelta(days=day, hours=8)
                events.append((name, "M1", f"S{device % 3}", at, "USR-01", "info", None))
        for failed in broken:
            day, fixed = (_START + pd.Timedelta(days=int(failed) + k) for k in (0, 1))
            failures.append((name, day.date(), "fuser", fixed.date()))
            repairs.append((name, fixed.date(), "fuser"))
    known = [row for row in failures if row[1] < (_START + pd.Timedelta(days=_TRAIN)).date()]
    tables = {
        "events": (events, ["device_id", "model_id", "site_id", "at", "code", "severity", "component_hint"]),
        "usage": (usage, ["device_id", "day", "pages", "jams"]),
        "parts": (
            parts,
            [
                "device_id",
                "model_id",
                "site_id",
                "component",
                "installed_on",
                "pages_at_start",
                "design_life_pages",
            ],
        ),
        "repairs": (repairs, ["device_id", "on", "component"]),
        "known_failures": (known, ["device_id", "failed_on", "component", "repaired_on"]),
    }
    files = {}
    for name, (rows, columns) in tables.items():
        files[name] = folder / f"{name}.parquet"
        pd.DataFrame(rows, columns=columns).to_parquet(files[name])
    pd.DataFrame(failures, columns=["device_id", "failed_on", "component", "repaired_on"]).to_parquet(
        folder / "truth.parquet"
    )
    return files


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], pd.DataFrame, Path]:
    folder = tmp_path_factory.mktemp("failures")
    files = _fleet(folder)
    backtest_failures(files, _TRAIN, folder / "out.parquet", bags=1, trees=25)
    return files, pd.read_parquet(folder / "out.parquet"), folder


def test_every_device_and_day_has_chances_and_a_component(
    walked: tuple[dict[str, Path], pd.DataFrame, Path],
) -> None:
    _, made, _ = walked
    assert list(made.columns) == ["device_id", "day", "p_fail_7d", "p_fail_14d", "reason_component"]
    assert len(made) == _DEVICES * (_DAYS - _TRAIN)
    assert made.p_fail_7d.between(0, 1).all()
    assert (made.p_fail_14d >= made.p_fail_7d).all()
    assert set(made.reason_component) <= set(COMPONENTS)


def test_days_before_failures_rank_above_others(walked: tuple[dict[str, Path], pd.DataFrame, Path]) -> None:
    _, made, folder = walked
    truth = pd.read_parquet(folder / "truth.parquet")
    made = made.assign(day=pd.to_datetime(made.day))
    ahead = np.zeros(len(made), bool)
    for device, failed in zip(truth.device_id, pd.to_datetime(truth.failed_on), strict=True):
        gap = (failed - made.day).dt.days
        ahead |= (made.device_id == device).to_numpy() & (gap > 0).to_numpy() & (gap <= 5).to_numpy()
    assert made.p_fail_7d[ahead].median() > 2 * made.p_fail_7d[~ahead].median()
    assert (made.reason_component[ahead] == "fuser").mean() > 0.9


@pytest.mark.parametrize("cut", [_TRAIN, 133])
def test_files_cut_after_a_day_give_the_same_rows_up_to_it_to_the_bit(
    walked: tuple[dict[str, Path], pd.DataFrame, Path], cut: int
) -> None:
    files, made, folder = walked
    last = _START + pd.Timedelta(days=cut)
    columns = {"events": "at", "usage": "day", "repairs": "on"}
    shorter = dict(files)
    for name, column in columns.items():
        table = pd.read_parquet(files[name])
        days = pd.to_datetime(table[column], utc=True).dt.tz_localize(None).dt.normalize()
        shorter[name] = folder / f"{name}_{cut}.parquet"
        table[days <= last].to_parquet(shorter[name])
    backtest_failures(shorter, _TRAIN, folder / f"out_{cut}.parquet", bags=1, trees=25)
    again = pd.read_parquet(folder / f"out_{cut}.parquet")
    expected = made[pd.to_datetime(made.day) <= last].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, expected, check_exact=True)
