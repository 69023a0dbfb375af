"""Rates fitted to a year: how fast each supply goes, how long help takes, how often machines fail and how age matters."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.policy_replay.year import LEVELS, OTHER, REPLACEMENT, SUPPLY, Floats, Ints, Year, YearTicket

SURE_RISE: Final = 0.15  # no gauge rises so far by itself: a new cartridge
_PRIOR_DRAIN: Final = 0.25  # cartridges of fleet experience that a slot starts with
_SPREAD_PRIOR: Final = (0.12, 8.0)  # of yields between cartridges of one slot, worth so many of them
_AGE_PRIOR: Final = (1.0, 0.5)  # of the log failure rate over one design life, and its deviation
_AGE_GRID: Final = np.arange(-1.0, 4.01, 0.05)
_RATE_AHEAD: Final = 14
USUAL_DAYS: Final = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What the year teaches, per slot, device and level. Shares are of a full cartridge, times are days."""

    year: Year
    known: npt.NDArray[np.bool_]  # [slot] its gauge gives numbers
    drain: Floats  # [slot] share per page
    spread: float  # log deviation of a cartridge's yield
    first_level: Floats  # [slot]
    full: float  # level after an exchange
    low_mark: float  # level at which devices complain by themselves; 0 when they never spoke first
    rate_spread: float  # log deviation of the pages of the days ahead
    help_days: tuple[Floats, Floats, Floats]  # [level] recorded times to restore, to draw from
    supply_days: Floats
    replacement_days: Floats
    hours: Ints  # UTC hours at which tickets were raised, to draw from
    failures: Floats  # [level, device] other tickets per page
    unknown_supply: Floats  # [device] supply tickets per page of slots without numbers
    age: float  # log failure rate over one design life
    visits_per_ticket: float  # of other tickets of L2 and L3


def fit_rates(year: Year) -> Rates:
    """Fit everything to the year; what is scarce leans on the fleet."""
    known, drain, spread, first_level, full = _drain(year)
    per_page, unknown = _failures(year, known)
    supply = [each for each in year.tickets if each.family == SUPPLY and each.slot >= 0]
    return Rates(
        year=year,
        known=known,
        drain=drain,
        spread=spread,
        first_level=first_level,
        full=full,
        low_mark=_low_mark(year, supply),
        rate_spread=_rate_spread(year.pages),
        help_days=(_times(year, OTHER, 0), _times(year, OTHER, 1), _times(year, OTHER, 2)),
        supply_days=_times(year, SUPPLY, None),
        replacement_days=_times(year, REPLACEMENT, None),
        hours=np.array([each.hour for each in year.tickets] or [0], np.int64),
        failures=per_page,
        unknown_supply=unknown,
        age=_age(year),
        visits_per_ticket=_visits_per_ticket(year),
    )


def _drain(year: Year) -> tuple[npt.NDArray[np.bool_], Floats, float, Floats, float]:
    """Return which slots are known, their drain per page, its spread between cartridges, and levels."""
    levels, pages = year.levels, year.pages[year.slot_device]
    count = len(levels)
    used, printed = np.zeros(count), np.zeros(count)
    cycles: list[float] = []
    after: list[float] = []
    first = np.full(count, np.nan)
    for slot in range(count):
        days = np.flatnonzero(~np.isnan(levels[slot]))
        if len(days) == 0:
            continue
        first[slot] = levels[slot, days[0]]
        slopes = _cycles(levels[slot], np.cumsum(pages[slot]), days)
        used[slot], printed[slot] = (
            sum(drop for drop, _, _ in slopes),
            sum(between for _, between, _ in slopes),
        )
        after += [start for _, _, start in slopes[1:]]
        whole = [drop / between for drop, between, _ in slopes if drop > 0.3 and between > 0]
        cycles += [float(np.log(each / np.mean(whole))) for each in whole] if len(whole) > 1 else []
    known = (used > 0.02) & (printed > 0)
    pooled = used[known].sum() / printed[known].sum() if known.any() else 0.0
    worth = _PRIOR_DRAIN / pooled if pooled > 0 else 1.0
    drain = np.where(known, (used + _PRIOR_DRAIN * 0.2) / (printed + worth * 0.2), 0.0)
    own = np.where(known, used / np.maximum(printed, 1.0), 0.0)
    drain = np.where(used > 0.5, own, drain)
    variance = (np.sum(np.square(cycles)) + _SPREAD_PRIOR[1] * _SPREAD_PRIOR[0] ** 2) / (
        len(cycles) + _SPREAD_PRIOR[1]
    )
    full = float(np.median(after)) if after else 1.0
    return known, drain, float(np.sqrt(variance)), np.nan_to_num(first, nan=1.0), full


