"""What is left in every cartridge, as a small state that takes one day at a time.

A gauge is not the truth: it has steps, sticks, is biased, or says only "some remaining" (-3). Between its statements
the page counter is the better witness. Both meet in a filter over (level, use per nominal page): pages move the level
down, a statement of the gauge says in which interval it must lie (moments of a truncated normal), and what one
cartridge teaches about use per page is carried on to the next.
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.truncated import truncated_moments

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SILENT: Final = 0
KNOWN: Final = 1
SOME_REMAINING: Final = 2

_COVERAGE_DRIFT: Final = 0.35  # relative variance of use per page gained over one full cartridge
_NEW_CARTRIDGE: Final = 0.05  # relative spread of yields between cartridges of one kind
_PRIOR_SPREAD: Final = 0.30  # relative spread of devices around their model
_SLACK: Final = 0.006  # of a full cartridge: gauges are a little wrong even at a step
_RESOLUTIONS: Final = (0.003, 0.01, 0.05, 0.10)  # of gauges: ml, and steps of 1, 5 and 10 %


@dataclass(slots=True)
class SupplyState:
    """State of n supplies. Levels are shares of a full cartridge (1.0 = full), use is in nominal cartridges.

    `slope` is use per nominal page: 1.2 means that a cartridge gives 1/1.2 of its data-sheet pages.
    """

    usage_row: Ints  # which device of the UsageState feeds it
    model: Ints
    nominal: Floats  # data-sheet yield in pages
    kind_prior: Floats  # expected slope before anything is known
    level: Floats
    slope: Floats
    var_level: Floats
    var_slope: Floats
    cov: Floats
    reported: Floats  # last stated level, NaN: none in this cartridge
    reported_day: Floats
    seg_day: Floats  # first day of the cartridge in place; NaN before the first answer
    seg_seen_start: Bools  # we saw it come in
    seg_used: Floats  # nominal use since it came in
    seg_level0: Floats
    step_level: Floats  # stated level before the last change
    step_used: Floats  # seg_used at the last change
    step_day: Floats
    step: Floats  # of the gauge, see `resolution`
    tenths: Floats  # share of statements that are multiples of 10, 5, 1
    fifths: Floats
    wholes: Floats
    statements: Floats
    some_remaining: Floats  # forgetting share of -3 statements
    flag_level: Floats  # first number after "some remaining", forgetting mean; NaN: never
    sticky: Floats  # share of days with 1.5 points of use or more and no movement
    sticky_days: Floats
    carts: Floats  # run-outs seen
    cart_use: Floats  # forgetting mean of nominal use per full cartridge, over run-outs seen
    empty_level: Floats  # forgetting mean of the last stated level of cartridges that ran out
    empty_step_used: Floats  # forgetting mean of the use after the last step until empty
    swaps_early: Floats
    swap_level: Floats
    short_drop: Floats  # forgetting sums: stated drop and use, fast
    short_use: Floats
    long_drop: Floats
    long_use: Floats
    empty_day: Floats  # day on which it was found empty, NaN: not empty
    swapped: Bools  # a replacement was seen on the last day taken
    last_life: Floats  # days the last cartridge lived
    surprise: Floats  # forgetting mean of squared surprise of the filter at steps
    offset_sum: (
        Floats  # what the filter still believed in when cartridges ran out: sum, and count (forgetting)
    )
    offset_count: Floats

    @classmethod
    def empty(cls, usage_row: Ints, model: Ints, nominal: Floats, kind_prior: Floats) -> "SupplyState":
        """Return supplies that have not been seen yet."""
        n = len(usage_row)
        values: dict[str, object] = {item.name: np.zeros(n) for item in fields(cls)}
        nan = (
            "reported",
            "reported_day",
            "seg_day",
            "flag_level",
            "empty_day",
            "step_day",
            "empty_level",
            "last_life",
        )
        values.update({name: np.full(n, np.nan) for name in nan})
        values.update(
            usage_row=usage_row.astype(np.int64), model=model.astype(np.int64), nominal=nominal.astype(float),
            kind_prior=kind_prior.astype(float), slope=kind_prior.astype(float), level=np.full(n, 0.6),
            var_level=np.full(n, 0.09), var_slope=(_PRIOR_SPREAD * kind_prior) ** 2, step=np.full(n, 0.01),
            seg_seen_start=np.zeros(n, bool), swapped=np.zeros(n, bool), seg_level0=np.ones(n), surprise=np.ones(n),
        )  # fmt: skip
        return cls(**values)  # type: ignore[arg-type]  # every field is set above, by name

    def __len__(self) -> int:
        return len(self.usage_row)

    def grow(self, usage_row: Ints, model: Ints, nominal: Floats, kind_prior: Floats) -> None:
        """Add supplies at the end."""
        more = SupplyState.empty(usage_row, model, nominal, kind_prior)
        for item in fields(self):
            setattr(self, item.name, np.concatenate([getattr(self, item.name), getattr(more, item.name)]))

    # --- the day ---------------------------------------------------------------------------------------------------

    def take(self, day: int, state: Ints, percent: Floats, pages: Floats) -> None:
        """Take what the gauges said at the end of `day`: state codes [n], percent [n] (NaN unless known), pages [n].

        `pages` are those since the last answer; NaN where they cannot be known.
        """
        stated = np.where(state == KNOWN, percent / 100.0, np.nan)
        use = np.nan_to_num(pages) / self.nominal
        fresh = (state != SILENT) & np.isnan(self.seg_day)
        self._learn_gauge(state, percent, stated, use)
        previous = self.level.copy()
        self._move(use)
        hidden = self._is_hidden_swap(state) & ~fresh
        swap = (self._is_swap(state, stated, use, previous) & ~fresh) | hidden
        self.swapped = swap
        self._close(swap, day)
        self._open(swap, fresh, day, stated, use)
        self._open_hidden(hidden)
        self._believe(state, stated, use, swap | fresh)
        self._mark_step(day, state, stated, use, swap | fresh)
        self._mark_empty(day, state, stated, pages)

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
        fine = np.where(many & (self.wholes < self.statements), 0.003, 0.01)
        coarse = np.where(self.tenths >= self.statements, 0.10, 0.05)
        return np.asarray(np.where(many & (self.fifths >= self.statements), coarse, fine))

    def offset(self) -> Floats:
        """Return by how much each gauge says too much, learned at run-outs and shared by gauges of one resolution.

        Gauges that round up say 10 % until the very end, dot counters end early: the run-outs of the company tell.
        """
        resolution = self.resolution()
        kind = np.searchsorted(_RESOLUTIONS, resolution)
        total = np.bincount(kind, self.offset_sum, len(_RESOLUTIONS))
        count = np.bincount(kind, self.offset_count, len(_RESOLUTIONS))
        pooled = (total + 4.0 * 0.3 * np.array(_RESOLUTIONS)) / (count + 4.0)
        k = 1.5
        return np.asarray((self.offset_sum + k * pooled[kind]) / (self.offset_count + k))

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
        on_whole = np.abs(percent - whole) < 1e-3
        self.statements += inner
        self.wholes += inner & on_whole
        self.fifths += inner & on_whole & (np.mod(whole, 5) == 0)
        self.tenths += inner & on_whole & (np.mod(whole, 10) == 0)
        self.step = self._step_of_gauge()
        spoke = known | (state == SOME_REMAINING)
        self.some_remaining += np.where(spoke, 0.01, 0.0) * (
            (state == SOME_REMAINING) * 1.0 - self.some_remaining
        )
        drop = self.reported - stated
        due = known & ~np.isnan(drop) & (drop > -0.06) & (self.reported > 0.03) & (self.slope * use >= 0.015)
        self.sticky_days += due
        rate = 1.0 / np.maximum(np.minimum(self.sticky_days, 40.0), 1.0)
        self.sticky += np.where(due, rate, 0.0) * ((drop <= 0.0) * 1.0 - self.sticky)

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
        own = self.cart_use > 0
        slope = np.where(own, 1.0 / np.maximum(self.cart_use, 0.2), self.model_slope())
        beyond = np.where(own, 0.25 / np.sqrt(np.minimum(self.carts, 3.0).clip(1.0)), 0.5)
        used_up = self.seg_used * slope > self.seg_level0 - self._flag_due() + beyond
        return np.asarray((state == SOME_REMAINING) & np.isnan(self.reported) & used_up)

    def _flag_due(self) -> Floats:
        return np.asarray(np.where(np.isnan(self.flag_level), 0.10, np.maximum(self.flag_level - 0.02, 0.05)))

    def _open_hidden(self, hidden: Bools) -> None:
        """Start a cartridge that came in unseen: some of it is used already, and it teaches nothing about yields."""
        self.level = np.where(hidden, 0.85, self.level)
        self.var_level = np.where(hidden, 0.03, self.var_level)
        self.seg_seen_start = np.asarray(self.seg_seen_start & ~hidden)
        self.seg_used = np.where(hidden, 0.1, self.seg_used)

    def _close(self, swap: Bools, day: int) -> None:
        """Write down what the cartridge that goes out has taught."""
        ran_out = swap & self.ran_out()
        used = np.maximum(self.seg_level0, 0.05)
        full = self.seg_seen_start & (used > 0.5) & (self.seg_used > 0.15)
        yielded = np.clip(self.seg_used / used, 0.2, 4.0)
        learn = ran_out & full
        rate = 1.0 / np.minimum(self.carts + 1.0, 4.0)
        self.cart_use = np.where(learn, self.cart_use + rate * (yielded - self.cart_use), self.cart_use)
        self.carts += learn
        for name, value in (
            ("empty_level", self.reported), ("empty_step_used", self.seg_used - self.step_used),
        ):  # fmt: skip
            old = getattr(self, name)
            moved = np.where(np.isnan(old) | (self.carts <= 1), value, old + 0.4 * (value - old))
            setattr(self, name, np.where(ran_out & ~np.isnan(value), moved, old))
        early = swap & ~ran_out
        self.swaps_early += early
        left = np.clip(self.level, 0.0, 1.0)
        self.swap_level = np.where(early, self.swap_level + 0.4 * (left - self.swap_level), self.swap_level)
        self.last_life = np.where(swap, day - self.seg_day, self.last_life)

    def ran_out(self) -> Bools:
        """Return True where the cartridge in place has run out as far as the polls show."""
        near = np.maximum(0.025, 0.6 * self.resolution())
        stuck = self.sticks() & (self.level < 0.05) & (self.reported < 0.15)
        return np.asarray(~np.isnan(self.empty_day) | (self.level < near) & (self.reported <= near) | stuck)

    def _open(self, swap: Bools, fresh: Bools, day: int, stated: Floats, use: Floats) -> None:
        new = swap | fresh
        start = np.where(
            np.isnan(stated),
            np.where(fresh & ~swap, 0.6, 1.0),
            np.where(stated >= 0.9, np.maximum(stated, 0.985), stated),
        )
        unsure = np.where(np.isnan(stated), np.where(fresh & ~swap, 0.09, 0.02), 0.001)
        slope, var = self.slope_between_cartridges()
        self.level = np.where(new, start - 0.5 * use * slope * swap, self.level)
        self.var_level = np.where(new, unsure + (0.6 * use * slope) ** 2 * swap, self.var_level)
        self.slope = np.where(new, slope, self.slope)
        self.var_slope = np.where(new, var, self.var_slope)
        self.cov = np.where(new, 0.0, self.cov)
        self.seg_day = np.where(new, float(day), self.seg_day)
        self.seg_seen_start = np.asarray(~fresh & (self.seg_seen_start | swap))
        self.seg_used = np.where(new, np.where(swap, 0.5 * use, 0.0), self.seg_used + use)
        self.seg_level0 = np.where(
            new, np.clip(np.where(np.isnan(stated), 1.0, start), 0.0, 1.0), self.seg_level0
        )
        self.empty_day = np.where(new, np.nan, self.empty_day)
        self.reported = np.where(new, np.nan, self.reported)

    def slope_between_cartridges(self) -> tuple[Floats, Floats]:
        """Return slope and variance to start a new cartridge with: the running one, the device's run-outs, the model."""
        model_slope = self.model_slope()
        var_run = self.var_slope + (_NEW_CARTRIDGE * self.slope) ** 2
        var_model = (_PRIOR_SPREAD * model_slope) ** 2
        weight_run, weight_model = 1.0 / var_run, 1.0 / var_model
        total = weight_run + weight_model
        slope = (weight_run * self.slope + weight_model * model_slope) / total
        has = self.cart_use > 0
        own = np.where(has, 1.0 / np.maximum(self.cart_use, 0.2), 0.0)
        var_own = (0.15 * own) ** 2 / np.maximum(np.minimum(self.carts, 3.0), 1.0) + 1e-9
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
        return np.asarray(ratio[self.model] * self.kind_prior)

    def _believe(self, state: Ints, stated: Floats, use: Floats, new: Bools) -> None:
        """Let the statement of the gauge say in which interval the level lies."""
        half = 0.55 * self.resolution() + _SLACK
        known = ~np.isnan(stated)
        self._learn_offset(stated)
        centre = stated - self.offset()
        low, high = centre - half, centre + half
        still = known & ~new & (np.abs(stated - self.reported) < 1e-6)
        low = np.where(still & self.sticks(), -0.2, low)
        zero = known & (stated <= 0.004)
        low, high = np.where(zero, -0.05, low), np.where(zero, 0.003, high)
        high = np.where(known & (stated >= 0.985), 1.01, high)
        low = np.where(known & (stated >= 0.985), np.where(new, 0.94, stated - 2 * half), low)
        flag = self._flag_due()
        some = state == SOME_REMAINING
        low, high = np.where(some, flag, low), np.where(some, 1.2, high)
        seen = known | some
        deviation = np.sqrt(self.var_level)
        mean, sd = truncated_moments(
            self.level, deviation, np.where(seen, low, -1.0), np.where(seen, high, 2.0)
        )
        moved = mean - self.level
        gain = self.cov / self.var_level
        left = np.clip((sd / deviation) ** 2, 0.02, 1.0)
        surprise = np.clip((moved / deviation) ** 2, 0.0, 16.0)
        rate = np.where(known & (use > 0), 0.05, 0.0)
        self.surprise += rate * (surprise - self.surprise)
        self.level = np.where(seen, mean, self.level)
        trust = np.where(
            some, 0.4, 1.0
        )  # a silent gauge says little about use per page: the cartridge may be another one
        slope = np.clip(self.slope + trust * gain * moved, 0.2 * self.kind_prior, 5.0 * self.kind_prior)
        self.slope = np.where(seen, slope, self.slope)
        shrunk = self.var_slope - gain * self.cov * (1.0 - left)
        self.var_slope = np.where(seen, np.maximum(shrunk, (0.02 * self.slope) ** 2), self.var_slope)
        self.cov = np.where(seen, self.cov * left, self.cov)
        self.var_level = np.where(seen, np.maximum(self.var_level * left, 1e-6), self.var_level)

    def _learn_offset(self, stated: Floats) -> None:
        found = (stated <= 0.004) & np.isnan(self.empty_day) & ~self.speaks_late() & (self.reported <= 0.25)
        left = np.clip(self.level, -0.10, 0.15)
        self.offset_sum = np.where(found, 0.8 * self.offset_sum + left + self.offset(), self.offset_sum)
        self.offset_count = np.where(found, 0.8 * self.offset_count + 1.0, self.offset_count)

    def _mark_step(self, day: int, state: Ints, stated: Floats, use: Floats, new: Bools) -> None:
        known = ~np.isnan(stated)
        drop = np.clip(np.nan_to_num(self.reported - stated), 0.0, 0.5)
        within = known & ~new & ~np.isnan(self.reported)
        for name, half_life in (("short", 0.06), ("long", 0.30)):
            keep = 0.5 ** (use / half_life)
            for part, value in (("drop", drop), ("use", use)):
                key = f"{name}_{part}"
                setattr(self, key, np.where(within, getattr(self, key) * keep + value, getattr(self, key)))
        step = known & (new | np.isnan(self.reported) | (drop > 1e-6))
        flagged = known & self.speaks_late() & np.isnan(self.reported) & (stated < 0.5)
        learned = np.where(np.isnan(self.flag_level), stated, 0.5 * (self.flag_level + stated))
        self.flag_level = np.where(flagged, learned, self.flag_level)
        self.step_level = np.where(
            step, np.where(np.isnan(self.reported), stated, self.reported), self.step_level
        )
        self.step_used = np.where(step, self.seg_used, np.where(new, 0.0, self.step_used))
        self.step_day = np.where(step | new, float(day), self.step_day)
        self.reported = np.where(known, stated, np.where(state == SOME_REMAINING, np.nan, self.reported))
        self.reported_day = np.where(known, float(day), self.reported_day)

    def _mark_empty(self, day: int, state: Ints, stated: Floats, pages: Floats) -> None:
        zero = ~np.isnan(stated) & (stated <= 0.004)
        self.empty_day = np.where(zero & np.isnan(self.empty_day), float(day), self.empty_day)
        alive = ~np.isnan(self.empty_day) & (state != SILENT) & ~zero & ~np.isnan(stated)
        self.empty_day = np.where(alive, np.nan, self.empty_day)
        del pages

    def dry(self) -> Bools:
        """Return True where the device stands without this supply: its silence says nothing about use."""
        return ~np.isnan(self.empty_day)

    def pages_left(self) -> Floats:
        """Return the pages that the cartridge in place should still give; never negative."""
        return np.asarray(np.maximum(self.level, 0.0) / self.slope * self.nominal)
