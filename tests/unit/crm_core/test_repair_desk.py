"""A charge through its five states, its warranty and treatments, and the files that come of it (67, 73, 76, 103, 108)."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from crm_core.billing.repair_desk import Collected
from crm_core.domain.billing import InvoiceState, PaymentMethod
from crm_core.domain.charges import ChargeRule, ChargeState, PartCharge, RepairCharge
from crm_core.domain.errors import Conflict, IllegalTransition, InvalidValue
from crm_core.domain.identity import CustomerId, DeviceId, WorkOrderId
from crm_core.domain.relations import CustomerClass
from crm_core.domain.service import WorkOrder, WorkOrderKind, WorkOrderState
from tests.builders import TENANT
from tests.money_world import MAY, MoneyWorld, a_plan, shanghai

FUSER = PartCharge(name="fuser", unit_price=Decimal(1450), part_number="FU-1")


def _world() -> MoneyWorld:
    world = MoneyWorld()
    world.customer()
    world.device("d1")
    world.plans.publish(a_plan(rent="100"))
    world.contract()
    world.placed("k1", "1", "d1")
    world.clock.move_to(shanghai(5, 4, 12))
    return world


def _order(world: MoneyWorld) -> WorkOrderId:
    with world.uow_factory() as uow:
        made = uow.work_orders.add(
            WorkOrder(
                tenant=TENANT,
                work_order_id=WorkOrderId(0),
                kind=WorkOrderKind.REPAIR,
                state=WorkOrderState.DONE,
                device_id=DeviceId("d1"),
                site_id=None,
                customer_id=CustomerId("c1"),
                ticket_ids=(),
                technician_id=None,
                assigned_reason="",
                created_at=world.clock.now(),
                due_at=world.clock.now(),
                done_at=world.clock.now(),
            )
        )
        uow.commit()
    return made.work_order_id


def _collected(world: MoneyWorld, cause: str = "user_damage") -> RepairCharge:
    found = Collected(item="fuser", hours=Decimal("1.5"), cause=cause, parts=(FUSER,))
    return world.repairs.collect(TENANT, _order(world), found, actor="li")


def _confirmed(world: MoneyWorld, charge: RepairCharge) -> RepairCharge:
    world.repairs.compute(TENANT, charge.charge_id, actor="li")
    world.repairs.explain(TENANT, charge.charge_id, "by phone", actor="li")
    return world.repairs.confirm(TENANT, charge.charge_id, PaymentMethod.ALIPAY, "Wang", actor="li")


def test_collect_compute_explain_confirm_receipt() -> None:
    world = _world()
    charge = _collected(world)
    with pytest.raises(IllegalTransition):
        world.repairs.confirm(TENANT, charge.charge_id, PaymentMethod.CASH, "Wang", actor="li")
    with pytest.raises(InvalidValue):
        world.repairs.explain(TENANT, charge.charge_id, " ", actor="li")
    confirmed = _confirmed(world, charge)
    assert confirmed.price.total == Decimal("1720.00")
    assert confirmed.invoice_number == "INV-2026-000001"
    world.payments.pay(TENANT, "INV-2026-000001", Decimal(1720), PaymentMethod.ALIPAY, "A1", actor="li")
    with world.uow_factory() as uow:
        done = uow.billing.charges.get(TENANT, charge.charge_id)
        invoice = uow.billing.invoices.where(TENANT)[0]
    assert [step.state for step in done.steps] == list(ChargeState)
    assert [line.amount for line in invoice.lines] == [line.amount for line in done.price.lines]
    assert invoice.state is InvoiceState.PAID


def test_one_charge_for_each_order() -> None:
    world = _world()
    order = _order(world)
    found = Collected(item="jam", hours=Decimal("0.5"), cause="wear")
    world.repairs.collect(TENANT, order, found, actor="li")
    with pytest.raises(Conflict):
        world.repairs.collect(TENANT, order, found, actor="li")


def test_wear_on_a_rented_device_is_its_own_receipt() -> None:
    world = _world()
    done = _confirmed(world, _collected(world, cause="wear"))
    assert (done.state, done.price.total, done.invoice_number) == (ChargeState.RECEIPT, Decimal("0.00"), None)


def test_the_same_part_within_ninety_days_is_under_warranty() -> None:
    world = _world()
    world.devices.take_away(TENANT, "k1", "1", actor="li")  # from now on wear is charged
    first = _confirmed(world, _collected(world, cause="wear"))
    assert first.price.total == Decimal("1720.00")
    world.clock.advance(days=90)
    again = _confirmed(world, _collected(world, cause="wear"))
    assert {line.rule for line in again.price.lines} == {ChargeRule.WARRANTY}
    world.clock.advance(days=91)
    assert _confirmed(world, _collected(world, cause="wear")).price.total == Decimal("1720.00")


def test_the_class_of_a_long_contract_has_free_labour() -> None:
    world = _world()
    with world.uow_factory() as uow:
        uow.relations.classes.add(
            CustomerClass(
                tenant=TENANT,
                class_id=0,
                customer_id=CustomerId("c1"),
                axis="term",
                value="long",
                reasons=(),
                since=datetime(2026, 1, 1, tzinfo=UTC),
                policy_version="1",
            )
        )
        uow.commit()
    done = _confirmed(world, _collected(world))
    assert done.price.lines[0].rule is ChargeRule.LONG_TERM_LABOUR
    assert done.price.total == Decimal("1450.00")


def test_the_file_equals_its_invoices_and_losses_are_listed_after_three_months() -> None:
    world = _world()
    for month in (5, 6, 7):
        world.clock.move_to(shanghai(month, 20, 12))
        _confirmed(world, _collected(world, cause="wear"))
        world.clock.move_to(shanghai(month + 1, 1, 6))
        world.billing.run(TENANT, MAY.replace(month=month))
        (row,) = world.accounts.repair_balances(TENANT)
        assert (row.listed, row.cost) == (month == 7, 1720 * Decimal(month - 4))
    _confirmed(world, _collected(world))
    rows, total = world.accounts.charges(TENANT, CustomerId("c1"))
    assert len(rows) == 4
    assert total == sum(row.price.total for row in rows) == Decimal("1720.00")


def test_a_statement_and_the_ageing_add_up() -> None:
    world = _world()
    world.clock.move_to(shanghai(6, 1, 6))
    (may,) = world.billing.run(TENANT, MAY).invoices
    world.payments.pay(TENANT, may.invoice_number, Decimal(40), PaymentMethod.CASH, actor="li")
    made = world.accounts.statement(
        TENANT, CustomerId("c1"), MAY.replace(month=6), MAY.replace(month=6, day=30)
    )
    assert (made.opening, made.closing) == (Decimal("0.00"), Decimal("60.00"))
    for month, day, place in ((6, 10, 0), (6, 17, 1), (7, 20, 2), (8, 20, 3), (11, 1, 4)):
        world.clock.move_to(shanghai(month, day, 12))
        (row,) = world.accounts.ageing(TENANT)
        assert [bool(amount) for amount in row.by_age] == [each == place for each in range(5)]
        assert row.total == Decimal("60.00")
