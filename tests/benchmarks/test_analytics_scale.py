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
from threadpoolctl import threadpool_limits

from analytics.backtest.scale import DAYS, fleet_of, model_for
from analytics.scoring import FleetArrays, score_fleet
from crm_core.domain.policy import ReplenishmentPolicy

_POLICY = ReplenishmentPolicy(
    delivery_days=2.0,
    raise_at_days_left=7.0,
    clear_at_days_left=14.0,
    watch_days_left=14,
    stock_out_cost=100.0,
    early_waste_cost_per_day=1.0,
)


def _naive(fleet: FleetArrays) -> pd.Series:
    """Level since the first poll over days, device by device: what a first script does (no quantiles, no decision)."""
    n = len(fleet)
    table = pd.DataFrame(
        {
            "device": np.tile(np.arange(n), DAYS),
            "day": np.repeat(np.arange(DAYS), n),
            "level": fleet.percents.ravel(),
        }
    ).dropna()
    return table.groupby("device")[["day", "level"]].apply(
        lambda rows: rows["level"].iloc[-1] / max(1e-9, -np.polyfit(rows["day"], rows["level"], 1)[0])
    )


@pytest.mark.heavy
def test_a_large_fleet_is_scored_on_one_core(capsys: pytest.CaptureFixture[str]) -> None:
    n = int(os.environ.get("DRUMBEAT_BENCH_DEVICES", "20000"))
    model = model_for(_POLICY, 2)
    fleet = fleet_of(n, 0)
    started = time.process_time()
    with threadpool_limits(1):  # threads that wait for each other would be counted as work
        scores = score_fleet(fleet, model, _POLICY)
    ours = time.process_time() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    started = time.process_time()
    _naive(fleet.rows(0, 1000))
    naive = (time.process_time() - started) * n / 1000
    with capsys.disabled():
        print(
            f"\n{n} devices x {DAYS} days: {ours:.2f} s of one core, {memory:.2f} GB with the data; naive pandas "
            f"{naive:.1f} s, ratio {naive / ours:.1f}; {int(scores.replenish.sum())} to bring"
        )
    assert naive > 2 * ours
    assert memory < 4.0
