"""Contract money as pure calculations: deposit, interest, dunning, early termination, loss, short rentals.

Each is exact in decimals and rounded half up to the cent at the end (requirements 11, 12, 14, 15, 81, 102).
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal

from crm_core.domain.contract_policy import ContractPolicy, ShortTermPolicy
from crm_core.domain.errors import InvalidValue
from crm_core.domain.money import to_cent


def deposit_of(device_value: Decimal, share: Decimal) -> Decimal:
    """Return the deposit on devices of this list value (requirement 11: 30 % of 18,000 is 5,400.00)."""
    return to_cent(device_value * share)


def interest_of(
    amount: Decimal,
    due_on: date,
    until: date,
    policy: ContractPolicy,
    paid: Iterable[tuple[date, Decimal]] = (),
) -> Decimal:
    """Return simple interest on what was unpaid, from the day after due to `until` (requirement 12).

    `paid` are payments by day; what is paid on a day still counts for that day.
    """
    exact, open_amount, since = Decimal(0), amount, due_on
    for day, part in sorted(paid):
        if day > until:
            break
        if day > since:
            exact += open_amount * policy.interest_per_day * (day - since).days
            since = day
        open_amount -= part
    if until > since and open_amount > 0:
        exact += open_amount * policy.interest_per_day * (until - since).days
    return to_cent(exact)


def dunning_level(overdue_days: int, policy: ContractPolicy) -> int:
    """Return the dunning level of so many days overdue, 0 for none (requirement 81: 1/7/15/30 days)."""
    return sum(overdue_days >= days for days in policy.dunning_days)


def whole_months_between(start: date, end: date) -> int:
    """Return the whole months from `start` to `end` (0 when `end` is earlier); the last day of a month ends it."""
    months = (end.year - start.year) * 12 + end.month - start.month
    if end.day < start.day and (end + timedelta(days=1)).month == end.month:
        months -= 1
    return max(months, 0)


def termination_penalty(
    monthly_rent: Decimal, last_day: date, ends_on: date, policy: ContractPolicy
) -> Decimal:
    """Return the penalty for ending on `last_day` instead of `ends_on`, both included (requirement 15).

    Half of the fixed rent of the whole months left: 7 months of 600 left give 2,100.00.
    """
    months = whole_months_between(last_day + timedelta(days=1), ends_on + timedelta(days=1))
    return to_cent(policy.termination_share * monthly_rent * months)


def value_left(list_value: Decimal, in_service: date, on: date, policy: ContractPolicy) -> Decimal:
    """Return the depreciated value: straight line, full months elapsed (requirement 14, settled in 1.4).

    18,000 over 60 months, lost after 24 full months: 10,800.00.
    """
    months = min(whole_months_between(in_service, on), policy.depreciation_months)
    return to_cent(list_value * (policy.depreciation_months - months) / policy.depreciation_months)


def term_discount_of(starts_on: date, ends_on: date, policy: ContractPolicy) -> Decimal:
    """Return the share of the fixed rent that a term of this length takes off (requirement 86)."""
    months = whole_months_between(starts_on, ends_on + timedelta(days=1))
    return max((row.share for row in policy.term_discounts if months >= row.from_months), default=Decimal(0))


def short_rental_price(start: datetime, end: datetime, policy: ShortTermPolicy) -> tuple[Decimal, int, int]:
    """Return price, weekend packages and days of a short rental between two local times (requirement 102).

    The part within a weekend package's hours is one package when that is cheaper than its days; every begun 24 h
    of the rest are one day. Friday 18:00 to Monday 09:00 is exactly one package.
    """
    if end <= start:
        raise InvalidValue("a rental ends after it starts")
    if end - start > timedelta(days=366):
        raise InvalidValue("a short rental is at most a year; make a contract instead")
    packages, days, at = 0, 0, start
    while at < end:
        opens, closes = _weekend_at(at, policy)
        if opens <= at < closes and _days(min(end, closes) - at) * policy.day_price >= policy.weekend_price:
            packages += 1
            at = closes
        else:
            until = min(end, opens) if at < opens else min(end, at + timedelta(days=1))
            days += _days(until - at)
            at = until
    return to_cent(packages * policy.weekend_price + days * policy.day_price), packages, days


def _weekend_at(at: datetime, policy: ShortTermPolicy) -> tuple[datetime, datetime]:
    """Return the weekend package that holds `at`, or else the next one."""
    start_day, start_time = policy.weekend_starts
    end_day, end_time = policy.weekend_ends
    length_days = (end_day - start_day) % 7 or 7
    back = (at.weekday() - start_day) % 7
    opens = datetime.combine(at.date() - timedelta(days=back), start_time, at.tzinfo)
    closes = datetime.combine(opens.date() + timedelta(days=length_days), end_time, at.tzinfo)
    if opens <= at < closes:
        return opens, closes
    if opens > at:
        return opens, closes
    return opens + timedelta(days=7), closes + timedelta(days=7)


def _days(duration: timedelta) -> int:
    return -(-duration // timedelta(days=1))


def months_before_day(day: date, months: int) -> date:
    """Return the day `months` earlier; the last day of a shorter month stands for the missing one (33: 05-31 -> 02-28)."""
    place = day.year * 12 + day.month - 1 - months
    year, month = place // 12, place % 12 + 1
    following = date(place // 12 + (month == 12), month % 12 + 1, 1)
    return date(year, month, min(day.day, (following - timedelta(days=1)).day))
