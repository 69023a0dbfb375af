"""What every store of agreements and billing promises: one device in one place, numbers without gaps, repeats once."""

import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crm_core.billing.settling import blank_invoice, compose, write
from crm_core.domain.billing import (
    AccountItem,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    LineKind,
    Payment,
    PaymentMethod,
)
from crm_core.domain.contracts import DeviceStay
from crm_core.domain.errors import Conflict, NotFound
from crm_core.domain.identity import CustomerId, DeviceId
from crm_core.domain.meter_statements import Doubt, MeterStatement, StatementSource, StatementState
from crm_core.ports import UnitOfWorkFactory
from tests.builders import TENANT
from tests.money_world import JUNE, MAY, MoneyWorld, a_line, a_plan, counted, shanghai


@pytest.fixture
def world(uow_factory: UnitOfWorkFactory) -> MoneyWorld:
    made = MoneyWorld(uow_factory=uow_factory)
    made.customer()
    made.device("d1")
    made.plans.publish(a_plan())
    return made


def _invoice(run_key: str) -> Invoice:
    line = InvoiceLine(kind=LineKind.RENT, text="billing.line.rent?line=1", amount=Decimal("12.34"))
    return blank_invoice(
        TENANT,
        run_key=run_key,
        kind=InvoiceKind.RENT,
        customer_id="c1",
        issued_on=JUNE,
        due_on=JUNE + timedelta(days=15),
        policy_version="1",
        lines=(line,),
    )


def _write(uow_factory: UnitOfWorkFactory, run_key: str) -> Invoice | None:
    with uow_factory() as uow:
        made = write(uow, compose(uow, _invoice(run_key), frozenset()), shanghai(6, 1))
        uow.commit()
    return made


def test_numbers_have_no_gap_after_a_rollback(world: MoneyWorld) -> None:
    assert _write(world.uow_factory, "a").invoice_number == "INV-2026-000001"
    with world.uow_factory() as uow:
        write(uow, compose(uow, _invoice("lost"), frozenset()), shanghai(6, 1))  # and no commit
    assert _write(world.uow_factory, "a") is None
    assert _write(world.uow_factory, "b").invoice_number == "INV-2026-000002"


def test_numbers_have_no_gap_when_many_write_at_once(world: MoneyWorld) -> None:
    """Four writers, each of twelve runs twice: twelve invoices, numbered 1 to 12."""
    failures: list[BaseException] = []

    def work(place: int) -> None:
        try:
            for number in range(12):
                _write(world.uow_factory, f"run-{(number + place) % 12}")
        except BaseException as error:  # noqa: BLE001 - a thread hands its failure to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with world.uow_factory() as uow:
        rows = uow.billing.invoices.where(TENANT)
    assert sorted(row.invoice_number for row in rows) == [f"INV-2026-{n:06d}" for n in range(1, 13)]
    assert {row.run_key for row in rows} == {f"run-{n}" for n in range(12)}


def test_an_invoice_comes_back_as_it_was_written(world: MoneyWorld) -> None:
    world.contract()
    world.placed("k1", "1", "d1")
    world.says(
        counted("d1", shanghai(5, 1), 0, colour=0), counted("d1", shanghai(5, 31, 20), 900, colour=100)
    )
    world.clock.move_to(shanghai(6, 1, 6))
    (invoice,) = world.billing.run(TENANT, MAY).invoices
    with world.uow_factory() as uow:
        (stored,) = uow.billing.invoices.where(TENANT, contract_id="k1")
    assert stored == invoice
    assert stored.total == Decimal("730.00")
    assert stored.usage[0].segments[0].closing.at == shanghai(5, 31, 20)
    assert world.billing.run(TENANT, MAY).invoices == (stored,)


def test_a_device_is_promised_once(world: MoneyWorld) -> None:
    world.contract()
    world.placed("k1", "1", "d1")
    world.contract("k2", lines=[a_line("1")])
    with pytest.raises(Conflict):
        world.placed("k2", "1", "d1", at=shanghai(6, 1))
    world.devices.take_away(TENANT, "k1", "1", at=shanghai(6, 1), actor="li")
    world.placed("k2", "1", "d1", at=shanghai(6, 1))
    with world.uow_factory() as uow:
        agreements = uow.agreements.contracts.of_device(TENANT, DeviceId("d1"))
        assert [row.contract_id for row in agreements] == ["k1", "k2"]
        stays = (
            *agreements[1].stays,
            DeviceStay(line_id="9", device_id=DeviceId("d1"), from_at=shanghai(6, 3)),
        )
        with pytest.raises(Conflict):
            uow.agreements.contracts.save(replace(agreements[1], stays=stays))


