"""Deposits, payouts and invoices taken back: nobody's yuan is lost on the way, and no bill is negative."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_core.billing.settling import add_item
from crm_core.domain.billing import (
    AccountItem,
    Invoice,
    InvoiceKind,
    InvoiceState,
    LineKind,
    PaymentMethod,
)
from crm_core.domain.contracts import Agreement
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import CustomerId
from crm_core.relations.loyalty import balance
from crm_core.relations.money_facts import BillingMoney
from tests.builders import TENANT
from tests.money_world import MAY, MoneyWorld, a_consent, a_line, a_plan, counted, shanghai

C1 = CustomerId("c1")
DEPOSIT: dict[str, Any] = {
    "lines": [a_line(device_value=Decimal(18000))],
    "deposit_share": Decimal("0.30"),
}


def _world() -> MoneyWorld:
    world = MoneyWorld()
    world.customer()
    world.device("d1")
    world.plans.publish(a_plan())
    return world


def _contract(world: MoneyWorld, contract_id: str = "k1", **about: Any) -> Agreement:
    return world.contract(contract_id, **DEPOSIT, **about)


def _invoices(world: MoneyWorld) -> list[Invoice]:
    with world.uow_factory() as uow:
        return list(reversed(uow.billing.invoices.where(TENANT)))


def _pay(world: MoneyWorld, invoice: Invoice) -> None:
    world.payments.pay(
        TENANT,
        invoice.invoice_number,
        invoice.outstanding,
        PaymentMethod.TRANSFER,
        f"T-{invoice.invoice_number}",
        actor="li",
    )


def test_the_deposit_is_invoiced_once_when_both_sides_have_signed() -> None:
    """30 % of 18,000 is 5,400.00 (requirement 11); it is no revenue and gives no points."""
    world = _world()
    _contract(world)
    (invoice,) = _invoices(world)
    assert (invoice.kind, invoice.invoice_number, invoice.total) == (
        InvoiceKind.DEPOSIT,
        "DEP-2026-000001",
        Decimal("5400.00"),
    )
    assert invoice.due_on == date(2026, 5, 15)  # 15 days after 30 April; the contract begins before
    _pay(world, invoice)
    with world.uow_factory() as uow:
        assert not uow.relations.points.where(TENANT)
        money = BillingMoney(30).of_customers(uow, TENANT, date(2026, 4, 1), date(2026, 4, 30))[C1]
    assert (money.invoiced, money.paid) == (0, 0)
    assert invoice.earned == 0


def test_a_contract_without_a_deposit_writes_no_invoice() -> None:
    world = _world()
    world.contract()
    assert not _invoices(world)


def test_a_paid_deposit_is_set_off_against_the_last_bill_and_the_rest_is_paid_out() -> None:
    world = _world()
    _contract(world)
    world.placed("k1", "1", "d1")
    _pay(world, _invoices(world)[0])
    world.says(counted("d1", shanghai(5, 1), 0), counted("d1", shanghai(5, 31), 1000))
    world.clock.move_to(shanghai(5, 31, 20))
    _, penalty = world.devices.terminate(TENANT, "k1", date(2026, 5, 31), "moved abroad", actor="li")
    assert penalty == Decimal("3300.00")  # half of 11 x 600
    world.clock.move_to(shanghai(6, 1, 6))
    (rent,) = world.billing.run(TENANT, MAY).invoices
    assert [(line.kind, line.amount) for line in rent.lines] == [
        (LineKind.RENT, Decimal("600.00")),
        (LineKind.MONO, Decimal("100.00")),
        (LineKind.PENALTY, Decimal("3300.00")),
        (LineKind.DEPOSIT, Decimal("-5400.00")),
        (LineKind.CARRIED, Decimal("1400.00")),
    ]
    assert (rent.total, rent.state, rent.earned) == (0, InvoiceState.PAID, Decimal("4000.00"))
    assert world.payouts.waiting(TENANT, C1).balance == Decimal("-1400.00")
    with pytest.raises(InvalidValue):
        world.payouts.pay_out(TENANT, C1, PaymentMethod.TRANSFER, " ", actor="li")
    seen = world.payouts.pay_out(TENANT, C1, PaymentMethod.TRANSFER, "T-9", actor="li", dry_run=True)
    note = world.payouts.pay_out(TENANT, C1, PaymentMethod.TRANSFER, "T-9", actor="li")
    assert (seen.total, note.total, note.paid, note.outstanding) == (
        Decimal("-1400.00"),
        Decimal("-1400.00"),
        Decimal("-1400.00"),
        0,
    )
    with pytest.raises(Conflict):
        world.payouts.pay_out(TENANT, C1, PaymentMethod.TRANSFER, "T-10", actor="li")
    statement = world.accounts.statement(TENANT, C1, date(2026, 1, 1), date(2026, 12, 31))
    assert statement.closing == 0


def test_an_unpaid_deposit_is_taken_back_at_the_end() -> None:
    world = _world()
    _contract(world)
    world.clock.move_to(shanghai(5, 2))
    world.devices.terminate(TENANT, "k1", date(2026, 5, 2), "never moved in", actor="li")
    deposit, note = _invoices(world)
    assert (deposit.state, note.kind, note.total) == (
        InvoiceState.CREDITED,
        InvoiceKind.CREDIT_NOTE,
        Decimal("-5400.00"),
    )


def test_the_deposit_of_a_contract_is_set_off_against_that_of_its_successor() -> None:
    world = _world()
    _contract(world)
    _pay(world, _invoices(world)[0])
    about = {**DEPOSIT, "lines": [a_line(device_value=Decimal(20000))]}
    draft = world.draft_of("k2", starts_on=date(2027, 5, 1), ends_on=date(2028, 4, 30), **about)
    world.desk.draft(TENANT, draft, actor="li")
    world.desk.renew(TENANT, "k1", "k2", actor="li")
    world.desk.offer(TENANT, "k2", actor="li")
    world.desk.sign(TENANT, "k2", a_consent(), actor="li")
    newest = _invoices(world)[-1]
    assert [line.amount for line in newest.lines] == [Decimal("6000.00"), Decimal("-5400.00")]
    assert (newest.total, newest.due_on) == (Decimal("600.00"), date(2027, 5, 1))


def test_what_an_invoice_took_up_waits_again_when_it_is_taken_back() -> None:
    world = _world()
    world.contract()
    world.placed("k1", "1", "d1")
    _waits(world, "goodwill", Decimal("-100.00"))
    world.clock.move_to(shanghai(6, 1, 6))
    (first,) = world.billing.run(TENANT, MAY).invoices
    assert first.total == Decimal("500.00")
    note = world.payments.credit(TENANT, first.invoice_number, "wrong month", actor="li", dry_run=True)
    assert len(_invoices(world)) == 1
    note = world.payments.credit(TENANT, first.invoice_number, "wrong month", actor="li")
    assert note.total == Decimal("-500.00")
    (again,) = world.billing.run(TENANT, MAY).invoices
    assert again.total == Decimal("500.00")  # the goodwill was not lost with the first one


def test_points_of_a_paid_invoice_go_back_with_it() -> None:
    world = _world()
    world.contract()
    world.clock.move_to(shanghai(6, 1, 6))
    (invoice,) = world.billing.run(TENANT, MAY).invoices
    _pay(world, invoice)
    for expected in (600, 0):
        with world.uow_factory() as uow:
            assert balance(uow, TENANT, C1) == expected
        if expected:
            world.payments.credit(TENANT, invoice.invoice_number, "wrong", actor="li")


def test_a_rest_that_was_spent_keeps_its_invoice() -> None:
    world = _world()
    world.contract()
    _waits(world, "goodwill", Decimal("-700.00"))
    world.clock.move_to(shanghai(6, 1, 6))
    (may,) = world.billing.run(TENANT, MAY).invoices
    world.clock.move_to(shanghai(7, 1, 6))
    world.billing.run(TENANT, date(2026, 6, 1))
    with pytest.raises(Conflict, match="its rest went to INV-2026-000002"):
        world.payments.credit(TENANT, may.invoice_number, "wrong", actor="li")


def _waits(world: MoneyWorld, key: str, amount: Decimal) -> None:
    with world.uow_factory() as uow:
        add_item(
            uow,
            AccountItem(
                tenant=TENANT,
                item_key=key,
                customer_id=C1,
                contract_id=None,
                kind=LineKind.GOODWILL,
                amount=amount,
                text=key,
                created_at=world.clock.now(),
            ),
        )
        uow.commit()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["charge", "credit", "month", "back", "pay", "out"]), st.integers(1, 90_000)
        ),
        max_size=14,
    )
)
def test_no_bill_is_negative_and_no_cent_is_lost(steps: list[tuple[str, int]]) -> None:
    """Rent and items that came in = what is billed and not taken back + what waits, less refunds of what was paid."""
    world = _world()
    world.contract()
    came, month = Decimal(0), 5
    for place, (what, cents) in enumerate(steps):
        if what in ("charge", "credit"):
            amount = Decimal(cents) / 100 * (1 if what == "charge" else -1)
            came += amount
            _waits(world, f"{what}-{place}", amount)
        elif what == "month":
            month += 1
            world.clock.move_to(shanghai(month, 1, 6) if month <= 12 else world.clock.now())
            world.billing.run(TENANT, date(2026, min(month, 12) - 1, 1))
        else:
            _one_of(world, what, place, cents)
    rents = sum(
        (
            line.amount
            for row in _invoices(world)
            if row.state is not InvoiceState.CREDITED and row.kind is InvoiceKind.RENT
            for line in row.lines
            if line.kind is LineKind.RENT
        ),
        Decimal(0),
    )
    asked = [row for row in _invoices(world) if row.state is not InvoiceState.CREDITED and not row.corrects]
    paid_on_credited = sum(row.paid for row in _invoices(world) if row.state is InvoiceState.CREDITED)
    waiting = world.payouts.waiting(TENANT, C1).balance
    with world.uow_factory() as uow:  # what was paid late left its interest behind
        items = uow.billing.items.where(TENANT)
    came += sum((row.amount for row in items if row.kind is LineKind.INTEREST), Decimal(0))
    assert all(row.total >= 0 for row in asked if row.kind is not InvoiceKind.CREDIT_NOTE)
    assert sum((row.total for row in asked), waiting) == came + rents - paid_on_credited


def _one_of(world: MoneyWorld, what: str, place: int, cents: int) -> None:
    """Take an invoice back, pay one, or pay a credit out, where that can be done."""
    try:
        if what == "out":
            world.payouts.pay_out(TENANT, C1, PaymentMethod.CASH, f"P-{place}", actor="li")
            return
        rows = [row for row in _invoices(world) if row.kind is not InvoiceKind.CREDIT_NOTE]
        if rows and what == "back":
            world.payments.credit(TENANT, rows[cents % len(rows)].invoice_number, "wrong", actor="li")
        elif rows and rows[cents % len(rows)].outstanding > 0:
            _pay(world, rows[cents % len(rows)])
    except Conflict:
        return


def test_a_renewal_goes_on_with_the_same_devices_and_bills_no_page_twice() -> None:
    world = _world()
    world.contract(ends_on=date(2026, 5, 31))
    world.placed("k1", "1", "d1")
    world.clock.move_to(shanghai(5, 20))
    world.desk.renew_for(TENANT, "k1", "k2", 12, actor="li", dry_run=True)
    renewed = world.desk.renew_for(TENANT, "k1", "k2", 12, actor="li")
    assert renewed.successor_id == "k2"
    world.desk.offer(TENANT, "k2", actor="li")
    second = world.desk.sign(TENANT, "k2", a_consent(), actor="li")
    assert (second.current.starts_on, second.current.ends_on) == (date(2026, 6, 1), date(2027, 5, 31))
    world.says(
        counted("d1", shanghai(5, 1), 0),
        counted("d1", shanghai(5, 31, 23), 1000),
        counted("d1", shanghai(6, 30, 23), 1700),
    )
    world.clock.move_to(shanghai(6, 1, 6))
    (may,) = world.billing.run(TENANT, MAY).invoices
    world.clock.move_to(shanghai(7, 1, 6))
    (june,) = world.billing.run(TENANT, date(2026, 6, 1)).invoices
    assert [(row.contract_id, row.usage[0].mono, row.total) for row in (may, june)] == [
        ("k1", 1000, Decimal("700.00")),
        ("k2", 700, Decimal("670.00")),
    ]
