"""The walk through the year: all replicates at once, day by day, with the product's own rules over fitted rates.

Chance does not depend on the policy: two walks with one seed draw the same numbers for the same replicate, device and
day, so that their difference is what the policy does and not luck. The rates themselves are drawn for each replicate
from what the year makes likely, so the intervals hold chance and what the year cannot say. From the day on which two
lives of a fleet part (the first visit that one has and the other has not), cartridges of the second one have luck of
their own: nobody can live a year twice, and a difference that hides this is too sure.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from analytics.features import day_start
from analytics.policy_replay.foresight import WARM_UP_DAYS, Foresight
from analytics.policy_replay.help_times import HelpTimes
from analytics.policy_replay.rates import Rates, used_share
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
_Drawn = TypeVar("_Drawn", Floats, Ints)

_LEVELS: Final = (TicketLevel.L1, TicketLevel.L2, TicketLevel.L3)
_OWN_WEEKS: Final = 4  # weeks around the same season from which a week is drawn
_NEVER: Final = np.iinfo(np.int64).max


class Walk:
    """One walk of `replicates` at once: `live` day after day, then `settled` gives every figure per replicate."""

    def __init__(self, rates: Rates, policy: PolicyBook, *, replicates: int, seed: int) -> None:
        self.rates = rates
        self.policy = policy
        year = rates.year
        self._rng = np.random.default_rng([seed, 1])
        self._own_rng = np.random.default_rng([seed, 2])
        self._parted = np.zeros((replicates, 1), bool)
        self._sums: dict[str, Floats] = {name: np.zeros(replicates) for name in REPLAY_FIGURES}
        slots = np.flatnonzero(rates.known)
        self._order = slots[np.argsort(year.slot_device[slots], kind="stable")]
        self._device = year.slot_device[self._order]
        self._starts = np.flatnonzero(np.diff(self._device, prepend=-1))
        shape = (replicates, len(self._order))
        self._counts = np.broadcast_to(np.nan_to_num(year.counts), (replicates, len(year.device_ids))).copy()
        self._draw_rates(replicates)
        self._unit = np.exp(rates.spread * self._rng.standard_normal(shape))
        self._level = np.broadcast_to(rates.first_level[self._order], shape).copy()
        self._due_days = np.zeros(shape, np.int64)
        self.visit_day = np.full(shape, _NEVER)
        self.replaced_on = np.full(self._counts.shape, _NEVER)
        self._asked = np.zeros(self._counts.shape, bool)
        self._recorded_use = np.nan_to_num(used_share(year.counts, year.pages, year.design_life))
        self._rows = np.arange(len(year.device_ids))[None, :]
        self._looks = max(1, policy.triage.rule_for("supply.").raise_observations)
        self._foresight = Foresight(rates, self._order, replicates)

    def _draw_rates(self, replicates: int) -> None:
        """Draw each replicate's own rates: the year shows them only so far."""
        rates, rng = self.rates, self._rng
        self._drain = self._drains(rng)
        self._failures = rng.gamma(rates.seen + 1.0, 1.0 / (rates.seen + 1.0), (replicates, len(_LEVELS)))
        self._age = rates.age[rng.integers(0, len(rates.age), replicates)]

    def _drains(self, rng: np.random.Generator) -> Floats:
        """Draw the use per page: what people print moves all supplies of a machine together."""
        draw = rng.standard_normal(self._counts.shape)[:, self._device]
        order = self._order
        return np.asarray(self.rates.drain[order] * np.exp(self.rates.drain_unsure[order] * draw))

    def live(self, day: int) -> None:
        """Live through one day; the days come in order from 0."""
        if day == 0:
            self._warm_up()
        if day % 7 == 0:
            self._weeks = self._weeks_like(day)
        source = np.minimum(self._weeks * 7 + day % 7, self.rates.year.days - 1)
        wanted = self.rates.demand[self._rows, source]
        self._exchange(day)
        pages = wanted * np.where(self._stands(), self.rates.standing, 1.0)
        self._counts += pages
        self._supplies(day, pages)
        self._machines(day)
        self._others(day, pages)

    def part_from(self, other: "Walk") -> None:
        """Note the replicates whose visits are no longer those of the other walk: from here on they have other luck."""
        differ = (self.visit_day != other.visit_day).any(1) | (self.replaced_on != other.replaced_on).any(1)
        new = differ[:, None] & ~self._parted
        if new.any():
            unit = np.exp(self.rates.spread * self._own_rng.standard_normal(self._level.shape))
            self._drain = np.where(new, self._drains(self._own_rng), self._drain)
            self._unit = np.where(new, unit, self._unit)
            self._parted |= new

    def _luck(self, draw: Callable[[np.random.Generator], _Drawn]) -> _Drawn:
        """Return what both walks draw, and the walk's own numbers for replicates that have parted."""
        shared = draw(self._rng)
        return np.where(self._parted, draw(self._own_rng), shared) if self._parted.any() else shared

    def _weeks_like(self, day: int) -> Ints:
        """Return for each replicate and device a week of its own history from the same season."""
        weeks = max(self.rates.year.days // 7, 1)
        shift = self._rng.integers(-_OWN_WEEKS, _OWN_WEEKS + 1, self._counts.shape)
        return np.asarray(np.clip(day // 7 + shift, 0, weeks - 1))

    def _warm_up(self) -> None:
        """Let the forecaster see the weeks before: pages of the first weeks, levels counted back from the first day."""
        demand, full = self.rates.demand, max(self.rates.full, 0.1)
        columns = [day % (demand.shape[1] // 7 * 7) for day in range(WARM_UP_DAYS)]
        pages = np.broadcast_to(demand[None, :, columns], (*self._counts.shape, WARM_UP_DAYS))
        left = pages[..., ::-1].cumsum(axis=2)[..., ::-1] - pages
        for column in range(WARM_UP_DAYS):
            level = self._level + left[:, self._device, column] * self._drain * self._unit
            level = np.where(level > full, level % full, level)
            self._foresight.see(column - WARM_UP_DAYS, pages[..., column], level)

    # --- supplies ---------------------------------------------------------------------------------------------------

    def _stands(self) -> Bools:
        """Return which machines have a supply without anything left [replicate, device]."""
        stands = np.zeros(self._counts.shape, bool)
        if len(self._order):
            stands[:, self._device[self._starts]] = np.logical_or.reduceat(
                self._level <= 0.0, self._starts, axis=1
            )
        return stands

    def _supplies(self, day: int, pages: Floats) -> None:
        help_rows = self._luck(lambda rng: self.rates.supply_help.draw(rng, self._level.shape))
        used = pages[:, self._device] * self._drain * self._unit
        empty_before = self._level <= 0.0
        self._level = np.maximum(self._level - used, 0.0)
        empty = self._level <= 0.0
        self._sums["stock_outs"] += (empty & ~empty_before).sum(1)
        self._sums["stock_out_days"] += (empty & (pages[:, self._device] > 0)).sum(1)
        self._foresight.see(day, pages, self._level)
        self._days_left = self._foresight.days_to_empty(day)
        bring = replenish(self._days_left, self.policy.replenishment)
        self._due_days = np.where(bring, self._due_days + 1, 0)
        told = empty | (self._level <= self.rates.low_mark)
        raised = (self.visit_day == _NEVER) & (told | (self._due_days >= self._looks))
        self._sums["tickets_l2"] += raised.sum(1)
        self._breaches(1, day, (self.rates.supply_help, help_rows), raised)
        comes = self.rates.supply_help.day_of_help(help_rows, day)
        self.visit_day = np.where(raised, comes, self.visit_day)

    def _exchange(self, day: int) -> None:
        """Do the visits of the morning: what has a ticket at the device is exchanged."""
        draw = self._luck(lambda rng: rng.standard_normal(self._level.shape))
        new = self.visit_day <= day
        if not new.any():
            return
        self._sums["visits"] += np.logical_or.reduceat(new, self._starts, axis=1).sum(1)
        self._sums["waste"] += (self._level * new).sum(1)
        self._sums["waste_yuan"] += (self._yuan_left() * new).sum(1)
        self._level = np.where(new, self.rates.full, self._level)
        self._unit = np.where(new, np.exp(self.rates.spread * draw), self._unit)
        self.visit_day = np.where(new, _NEVER, self.visit_day)
        self._due_days = np.where(new, 0, self._due_days)

    def _yuan_left(self) -> Floats:
        """Return what the rest of each cartridge is worth: its price, or without one the policy's yuan a day."""
        prices = self.rates.year.prices[self._order]
        a_day = self.policy.replenishment.early_waste_cost_per_day
        return np.where(prices > 0, self._level * prices, self._days_left[..., 1] * a_day)

    # --- machines ---------------------------------------------------------------------------------------------------

    def _use(self) -> Floats:
        return np.nan_to_num(self._counts / self.rates.year.design_life, nan=0.0)

    def _machines(self, day: int) -> None:
        """Propose machines for replacement by the product's rule; the new machine comes some weeks later."""
        rows = self.rates.replacement_help.draw(self._rng, self._counts.shape)
        asked = replacement_due(self._use(), self.policy.life) & ~self._asked
        self._sums["tickets_l1"] += asked.sum(1)
        self._sums["replacements"] += asked.sum(1)
        comes = self.rates.replacement_help.day_of_help(rows, day)
        self.replaced_on = np.where(asked, comes, self.replaced_on)
        self._asked |= asked
        come = self.replaced_on <= day
        self._sums["visits"] += come.sum(1)
        self._counts = np.where(come, 0.0, self._counts)
        self.replaced_on = np.where(come, _NEVER, self.replaced_on)
        self._asked &= ~come

    def _others(self, day: int, pages: Floats) -> None:
        """Let machines fail as they did, older ones more often than in the year itself and younger ones less."""
        older = np.exp(self._age[:, None] * (self._use() - self._recorded_use[:, day]))
        for level, name in enumerate(("tickets_l1", "tickets_l2", "tickets_l3")):
            rate = self._failures[:, [level]] * self.rates.failures[level] * pages
            if level == 2:
                rate = rate * older
            if level == 1:
                rate = rate + self.rates.unknown_supply * pages
            dice = self._rng.random(self._counts.shape)
            rows = self.rates.help[level].draw(self._rng, self._counts.shape)
            raised = dice < 1.0 - np.exp(-rate)
            self._sums[name] += raised.sum(1)
            self._breaches(level, day, (self.rates.help[level], rows), raised)
            if level:
                self._sums["visits"] += self.rates.visits_per_ticket * raised.sum(1)

    def _breaches(self, level: int, day: int, drawn: tuple[HelpTimes, Ints], raised: Bools) -> None:
        """Count what was restored later than promised; the promise is the SLA engine's."""
        times, rows = drawn
        self._sums["breaches"] += (raised & times.late(rows, day, self._allowed(level, day))).sum(1)

    def _allowed(self, level: int, day: int) -> Floats:
        """Return the promised days by UTC hour of the raise [24]."""
        sla = self.policy.sla
        promise = Promise(
            kind=ClockKind.RESTORE,
            duration=sla.restore[_LEVELS[level]],
            business_hours=sla.restore_business_hours[_LEVELS[level]],
        )
        if not promise.business_hours:
            return np.full(24, promise.duration / timedelta(days=1))
        midnight = day_start(self.rates.year.first_day + day)
        starts = [midnight + timedelta(hours=hour) for hour in range(24)]
        return np.array(
            [(due_instant(sla.calendar, start, promise) - start) / timedelta(days=1) for start in starts]
        )

    def settled(self) -> dict[str, Floats]:
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
