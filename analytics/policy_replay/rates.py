"""Rates fitted to a year: how fast each supply goes, how long help takes, how often machines fail and how age matters.

Beside each rate stands how sure the year makes it: the walk draws the rates of each replicate anew.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.policy_replay.help_times import HelpTimes, fit_help_times
from analytics.policy_replay.year import (
    LEVELS,
    OTHER,
    REPLACEMENT,
    SUPPLY,
    Floats,
    Ints,
    Year,
    YearTicket,
    filled,
)

SURE_RISE: Final = 0.15  # no gauge rises so far by itself: a new cartridge
_PRIOR_DRAIN: Final = 0.25  # cartridges of fleet experience that a slot starts with
_SPREAD_PRIOR: Final = (0.12, 8.0)  # of yields between cartridges of one slot, worth so many of them
_AGE_PRIOR: Final = (1.0, 0.5)  # of the log failure rate over one design life, and its deviation
_AGE_GRID: Final = np.arange(-1.0, 4.01, 0.05)
_AGE_DRAWS: Final = 200
_GAUGE_STEPS: Final = (0.001, 0.34)  # millilitres, and three marks
_PRINTS_ON: Final = 0.8  # of the usual pages: an empty supply does not stop these machines
_USUAL_HELP_DAYS: Final = (0.2, 1.0, 1.5)  # by level, where too few tickets were restored
_USUAL_REPLACEMENT_DAYS: Final = 21.0


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
    drain_unsure: Floats  # [slot] log deviation of the drain, for what the year does not show of it
    gauge_step: Floats  # [slot] share of full by which the gauge moves
    demand: Floats  # [device, day] pages that were wanted: days without toner count as usual ones
    standing: float  # share of the wanted pages that a machine with an empty supply still prints
    help: tuple[HelpTimes, HelpTimes, HelpTimes]  # [level] of other tickets
    supply_help: HelpTimes
    replacement_help: HelpTimes
    failures: Floats  # [level, device] other tickets per page
    unknown_supply: Floats  # [device] supply tickets per page of slots without numbers
    seen: Ints  # [level] other tickets that the failures rest on
    age: Floats  # draws of the log failure rate over one design life, from what the year makes likely
    visits_per_ticket: float  # of other tickets of L2 and L3


def fit_rates(year: Year) -> Rates:
    """Fit everything to the year; what is scarce leans on the fleet."""
    known, drain, spread, first_level, full, used = _drain(year)
    per_page, unknown = _failures(year, known)
    supply = [each for each in year.tickets if each.family == SUPPLY and each.slot >= 0]
    demand, standing = _demand(year)
    others = [[each for each in year.tickets if (each.family, each.level) == (OTHER, at)] for at in range(3)]
    low, middle, high = (
        fit_help_times(rows, usual, year.first_day)
        for rows, usual in zip(others, _USUAL_HELP_DAYS, strict=True)
    )
    return Rates(
        year=year,
        known=known,
        drain=drain,
        spread=spread,
        first_level=first_level,
        full=full,
        low_mark=_low_mark(year, supply),
        drain_unsure=spread / np.sqrt(np.maximum(used, _PRIOR_DRAIN)),
        gauge_step=_gauge_steps(year.levels),
        demand=demand,
        standing=standing,
        help=(low, middle, high),
        supply_help=fit_help_times(_of(year, SUPPLY), _USUAL_HELP_DAYS[1], year.first_day),
        replacement_help=fit_help_times(_of(year, REPLACEMENT), _USUAL_REPLACEMENT_DAYS, year.first_day),
        failures=per_page,
        unknown_supply=unknown,
        seen=np.array([len(rows) for rows in others], np.int64),
        age=_age(year),
        visits_per_ticket=_visits_per_ticket(year),
    )


def _of(year: Year, family: str) -> list[YearTicket]:
    return [each for each in year.tickets if each.family == family]


def _drain(year: Year) -> tuple[npt.NDArray[np.bool_], Floats, float, Floats, float, Floats]:
    """Return which slots are known, their drain per page, its spread between cartridges, levels, and cartridges used."""
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
    return known, drain, float(np.sqrt(variance)), np.nan_to_num(first, nan=1.0), full, used


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


def _gauge_steps(levels: Floats) -> Floats:
    """Return the step of each gauge: the smallest movement that it showed, within reason."""
    moves = np.abs(np.diff(levels, axis=1))
    moves[~(moves > 1e-6)] = np.inf
    return np.asarray(np.clip(moves.min(axis=1, initial=np.inf), *_GAUGE_STEPS))


def _demand(year: Year) -> tuple[Floats, float]:
    """Return wanted pages [device, day], and the share of them that machines print that say a supply is empty.

    A fleet whose machines print on all the same is taken as it was.
    """
    empty = np.zeros(year.pages.shape, bool)
    np.logical_or.at(empty, year.slot_device, year.levels <= 0.0)
    whole = np.zeros_like(empty)
    whole[:, 1:-1] = empty[:, :-2] & empty[:, 1:-1] & empty[:, 2:]
    wanted = filled(np.where(empty, np.nan, year.pages))
    usual = wanted[whole].sum()
    if usual <= 0:
        return year.pages, 1.0
    standing = float(np.clip(year.pages[whole].sum() / usual, 0.0, 1.0))
    return (wanted, standing) if standing < _PRINTS_ON else (year.pages, 1.0)


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


def _age(year: Year) -> Floats:
    """Return draws of how the log rate of hardware tickets rises over one design life, the likeliest in the middle.

    Poisson likelihood with a weak prior; the draws stand at equal steps of probability.
    """
    used = used_share(year.counts, year.pages, year.design_life)
    months = np.arange(0, year.days, 30)
    share = np.nan_to_num(used[:, months])
    exposure = np.add.reduceat(year.pages, months, axis=1) * ~np.isnan(used[:, months])
    hits = np.zeros_like(share)
    for each in year.tickets:
        if each.family == OTHER and each.level == 2:
            hits[each.row, each.day // 30] += 1
    hits *= exposure > 0
    scores = np.array(
        [
            (hits * share * b).sum()
            - hits.sum() * np.log(max((exposure * np.exp(share * b)).sum(), 1e-12))
            - 0.5 * ((b - _AGE_PRIOR[0]) / _AGE_PRIOR[1]) ** 2
            for b in _AGE_GRID
        ]
    )
    chance = np.cumsum(np.exp(scores - scores.max()))
    steps = (np.arange(_AGE_DRAWS) + 0.5) / _AGE_DRAWS
    return np.asarray(np.interp(steps, chance / chance[-1], _AGE_GRID))


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
