"""How fast one core scores a large fleet from arrays in memory, beside the naive way with a table per device."""

import time

import numpy as np
import pandas as pd
import pytest

from analytics.supplies import Snapshot, SupplyRows, fit_supply_model, snapshot
from analytics.supply_forecasts import replenish
from analytics.supply_state import KNOWN, SupplyState
from analytics.usage import HORIZON_DAYS, UsageState
from crm_core.domain.policy import ReplenishmentPolicy

_DAYS = 90
_POLICY = ReplenishmentPolicy(
    delivery_days=2.0,
    raise_at_days_left=7.0,
    clear_at_days_left=14.0,
    stock_out_cost=100.0,
    early_waste_cost_per_day=1.0,
)


def _fleet(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return counts and percents [day, device]."""
    rng = np.random.default_rng(0)
    pages = rng.poisson(80, (_DAYS, n)).astype(float)
    used = np.cumsum(pages, axis=0)
    return 1e4 + used, np.ceil(100 * np.mod(1 - used / rng.uniform(2000, 9000, n), 1.0))


def _states(counts: np.ndarray, percents: np.ndarray) -> Snapshot:
    n = counts.shape[1]
    rng = np.random.default_rng(1)
    usage = UsageState.empty(rng.integers(0, n // 6 + 1, n), np.full(n, 50.0))
    supply = SupplyState.empty(np.arange(n), rng.integers(0, 12, n), np.full(n, 5000.0), np.ones(n))
    known = np.full(n, KNOWN)
    for day in range(_DAYS):
        usage.expect(day, usage.profile(), holiday=False)
        pages = usage.take(day, counts[day], dry=supply.dry(), holiday=False)
        supply.take(day, known, percents[day], pages)
    return snapshot(_DAYS - 1, usage, supply, np.zeros(HORIZON_DAYS, bool))


def _naive(counts: np.ndarray, percents: np.ndarray) -> pd.Series:
    """Level since the first poll over days, device by device: what a first script does."""
    n = counts.shape[1]
    table = pd.DataFrame(
        {
            "device": np.tile(np.arange(n), _DAYS),
            "day": np.repeat(np.arange(_DAYS), n),
            "level": percents.ravel(),
        }
    )
    return table.groupby("device")[["day", "level"]].apply(
        lambda rows: rows["level"].iloc[-1] / max(1e-9, -np.polyfit(rows["day"], rows["level"], 1)[0])
    )


@pytest.mark.heavy
def test_a_large_fleet_is_scored_on_one_core(capsys: pytest.CaptureFixture[str]) -> None:
    n = 20_000
    counts, percents = _fleet(n)
    small = _states(counts[:, :2000], percents[:, :2000])
    rng = np.random.default_rng(2)
    rows = SupplyRows(
        small.features,
        small.formula_days,
        small.formula_days * rng.uniform(0.8, 1.25, 2000),
        np.arange(2000),
        np.zeros(2000, int),
    )
    model = fit_supply_model(rows)
    started = time.process_time()
    snap = _states(counts, percents)
    days = model.predict(snap.features, snap.formula_days)
    decided = sum(replenish(row, _POLICY) for row in days.tolist())
    ours = time.process_time() - started
    started = time.process_time()
    _naive(counts[:, :1000], percents[:, :1000])
    naive = (time.process_time() - started) * n / 1000
    with capsys.disabled():
        print(
            f"\n{n} devices x {_DAYS} days: {ours:.2f} s, naive pandas {naive:.1f} s, ratio {naive / ours:.1f}, {decided} to bring"
        )
    assert naive > ours
