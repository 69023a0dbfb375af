"""A whole fleet scored from arrays in memory: features, quantiles and the decision, shard by shard.

Everything that devices teach one another (weekday shapes of a site, yields of a model, bias of gauges) is pooled within a
shard of a fixed number of devices. So memory is bounded, the arrays of one step stay in the processor's cache, and it
makes no difference to a single bit who works on which shard: this process or the workers of a cluster (`cluster`).
A fleet smaller than a shard is pooled as a whole, as in the nightly run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.features import calendar_ahead
from analytics.supplies import FAR_DAYS, SupplyModel, snapshot
from analytics.supply_forecasts import replenish
from analytics.supply_state import SupplyState
from analytics.usage import UsageState, weekday_of
from crm_core.domain.policy import ReplenishmentPolicy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SHARD_DEVICES: Final = 16_384


@dataclass(frozen=True, slots=True)
class FleetArrays:
    """One supply of each of n devices over T days from `first_day` (days since 1970); day-major, so that a day is one block.

    `counts` [T, n] is the life counter (float64: a float32 loses pages above 16.7 million), NaN without an answer; `states`
    [T, n] are codes of `supply_state` (int8 will do); `percents` [T, n] (float32 will do), NaN unless known. `site` and
    `model` [n] are numbers from 0, `nominal` data-sheet pages of a full supply, `prior_rate` pages a day expected before
    anything is known.
    """

    first_day: int
    counts: Floats
    states: npt.NDArray[np.integer]
    percents: npt.NDArray[np.floating]
    site: Ints
    model: Ints
    nominal: Floats
    prior_rate: Floats

    def __len__(self) -> int:
        return int(self.counts.shape[1])

    def rows(self, first: int, last: int) -> "FleetArrays":
        """Return devices first <= row < last; sites and models are numbered from 0 again."""
        part = slice(first, last)
        return FleetArrays(
            self.first_day, self.counts[:, part], self.states[:, part], self.percents[:, part],
            np.unique(self.site[part], return_inverse=True)[1], np.unique(self.model[part], return_inverse=True)[1],
            self.nominal[part], self.prior_rate[part],
        )  # fmt: skip

    def shards(self, devices: int = SHARD_DEVICES) -> Iterator["FleetArrays"]:
        """Yield the fleet in shards of `devices`; where a shard ends depends on nothing but that number."""
        for first in range(0, len(self), devices):
            yield self.rows(first, min(first + devices, len(self)))


@dataclass(frozen=True, slots=True)
class FleetScores:
    """Days to empty [n, 3] (P10, P50, P90), pages a day [n], and which supplies must be brought [n]."""

    days: Floats
    pages_per_day: Floats
    replenish: Bools

    @classmethod
    def joined(cls, parts: list["FleetScores"]) -> "FleetScores":
        """Return the scores of shards one after the other."""
        return cls(
            np.concatenate([part.days for part in parts]),
            np.concatenate([part.pages_per_day for part in parts]),
            np.concatenate([part.replenish for part in parts]),
        )


def score_shard(
    shard: FleetArrays,
    model: SupplyModel,
    policy: ReplenishmentPolicy,
    holidays: frozenset[int] = frozenset(),
) -> FleetScores:
    """Walk through the days of one shard and return its scores at the end of the last day."""
    rows = np.arange(len(shard))
    usage = UsageState.empty(shard.site, shard.prior_rate)
    supply = SupplyState.empty(rows, shard.model, shard.nominal, np.ones(len(shard)))
    days = shard.counts.shape[0]
    for at in range(days):
        day = shard.first_day + at
        holiday = day in holidays
        usage.expect(day, usage.expected_on(weekday_of(day)), holiday=holiday)
        pages = usage.take(day, shard.counts[at], dry=supply.dry(), holiday=holiday)
        supply.take(day, shard.states[at], shard.percents[at].astype(np.float64), pages)
    last = shard.first_day + days - 1
    snap = snapshot(last, usage, supply, calendar_ahead(last, holidays))
    ahead = model.predict(snap.features, snap.formula_days)
    far = ~snap.usable | (snap.formula_days > 1.5 * FAR_DAYS)  # where the model was never taught
    ahead[far] = snap.formula_days[far, None]
    return FleetScores(ahead, snap.pages_per_day, replenish(ahead, policy))


def score_fleet(
    fleet: FleetArrays, model: SupplyModel, policy: ReplenishmentPolicy, *, holidays: frozenset[int] = frozenset(),
    shard_devices: int = SHARD_DEVICES,
) -> FleetScores:  # fmt: skip
    """Return the scores of a whole fleet, worked out in this process shard by shard."""
    parts = [score_shard(shard, model, policy, holidays) for shard in fleet.shards(shard_devices)]
    return FleetScores.joined(parts)
