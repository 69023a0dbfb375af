"""Whether a number that somebody read off can be true, from what the meter showed before and after. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crm_core.billing.epochs import most_pages
from crm_core.domain.billing import MeterPoint
from crm_core.domain.billing_policy import MeterPolicy, StatementPolicy
from crm_core.domain.meter_statements import Doubt
from crm_core.metering import meter_step

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the meter is known to have shown around an instant, and its mean pages a day before (None: unknown)."""

    before: MeterPoint | None = None
    after: MeterPoint | None = None
    pages_a_day: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The counts between which a statement is believed at once."""

    least: int
    most: int


def expected_count(known: Known, at: datetime, policy: StatementPolicy) -> Expected | None:
    """Return the counts that are no surprise at `at`, or None without a history."""
    before = known.before
    if before is None or before.total is None or known.pages_a_day is None:
        return None
    pages = known.pages_a_day * (max(at - before.at, timedelta()) / _DAY)
    least = pages / policy.far_factor - policy.slack_pages
    most = pages * policy.far_factor + policy.slack_pages
    return Expected(least=before.total + max(int(least), 0), most=before.total + int(most))


def doubts_of(
    point: MeterPoint, known: Known, meters: MeterPolicy, policy: StatementPolicy
) -> tuple[Doubt, ...]:
    """Return why the statement cannot be believed at once; nothing when it is plausible. `point.total` is not None."""
    total, found = point.total or 0, []
    if point.mono is not None and point.colour is not None and point.mono + point.colour != total:
        found.append(Doubt.PARTS_DIFFER)
    if known.after is not None and _fell(total, known.after.total):
        found.append(Doubt.ABOVE_NEXT)
    before = known.before
    if before is None:
        return tuple(found)
    if _fell(before.total, total) or _fell(before.colour, point.colour):
        return (*found, Doubt.ROLLED_BACK)
    if meter_step(before.total, total).pages > most_pages(before, point, meters.most_pages_a_day):
        return (*found, Doubt.TOO_FAST)
    expected = expected_count(known, point.at, policy)
    printed = (before.total or 0) + meter_step(before.total, total).pages
    if expected is not None and not expected.least <= printed <= expected.most:
        found.append(Doubt.FAR_FROM_EXPECTED)
    return tuple(found)


def contradicted(point: MeterPoint, before: MeterPoint | None, after: MeterPoint | None) -> bool:
    """Return True if readings on both sides of a statement go on without it, or the next one lies below the only count.

    Where the meter itself fell between the readings, nothing is known about what lies between them.
    """
    if before is not None and after is not None and _fell(before.total, after.total):
        return False
    return (after is not None and _fell(point.total, after.total)) or (
        before is not None and after is not None and _fell(before.total, point.total)
    )


def _fell(first: int | None, second: int | None) -> bool:
    """Return True if the counter fell, but for a roll-over."""
    step = meter_step(first, second)
    return step.new_epoch and not step.pages
