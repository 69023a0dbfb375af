"""How fast one core scores a large fleet from arrays in memory, beside the naive way with a table per device.

`make bench` prints the ratios; the seconds of docs/benchmarks.md come from the same functions with DRUMBEAT_BENCH_DEVICES
set to 100000 or 1000000.
"""

import os
import resource
import time

import numpy as np
import pandas as pd
import pytest

from analytics.scoring import FleetArrays, score_fleet, score_shard
from analytics.supplies import FEATURES, SupplyModel, SupplyRows, fit_supply_model
from analytics.supply_state import KNOWN, SILENT
from crm_core.domain.policy import ReplenishmentPolicy

_DAYS = 90
_POLICY = ReplenishmentPolicy(
    delivery_days=2.0,
    raise_at_days_left=7.0,
    clear_at_days_left=14.0,
    stock_out_cost=100.0,
    early_waste_cost_per_day=1.0,
)


def fleet_of(n: int, seed: int) -> FleetArrays:
    """Return n devices over 90 days: office weeks, gauges with steps of 1 %, one answer in ten missing."""
    rng = np.random.default_rng(seed)
    counts, percents = np.empty((_DAYS, n)), np.empty((_DAYS, n), np.float32)
    states = np.full((_DAYS, n), KNOWN, np.int8)
    cartridge, used, first = (
        rng.uniform(2000, 9000, n),
        rng.uniform(0, 5000, n),
        rng.integers(10**4, 10**6, n),
    )
    for day in range(_DAYS):
        used += rng.poisson(80, n) * (1.0 if day % 7 < 5 else 0.1)
        silent = rng.random(n) < 0.1
        counts[day] = np.where(silent, np.nan, np.round(first + used))
        percents[day] = np.where(silent, np.nan, np.ceil(100 * np.mod(1 - used / cartridge, 1.0)))
        states[day][silent] = SILENT
    return FleetArrays(
        19_000, counts, states, percents, np.sort(rng.integers(0, n // 6 + 1, n)), rng.integers(0, 12, n),
        np.full(n, 5000.0), np.full(n, 50.0),
    )  # fmt: skip


class _Probe(SupplyModel):
    """Catches the features of a shard, so that a model can be fitted on them."""

    def __init__(self) -> None:
        super().__init__([], (0.0, 0.0), 0)
        self.seen = (np.zeros((0, len(FEATURES)), np.float32), np.zeros(0))

    def predict(self, features: np.ndarray, formula_days: np.ndarray) -> np.ndarray:
        self.seen = features, formula_days
        return np.stack([0.8 * formula_days, formula_days, 1.2 * formula_days], axis=1)


def model_for(seed: int) -> SupplyModel:
    """Return a model of full size, fitted on a small fleet with made-up outcomes: only its cost matters here."""
    probe = _Probe()
    score_shard(fleet_of(4000, seed), probe, _POLICY)
    features, formula = probe.seen
    truth = formula * np.random.default_rng(seed).uniform(0.8, 1.25, len(formula))
    return fit_supply_model(
        SupplyRows(features, formula, truth, np.arange(len(formula)), np.zeros(len(formula), int))
    )


def _naive(fleet: FleetArrays) -> pd.Series:
    """Level since the first poll over days, device by device: what a first script does (no quantiles, no decision)."""
    n = len(fleet)
    table = pd.DataFrame(
        {
            "device": np.tile(np.arange(n), _DAYS),
            "day": np.repeat(np.arange(_DAYS), n),
            "level": fleet.percents.ravel(),
        }
    ).dropna()
    return table.groupby("device")[["day", "level"]].apply(
        lambda rows: rows["level"].iloc[-1] / max(1e-9, -np.polyfit(rows["day"], rows["level"], 1)[0])
    )


@pytest.mark.heavy
def test_a_large_fleet_is_scored_on_one_core(capsys: pytest.CaptureFixture[str]) -> None:
    n = int(os.environ.get("DRUMBEAT_BENCH_DEVICES", "20000"))
    model = model_for(2)
    fleet = fleet_of(n, 0)
    started = time.process_time()
    scores = score_fleet(fleet, model, _POLICY)
    ours = time.process_time() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    started = time.process_time()
    _naive(fleet.rows(0, 1000))
    naive = (time.process_time() - started) * n / 1000
    with capsys.disabled():
        print(
            f"\n{n} devices x {_DAYS} days: {ours:.2f} s of one core, {memory:.2f} GB with the data; naive pandas "
            f"{naive:.1f} s, ratio {naive / ours:.1f}; {int(scores.replenish.sum())} to bring"
        )
    assert naive > 2 * ours
    assert memory < 4.0
