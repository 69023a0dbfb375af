"""The month end on small cases with figures that a person can check; the big one is a scenario."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crm_core.billing.epochs import FALSE_READING, NEW_EPOCH, ROLL_OVER
from crm_core.domain.billing import (
    AccountItem,
    InvoiceKind,
    InvoiceState,
    LineKind,
    PageTariff,
    PaymentMethod,
    Quality,
)
from crm_core.domain.contracts import PagePool
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import CustomerId
from crm_core.domain.loyalty import Coupon
from tests.builders import TENANT
from tests.money_world import JUNE, MAY, MoneyWorld, a_line, a_plan, counted, shanghai


def _world(**plan: object) -> MoneyWorld:
    world = MoneyWorld()
    world.customer()
    world.device("d1")
    world.plans.publish(a_plan(**plan))
    world.contract()
    world.placed("k1", "1", "d1")
    return world


def _close(world: MoneyWorld, month: int) -> None:
    world.clock.move_to(shanghai(month + 1, 1, 6))


def test_rent_and_pages_of_a_month() -> None:
    """1,000 mono and 100 colour pages cost 150.00 (requirement 8), beside the rent (requirement 10)."""
    world = _world()
    world.says(
        counted("d1", shanghai(5, 1, -1), 5000, colour=1000),
        counted("d1", shanghai(5, 31, 20), 6100, colour=1100),
    )
    _close(world, 5)
    report = world.billing.run(TENANT, MAY)
    (invoice,) = report.invoices
    assert [(line.kind, line.amount) for line in invoice.lines] == [
        (LineKind.RENT, Decimal("600.00")),
        (LineKind.MONO, Decimal("100.00")),
        (LineKind.COLOUR, Decimal("50.00")),
    ]
    assert invoice.total == Decimal("750.00") == sum(line.amount for line in invoice.lines)
    assert invoice.invoice_number == "INV-2026-000001"
    (segment,) = invoice.usage[0].segments
    assert (segment.opening.evidence[:5], segment.closing.evidence[:5]) == ("snmp:", "snmp:")
    assert (segment.opening.total, segment.closing.total) == (
        5000,
        6100,
    )  # the billing meter, not the usage counter


def test_a_second_run_writes_nothing_and_says_the_same() -> None:
    world = _world()
    world.says(counted("d1", shanghai(5, 1), 0), counted("d1", shanghai(5, 31), 321))
    _close(world, 5)
    seen = world.billing.preview(TENANT, MAY)
    first = world.billing.run(TENANT, MAY)
    world.says(counted("d1", shanghai(5, 31, 23), 400))  # comes late: an issued invoice does not change
    second = world.billing.run(TENANT, MAY)
    assert (first.written, first.existing, second.written, second.existing) == (1, 0, 0, 1)
    assert second.invoices == first.invoices
    assert seen.invoices[0].lines == first.invoices[0].lines
    with world.uow_factory() as uow:
        assert len(uow.billing.invoices.where(TENANT)) == 1


def test_the_package_has_a_thousand_free_pages() -> None:
    tariff = PageTariff(price=Decimal("0.08"), free_pages=1000)
    for pages, amount in ((1250, "20.00"), (1000, "0.00")):
        world = _world(mono=tariff)
        world.says(counted("d1", shanghai(5, 1), 100), counted("d1", shanghai(5, 31), 100 + pages))
        _close(world, 5)
        (invoice,) = world.billing.run(TENANT, MAY).invoices
        assert invoice.lines[1].amount == Decimal(amount)
        assert invoice.lines[1].free_pages == 1000


def test_a_month_that_is_not_over_is_not_billed() -> None:
    world = _world()
    world.clock.move_to(shanghai(5, 31, 23))
    with pytest.raises(InvalidValue):
        world.billing.preview(TENANT, MAY)


def test_a_pool_carries_free_pages_on() -> None:
    """10,000 in the pool, 9,200 used, 800 carried; then 11,500 used: 700 x 0.08 = 56.00 (1.4, story 3)."""
    world = MoneyWorld()
    world.customer()
    pool = PageTariff(price=Decimal("0.08"), free_pages=10_000)
    world.plans.publish(a_plan("pool", "0", mono=pool, carry_over_months=1))
    world.plans.publish(a_plan())
    lines = [a_line(str(number), pool_id="p") for number in (1, 2, 3)]
    world.contract(lines=lines, pools=[PagePool(pool_id="p", plan_id="pool", plan_edition=1)])
    for number, (may, june) in enumerate(((4000, 5000), (4000, 5000), (1200, 1500)), 1):
        world.device(f"d{number}")
        world.placed("k1", str(number), f"d{number}")
        world.says(
            counted(f"d{number}", shanghai(5, 1), 0),
            counted(f"d{number}", shanghai(5, 31, 20), may),
            counted(f"d{number}", shanghai(6, 30, 20), may + june),
        )
    _close(world, 5)
    (may_bill,) = world.billing.run(TENANT, MAY).invoices
    assert may_bill.total == Decimal("1800.00")
    assert [bucket.pages for bucket in may_bill.balances[0].carried_out] == [800]
    _close(world, 6)
    (june_bill,) = world.billing.run(TENANT, JUNE).invoices
    (pages,) = [line for line in june_bill.lines if line.kind is LineKind.MONO]
    assert (pages.quantity, pages.amount, pages.free_pages) == (700, Decimal("56.00"), 10_800)
    assert june_bill.total == Decimal("1856.00")


def test_a_silent_device_is_estimated_and_trued_up_to_the_cent() -> None:
    world = _world()
    world.says(*(counted("d1", shanghai(5, day), 100 * (day - 1)) for day in range(1, 21)))
    _close(world, 5)
    (may,) = world.billing.run(TENANT, MAY).invoices
    used = may.usage[0]
    assert used.estimated
    assert used.segments[-1].closing.quality is Quality.ESTIMATED
    assert may.lines[1].amount == Decimal("310.00")  # 1,900 counted and 100 a day for the 12 days left
    # It was switched off from the 21st: the next reading is 2,000 on 10 June, and 2,600 on 30 June.
    world.says(counted("d1", shanghai(6, 10), 2000), counted("d1", shanghai(6, 30, 20), 2600))
    _close(world, 6)
    (june,) = world.billing.run(TENANT, JUNE).invoices
    (true_up,) = [line for line in june.lines if line.kind is LineKind.TRUE_UP]
    (mono,) = [line for line in june.lines if line.kind is LineKind.MONO]
    assert june.trued_up == ("2026-05:1:d1",)
    assert may.lines[1].amount + true_up.amount + mono.amount == Decimal("260.00")  # 2,600 pages at 0.1
    measured = next(row for row in june.usage if row.month == MAY)
    assert not measured.estimated
    assert measured.segments[-1].closing.quality is Quality.INTERPOLATED
    _close(world, 7)
    world.says(counted("d1", shanghai(7, 31, 20), 2700))
    (july,) = world.billing.run(TENANT, JUNE.replace(month=7)).invoices
    assert not [line for line in july.lines if line.kind is LineKind.TRUE_UP]
    assert july.lines[1].amount == Decimal("10.00")


def test_a_device_that_stays_silent_is_trued_up_when_it_speaks() -> None:
    world = _world(mono=PageTariff(price=Decimal("0.07"), free_pages=500), carry_over_months=2)
    world.says(*(counted("d1", shanghai(5, day), 37 * (day - 1)) for day in range(1, 11)))
    invoices = []
    for month in (5, 6, 7):
        if month == 7:
            world.says(counted("d1", shanghai(7, 30), 900), counted("d1", shanghai(7, 31, 20), 905))
        _close(world, month)
        invoices += world.billing.run(TENANT, MAY.replace(month=month)).invoices
    assert [row.usage[0].estimated for row in invoices[:2]] == [True, True]
    assert len(invoices[2].trued_up) == 2
    pages = sum(
        line.amount
        for row in invoices
        for line in row.lines
        if line.kind in (LineKind.MONO, LineKind.TRUE_UP)
    )
    assert pages == Decimal("0.00")  # 905 pages in three months are within the free ones


def test_board_swap_roll_over_and_false_reading() -> None:
    world = _world()
    top = 2**32
    day = [shanghai(5, 10, hour) for hour in range(24)]
    world.says(
        counted("d1", shanghai(5, 1), top - 100, colour=None),
        counted("d1", shanghai(5, 3), 400, colour=None),  # 500 pages over the roll-over
        counted("d1", day[0], 1000, colour=None),
        counted("d1", day[1], 90_000_000, colour=None),  # cannot be
        counted("d1", day[2], 1100, colour=None),
        counted("d1", day[9], 50, colour=None),  # another board
        counted("d1", shanghai(5, 31, 20), 250, colour=None),
    )
    _close(world, 5)
    report = world.billing.run(TENANT, MAY)
    used = report.invoices[0].usage[0]
    assert used.mono == 500 + 600 + 100 + 200
    assert set(used.flags) == {ROLL_OVER, FALSE_READING, NEW_EPOCH}
    assert sum(row.mono for row in used.segments) == used.mono
    assert report.problems  # a person is told to look


def test_a_swap_in_the_middle_of_a_month() -> None:
    world = _world()
    world.device("d2")
    world.says(
        counted("d1", shanghai(5, 1), 1000),
        counted("d1", shanghai(5, 15, 10), 1400),
        counted("d2", shanghai(5, 15, 10), 20),
        counted("d2", shanghai(5, 31, 20), 320),
    )
    world.devices.swap(TENANT, "k1", "1", "d2", at=shanghai(5, 15, 11), actor="li")
    _close(world, 5)
    (invoice,) = world.billing.run(TENANT, MAY).invoices
    assert invoice.lines[0].amount == Decimal("600.00")  # the line goes on
    assert {used.device_id: used.mono for used in invoice.usage} == {"d1": 400, "d2": 300}
    assert invoice.lines[1].amount == Decimal("70.00")


def test_a_contract_that_starts_within_a_month_pays_its_days() -> None:
    world = MoneyWorld()
    world.customer()
    world.plans.publish(a_plan())
    world.contract(starts_on=MAY + timedelta(days=15))
    _close(world, 5)
    (invoice,) = world.billing.run(TENANT, MAY).invoices
    assert invoice.total == Decimal("309.68")  # 600 x 16/31


def test_waiting_items_go_on_the_next_invoice_and_no_bill_is_negative() -> None:
    world = _world()
    _close(world, 5)
    with world.uow_factory() as uow:
        uow.billing.items.add(
            AccountItem(
                tenant=TENANT,
                item_key="goodwill:1",
                customer_id=CustomerId("c1"),
                contract_id=None,
                kind=LineKind.GOODWILL,
                amount=Decimal("-1000.00"),
                text="sorry",
                created_at=world.clock.now(),
            )
        )
        uow.commit()
    (may,) = world.billing.run(TENANT, MAY).invoices
    assert may.total == Decimal("0.00") == sum(line.amount for line in may.lines)
    _close(world, 6)
    (june,) = world.billing.run(TENANT, JUNE).invoices
    assert june.total == Decimal("200.00")


def test_payments_are_recorded_once_and_give_points_when_all_is_paid() -> None:
    world = _world(rent="600.50")
    _close(world, 5)
    (invoice,) = world.billing.run(TENANT, MAY).invoices
    number = invoice.invoice_number
    pay = world.payments.pay
    with pytest.raises(InvalidValue):
        pay(TENANT, number, Decimal(100), PaymentMethod.ALIPAY, actor="li")
    first = pay(TENANT, number, Decimal(100), PaymentMethod.ALIPAY, "A-1", actor="li")
    assert pay(TENANT, number, Decimal(100), PaymentMethod.ALIPAY, "A-1", actor="li") == first
    with pytest.raises(Conflict):
        pay(TENANT, number, Decimal(99), PaymentMethod.ALIPAY, "A-1", actor="li")
    with pytest.raises(Conflict):
        pay(TENANT, number, Decimal("500.51"), PaymentMethod.CASH, actor="li")
    with world.uow_factory() as uow:
        assert not uow.relations.points.where(TENANT, customer_id="c1")
    pay(TENANT, number, Decimal("500.50"), PaymentMethod.CASH, actor="li")
    with world.uow_factory() as uow:
        assert [row.points for row in uow.relations.points.where(TENANT, customer_id="c1")] == [600]
        assert uow.billing.invoices.where(TENANT)[0].state is InvoiceState.PAID


def test_dunning_levels_once_each_and_interest_on_the_next_invoice() -> None:
    world = _world(rent="12000")
    _close(world, 5)
    (invoice,) = world.billing.run(TENANT, MAY).invoices
    world.clock.move_to(shanghai(6, 16, 12))  # due on 16 June
    assert world.payments.dun(TENANT) == []
    levels = []
    for _ in range(10):
        world.clock.advance(days=1)
        levels += [(step.level, step.overdue_days) for step in world.payments.dun(TENANT)]
    assert levels == [(1, 1), (2, 7)]
    world.payments.pay(
        TENANT, invoice.invoice_number, invoice.total, PaymentMethod.TRANSFER, "T-1", actor="li"
    )
    _close(world, 6)
    (june,) = world.billing.run(TENANT, JUNE).invoices
    (interest,) = [line for line in june.lines if line.kind is LineKind.INTEREST]
    assert interest.amount == Decimal("120.00")


def test_a_credit_note_takes_an_invoice_back_and_the_month_may_be_billed_again() -> None:
    world = _world()
    _close(world, 5)
    (invoice,) = world.billing.run(TENANT, MAY).invoices
    world.payments.pay(TENANT, invoice.invoice_number, Decimal(100), PaymentMethod.CASH, actor="li")
    note = world.payments.credit(TENANT, invoice.invoice_number, "wrong plan", actor="li")
    assert (note.kind, note.total, note.invoice_number) == (
        InvoiceKind.CREDIT_NOTE,
        -invoice.total,
        "CN-2026-000001",
    )
    with pytest.raises(Conflict):
        world.payments.credit(TENANT, invoice.invoice_number, "again", actor="li")
    (again,) = world.billing.run(TENANT, MAY).invoices
    assert again.invoice_number == "INV-2026-000002"
    assert again.total == invoice.total - 100  # what was paid is not lost


def test_instalments_sum_to_the_cent_and_are_dunned_one_by_one() -> None:
    world = _world(rent="1000.01")
    _close(world, 5)
    (invoice,) = world.billing.run(TENANT, MAY).invoices
    parted = world.payments.instalments(TENANT, invoice.invoice_number, 3)
    assert [row.amount for row in parted.instalments] == [
        Decimal("333.34"),
        Decimal("333.34"),
        Decimal("333.33"),
    ]
    assert [row.due_on.month for row in parted.instalments] == [6, 7, 8]
    world.clock.move_to(shanghai(6, 18, 12))
    (step,) = world.payments.dun(TENANT)
    assert step.outstanding == Decimal("333.34")


def test_plans_in_use_never_change() -> None:
    world = _world()
    with pytest.raises(Conflict):
        world.plans.publish(a_plan(rent="601"))
    assert world.plans.publish(replace(a_plan(rent="601"), edition=2)).edition == 2
    assert world.plans.publish(replace(a_plan(rent="602"), edition=2)).monthly_rent == Decimal(602)
    with pytest.raises(InvalidValue):
        world.plans.publish(replace(a_plan(rent="0.00001"), edition=3))


def test_coupons_and_points_pay_rent_once() -> None:
    """A coupon of 500 and 600 points of 0.01 yuan (requirements 30, 31): 600.50 less 500.00 less 6.00."""
    world = _world(rent="600.50")
    _close(world, 5)
    (may,) = world.billing.run(TENANT, MAY).invoices
    world.payments.pay(TENANT, may.invoice_number, may.total, PaymentMethod.CARD, "C-1", actor="li")
    with world.uow_factory() as uow:
        uow.relations.coupons.add(
            Coupon(
                tenant=TENANT,
                coupon_id=0,
                customer_id=CustomerId("c1"),
                origin="referral:c1",
                amount=Decimal(500),
                percent=Decimal(0),
                issued_on=JUNE,
                valid_until=JUNE.replace(year=2027),
            )
        )
        uow.commit()
    world.payments.redeem_points(TENANT, CustomerId("c1"), 600)
    with pytest.raises(Conflict):
        world.payments.redeem_points(TENANT, CustomerId("c1"), 1)
    _close(world, 6)
    (june,) = world.billing.run(TENANT, JUNE).invoices
    amounts = {line.kind: line.amount for line in june.lines}
    assert (amounts[LineKind.COUPON], amounts[LineKind.POINTS]) == (Decimal("-500.00"), Decimal("-6.00"))
    assert june.total == Decimal("94.50")
    with world.uow_factory() as uow:
        assert uow.relations.coupons.where(TENANT)[0].redeemed_on == june.invoice_number
    _close(world, 7)
    (july,) = world.billing.run(TENANT, JUNE.replace(month=7)).invoices
    assert july.total == Decimal("600.50")
