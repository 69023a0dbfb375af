"""A figure with what it rests on: how many were counted, and how far chance alone may have moved it.

What is counted whole (money, contracts) has no interval; shares, means and rates of events have the 95 % one, so that
nobody reads more out of four answers than is in them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import stdev

from crm_core.relations.truth import Z95, Share


@dataclass(frozen=True, slots=True)
class Measured:
    """A value, the number of things that it rests on, and its 95 % interval where it is a sample."""

    value: Decimal
    counted: int
    interval: tuple[Decimal, Decimal] | None = None


def share_of(met: int, of: int) -> Measured | None:
    """Return so many of so many in percent with the Wilson interval; None of nothing."""
    share = Share(met, of)
    return None if share.percent is None else Measured(share.percent, of, share.interval)


def mean_of(values: Sequence[int], *, most: int) -> Measured | None:
    """Return the mean of answers from 0 to `most` with the normal interval; one answer has none."""
    if not values:
        return None
    mean = Decimal(sum(values)) / len(values)
    if len(values) == 1:
        return Measured(_tenth(mean), 1)
    reach = Decimal(str(Z95 * stdev(values) / math.sqrt(len(values))))
    return Measured(
        _tenth(mean),
        len(values),
        (_tenth(max(mean - reach, Decimal(0))), _tenth(min(mean + reach, Decimal(most)))),
    )


def rate_of(events: int, of: int, *, each: int, digits: str) -> Measured | None:
    """Return events for `each` of so many, with the Poisson interval by Byar's approximation; None of nothing.

    Byar: low = n (1 - 1/9n - z/3 sqrt n)^3, high = m (1 - 1/9m + z/3 sqrt m)^3 with m = n + 1 (Breslow and Day 1987).
    """
    if not of:
        return None
    more = events + 1
    low = events * (1 - 1 / (9 * events) - Z95 / (3 * math.sqrt(events))) ** 3 if events else 0.0
    high = more * (1 - 1 / (9 * more) + Z95 / (3 * math.sqrt(more))) ** 3
    step, scale = Decimal(digits), Decimal(each) / of
    return Measured(
        (scale * events).quantize(step),
        events,
        ((scale * Decimal(str(max(low, 0.0)))).quantize(step), (scale * Decimal(str(high))).quantize(step)),
    )


def _tenth(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.1"))