def _cycles(levels: Floats, printed: Floats, days: Ints) -> list[tuple[float, float, float]]:
    """Return drop, pages and first level of each cartridge of a slot."""
    found, start = [], 0
    for at in range(1, len(days) + 1):
        over = at == len(days)
        if over or levels[days[at]] > levels[days[at - 1]] + SURE_RISE:
            begin, end = days[start], days[at - 1]
            found.append(
                (
                    float(levels[begin] - levels[end]),
                    float(printed[end] - printed[begin]),
                    float(levels[begin]),
                )
            )
            start = at
    return found


def _low_mark(year: Year, tickets: list[YearTicket]) -> float:
    """Return the level at which half of the devices that complained first had complained."""
    told = [year.levels[each.slot, each.day] for each in tickets if each.by_device]
    seen = [level for level in told if not np.isnan(level)]
    return float(np.median(seen)) if len(seen) >= 3 else 0.0


def _rate_spread(pages: Floats) -> float:
    """Return how far the mean of the coming fortnight lies from the mean of the last four weeks (log deviation)."""
    days = pages.shape[1]
    steps = range(USUAL_DAYS, days - _RATE_AHEAD, _RATE_AHEAD)
    ratios = [
        np.log((pages[:, at : at + _RATE_AHEAD].mean(1) + 1) / (pages[:, at - USUAL_DAYS : at].mean(1) + 1))
        for at in steps
    ]
    return float(np.clip(np.std(np.concatenate(ratios)), 0.05, 1.0)) if ratios else 0.3


def _times(year: Year, family: str, level: int | None) -> Floats:
    """Return the recorded times to restore of a kind of tickets, days; a plain guess where none was recorded.

    NaN stands for tickets that ended without being restored: they break no promise.
    """
    found = [each.days for each in year.tickets if each.family == family and level in (None, each.level)]
    usual = {SUPPLY: 1.0, REPLACEMENT: 21.0}.get(family, (0.2, 1.0, 1.5)[level or 0])
    return np.array(found if np.count_nonzero(~np.isnan(found)) >= 3 else [usual])


def _failures(year: Year, known: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return tickets per page [level, device] of other causes, and of supplies whose gauge gives no numbers."""
    devices = len(year.device_ids)
    counts = np.zeros((len(LEVELS) + 1, devices))
    for each in year.tickets:
        if each.family == OTHER:
            counts[each.level, each.row] += 1
        elif each.family == SUPPLY and (each.slot < 0 or not known[each.slot]):
            counts[len(LEVELS), each.row] += 1
    pages = np.maximum(year.pages.sum(1), 1.0)
    mean = counts.sum(1, keepdims=True) / pages.sum()
    shrunk = np.where(mean > 0, (counts + 1.0) / (pages + 1.0 / np.maximum(mean, 1e-12)), 0.0)
    total = (shrunk * pages).sum(1, keepdims=True)
    shrunk *= np.where(total > 0, counts.sum(1, keepdims=True) / np.maximum(total, 1e-12), 0.0)
    return shrunk[: len(LEVELS)], shrunk[len(LEVELS)]


def _age(year: Year) -> float:
    """Return how the log rate of hardware tickets rises over one design life: Poisson likelihood with a weak prior."""
    used = used_share(year.counts, year.pages, year.design_life)
    months = np.arange(0, year.days, 30)
    share = np.nan_to_num(used[:, months])
    exposure = np.add.reduceat(year.pages, months, axis=1) * ~np.isnan(used[:, months])
    hits = np.zeros_like(share)
    for each in year.tickets:
        if each.family == OTHER and each.level == 2:
            hits[each.row, each.day // 30] += 1
    hits *= exposure > 0
    if hits.sum() < 1:
        return _AGE_PRIOR[0]
    scores = [
        (hits * share * b).sum()
        - hits.sum() * np.log((exposure * np.exp(share * b)).sum())
        - 0.5 * ((b - _AGE_PRIOR[0]) / _AGE_PRIOR[1]) ** 2
        for b in _AGE_GRID
    ]
    return float(_AGE_GRID[int(np.argmax(scores))])


def used_share(counts: Floats, pages: Floats, design_life: Floats) -> Floats:
    """Return the used share of the design life [device, day] at the end of each day; NaN where the life is unknown."""
    return np.asarray((counts[:, None] + np.cumsum(pages, axis=1)) / design_life[:, None])


def _visits_per_ticket(year: Year) -> float:
    """Return visits per other ticket of L2 and L3, after one visit for each day and device that a supply needed."""
    supply = {(each.row, each.day) for each in year.tickets if each.family == SUPPLY}
    replaced = sum(each.family == REPLACEMENT for each in year.tickets)
    others = sum(each.family == OTHER and each.level > 0 for each in year.tickets)
    left = max(year.visits - len(supply) - replaced, 0)
    return min(left / others, 1.5) if others and year.visits else 1.0
