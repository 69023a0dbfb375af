"""The product's own forecaster in the walk: it sees the replayed gauges and counters, nothing more, and is as wrong as it is.

Every replicate is a fleet of its own in one state; a warm-up before the first day lets the forecaster know the machines
as well as it would by then.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.features import DayBlock, FleetState
from analytics.policy_replay.rates import Rates
from analytics.priors import SupplyPriorBook
from analytics.supplies import FAR_DAYS, Snapshot
from analytics.supply_forecasts import formula_days
from analytics.supply_state import KNOWN
from analytics.usage import HORIZON_DAYS, days_to_use
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.identity import DEFAULT_TENANT

Floats = npt.NDArray[np.float64]

WARM_UP_DAYS: Final = 56
LONGEST_DAYS: Final = 3650.0
_NO_HOLIDAYS: Final = np.zeros(HORIZON_DAYS, bool)
_NO_FEATURES: Final = np.zeros((0, 0), np.float32)


class Foresight:
    """Days to empty [replicate, slot, 3] at the end of each day, from what the product would have known.

    `slots` are the replayed supplies in the order of the walk. Pages are [replicate, device], levels are shares of full
    [replicate, slot].
    """

    def __init__(self, rates: Rates, slots: npt.NDArray[np.int64], replicates: int) -> None:
        year = rates.year
        devices, copies = len(year.device_ids), np.arange(replicates)[:, None]
        self._shape = (replicates, len(slots))
        self._step = np.broadcast_to(rates.gauge_step[slots], self._shape)
        self._first_day = year.first_day
        self._state = FleetState(DEFAULT_TENANT, SupplyPriorBook(Catalogue(())))
        state = self._state
        sites = (copies * (int(year.site.max()) + 1) + year.site[None, :]).ravel()
        state.usage.grow(sites, np.tile(year.pages.mean(1) + 1.0, replicates))
        state.failures.grow(replicates * devices)
        state.recent.grow(replicates * devices)
        groups = int(year.slot_group.max()) + 1 if len(slots) else 1
        usual = np.where(np.isnan(year.slot_yield), 1.0 / np.maximum(rates.drain, 1e-9), year.slot_yield)[
            slots
        ]
        state.supply.grow(
            (copies * devices + year.slot_device[slots][None, :]).ravel(),
            (copies * groups + year.slot_group[slots][None, :]).ravel(),
            np.tile(usual, replicates),
            np.ones(replicates * len(slots)),
        )
        self._counts = np.zeros(replicates * devices)

    def see(self, day: int, pages: Floats, level: Floats) -> None:
        """Look at every machine at the end of `day` (a column of the year; negative in the warm-up)."""
        self._counts += np.rint(pages).ravel()
        shown = np.ceil(level / self._step - 1e-9) * self._step
        percents = 100.0 * np.clip(shown, 0.0, 1.0).ravel()
        block = DayBlock(
            first_day=self._first_day + day,
            counts=self._counts[:, None],
            jams=np.zeros((len(self._counts), 1)),
            polls=np.ones((len(self._counts), 1), np.int64),
            states=np.full((len(percents), 1), KNOWN),
            percents=percents[:, None],
        )
        self._state.take_day(self._first_day + day, block, 0, ())

    def days_to_empty(self, day: int) -> Floats:
        """Return P10, P50 and P90 [replicate, slot, 3] at the end of `day`: the formula's, without a trained model."""
        usage, supply = self._state.usage, self._state.supply
        profile = usage.profile()
        rows, daily = supply.usage_row, profile.mean(0)
        present = usage.multipliers(daily)[2][rows]
        ahead = usage.ahead(self._first_day + day, profile, _NO_HOLIDAYS)[:, rows]
        middle = np.minimum(days_to_use(supply.pages_left(), ahead, present), 10 * FAR_DAYS)
        snap = Snapshot(
            self._first_day + day, _NO_FEATURES, middle, daily[rows] * present, ~np.isnan(supply.seg_day)
        )
        days = formula_days(self._state.usage, self._state.supply, snap)
        return np.asarray(np.clip(days, 0.0, LONGEST_DAYS).reshape(*self._shape, 3))
