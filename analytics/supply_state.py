"""What is left in every cartridge, as a small state that takes one day at a time.

A gauge is not the truth: it has steps, sticks, is biased, or says only "some remaining" (-3). Between its statements
the page counter is the better witness. Both meet in a filter over (level, use per nominal page): pages move the level
down, a statement of the gauge says in which interval it must lie (moments of a truncated normal), and what one
cartridge teaches about use per page is carried on to the next.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.supply_fields import NUMBER, PRIOR_SPREAD, SupplyFields
from analytics.truncated import truncated_moments

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SILENT: Final = 0
KNOWN: Final = 1
SOME_REMAINING: Final = 2

_COVERAGE_DRIFT: Final = 0.35  # relative variance of use per page gained over one full cartridge
_NEW_CARTRIDGE: Final = 0.05  # relative spread of yields between cartridges of one kind
_LN_HALF: Final = float(np.log(0.5))
_SLACK: Final = 0.006  # of a full cartridge: gauges are a little wrong even at a step
_RESOLUTIONS: Final = (0.003, 0.01, 0.05, 0.10)  # of gauges: ml, and steps of 1, 5 and 10 %


class SupplyState(SupplyFields):
    """State of n supplies and what each day makes of it.

    Levels are shares of a full cartridge (1.0 = full), use is in nominal cartridges; `slope` is use per nominal page: 1.2
    means that a cartridge gives 1/1.2 of its data-sheet pages.
    """

    __slots__ = ()

    # --- the day ---------------------------------------------------------------------------------------------------

    def take(self, day: int, state: Ints, percent: Floats, pages: Floats) -> None:
        """Take what the gauges said at the end of `day`: state codes [n], percent [n] (NaN unless known), pages [n].

        `pages` are those since the last answer; NaN where they cannot be known. What is rare (a cartridge that comes or
        goes) is worked out for its rows only: most of a fleet just prints.
        """
        percent = percent.astype(NUMBER, copy=False)
        stated = np.where(state == KNOWN, percent / 100.0, np.nan)
        use = np.where(np.isnan(pages), 0.0, pages).astype(NUMBER) / self.nominal
        fresh = (state != SILENT) & np.isnan(self.seg_day)
        self._learn_gauge(state, percent, stated, use)
        previous = self.level
        self._move(use)
        hidden = self._is_hidden_swap(state) & ~fresh
        swap = (self._is_swap(state, stated, use, previous) & ~fresh) | hidden
        self.swapped = swap
        self._close(np.flatnonzero(swap), day)
        new = swap | fresh
        self.seg_used = self.seg_used + use
        self._open(np.flatnonzero(new), swap[new], fresh[new], day, stated[new], use[new])
        self._open_hidden(np.flatnonzero(hidden))
        self._believe(state, stated, use, new)
        self._mark_step(day, state, stated, use, new)
        self._mark_empty(day, state, stated)

    def _move(self, use: Floats) -> None:
        """Pages bring the level down; use per page drifts, and single days differ from the mean."""
        self.level = self.level - self.slope * use
        noise = 0.20 * self.slope**2 * use * np.minimum(use + 0.004, 0.02)
        self.var_level = self.var_level - 2 * use * self.cov + use**2 * self.var_slope + noise
        self.cov = self.cov - use * self.var_slope
        self.var_slope = self.var_slope + (_COVERAGE_DRIFT * self.slope) ** 2 * np.minimum(use, 1.0) * 0.25
        self.var_level = np.maximum(self.var_level, 1e-7)

    def resolution(self) -> Floats:
        """Return the step of each gauge as a share of full: 0.10, 0.05, 0.01 or finer (ml)."""
        return self.step

    def _step_of_gauge(self) -> Floats:
        many = self.statements >= 4
        step = np.full(len(self), 0.01, NUMBER)
        step[many & (self.wholes < self.statements)] = 0.003
        fifths = many & (self.fifths >= self.statements)
        step[fifths] = 0.05
        step[fifths & (self.tenths >= self.statements)] = 0.10
        return step

    def offset(self) -> Floats:
        """Return by how much each gauge says too much, learned at run-outs and shared by gauges of one resolution.

        Gauges that round up say 10 % until the very end, dot counters end early: the run-outs of the company tell.
        """
        step = self.resolution()
        kind = (step > 0.004) * 1 + (step > 0.02) + (step > 0.06)  # the row of _RESOLUTIONS
        total = np.bincount(kind, self.offset_sum, len(_RESOLUTIONS))
        count = np.bincount(kind, self.offset_count, len(_RESOLUTIONS))
        pooled = (total + 4.0 * 0.3 * np.array(_RESOLUTIONS)) / (count + 4.0)
        k = 1.5
        return np.asarray((self.offset_sum + (k * pooled).astype(NUMBER)[kind]) / (self.offset_count + k))

    def sticks(self) -> Bools:
        """Return True for gauges that stand still on many days on which they should move."""
        return np.asarray((self.resolution() < 0.02) & (self.sticky_days >= 6) & (self.sticky > 0.35))

    def speaks_late(self) -> Bools:
        """Return True for gauges that say "some remaining" until a low flag."""
        return np.asarray(self.some_remaining > 0.02)

    def _learn_gauge(self, state: Ints, percent: Floats, stated: Floats, use: Floats) -> None:
        known = state == KNOWN
        inner = known & (percent > 0.5) & (percent < 99.5)
        whole = np.round(percent)
        on_whole = inner & (np.abs(percent - whole) < 1e-3)
        fifth, tenth = whole / 5.0, whole / 10.0
        self.statements += inner
        self.wholes += on_whole
        self.fifths += on_whole & (fifth == np.floor(fifth))
        self.tenths += on_whole & (tenth == np.floor(tenth))
        self.step = self._step_of_gauge()
        spoke = known | (state == SOME_REMAINING)
        said_some = (state == SOME_REMAINING).astype(NUMBER)
        self.some_remaining += (spoke * NUMBER(0.01)) * (said_some - self.some_remaining)
        drop = self.reported - stated
        due = known & ~np.isnan(drop) & (drop > -0.06) & (self.reported > 0.03) & (self.slope * use >= 0.015)
        self.sticky_days += due
        rate = due / np.maximum(np.minimum(self.sticky_days, 40.0), 1.0)
        self.sticky += rate * ((drop <= 0.0).astype(NUMBER) - self.sticky)

    def _is_swap(self, state: Ints, stated: Floats, use: Floats, previous: Floats) -> Bools:
        known = ~np.isnan(stated)
        rise = stated - self.reported
        up = known & (rise > np.maximum(0.06, 1.05 * self.resolution()))
        expected = self.slope * use
        slack = 4.0 * np.sqrt(self.var_level) + 2.0 * self.resolution() + 1.5 * expected
        fall = known & (-rise > np.maximum(0.15, slack)) & ~self.sticks()
        fall &= ~self.speaks_late()
        low_to_some = (state == SOME_REMAINING) & ~np.isnan(self.reported)
        late = self.speaks_late() & known & np.isnan(self.reported) & (stated > 0.5) & (previous < 0.5)
        return np.asarray(up | fall | low_to_some | late)

    def _is_hidden_swap(self, state: Ints) -> Bools:
        """Return True where "some remaining" goes on long after the flag was due: nobody saw the cartridge change."""
        hidden = np.zeros(len(self), bool)
        at = np.flatnonzero((state == SOME_REMAINING) & np.isnan(self.reported))
        if len(at) == 0:
            return hidden
        own = self.cart_use[at] > 0
        slope = np.where(own, 1.0 / np.maximum(self.cart_use[at], 0.2), self.model_slope()[at])
        beyond = np.where(own, 0.25 / np.sqrt(np.minimum(self.carts[at], 3.0).clip(1.0)), 0.5)
        hidden[at] = self.seg_used[at] * slope > self.seg_level0[at] - self._flag_due()[at] + beyond
        return hidden

    def _flag_due(self) -> Floats:
        return np.asarray(np.where(np.isnan(self.flag_level), 0.10, np.maximum(self.flag_level - 0.02, 0.05)))

    def _open_hidden(self, at: Ints) -> None:
        """Start a cartridge that came in unseen: some of it is used already, and it teaches nothing about yields."""
        self.level[at] = 0.85
        self.var_level[at] = 0.03
        self.seg_seen_start[at] = False
        self.seg_used[at] = 0.1

    def _close(self, at: Ints, day: int) -> None:
        """Write down what the cartridges of rows `at`, which go out, have taught."""
        if len(at) == 0:
            return
        ran_out = self.ran_out()[at]
        used = np.maximum(self.seg_level0[at], 0.05)
        full = self.seg_seen_start[at] & (used > 0.5) & (self.seg_used[at] > 0.15)
        learn = ran_out & full
        yielded = np.clip(self.seg_used[at] / used, 0.2, 4.0)
        rate = 1.0 / np.minimum(self.carts[at] + 1.0, 4.0)
        self.cart_use[at] += np.where(learn, rate * (yielded - self.cart_use[at]), 0.0)
        self.carts[at] += learn
        for name, value in (
            ("empty_level", self.reported[at]), ("empty_step_used", self.seg_used[at] - self.step_used[at]),
        ):  # fmt: skip
            table = getattr(self, name)
            old = table[at]
            moved = np.where(np.isnan(old) | (self.carts[at] <= 1), value, old + 0.4 * (value - old))
            table[at] = np.where(ran_out & ~np.isnan(value), moved, old)
        left = np.clip(self.level[at], 0.0, 1.0)
        self.swaps_early[at] += ~ran_out
        self.swap_level[at] += np.where(ran_out, 0.0, 0.4 * (left - self.swap_level[at]))
        self.last_life[at] = day - self.seg_day[at]

    def ran_out(self) -> Bools:
        """Return True where the cartridge in place has run out as far as the polls show."""
        near = np.maximum(0.025, 0.6 * self.resolution())
        stuck = self.sticks() & (self.level < 0.05) & (self.reported < 0.15)
        return np.asarray(~np.isnan(self.empty_day) | (self.level < near) & (self.reported <= near) | stuck)

    def _open(self, at: Ints, swap: Bools, fresh: Bools, day: int, stated: Floats, use: Floats) -> None:
        """Start the cartridges of rows `at`: seen to come in (`swap`), or in place when the device first answered."""
        if len(at) == 0:
            return
        found = fresh & ~swap
        silent = np.isnan(stated)
        full = np.where(stated >= 0.9, np.maximum(stated, 0.985), stated)
        start = np.where(silent, np.where(found, 0.6, 1.0), full)
        unsure = np.where(silent, np.where(found, 0.09, 0.02), 0.001)
        slope, var = self.slope_between_cartridges(at)
        self.level[at] = start - 0.5 * use * slope * swap
        self.var_level[at] = unsure + (0.6 * use * slope) ** 2 * swap
        self.slope[at] = slope
        self.var_slope[at] = var
        self.cov[at] = 0.0
        self.seg_day[at] = float(day)
        self.seg_seen_start[at] = ~fresh
        self.seg_used[at] = np.where(swap, 0.5 * use, 0.0)
        self.seg_level0[at] = np.clip(np.where(silent, 1.0, start), 0.0, 1.0)
        self.empty_day[at] = np.nan
        self.reported[at] = np.nan

    def slope_between_cartridges(self, at: Ints) -> tuple[Floats, Floats]:
        """Return slope and variance to start new cartridges of rows `at` with: running one, device's run-outs, model."""
        running, model_slope = self.slope[at], self.model_slope()[at]
        var_run = self.var_slope[at] + (_NEW_CARTRIDGE * running) ** 2
        var_model = (PRIOR_SPREAD * model_slope) ** 2
        weight_run, weight_model = 1.0 / var_run, 1.0 / var_model
        total = weight_run + weight_model
        slope = (weight_run * running + weight_model * model_slope) / total
        has = self.cart_use[at] > 0
        own = np.where(has, 1.0 / np.maximum(self.cart_use[at], 0.2), 0.0)
        var_own = (0.15 * own) ** 2 / np.maximum(np.minimum(self.carts[at], 3.0), 1.0) + 1e-9
        weight_own = np.where(has, 1.0 / var_own, 0.0)
        mixed = (total * slope + weight_own * own) / (total + weight_own)
        floor = (0.08 * mixed) ** 2
        return np.asarray(mixed), np.asarray(np.maximum(1.0 / (total + weight_own), floor))

    def model_slope(self) -> Floats:
        """Return the mean slope of each supply's model over the fleet so far, drawn to its prior."""
        groups = int(self.model.max()) + 1 if len(self.model) else 0
        weight = np.where(np.isnan(self.seg_day), 0.0, 0.02 / (self.var_slope / self.slope**2 + 0.02))
        total = np.bincount(self.model, weight * self.slope / self.kind_prior, groups)
        count = np.bincount(self.model, weight, groups)
        overall = (total.sum() + 2.0) / (count.sum() + 2.0)
        ratio = (total + 2.0 * overall) / (count + 2.0)
        return np.asarray(ratio.astype(NUMBER)[self.model] * self.kind_prior)

    def _believe(self, state: Ints, stated: Floats, use: Floats, new: Bools) -> None:
        """Let the statement of the gauge say in which interval the level lies."""
        self._learn_offset(stated)
        some = state == SOME_REMAINING
        low, high = self._interval(some, stated, new)
        level, var_level, cov = self.level, self.var_level, self.cov
        deviation = np.sqrt(var_level)
        mean, sd = truncated_moments(level, deviation, low, high)
        seen = state != SILENT
        moved = mean - level
        gain = cov / var_level
        left = np.minimum(np.maximum((sd / deviation) ** 2, 0.02), 1.0)
        surprise = np.minimum((moved / deviation) ** 2, 16.0) - self.surprise
        self.surprise += ((seen & ~some & (use > 0)) * NUMBER(0.05)) * surprise
        np.copyto(self.level, mean, where=seen)
        # a silent gauge says little about use per page: the cartridge may be another one
        slope = self.slope + (NUMBER(1.0) - some * NUMBER(0.6)) * gain * moved
        slope = np.minimum(np.maximum(slope, 0.2 * self.kind_prior), 5.0 * self.kind_prior)
        np.copyto(self.slope, slope, where=seen)
        shrunk = self.var_slope - gain * cov * (1.0 - left)
        np.copyto(self.var_slope, np.maximum(shrunk, (0.02 * slope) ** 2), where=seen)
        np.copyto(self.cov, cov * left, where=seen)
        np.copyto(self.var_level, np.maximum(var_level * left, 1e-6), where=seen)

    def _interval(self, some: Bools, stated: Floats, new: Bools) -> tuple[Floats, Floats]:
        """Return the bounds of the level that the statements of the gauges leave open; of silent ones all is open."""
        half = 0.55 * self.resolution() + _SLACK
        centre = stated - self.offset()
        low, high = centre - half, centre + half
        still = ~new & (np.abs(stated - self.reported) < 1e-6)
        low[still & self.sticks()] = -0.2
        zero = stated <= 0.004
        low[zero], high[zero] = -0.05, 0.003
        full = np.flatnonzero(stated >= 0.985)
        high[full] = 1.01
        low[full] = np.where(new[full], 0.94, stated[full] - 2 * half[full])
        silent = np.isnan(stated)
        low[silent], high[silent] = -1.0, 2.0
        if some.any():
            low[some], high[some] = self._flag_due()[some], 1.2
        return low, high

    def _learn_offset(self, stated: Floats) -> None:
        found = (stated <= 0.004) & np.isnan(self.empty_day) & ~self.speaks_late() & (self.reported <= 0.25)
        at = np.flatnonzero(found)
        if len(at):
            left = np.clip(self.level[at], -0.10, 0.15)
            self.offset_sum[at] = 0.8 * self.offset_sum[at] + left + self.offset()[at]
            self.offset_count[at] = 0.8 * self.offset_count[at] + 1.0

    def _mark_step(self, day: int, state: Ints, stated: Floats, use: Floats, new: Bools) -> None:
        known = ~np.isnan(stated)
        first = np.isnan(self.reported)
        drop = self.reported - stated
        drop = np.minimum(np.maximum(np.where(np.isnan(drop), 0.0, drop), 0.0), 0.5)
        within = known & ~new & ~first
        keep_long = np.where(within, np.exp(use * (_LN_HALF / 0.30)), 1.0)
        square = keep_long * keep_long
        keep_short = square * square * keep_long  # half-lives 0.06 and 0.30 of a cartridge
        drop_in, use_in = drop * within, use * within
        self.short_drop = self.short_drop * keep_short + drop_in
        self.short_use = self.short_use * keep_short + use_in
        self.long_drop = self.long_drop * keep_long + drop_in
        self.long_use = self.long_use * keep_long + use_in
        flagged = np.flatnonzero(known & first & (stated < 0.5) & self.speaks_late())
        learned, said = self.flag_level[flagged], stated[flagged]
        self.flag_level[flagged] = np.where(np.isnan(learned), said, 0.5 * (learned + said))
        self.step_used[new] = 0.0
        self.step_day[new] = float(day)
        step = known & (new | first | (drop > 1e-6))
        np.copyto(self.step_level, np.where(first, stated, self.reported), where=step)
        np.copyto(self.step_used, self.seg_used, where=step)
        np.copyto(self.step_day, float(day), where=step)
        self.reported[state == SOME_REMAINING] = np.nan
        np.copyto(self.reported, stated, where=known)
        np.copyto(self.reported_day, float(day), where=known)

    def _mark_empty(self, day: int, state: Ints, stated: Floats) -> None:
        zero = stated <= 0.004
        self.empty_day[zero & np.isnan(self.empty_day)] = float(day)
        self.empty_day[(state != SILENT) & (stated > 0.004)] = np.nan

    def dry(self) -> Bools:
        """Return True where the device stands without this supply: its silence says nothing about use."""
        return ~np.isnan(self.empty_day)

    def pages_left(self) -> Floats:
        """Return the pages that the cartridge in place should still give; never negative."""
        return np.asarray(np.maximum(self.level, 0.0) / self.slope * self.nominal)
