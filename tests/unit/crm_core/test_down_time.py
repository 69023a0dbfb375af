"""Down time and rent credit: whole stretches, lent machines taken out, to the cent."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.domain.money import Money
from crm_core.stock.down_time import Lent, counted_down_time, rent_credit
from tests.builders import T0
from tests.stock_builders import a_stock_policy

POLICY = a_stock_policy().rent_credit
RENT = Money(Decimal("600.00"))


@pytest.mark.parametrize(
    ("down", "credit"),
    [
        (timedelta(days=5), "39.45"),
        (timedelta(days=3), "0.00"),
        (timedelta(days=3, minutes=59), "0.00"),
        (timedelta(days=3, hours=1), "0.82"),
        (timedelta(), "0.00"),
        (timedelta(days=33), "591.78"),
    ],
)
def test_all_beyond_three_days_counts_by_the_hour(down, credit):
    assert rent_credit(RENT, down, POLICY) == Money(Decimal(credit))


def test_a_machine_at_work_stops_the_count_and_overlaps_count_once():
    end = T0 + timedelta(days=5)
    lent = [
        Lent(T0 + timedelta(days=1), T0 + timedelta(days=2)),
        Lent(T0 + timedelta(days=1, hours=12), T0 + timedelta(days=3)),
        Lent(T0 + timedelta(days=4), None),
    ]
    assert counted_down_time(T0, end, lent) == (timedelta(days=3), timedelta(days=2))


HOURS = st.integers(-50, 250).map(lambda hours: T0 + timedelta(hours=hours))


@given(st.integers(0, 200), st.lists(st.tuples(HOURS, st.one_of(st.none(), HOURS)), max_size=5))
def test_lent_and_counted_time_make_the_whole(hours, stretches):
    end = T0 + timedelta(hours=hours)
    lent = [Lent(out, back) for out, back in stretches]
    worked, counted = counted_down_time(T0, end, lent)
    assert worked + counted == end - T0
    assert worked >= timedelta()
    assert counted >= timedelta()
    covered = sum(
        any(each.out <= at < (each.back or end) for each in lent)
        for at in (T0 + timedelta(hours=number) for number in range(hours))
    )
    assert worked == timedelta(hours=covered)