def test_a_lost_update_is_refused(world: MoneyWorld) -> None:
    agreement = world.contract()
    world.placed("k1", "1", "d1")
    with world.uow_factory() as uow, pytest.raises(Conflict):
        uow.agreements.contracts.save(replace(agreement, end_reason="late"))


def test_payments_items_and_numbers_are_unique(world: MoneyWorld) -> None:
    made = _write(world.uow_factory, "a")
    payment = Payment(
        tenant=TENANT,
        invoice_number=made.invoice_number,
        customer_id=CustomerId("c1"),
        amount=Decimal("1.00"),
        channel=PaymentMethod.ALIPAY,
        external_number="A1",
        paid_at=shanghai(6, 2),
        recorded_by="li",
    )
    item = AccountItem(
        tenant=TENANT,
        item_key="k",
        customer_id=CustomerId("c1"),
        contract_id=None,
        kind=LineKind.GOODWILL,
        amount=Decimal("-1.00"),
        text="t",
        created_at=shanghai(6, 2),
    )
    with world.uow_factory() as uow:
        assert uow.billing.payments.add_once(payment) is not None
        assert uow.billing.payments.add_once(payment) is None
        assert uow.billing.items.add_once(item) is not None
        assert uow.billing.items.add_once(item) is None
        uow.commit()


def test_a_link_is_found_by_its_hash_alone(world: MoneyWorld) -> None:
    number = _write(world.uow_factory, "a").invoice_number
    money = world.accounts
    token, expires = money.make_link(TENANT, number, actor="li")
    assert money.by_link(token).invoice_number == number
    with pytest.raises(NotFound):
        money.by_link(token[:-1] + ("A" if token[-1] != "A" else "B"))
    world.clock.move_to(expires)
    with pytest.raises(NotFound):
        money.by_link(token)


def test_a_deposit_lives_from_signature_to_payout(world: MoneyWorld) -> None:
    lines = [a_line(device_value=Decimal(18000))]
    world.contract(lines=lines, deposit_share=Decimal("0.30"))
    world.payments.pay(
        TENANT, "DEP-2026-000001", Decimal("5400.00"), PaymentMethod.TRANSFER, "T-1", actor="li"
    )
    world.clock.move_to(shanghai(6, 1))
    with pytest.raises(Conflict):
        world.payouts.pay_out(TENANT, CustomerId("c1"), PaymentMethod.CASH, "P-1", actor="li")
    world.desk.renew_for(TENANT, "k1", "k2", 12, actor="li", dry_run=True)
    with pytest.raises(NotFound):
        world.desk.get(TENANT, "k2")  # a look writes nothing
    world.devices.terminate(TENANT, "k1", MAY, "moved", actor="li")
    note = world.payouts.pay_out(TENANT, CustomerId("c1"), PaymentMethod.CASH, "P-1", actor="li")
    assert note.total == Decimal("3300.00") - Decimal("5400.00")  # half of 11 x 600 was kept
    with world.uow_factory() as uow:
        stored = uow.billing.invoices.where(TENANT, invoice_number=note.invoice_number)[0]
    assert (stored.paid, stored.outstanding, len(stored.lines)) == (note.total, 0, 2)


def test_a_stated_meter_comes_back_whole_and_once(world: MoneyWorld) -> None:
    stated = MeterStatement(
        tenant=TENANT,
        device_id=DeviceId("d1"),
        customer_id=CustomerId("c1"),
        read_at=shanghai(5, 30, 11),
        total=6_000_000_000,
        mono=5_999_999_000,
        colour=1000,
        source=StatementSource.CUSTOMER,
        stated_by="wang",
        stated_at=shanghai(5, 30, 12),
        state=StatementState.WAITING,
        doubts=(Doubt.TOO_FAST, Doubt.PARTS_DIFFER),
        photo_sha256="0" * 64,
        photo_type="image/jpeg",
    )
    with world.uow_factory() as uow:
        kept = uow.billing.statements.add(stated)
        assert uow.billing.statements.add_once(stated) is None
        uow.commit()
    with world.uow_factory() as uow:
        assert uow.billing.statements.where(TENANT, device_id="d1", state=StatementState.WAITING) == [kept]
        assert kept == replace(stated, statement_id=kept.statement_id)
        saved = uow.billing.statements.save(replace(kept, state=StatementState.ACCEPTED))
        with pytest.raises(Conflict):
            uow.billing.statements.save(replace(kept, note="from an old look"))
        uow.commit()
    with world.uow_factory() as uow:
        assert uow.billing.statements.get(TENANT, kept.statement_id) == saved
        assert not uow.billing.statements.where(TENANT, state=StatementState.WAITING)
