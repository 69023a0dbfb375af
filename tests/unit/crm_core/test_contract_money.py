"""Deposit, interest, dunning, penalty, loss and short rentals, with the figures of the documents."""

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.agreements.contract_money import (
    deposit_of,
    dunning_level,
    interest_of,
    short_rental_price,
    term_discount_of,
    termination_penalty,
    value_left,
    whole_months_between,
)
from crm_core.domain.errors import InvalidValue
from tests.money_policies import a_contract_policy

POLICY = a_contract_policy()
cents = st.integers(0, 10**8).map(lambda number: Decimal(number) / 100)


def exactly(amount: Fraction) -> Decimal:
    """Round a fraction half up to the cent, without decimals on the way."""
    return Decimal(int(amount * 100 + Fraction(1, 2))) / 100


def test_deposit_of_thirty_and_fifty_per_cent() -> None:
    assert deposit_of(Decimal(18000), Decimal("0.30")) == Decimal("5400.00")
    assert deposit_of(Decimal(54000), Decimal("0.50")) == Decimal("27000.00")


def test_twelve_thousand_ten_days_overdue_cost_120() -> None:
    due = date(2026, 5, 1)
    assert interest_of(Decimal(12000), due, due + timedelta(days=10), POLICY) == Decimal("120.00")
    assert interest_of(Decimal(12000), due, due, POLICY) == Decimal("0.00")
    half = interest_of(
        Decimal(12000), due, due + timedelta(days=10), POLICY, [(date(2026, 5, 6), Decimal(6000))]
    )
    assert half == Decimal("90.00")


@given(cents, st.integers(0, 3000), st.lists(st.tuples(st.integers(-5, 3000), cents), max_size=4))
def test_interest_against_a_day_by_day_count(
    amount: Decimal, days: int, payments: list[tuple[int, Decimal]]
) -> None:
    due = date(2026, 1, 31)
    left, paid = amount, []
    for day, part in sorted(payments):
        paid.append((due + timedelta(days=day), min(part, left)))
        left -= min(part, left)
    exact, owed = Fraction(0), Fraction(amount)
    by_day: dict[int, Fraction] = {}
    for when, part in paid:
        by_day[max((when - due).days, 0)] = by_day.get(max((when - due).days, 0), Fraction(0)) + Fraction(
            part
        )
    owed -= by_day.get(0, Fraction(0))
    for day in range(1, days + 1):
        exact += owed * Fraction(1, 1000)
        owed -= by_day.get(day, Fraction(0))
    assert interest_of(amount, due, due + timedelta(days=days), POLICY, paid) == exactly(exact)


@pytest.mark.parametrize(
    ("days", "level"), [(0, 0), (1, 1), (6, 1), (7, 2), (15, 3), (29, 3), (30, 4), (400, 4)]
)
def test_dunning_levels(days: int, level: int) -> None:
    assert dunning_level(days, POLICY) == level


def test_seven_months_left_cost_half_their_rent() -> None:
    assert termination_penalty(Decimal(600), date(2026, 5, 31), date(2026, 12, 31), POLICY) == Decimal(
        "2100.00"
    )
    assert termination_penalty(Decimal(1800), date(2026, 5, 31), date(2026, 12, 31), POLICY) == Decimal(
        "6300.00"
    )
    assert termination_penalty(Decimal(600), date(2026, 6, 1), date(2026, 12, 31), POLICY) == Decimal(
        "1800.00"
    )
    assert termination_penalty(Decimal(600), date(2026, 12, 31), date(2026, 12, 31), POLICY) == Decimal(
        "0.00"
    )


def test_a_lost_device_costs_its_depreciated_value() -> None:
    start = date(2024, 3, 15)
    assert value_left(Decimal(18000), start, date(2026, 3, 15), POLICY) == Decimal("10800.00")
    assert value_left(Decimal(18000), start, date(2026, 3, 14), POLICY) == Decimal("11100.00")
    assert value_left(Decimal(18000), start, date(2040, 1, 1), POLICY) == Decimal("0.00")


@given(cents, st.integers(0, 100))
def test_depreciation_against_fractions(value: Decimal, months: int) -> None:
    start = date(2020, 1, 1)
    on = date(2020 + months // 12, months % 12 + 1, 1)
    exact = Fraction(value) * max(60 - months, 0) / 60
    assert value_left(value, start, on, POLICY) == exactly(exact)


@given(cents, st.integers(0, 60), st.integers(1, 28))
def test_penalty_against_fractions(rent: Decimal, months: int, day: int) -> None:
    ends_on = date(2030, 12, 31)
    place = 2031 * 12 - months
    last = date(place // 12, place % 12 + 1, 1) - timedelta(days=1)
    assert termination_penalty(rent, last, ends_on, POLICY) == exactly(Fraction(rent) * months / 2)
    assert termination_penalty(rent, last + timedelta(days=day), ends_on, POLICY) <= exactly(
        Fraction(rent) * months / 2
    )


@given(cents, st.integers(0, 1000))
def test_deposit_against_fractions(value: Decimal, thousandth: int) -> None:
    share = Decimal(thousandth) / 1000
    assert deposit_of(value, share) == exactly(Fraction(value) * Fraction(share))
    assert deposit_of(value, share) == (value * share).quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_long_terms_have_a_discount() -> None:
    assert term_discount_of(date(2026, 1, 1), date(2027, 12, 31), POLICY) == Decimal("0.03")
    assert term_discount_of(date(2026, 1, 1), date(2027, 12, 30), POLICY) == Decimal(0)


def test_months_end_on_the_last_day() -> None:
    assert whole_months_between(date(2026, 1, 31), date(2026, 2, 28)) == 1
    assert whole_months_between(date(2026, 1, 31), date(2026, 2, 27)) == 0
    assert whole_months_between(date(2026, 3, 1), date(2026, 2, 1)) == 0


def _local(day: int, hour: int) -> datetime:
    return datetime(2026, 5, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "price", "packages", "days"),
    [
        (_local(15, 18), _local(18, 9), "120.00", 1, 0),  # Friday 18:00 to Monday 09:00
        (_local(15, 17), _local(18, 9), "200.00", 1, 1),
        (_local(11, 9), _local(12, 9), "80.00", 0, 1),
        (_local(11, 9), _local(12, 10), "160.00", 0, 2),
        (_local(16, 9), _local(17, 9), "80.00", 0, 1),  # one day of a weekend is cheaper than the package
        (_local(15, 18), _local(25, 9), "640.00", 2, 5),
    ],
)
def test_short_rentals(start: datetime, end: datetime, price: str, packages: int, days: int) -> None:
    assert short_rental_price(start, end, POLICY.short_term) == (Decimal(price), packages, days)


def test_a_rental_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(InvalidValue):
        short_rental_price(_local(15, 18), _local(15, 18), POLICY.short_term)
