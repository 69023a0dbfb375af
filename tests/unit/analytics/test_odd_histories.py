"""Odd but honest histories: few devices, few days, nothing that teaches. Every one gets its rows, in order and finite."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analytics.backtest.azure import machine_range
from analytics.backtest.failures import backtest_failures
from analytics.backtest.rul import backtest_rul, read_units
from analytics.backtest.spread import mean_with_spread
from analytics.backtest.supplies import backtest_supplies
from analytics.backtest.tables import names
from analytics.supplies import FEATURES, SupplyRows, fit_supply_model
from crm_core.domain.errors import InvalidValue

_START = pd.Timestamp("2024-01-01", tz="UTC")
_TRAIN, _DAYS = 32, 44
Change = Callable[[pd.DataFrame], pd.DataFrame]


def _polls(devices: int = 2, days: int = 40) -> pd.DataFrame:
    day = np.tile(np.arange(days), devices)
    return pd.DataFrame(
        {
            "device_id": np.repeat(np.arange(devices), days), "model_id": "m", "site_id": "s", "nominal_yield_pages": 2000,
            "polled_at": _START + pd.to_timedelta(day, "D") + pd.Timedelta(hours=17), "level_state": "known",
            "level_percent": 100.0 - day, "page_count": 1000 + 25 * day,
        }
    )  # fmt: skip


ODD_POLLS: dict[str, Change] = {
    "as they are": lambda table: table,
    "one device": lambda table: table[table.device_id == 0],
    "unsorted and doubled": lambda table: pd.concat([table, table]).sample(frac=1, random_state=1),
    "no model, site or yield": lambda table: table.assign(
        model_id=None, site_id=None, nominal_yield_pages=np.nan
    ),
    "some ids are empty": lambda table: table.assign(
        device_id=table.device_id.astype(str).where(table.index % 9 > 0, None)
    ),
    "silent gauges": lambda table: table.assign(level_state=None, level_percent=np.nan),
    "always some remaining": lambda table: table.assign(level_state="Some_Remaining", level_percent=np.nan),
    "counters that fall and yields beyond reason": lambda table: table.assign(
        page_count=table.page_count % 300, nominal_yield_pages=1e300
    ),
    "a device that comes late": lambda table: table[(table.device_id == 0) | (table.polled_at > _START + pd.Timedelta(days=36))],
}  # fmt: skip


@pytest.mark.parametrize("change", ODD_POLLS.values(), ids=ODD_POLLS.keys())
def test_few_polls_are_forecast_by_the_formula(tmp_path: Path, change: Change) -> None:
    table = change(_polls())
    table.to_parquet(tmp_path / "h.parquet")
    summary = backtest_supplies(tmp_path / "h.parquet", 31, tmp_path / "p.parquet", html=tmp_path / "p.html")
    made = pd.read_parquet(tmp_path / "p.parquet")
    band = made[["days_to_empty_p10", "days_to_empty_p50", "days_to_empty_p90"]].to_numpy()
    assert "run-outs" in str(summary["forecast_by"])
    assert len(made) == 9 * table.device_id.nunique()
    assert np.isfinite(band).all()
    assert (np.diff(band, axis=1) >= 0).all()


@pytest.mark.parametrize(("column", "value", "words"), [
    ("page_count", None, "no device ever answered"), ("level_state", 3, "level_state must be"), ("device_id", None, "of which device_id"),
])  # fmt: skip
def test_polls_that_say_nothing_are_refused(tmp_path: Path, column: str, value: object, words: str) -> None:
    _polls().assign(**{column: value}).to_parquet(tmp_path / "h.parquet")
    with pytest.raises(InvalidValue, match=words):
        backtest_supplies(tmp_path / "h.parquet", 31, tmp_path / "p.parquet")


@pytest.mark.parametrize("devices", [1, 2, 9])
def test_a_model_of_few_devices_and_of_columns_that_are_empty_for_some(devices: int) -> None:
    rng = np.random.default_rng(1)
    group = np.sort(rng.integers(0, devices, 240))
    features = rng.normal(size=(240, len(FEATURES))).astype(np.float32)
    features[group > 0, 3] = np.nan  # known of the first device only
    features[:, 4] = np.nan
    formula = rng.uniform(1, 60, 240)
    rows = SupplyRows(features, formula, formula * rng.uniform(0.8, 1.2, 240), group, np.arange(240) % 80)
    made = fit_supply_model(rows, trees=15).predict(features, formula)
    assert np.isfinite(made).all()
    assert (np.diff(made, axis=1) >= 0).all()


def _fleet() -> dict[str, pd.DataFrame]:
    days, components = _DAYS, ["fuser", "drum"]
    usage = pd.DataFrame(
        {"device_id": np.repeat([1, 2, 3], days), "day": np.tile(_START + pd.to_timedelta(np.arange(days), "D"), 3), "pages": 50, "jams": 0}
    )  # fmt: skip
    event = {
        "device_id": 1,
        "model_id": "m",
        "site_id": "s",
        "at": _START,
        "code": "FUS-01",
        "severity": "error",
        "component_hint": "fuser",
    }
    parts = pd.DataFrame(
        {"device_id": np.repeat([1, 2, 3], 2), "component": components * 3, "installed_on": _START, "pages_at_start": 0, "design_life_pages": 9000}
    )  # fmt: skip
    repairs = pd.DataFrame({"device_id": [1], "on": _START, "component": "fuser"})
    known = pd.DataFrame({"device_id": [1], "failed_on": _START, "component": "fuser", "repaired_on": _START})
    return {
        "events": pd.DataFrame([event] * 4),
        "usage": usage,
        "parts": parts,
        "repairs": repairs,
        "known_failures": known,
    }


ODD_FLEETS: dict[str, dict[str, Change]] = {
    "as it is": {},
    "nothing but usage": dict.fromkeys(("events", "parts", "repairs", "known_failures"), lambda table: table.iloc[:0]),
    "ids of other types": dict.fromkeys(("events", "parts"), lambda table: table.assign(device_id=table.device_id.astype(float))),
    "empty ids": {"events": lambda table: table.assign(device_id=None), "usage": lambda table: table.assign(device_id=table.device_id.where(table.index % 7 > 0))},
    "no names": {"events": lambda table: table.assign(model_id=None, site_id=None, code=None, severity=None, component_hint=None)},
    "no sense in pages": {"usage": lambda table: table.assign(pages=-5, jams=np.inf)},
    "pages beyond reason": {"usage": lambda table: table.assign(pages=1e300)},
    "lives of nothing": {"parts": lambda table: table.assign(design_life_pages=0, pages_at_start=np.nan)},
}  # fmt: skip


@pytest.mark.parametrize("changes", ODD_FLEETS.values(), ids=ODD_FLEETS.keys())
def test_failures_without_anything_to_learn_from_get_the_base_rate(
    tmp_path: Path, changes: dict[str, Change]
) -> None:
    files = {}
    for name, table in _fleet().items():
        files[name] = tmp_path / f"{name}.parquet"
        changes.get(name, lambda same: same)(table).to_parquet(files[name])
    summary = backtest_failures(files, _TRAIN, tmp_path / "p.parquet", html=tmp_path / "p.html")
    made = pd.read_parquet(tmp_path / "p.parquet")
    assert "base rate" in str(summary["forecast_by"])
    assert len(made) == 3 * (_DAYS - _TRAIN)
    assert made.p_fail_7d.between(0.001, 0.2).all()
    assert (made.p_fail_7d <= made.p_fail_14d).all()
    assert made.reason_component.notna().all()


def _units(lives: list[int], seed: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = []
    for unit, life in enumerate(lives, 1):
        cycle = np.arange(1, life + 1)
        sensors = rng.normal(0, 0.1, (life, 21)) + (cycle / life)[:, None]
        sensors[:, 5] = 7.0 if unit == 1 else cycle  # stands still in the first unit only
        rows.append(np.column_stack([np.full(life, unit), cycle, np.zeros((life, 3)), sensors]))
    return np.concatenate(rows)


def test_units_are_judged_by_the_sensors_that_moved_in_training(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "train.txt", _units([30, 12, 24]))
    np.savetxt(tmp_path / "test.txt", _units([3, 20])[::-1])
    backtest_rul(tmp_path / "train.txt", tmp_path / "test.txt", tmp_path / "r.csv", trees=3)
    made = pd.read_csv(tmp_path / "r.csv")
    assert made.unit.tolist() == [1, 2]
    assert (made.rul_p10 <= made.rul_p50).all()
    assert (made.rul_p50 <= made.rul_p90).all()


def test_rows_of_units_are_read_in_order_and_once(tmp_path: Path) -> None:
    rows = _units([3, 20])
    np.savetxt(tmp_path / "odd.txt", np.concatenate([rows[::-1], rows]))
    np.testing.assert_array_equal(read_units(tmp_path / "odd.txt"), rows)


@pytest.mark.parametrize(("rows", "cap", "words"), [
    (_units([40]), 125.0, "at least 2 are needed"), (_units([40, 40]) * 0 + 1, 125.0, "no sensor"), (_units([40, 40]) * 1e12, 125.0, "of at most"),
    (_units([40, 40]), float("nan"), "cap of nan"),
])  # fmt: skip
def test_units_that_cannot_teach_are_refused(
    tmp_path: Path, rows: np.ndarray, cap: float, words: str
) -> None:
    np.savetxt(tmp_path / "t.txt", rows)
    with pytest.raises(InvalidValue, match=words):
        backtest_rul(tmp_path / "t.txt", tmp_path / "t.txt", tmp_path / "r.csv", cap=cap, trees=3)


def test_machines_are_named_once_and_rising() -> None:
    assert machine_range("41,41-42") == [41, 42]
    for text in ("5-3", "1-999999999"):
        with pytest.raises(InvalidValue, match="must rise"):
            machine_range(text)


def test_a_name_is_the_same_in_every_type() -> None:
    table = pd.DataFrame({"a": [7, 8], "b": [7.0, 8.5], "c": ["7", None], "d": pd.Categorical(["7", "8"])})
    assert [names(table, column).tolist() for column in "abcd"] == [
        ["7", "8"],
        ["7", "8.5"],
        ["7", ""],
        ["7", "8"],
    ]


def test_the_spread_of_a_mean_is_that_of_devices_not_of_rows() -> None:
    device = np.repeat(np.arange(50), 100)
    alike = (device % 2).astype(float)  # a hundred rows of a device say no more than one
    mean, low, high = mean_with_spread(alike, device)
    assert mean == 0.5
    assert 0.35 < low < 0.45
    assert 0.55 < high < 0.65
    alone = mean_with_spread(alike, np.arange(5000))
    assert alone[2] - alone[1] < 0.03
