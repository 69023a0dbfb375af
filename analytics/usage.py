"""Pages per day of every device as a small state that takes one day at a time.

Everything that looks ahead (supplies, drums, the whole machine) divides by use. The model is hierarchical and
seasonal: a weekday profile per device that is drawn to its site and its fleet while it knows little, times
multipliers that forget at several speeds. Because the state only ever takes the next day, a forecast can never
look ahead, and a nightly update costs the same however long the history is.
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.closures import day_of_sites, share_that_counts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

HALF_LIVES: Final = (4.0, 12.0, 35.0, 90.0)  # days; the third one carries the forecast
_PROFILE_HALF_LIFE: Final = 75.0
_PROFILE_PRIOR_WEEKS: Final = 2.0
_MULTIPLIER_PRIOR_DAYS: Final = 1.5
HORIZON_DAYS: Final = 70
COUNTER32: Final = 2.0**32


def weekday_of(day: int) -> int:
    """Return 0 for a Monday; `day` counts days since 1970-01-01, which was a Thursday."""
    return (day + 3) % 7


@dataclass(slots=True)
class UsageState:
    """State of n devices. Arrays [n], [7, n] by weekday, or [h, n] by half-life; pages, never negative."""

    site: Ints
    prior_rate: Floats  # pages per day assumed before the device's own history speaks
    count: Floats  # last life count, NaN before the first answer
    answered_day: Floats  # day of that answer
    first_day: Floats
    pending: Floats  # [7, n] expected pages since the last answer, by weekday
    pending_days: Floats  # [7, n] days since the last answer, by weekday
    today: Floats  # the part of `pending` that today brought
    closed_days: Floats  # work days for which the site has been standing still
    week_pages: Floats  # [7, n] forgetting sums
    week_days: Floats  # [7, n]
    seen_pages: Floats  # [h, n] forgetting sums of pages
    expected_pages: Floats  # [h, n] and of what the profile expected
    last_pages: Floats
    last_gap: Floats
    spread: Floats  # forgetting mean of squared relative surprise
    idle: Floats  # forgetting share of expected work days without a page
    resets: Floats
    printed_day: Floats  # last day with a page, NaN: none seen
    holiday_pages: Floats  # [2]: seen and expected on announced holidays, whole fleet

    @classmethod
    def empty(cls, site: Ints, prior_rate: Floats) -> "UsageState":
        """Return the state of devices that have not been seen yet; `site` numbers sites from 0."""
        n = len(site)

        def of(*shape: int) -> Floats:
            return np.zeros(shape)

        return cls(
            site=site.astype(np.int64), prior_rate=prior_rate.astype(float), count=np.full(n, np.nan),
            answered_day=np.full(n, np.nan), first_day=np.full(n, np.nan), pending=of(7, n), pending_days=of(7, n), today=of(n), closed_days=of(n),
            week_pages=of(7, n), week_days=of(7, n), seen_pages=of(len(HALF_LIVES), n),
            expected_pages=of(len(HALF_LIVES), n), last_pages=of(n), last_gap=of(n), spread=np.full(n, 0.5),
            idle=np.full(n, 0.1), resets=of(n), printed_day=np.full(n, np.nan), holiday_pages=np.array([0.2, 1.0]),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.site)

    def grow(self, site: Ints, prior_rate: Floats) -> None:
        """Add devices at the end."""
        more = UsageState.empty(site, prior_rate)
        for item in fields(self):
            if item.name != "holiday_pages":
                axis = getattr(self, item.name).ndim - 1
                joined = np.concatenate([getattr(self, item.name), getattr(more, item.name)], axis=axis)
                setattr(self, item.name, joined)

    @property
    def holiday_factor(self) -> float:
        """Share of a normal day's pages that the fleet prints on an announced holiday."""
        return float(np.clip(self.holiday_pages[0] / max(self.holiday_pages[1], 1e-9), 0.0, 1.0))

    def profile(self) -> Floats:
        """Return expected pages by weekday [7, n], drawn to the site and the fleet while the device knows little."""
        sites = int(self.site.max()) + 1 if len(self.site) else 0
        own_pages, own_days = self.week_pages, self.week_days
        level = (own_pages.sum(0) + 7.0 * self.prior_rate) / (own_days.sum(0) + 7.0)
        shape = own_pages / np.maximum(level, 1e-9)
        fleet = (shape.sum(1) + 1.0) / (own_days.sum(1) + 1.0)
        k = _PROFILE_PRIOR_WEEKS
        made = np.empty_like(own_pages)
        for weekday in range(7):
            pages = np.bincount(self.site, shape[weekday], sites)
            days = np.bincount(self.site, own_days[weekday], sites)
            site_shape = (pages + 4.0 * fleet[weekday]) / (days + 4.0)
            prior = site_shape[self.site] * level
            made[weekday] = (own_pages[weekday] + k * prior) / (own_days[weekday] + k)
        return made

    def expected_on(self, weekday: int) -> Floats:
        """Return expected pages [n] on one weekday: that row of `profile`, at a seventh of its cost."""
        sites = int(self.site.max()) + 1 if len(self.site) else 0
        level = (self.week_pages.sum(0) + 7.0 * self.prior_rate) / (self.week_days.sum(0) + 7.0)
        own_pages, own_days = self.week_pages[weekday], self.week_days[weekday]
        shape = own_pages / np.maximum(level, 1e-9)
        fleet = (shape.sum() + 1.0) / (own_days.sum() + 1.0)
        pages, days = np.bincount(self.site, shape, sites), np.bincount(self.site, own_days, sites)
        site_shape = (pages + 4.0 * fleet) / (days + 4.0)
        k = _PROFILE_PRIOR_WEEKS
        return np.asarray((own_pages + k * (site_shape[self.site] * level)) / (own_days + k))

    def present_rate(self, rows: Ints) -> Floats:
        """Return pages a day of a few devices as they print now; close to `profile` times `multipliers`, but quick."""
        daily = (self.week_pages[:, rows].sum(0) + 7.0 * self.prior_rate[rows]) / (
            self.week_days[:, rows].sum(0) + 7.0
        )
        pseudo = _MULTIPLIER_PRIOR_DAYS * daily
        seen, expected = self.seen_pages[2, rows], self.expected_pages[2, rows]
        return np.asarray(daily * (seen + pseudo) / (expected + np.maximum(pseudo, 1e-9)))

    def multipliers(self, daily: Floats) -> Floats:
        """Return present use over the profile's expectation, [h, n] by half-life; 1 means as usual."""
        pseudo = _MULTIPLIER_PRIOR_DAYS * daily
        return np.asarray((self.seen_pages + pseudo) / (self.expected_pages + np.maximum(pseudo, 1e-9)))

    def expect(self, day: int, expected: Floats, *, holiday: bool) -> None:
        """Note the pages [n] that `day` (days since 1970) should bring, before the answers of the day are looked at."""
        weekday = weekday_of(day)
        factor = self.holiday_factor if holiday else 1.0
        started = ~np.isnan(self.first_day)
        self.today = np.where(started, expected * factor, 0.0)
        self.pending[weekday] += self.today
        self.pending_days[weekday] += np.where(started, factor, 0.0)

    def take(self, day: int, count: Floats, *, dry: Bools, holiday: bool) -> Floats:
        """Take the life counts [n] at the end of `day` (NaN: no answer) and return the pages since the last answer.

        `dry` marks devices that stand without toner: their silence says nothing about use. NaN where nothing is known.
        """
        answered = ~np.isnan(count)
        first = answered & np.isnan(self.first_day)
        expected, waited = self.pending.sum(0), self.pending_days.sum(0)
        pages = self._pages_since(count, expected)
        if not holiday:
            witness = answered & ~first & ~dry & ~np.isnan(pages) & (np.abs(waited - 1.0) < 0.01)
            self._allow_for_closures(weekday_of(day), pages, witness)
            expected, waited = self.pending.sum(0), self.pending_days.sum(0)
        learn = answered & ~first & ~np.isnan(pages) & ~dry
        known = np.where(np.isnan(pages), 0.0, pages)
        if holiday:
            single = learn & (waited < 1.0 + 1e-9)
            plain = expected / max(self.holiday_factor, 1e-6)
            self.holiday_pages[0] += float(np.minimum(known, 10 * plain)[single].sum())
            self.holiday_pages[1] += float(plain[single].sum())
        if not holiday:
            self._learn_week(weekday_of(day), learn & (waited < 15), known, expected, waited)
        self._learn(learn, known, expected)
        self._forget()
        np.subtract(float(day), self.answered_day, out=self.last_gap, where=answered & ~first)
        np.copyto(self.last_pages, known, where=learn)
        np.copyto(self.printed_day, float(day), where=known > 0)
        silent = ~answered
        self.pending *= silent
        self.pending_days *= silent
        self.first_day[first] = float(day)
        np.copyto(self.count, count, where=answered)
        np.copyto(self.answered_day, float(day), where=answered)
        return pages

    def _allow_for_closures(self, weekday: int, pages: Floats, witness: Bools) -> None:
        """Expect less of today where the site stands still, told by the devices that answered yesterday and today."""
        usual = (self.week_pages.sum(0) + 7.0 * self.prior_rate) / (self.week_days.sum(0) + 7.0)
        day = day_of_sites(self.site, pages, self.today, usual, witness)
        self.closed_days = np.where(day.closed, self.closed_days + 1.0, self.closed_days * ~day.open)
        missing = 1.0 - share_that_counts(day, self.closed_days)
        self.pending[weekday] -= self.today * missing
        self.pending_days[weekday] -= missing * (self.today > 0)

    def _pages_since(self, count: Floats, expected: Floats) -> Floats:
        """Pages since the last answer; a fall is a restart or a 32-bit roll-over, never negative use."""
        rise = count - self.count
        usual = np.maximum(expected, 50.0)
        fell = rise < 0
        leap = rise > 1000 * usual  # a board with another count came in
        rise[leap] = np.nan
        at = np.flatnonzero(fell)
        if len(at):
            self.resets[at] += 1.0
            rolled = rise[at] + COUNTER32
            over = (rolled < 50 * usual[at]) & (self.count[at] > COUNTER32 / 2)
            fresh = np.where(count[at] <= 5 * usual[at], count[at], np.nan)
            rise[at] = np.where(over, rolled, fresh)
        return np.asarray(rise)

    def _learn(self, learn: Bools, pages: Floats, expected: Floats) -> None:
        gain = np.where(learn, 1.0, 0.0)
        self.seen_pages += gain * pages
        self.expected_pages += gain * expected
        relative = np.minimum(pages / np.maximum(expected, 1e-6) - 1.0, 3.0) ** 2
        self.spread += gain * 0.04 * (relative - self.spread)
        usual = self.week_pages.sum(0) / np.maximum(self.week_days.sum(0), 1e-9)
        work = learn & (expected > 0.5 * usual)
        self.idle += np.where(work, 0.05, 0.0) * ((pages <= 0) - self.idle)

    def _learn_week(
        self, weekday: int, learn: Bools, pages: Floats, expected: Floats, waited: Floats
    ) -> None:
        """Add the pages to the weekdays since the last answer, by what was expected of each."""
        cap = np.minimum(pages, 12.0 * expected + 20.0)
        alone = learn & (waited <= self.pending_days[weekday]) & (expected > 1e-6)  # answered yesterday too
        self.week_pages[weekday] += np.where(alone, cap, 0.0)
        self.week_days[weekday] += np.where(alone, waited, 0.0)
        more = np.flatnonzero(learn & ~alone)
        if len(more):
            share = (self.pending[:, more] + 1e-9) / (expected[more] + 7e-9)
            self.week_pages[:, more] += cap[more] * share
            self.week_days[:, more] += self.pending_days[:, more]

    def _forget(self) -> None:
        keep = 0.5 ** (1.0 / np.array(HALF_LIVES))[:, None]
        self.seen_pages *= keep
        self.expected_pages *= keep
        keep_week = 0.5 ** (1.0 / _PROFILE_HALF_LIFE)
        self.week_pages *= keep_week
        self.week_days *= keep_week

    def ahead(self, day: int, profile: Floats, holidays: Bools) -> Floats:
        """Return cumulative expected pages [HORIZON_DAYS, n] from the end of `day`, before multipliers.

        `holidays` flags the next HORIZON_DAYS days.
        """
        weekdays = np.array([weekday_of(day + 1 + step) for step in range(HORIZON_DAYS)])
        factor = np.where(holidays, self.holiday_factor, 1.0)
        total = np.empty((HORIZON_DAYS, len(self)))
        running = np.zeros(len(self))
        for step, weekday in enumerate(
            weekdays.tolist()
        ):  # row by row: a cumulated sum down the columns costs thrice
            running = running + profile[weekday] * factor[step]
            total[step] = running
        return total


def days_to_use(pages: npt.NDArray[np.floating], ahead: Floats, multiplier: Floats) -> Floats:
    """Return the days until `pages` [n] are printed, given cumulative expectation [HORIZON_DAYS, n]; inf: never.

    Inside a day the pages are spread evenly; beyond the horizon the mean of its last four weeks goes on.
    """
    need = pages / np.maximum(multiplier, 1e-9)
    step = (ahead < need).sum(0)
    inside = np.minimum(step, HORIZON_DAYS - 1)
    rows = np.arange(len(need))
    before = np.where(inside > 0, ahead[inside - 1, rows], 0.0)
    today = np.maximum(ahead[inside, rows] - before, 1e-9)
    within = inside + np.clip((need - before) / today, 0.0, 1.0)
    daily = np.maximum((ahead[-1] - ahead[-29]) / 28.0, 1e-9)
    beyond = HORIZON_DAYS + (need - ahead[-1]) / daily
    return np.asarray(np.where(step < HORIZON_DAYS, within, beyond))
