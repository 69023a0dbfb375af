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
    week_pages: Floats  # [7, n] forgetting sums
    week_days: Floats  # [7, n]
    seen_pages: Floats  # [h, n] forgetting sums of pages
    expected_pages: Floats  # [h, n] and of what the profile expected
    last_pages: Floats
    last_gap: Floats
    spread: Floats  # forgetting mean of squared relative surprise
    idle: Floats  # forgetting share of expected work days without a page
    resets: Floats
    holiday_pages: Floats  # [2]: seen and expected on announced holidays, whole fleet

    @classmethod
    def empty(cls, site: Ints, prior_rate: Floats) -> "UsageState":
        """Return the state of devices that have not been seen yet; `site` numbers sites from 0."""
        n = len(site)

        def of(*shape: int) -> Floats:
            return np.zeros(shape)

        return cls(
            site=site.astype(np.int64), prior_rate=prior_rate.astype(float), count=np.full(n, np.nan),
            answered_day=np.full(n, np.nan), first_day=np.full(n, np.nan), pending=of(7, n), pending_days=of(7, n),
            week_pages=of(7, n), week_days=of(7, n), seen_pages=of(len(HALF_LIVES), n),
            expected_pages=of(len(HALF_LIVES), n), last_pages=of(n), last_gap=of(n), spread=np.full(n, 0.5),
            idle=np.full(n, 0.1), resets=of(n), holiday_pages=np.array([0.2, 1.0]),
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

    def multipliers(self, daily: Floats) -> Floats:
        """Return present use over the profile's expectation, [h, n] by half-life; 1 means as usual."""
        pseudo = _MULTIPLIER_PRIOR_DAYS * daily
        return np.asarray((self.seen_pages + pseudo) / (self.expected_pages + np.maximum(pseudo, 1e-9)))

    def expect(self, day: int, profile: Floats, *, holiday: bool) -> None:
        """Note what `day` (days since 1970) should bring, before the answers of the day are looked at."""
        weekday = weekday_of(day)
        factor = self.holiday_factor if holiday else 1.0
        started = ~np.isnan(self.first_day)
        self.pending[weekday] += np.where(started, profile[weekday] * factor, 0.0)
        self.pending_days[weekday] += np.where(started, factor if holiday else 1.0, 0.0)

    def take(self, day: int, count: Floats, *, dry: Bools, holiday: bool) -> Floats:
        """Take the life counts [n] at the end of `day` (NaN: no answer) and return the pages since the last answer.

        `dry` marks devices that stand without toner: their silence says nothing about use. NaN where nothing is known.
        """
        answered = ~np.isnan(count)
        first = answered & np.isnan(self.first_day)
        pages = self._pages_since(count)
        learn = answered & ~first & ~np.isnan(pages) & ~dry
        if holiday:
            single = learn & (self.pending_days.sum(0) < 1.0 + 1e-9)
            plain = self.pending.sum(0) / max(self.holiday_factor, 1e-6)
            self.holiday_pages[0] += float(np.minimum(pages, 10 * plain)[single].sum())
            self.holiday_pages[1] += float(plain[single].sum())
        self._learn(learn, np.nan_to_num(pages), skip_week=holiday)
        self._forget()
        self.last_gap = np.where(answered & ~first, day - self.answered_day, self.last_gap)
        self.last_pages = np.where(learn, np.nan_to_num(pages), self.last_pages)
        self.pending *= ~answered
        self.pending_days *= ~answered
        self.first_day = np.where(first, float(day), self.first_day)
        self.count = np.where(answered, count, self.count)
        self.answered_day = np.where(answered, float(day), self.answered_day)
        return pages

    def _pages_since(self, count: Floats) -> Floats:
        """Pages since the last answer; a fall is a restart or a 32-bit roll-over, never negative use."""
        rise = count - self.count
        fell = rise < 0
        usual = np.maximum(self.pending.sum(0), 50.0)
        rolled = rise + COUNTER32
        pages = np.where(fell & (rolled < 50 * usual) & (self.count > COUNTER32 / 2), rolled, rise)
        restarted = pages < 0
        fresh = np.where(count <= 5 * usual, count, np.nan)
        self.resets += fell
        leap = ~restarted & (pages > 1000 * usual)  # a board with another count came in
        return np.asarray(np.where(restarted, fresh, np.where(leap, np.nan, pages)))

    def _learn(self, learn: Bools, pages: Floats, *, skip_week: bool) -> None:
        expected = self.pending.sum(0)
        gain = np.where(learn, 1.0, 0.0)
        for row in range(len(HALF_LIVES)):
            self.seen_pages[row] += gain * pages
            self.expected_pages[row] += gain * expected
        if not skip_week:
            share = (self.pending + 1e-9) / (expected + 7e-9)
            cap = np.minimum(pages, 12.0 * expected + 20.0)
            weight = gain * (self.pending_days.sum(0) < 15)
            self.week_pages += (weight * cap) * share
            self.week_days += weight * self.pending_days
        relative = np.clip(pages / np.maximum(expected, 1e-6) - 1.0, -1.0, 3.0) ** 2
        self.spread += gain * 0.04 * (relative - self.spread)
        work = learn & (expected > 0.5 * self.week_pages.sum(0) / np.maximum(self.week_days.sum(0), 1e-9))
        self.idle += np.where(work, 0.05, 0.0) * ((pages <= 0) - self.idle)

    def _forget(self) -> None:
        for row, half_life in enumerate(HALF_LIVES):
            keep = 0.5 ** (1.0 / half_life)
            self.seen_pages[row] *= keep
            self.expected_pages[row] *= keep
        keep = 0.5 ** (1.0 / _PROFILE_HALF_LIFE)
        self.week_pages *= keep
        self.week_days *= keep

    def ahead(self, day: int, profile: Floats, holidays: Bools) -> Floats:
        """Return cumulative expected pages [HORIZON_DAYS, n] from the end of `day`, before multipliers.

        `holidays` flags the next HORIZON_DAYS days.
        """
        weekdays = np.array([weekday_of(day + 1 + step) for step in range(HORIZON_DAYS)])
        factor = np.where(holidays, self.holiday_factor, 1.0)
        return np.asarray(np.cumsum(profile[weekdays] * factor[:, None], axis=0))


def days_to_use(pages: Floats, ahead: Floats, multiplier: Floats) -> Floats:
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
