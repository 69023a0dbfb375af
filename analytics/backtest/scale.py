"""How long would a fleet of N devices take here? Scores a made-up fleet on this machine or on a Dask cluster.

The fleet is synthetic: office weeks, gauges with steps of 1 %, one answer in ten missing. Only its cost means anything.
"""

import importlib
import time
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.scoring import FleetArrays, FleetScores, score_fleet, score_shard
from analytics.supplies import FEATURES, SupplyModel, SupplyRows, fit_supply_model
from analytics.supply_state import KNOWN, SILENT
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.policy import ReplenishmentPolicy

DAYS: Final = 90
_TAUGHT: Final = 4000  # devices that the model is fitted on


def fleet_of(n: int, seed: int) -> FleetArrays:
    """Return n made-up devices over 90 days."""
    rng = np.random.default_rng(seed)
    counts, percents = np.empty((DAYS, n)), np.empty((DAYS, n), np.float32)
    states = np.full((DAYS, n), KNOWN, np.int8)
    cartridge, used, first = (
        rng.uniform(2000, 9000, n),
        rng.uniform(0, 5000, n),
        rng.integers(10**4, 10**6, n),
    )
    for day in range(DAYS):
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

    def predict(
        self, features: npt.NDArray[np.float32], formula_days: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return the formula with a tenth on both sides, and remember the features."""
        self.seen = features, formula_days
        return np.stack([0.9 * formula_days, formula_days, 1.1 * formula_days], axis=1)


def model_for(policy: ReplenishmentPolicy, seed: int) -> SupplyModel:
    """Return a model of full size, fitted on a small fleet with made-up outcomes."""
    probe = _Probe()
    score_shard(fleet_of(_TAUGHT, seed), probe, policy)
    features, formula = probe.seen
    truth = formula * np.random.default_rng(seed).uniform(0.8, 1.25, len(formula))
    rows = SupplyRows(features, formula, truth, np.arange(len(formula)), np.zeros(len(formula), np.int64))
    return fit_supply_model(rows, seed=seed)


def measure(
    devices: int, policy: ReplenishmentPolicy, *, cluster: str | None = None, seed: int = 0
) -> dict[str, object]:
    """Return seconds and devices a second; `cluster` is the address of a Dask scheduler (extra `dask`)."""
    model, fleet = model_for(policy, seed + 1), fleet_of(devices, seed)
    wall, processor = time.monotonic(), time.process_time()
    scores = (
        score_fleet(fleet, model, policy) if cluster is None else _on_cluster(fleet, model, policy, cluster)
    )
    seconds = time.monotonic() - wall
    return {
        "devices": devices, "days": DAYS, "seconds": round(seconds, 2),
        "processor_seconds_here": round(time.process_time() - processor, 2),
        "devices_a_second": round(devices / max(seconds, 1e-9)), "to_bring": int(scores.replenish.sum()),
        "where": cluster or "this process",
    }  # fmt: skip


def _on_cluster(
    fleet: FleetArrays, model: SupplyModel, policy: ReplenishmentPolicy, address: str
) -> FleetScores:
    """Score on a cluster; Dask is an extra, so it is looked for only here."""
    try:
        dask, cluster = importlib.import_module("distributed"), importlib.import_module("analytics.cluster")
    except ModuleNotFoundError as error:
        raise InvalidConfiguration(f"{error}; install the extra: pip install 'drumbeat[dask]'") from error
    with dask.Client(address, timeout=20) as client:
        scores: FleetScores = cluster.score_on_cluster(fleet, model, policy, client)
        return scores
