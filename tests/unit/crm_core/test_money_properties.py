"""Points and pools against independent counts: whole yuan one by one, free pages as objects with a last month."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from crm_core.billing.pages_price import month_after
from crm_core.domain.billing import LineKind, PageTariff
from crm_core.domain.contracts import PagePool
from crm_core.domain.identity import CustomerId
from crm_core.domain.money import Money
from crm_core.relations.loyalty import Loyalty, balance
from tests.builders import TENANT
from tests.money_world import MAY, MoneyWorld, a_line, a_plan, counted, shanghai

C1 = CustomerId("c1")
MONTHS = 3
cents = st.integers(0, 5_000_000)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), cents), max_size=10), st.integers(1, 100_000))
def test_points_against_whole_yuan(paid: list[tuple[int, int]], wanted: int) -> None:
    """Each invoice gives its whole yuan once, whoever tells it again; what is redeemed is worth 0.01 a point."""
    world = MoneyWorld()
    world.customer()
    loyalty = Loyalty(world.uow_factory, world.clock, world.policy)
    points: dict[int, int] = {}
    with world.uow_factory() as uow:
        for number, amount in paid:
            loyalty.award_paid(uow, TENANT, C1, f"INV-{number}", Money(Decimal(amount) / 100))
            if points.get(number, 0) == 0:
                points[number] = amount // 100
        uow.commit()
    with world.uow_factory() as uow:
        assert balance(uow, TENANT, C1) == sum(points.values())
    if wanted <= sum(points.values()):
        item = world.payments.redeem_points(TENANT, C1, wanted)
        assert item.amount == -Decimal(wanted) / 100
        with world.uow_factory() as uow:
            assert balance(uow, TENANT, C1) == sum(points.values()) - wanted


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(0, 3000),
    st.lists(st.lists(st.integers(0, 2500), min_size=3, max_size=3), min_size=MONTHS, max_size=MONTHS),
)
def test_pools_against_a_page_by_page_count(
    devices: int, keep: int, free: int, used: list[list[int]]
) -> None:
    """All devices of a pool take from one purse of free pages; the ones that expire first go first."""
    world = _pool(devices, keep, free)
    totals = [0] * devices
    purse: list[int] = []
    for place in range(MONTHS):
        printed = used[place][:devices]
        month = month_after(MAY, place)
        for number, pages in enumerate(printed):
            totals[number] += pages
            world.says(counted(f"d{number}", shanghai(month.month + 1, 1, -2), totals[number]))
        purse = sorted([last for last in purse if last >= place] + [place + keep] * free)
        taken = min(sum(printed), len(purse))
        purse = purse[taken:]
        world.clock.move_to(shanghai(month.month + 1, 1, 6))
        (invoice,) = world.billing.run(TENANT, month).invoices
        exact = Fraction(8, 100) * (sum(printed) - taken)
        billed = sum((row.amount for row in invoice.lines if row.kind is LineKind.MONO), Decimal(0))
        assert billed == Decimal(int(exact * 100 + Fraction(1, 2))) / 100
        assert invoice.total >= 0
        assert sum(used.mono for used in invoice.usage) == sum(printed)


def _pool(devices: int, keep: int, free: int) -> MoneyWorld:
    world = MoneyWorld()
    world.customer()
    tariff = PageTariff(price=Decimal("0.08"), free_pages=free)
    world.plans.publish(a_plan("pool", "0", mono=tariff, carry_over_months=keep))
    world.plans.publish(a_plan())
    world.contract(
        lines=[a_line(str(number), pool_id="p") for number in range(devices)],
        pools=[PagePool(pool_id="p", plan_id="pool", plan_edition=1)],
        ends_on=date(2027, 4, 30),
    )
    for number in range(devices):
        world.device(f"d{number}")
        world.placed("k1", str(number), f"d{number}")
        world.says(counted(f"d{number}", shanghai(5, 1), 0))
    return world
