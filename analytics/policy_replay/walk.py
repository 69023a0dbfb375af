"""The walk through the year: all replicates at once, day by day, with the product's own rules over fitted rates.

Chance does not depend on the policy: two walks with one seed draw the same numbers for the same replicate, device and
day, so that their difference is what the policy does and not luck.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.features import day_start
from analytics.policy_replay.rates import USUAL_DAYS, Rates, used_share
from analytics.supply_forecasts import replenish
from crm_core.domain.policy import PolicyBook
from crm_core.domain.policy_replay import REPLAY_FIGURES
from crm_core.domain.service import ClockKind, TicketLevel
from crm_core.domain.sla import Promise
from crm_core.replacement import replacement_due
from crm_core.sla import due_instant

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Progress = Callable[[int, int], None]

_LEVELS: Final = (TicketLevel.L1, TicketLevel.L2, TicketLevel.L3)
_OWN_WEEKS: Final = 4  # weeks around the same season from which a week is drawn
_GAUGE: Final = 0.02  # share of a cartridge that a gauge is off
_NEVER: Final = np.iinfo(np.int64).max


class Walk:
    """One walk of `replicates` at once: `run` gives every figure per replicate."""

    def __init__(self, rates: Rates, policy: PolicyBook, *, replicates: int, seed: int) -> None:
        self.rates = rates
        self.policy = policy
        year = rates.year
        self._rng = np.random.default_rng([seed, 1])
        self._sums: dict[str, Floats] = {name: np.zeros(replicates) for name in REPLAY_FIGURES}
        self._slots = np.flatnonzero(self.rates.known)
        self._order = self._slots[np.argsort(year.slot_device[self._slots], kind="stable")]
        self._device = year.slot_device[self._order]
        self._starts = np.flatnonzero(np.diff(self._device, prepend=-1))
        shape = (replicates, len(self._order))
        self._unit = np.exp(self.rates.spread * self._rng.standard_normal(shape))
        self._level = np.broadcast_to(self.rates.first_level[self._order], shape).copy()
        self._due_days = np.zeros(shape, np.int64)
        self._visit_day = np.full(shape, _NEVER)
        self._usual = np.broadcast_to(
            year.pages[:, :USUAL_DAYS].mean(1), (replicates, len(year.device_ids))
        ).copy()
        self._counts = np.broadcast_to(np.nan_to_num(year.counts), self._usual.shape).copy()
        self._replaced_on = np.full(self._usual.shape, _NEVER)
        self._asked = np.zeros(self._usual.shape, bool)
        self._recorded_use = np.nan_to_num(used_share(year.counts, year.pages, year.design_life))
        self._rows = np.arange(len(year.device_ids))[None, :]
        self._looks = {
            family: max(1, self.policy.triage.rule_for(family).raise_observations) for family in ("supply.",)
        }

    def run(self, progress: Progress | None = None) -> dict[str, Floats]:
        """Walk through the year; return each figure [replicate]."""
        days = self.rates.year.days
        for day in range(days):
            if day % 7 == 0:
                weeks = self._weeks_like(day)
            source = np.minimum(weeks * 7 + day % 7, days - 1)
            pages = self.rates.year.pages[self._rows, source]
            self._usual += (pages - self._usual) / USUAL_DAYS
            self._counts += pages
            self._supplies(day, pages)
            self._machines(day)
            self._others(day, pages)
            if progress is not None and day % 10 == 9:
                progress(day + 1, days)
        return self._settled()

    def _weeks_like(self, day: int) -> Ints:
        """Return for each replicate and device a week of its own history from the same season."""
        weeks = max(self.rates.year.days // 7, 1)
        shift = self._rng.integers(-_OWN_WEEKS, _OWN_WEEKS + 1, self._usual.shape)
        return np.asarray(np.clip(day // 7 + shift, 0, weeks - 1))

    # --- supplies ---------------------------------------------------------------------------------------------------

    def _supplies(self, day: int, pages: Floats) -> None:
        draw = self._rng.standard_normal(self._level.shape)
        wait = self._rng.choice(self.rates.supply_days, self._level.shape)
        hours = self._rng.choice(self.rates.hours, self._level.shape)
        used = pages[:, self._device] * self.rates.drain[self._order] * self._unit
        empty_before = self._level <= 0.0
        self._level = np.maximum(self._level - used, 0.0)
        empty = self._level <= 0.0
        self._sums["stock_outs"] += (empty & ~empty_before).sum(1)
        self._sums["stock_out_days"] += (empty & (pages[:, self._device] > 0)).sum(1)
        bring = self._bring()
        self._due_days = np.where(bring, self._due_days + 1, 0)
        told = empty | (self._level <= self.rates.low_mark)
        raised = (self._visit_day == _NEVER) & (told | (self._due_days >= self._looks["supply."]))
        self._sums["tickets_l2"] += raised.sum(1)
        self._breaches(1, day, hours, wait, raised)
        self._visit_day = np.where(raised, day + _whole_days(wait), self._visit_day)
        self._exchange(day, bring, draw)

    def _bring(self) -> Bools:
        """Ask the product's rule which supplies must be brought now."""
        middle = self._days_left()
        deviation = np.sqrt(
            self.rates.rate_spread**2
            + self.rates.spread**2
            + np.minimum((_GAUGE / np.maximum(self._level, 0.001)) ** 2, 1.0)
        )
        wide = np.exp(1.2816 * deviation)
        days = np.stack([middle / wide, middle, middle * wide], axis=-1)
        return replenish(days, self.policy.replenishment)

    def _exchange(self, day: int, bring: Bools, draw: Floats) -> None:
        """Do the visits of the day: a visitor exchanges everything at the device that has to be brought."""
        if not len(self._order):
            return
        visited = np.logical_or.reduceat(self._visit_day <= day, self._starts, axis=1)
        self._sums["visits"] += visited.sum(1)
        here = np.repeat(visited, np.diff(np.append(self._starts, len(self._order))), axis=1)
        new = here & (bring | (self._visit_day != _NEVER))
        self._sums["waste"] += (self._level * new).sum(1)
        self._sums["waste_yuan"] += (self._yuan_left() * new).sum(1)
        self._level = np.where(new, self.rates.full, self._level)
        self._unit = np.where(new, np.exp(self.rates.spread * draw), self._unit)
        self._visit_day = np.where(new, _NEVER, self._visit_day)
        self._due_days = np.where(new, 0, self._due_days)

    def _yuan_left(self) -> Floats:
        """Return what the rest of each cartridge is worth: its price, or without one the policy's yuan a day."""
        prices = self.rates.year.prices[self._order]
        a_day = self.policy.replenishment.early_waste_cost_per_day
        return np.where(prices > 0, self._level * prices, self._days_left() * a_day)

    def _days_left(self) -> Floats:
        rate = np.maximum(self._usual[:, self._device] * self.rates.drain[self._order], 1e-9)
        return np.asarray(np.minimum(self._level / rate, 3650.0))

    # --- machines ---------------------------------------------------------------------------------------------------

    def _use(self) -> Floats:
        return np.nan_to_num(self._counts / self.rates.year.design_life, nan=0.0)

    def _machines(self, day: int) -> None:
        """Propose machines for replacement by the product's rule; the new machine comes some weeks later."""
        wait = self._rng.choice(self.rates.replacement_days, self._usual.shape)
        asked = replacement_due(self._use(), self.policy.life) & ~self._asked
        self._sums["tickets_l1"] += asked.sum(1)
        self._sums["replacements"] += asked.sum(1)
        self._replaced_on = np.where(asked, day + _whole_days(wait), self._replaced_on)
        self._asked |= asked
        come = self._replaced_on <= day
        self._sums["visits"] += come.sum(1)
        self._counts = np.where(come, 0.0, self._counts)
        self._replaced_on = np.where(come, _NEVER, self._replaced_on)
        self._asked &= ~come

    def _others(self, day: int, pages: Floats) -> None:
        """Let machines fail as they did, older ones more often than in the year itself and younger ones less."""
        older = np.exp(self.rates.age * (self._use() - self._recorded_use[:, day]))
        for level, name in enumerate(("tickets_l1", "tickets_l2", "tickets_l3")):
            rate = self.rates.failures[level] * pages * (older if level == 2 else 1.0)
            if level == 1:
                rate = rate + self.rates.unknown_supply * pages
            dice = self._rng.random(self._usual.shape)
            wait = self._rng.choice(self.rates.help_days[level], self._usual.shape)
            hours = self._rng.choice(self.rates.hours, self._usual.shape)
            raised = dice < 1.0 - np.exp(-rate)
            self._sums[name] += raised.sum(1)
            self._breaches(level, day, hours, wait, raised)
            if level:
                self._sums["visits"] += self.rates.visits_per_ticket * raised.sum(1)

    def _breaches(self, level: int, day: int, hours: Ints, wait: Floats, raised: Bools) -> None:
        """Count what was restored later than promised; the promise is the SLA engine's."""
        allowed = np.array([self._allowed_days(level, day, hour) for hour in range(24)])
        self._sums["breaches"] += (raised & (wait > allowed[hours])).sum(1)

    def _allowed_days(self, level: int, day: int, hour: int) -> float:
        sla = self.policy.sla
        promise = Promise(
            kind=ClockKind.RESTORE,
            duration=sla.restore[_LEVELS[level]],
            business_hours=sla.restore_business_hours[_LEVELS[level]],
        )
        if not promise.business_hours:
            return promise.duration / timedelta(days=1)
        start = day_start(self.rates.year.first_day + day) + timedelta(hours=hour)
        return (due_instant(sla.calendar, start, promise) - start) / timedelta(days=1)

    def _settled(self) -> dict[str, Floats]:
        """Return the figures with the totals: money is what visits, stock-outs, waste and breakdowns cost by the policy."""
        sums, policy = self._sums, self.policy
        sums["tickets"] = sums["tickets_l1"] + sums["tickets_l2"] + sums["tickets_l3"]
        sums["money"] = (
            sums["visits"] * policy.failures.visit_cost
            + sums["stock_outs"] * policy.replenishment.stock_out_cost
            + sums["waste_yuan"]
            + sums["tickets_l3"] * policy.failures.breakdown_cost
        )
        return sums


def _whole_days(wait: Floats) -> Ints:
    """Return after how many days somebody comes; the middle of what is known where a ticket ended otherwise."""
    known = wait[~np.isnan(wait)]
    usual = float(np.median(known)) if known.size else 1.0
    return np.ceil(np.where(np.isnan(wait), usual, wait)).astype(np.int64)
