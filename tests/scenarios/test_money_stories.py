"""Acceptance stories 3 and 9, and the money of 4 to 6, with their exact figures (product.md section 5, corrected in 1.4)."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from crm_core.domain.billing import InvoiceState, LineKind, PageTariff, PaymentMethod
from crm_core.domain.contracts import ContractState
from crm_core.domain.errors import Conflict
from crm_core.domain.identity import ContractId, CustomerId, DeviceId, TicketId
from crm_core.domain.loans import DownTime
from tests.builders import TENANT
from tests.money_world import JUNE, MAY, MoneyWorld, a_consent, a_line, a_plan, counted, shanghai


def test_story_9_credit_and_money() -> None:
    """A start-up with 590 points, devices worth 54,000: 27,000 deposit, monthly; 120.00 interest; 6,300.00 penalty."""
    world = MoneyWorld()
    world.customer()
    world.plans.publish(a_plan("copier", "600"))
    lines = tuple(a_line(str(number), "copier", device_value=Decimal(18000)) for number in (1, 2, 3))
    risk = world.policy.agreements.credit
    share, months = risk.risk_deposit_share, 1 if risk.risk_asks_monthly_payment else 3
    assert share == Decimal("0.50")
    agreement = world.contract(
        lines=lines,
        starts_on=date(2026, 1, 1),
        ends_on=date(2027, 1, 31),
        deposit_share=share,
        payment_cycle_months=months,
        assessment_id="590",
        clauses=("no-one-sided-price-rise",),
    )
    assert agreement.current.deposit == Decimal("27000.00")
    assert agreement.current.payment_cycle_months == 1
    # A rise of the rent without the customer's consent is refused; with it, it is in the file.
    dearer = replace(
        agreement.current, effective_on=JUNE, lines=(replace(lines[0], monthly_rent=Decimal(650)), *lines[1:])
    )
    with pytest.raises(Conflict, match="consent"):
        world.desk.change_terms(TENANT, "k1", dearer, actor="li")
    cheaper = replace(
        agreement.current, effective_on=JUNE, lines=(replace(lines[0], monthly_rent=Decimal(600)), *lines[1:])
    )
    changed = world.desk.change_terms(TENANT, "k1", cheaper, actor="li")
    assert changed.current.policy_version == world.policy.version
    # An invoice of 12,000.00 is paid ten days late.
    world.plans.publish(a_plan("big", "12000"))
    world.contract("k2", lines=[a_line("1", "big")])
    world.clock.move_to(shanghai(6, 1, 6))
    invoice = next(row for row in world.billing.run(TENANT, MAY).invoices if row.contract_id == "k2")
    assert invoice.total == Decimal("12000.00")
    world.clock.move_to(shanghai(6, 26, 12))  # due on the 16th
    world.payments.pay(
        TENANT, invoice.invoice_number, invoice.total, PaymentMethod.TRANSFER, "T1", actor="li"
    )
    with world.uow_factory() as uow:
        (waiting,) = uow.billing.items.where(TENANT, waiting=True)
    assert (waiting.kind, waiting.amount) == (LineKind.INTEREST, Decimal("120.00"))
    # It terminates with 7 whole months of 1,800 left.
    ended, penalty = world.devices.terminate(TENANT, "k1", date(2026, 6, 30), "moves away", actor="li")
    assert penalty == Decimal("6300.00")
    assert ended.state is ContractState.TERMINATED
    world.clock.move_to(shanghai(7, 1, 6))
    bills = {row.contract_id: row for row in world.billing.run(TENANT, JUNE).invoices}
    assert {line.kind: line.amount for line in bills["k1"].lines}[LineKind.PENALTY] == Decimal("6300.00")
    assert sum(line.amount for line in bills["k1"].lines if line.kind is LineKind.RENT) == Decimal("1800.00")
    # The dispute: rule version, consent, and events stand in the file.
    file = world.desk.get(TENANT, "k1")
    assert file.consents[0].document == "scan-1.pdf"
    assert file.terms[0].clauses == ("no-one-sided-price-rise",)
    assert [event.event for event in file.events] == ["draft", "offer", "sign", "terms", "terminate"]
    assert bills["k1"].policy_version == world.policy.version


def test_story_5_the_money() -> None:
    """Rent 600, five days down: 39.45 for the silver customer; gold worked on a stand-by machine: 0.00."""
    world = MoneyWorld()
    world.plans.publish(a_plan(rent="600"))
    for customer, counts in (("silver", timedelta(days=5)), ("gold", timedelta(hours=2))):
        world.customer(customer)
        world.device(f"d-{customer}", customer)
        world.contract(f"k-{customer}", customer)
        world.placed(f"k-{customer}", "1", f"d-{customer}")
        down = DownTime(
            tenant=TENANT,
            ticket_id=TicketId(len(customer)),
            device_id=DeviceId(f"d-{customer}"),
            customer_id=CustomerId(customer),
            contract_id=ContractId(f"k-{customer}"),
            since=shanghai(5, 10, 10),
            until=shanghai(5, 15, 10),
            lent_seconds=int((timedelta(days=5) - counts).total_seconds()),
            counted_seconds=int(counts.total_seconds()),
        )
        with world.uow_factory() as uow:
            uow.stock.save_down_time(down)
            uow.commit()
    world.clock.move_to(shanghai(6, 1, 6))
    given = {
        invoice.customer_id: sum(line.amount for line in invoice.lines if line.kind is LineKind.RENT_CREDIT)
        for invoice in world.billing.run(TENANT, MAY).invoices
    }
    assert given == {"silver": Decimal("-39.45"), "gold": 0}


def test_story_6_no_changed_invoice() -> None:
    """Readings that come again, doubled, out of order and three hours late change no invoice."""
    world = MoneyWorld()
    world.customer()
    world.device("d1")
    world.plans.publish(a_plan())
    world.contract()
    world.placed("k1", "1", "d1")
    flood = [counted("d1", shanghai(5, 1, hour), 10 * hour) for hour in range(0, 31 * 24, 2)]
    world.says(*flood)
    world.clock.move_to(shanghai(6, 1, 6))
    before = world.billing.run(TENANT, MAY).invoices
    world.says(*reversed(flood[::3]))
    world.says(*flood[1::2], *flood[1::2])
    world.says(
        *(counted("d1", shanghai(5, 31, 23) + timedelta(minutes=minute), 7431) for minute in range(30))
    )
    again = world.billing.run(TENANT, MAY)
    assert again.invoices == before
    assert again.written == 0
    world.says(counted("d1", shanghai(6, 30, 20), 8000))
    world.clock.move_to(shanghai(7, 1, 6))
    (june,) = world.billing.run(TENANT, JUNE).invoices
    assert june.usage[0].mono == 8000 - before[0].usage[0].segments[-1].closing.total


def test_story_4_the_money_of_thrown_away_toner() -> None:
    """What the customer pays for pages does not change with cartridges: toner is free (requirement 13)."""
    world = MoneyWorld()
    world.customer()
    world.device("d1")
    world.plans.publish(a_plan(mono=PageTariff(price=Decimal("0.08"), free_pages=1000)))
    world.contract()
    world.placed("k1", "1", "d1")
    world.says(counted("d1", shanghai(5, 1), 0), counted("d1", shanghai(5, 31, 20), 1250))
    world.clock.move_to(shanghai(6, 1, 6))
    (invoice,) = world.billing.run(TENANT, MAY).invoices
    assert [line.kind for line in invoice.lines] == [LineKind.RENT, LineKind.MONO]
    assert invoice.total == Decimal("620.00")
    assert invoice.state is InvoiceState.OPEN


def test_renewal_and_every_end_leave_a_reason() -> None:
    world = MoneyWorld()
    world.customer()
    world.plans.publish(a_plan())
    world.contract("k1", ends_on=date(2026, 8, 31))
    assert world.desk.expire_due(TENANT) == []
    world.clock.move_to(shanghai(5, 31, 12))  # three months before 31 August
    assert world.desk.expire_due(TENANT) == ["k1"]
    assert world.desk.expire_due(TENANT) == []
    with pytest.raises(ValueError, match="why"):
        world.desk.end(TENANT, "k1", " ", actor="li")
    world.contract("k2", starts_on=date(2026, 9, 1), ends_on=date(2027, 8, 31))
    renewed = world.desk.renew(TENANT, "k1", "k2", actor="li")
    assert (renewed.state, renewed.successor_id) == (ContractState.RENEWED, "k2")
    with pytest.raises(Conflict):
        world.desk.sign(TENANT, "k2", a_consent(), actor="li")
