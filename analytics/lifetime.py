"""How much of its design life a machine or part has used, and when it reaches the share at which it is replaced.

Pages over design life is the share (requirement 39: replace at 80 %); pages a day say when. Design lives are data-sheet
figures, so the interval carries the uncertainty of use only; survival of parts from the company's own repairs stands
in `survival`.
"""

import math
from dataclasses import dataclass

from crm_core.domain.forecast import Interval


@dataclass(frozen=True, slots=True)
class LifeUse:
    """Share of design life used and days until the replacement share is reached at present use."""

    used_share: float
    days: Interval


def interval_of(median: float, log_deviation: float, ceiling: float) -> Interval:
    """Return P10, P50, P90 of a log-normal quantity, each at most `ceiling`."""
    step = 1.2816 * log_deviation
    median = max(0.0, median)
    wide = math.exp(step)  # `math`: this runs a million times a night, and NumPy is slow on single numbers
    low, mid, high = median / wide, median, median * wide
    return Interval(round(min(ceiling, low), 2), round(min(ceiling, mid), 2), round(min(ceiling, high), 2))


def life_use(
    pages: float, design_life_pages: int, pages_per_day: float, rate_deviation: float, limit_pages: float
) -> LifeUse:
    """Return use of a design life; days are 0 when `limit_pages` are passed. `rate_deviation` is of log pages a day."""
    left = max(limit_pages - pages, 0.0)
    days = left / max(pages_per_day, 1e-3)
    return LifeUse(pages / design_life_pages, interval_of(days, rate_deviation, 36500.0))


def capped(days: Interval, most: float) -> Interval:
    """Return the interval with every quantile at most `most` days: the age limit comes whatever is printed."""
    most = max(0.0, round(most, 2))
    return Interval(min(days.p10, most), min(days.p50, most), min(days.p90, most))
