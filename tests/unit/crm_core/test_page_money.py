"""Cost against price of a page: by hand for one month of one device."""

from datetime import date, timedelta
from decimal import Decimal

from crm_core.billing.page_money import page_money
from crm_core.domain.identity import DeviceId, WorkOrderId
from crm_core.domain.money import Money
from crm_core.domain.service import WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.domain.stock import MoveReason, inside
from tests.builders import TENANT
from tests.money_world import MAY, MoneyWorld, a_plan, counted, shanghai
from tests.stock_builders import WAREHOUSE, a_move, an_item

D1 = DeviceId("d1")


def a_billed_month():
    world = MoneyWorld()
    world.customer()
    world.device("d1")
    world.plans.publish(a_plan())
    world.contract()
    world.placed("k1", "1", "d1")
    world.says(
        counted("d1", shanghai(5, 1, -1), 5000, colour=1000),
        counted("d1", shanghai(5, 31, 20), 6100, colour=1100),
    )
    world.clock.move_to(shanghai(6, 1, 6))
    world.billing.run(TENANT, MAY)
    return world


def put_in(world, at, cost, reason=MoveReason.USE, device=D1):
    with world.uow_factory() as uow:
        uow.stock.save_item(an_item())
        uow.stock.post(
            [
                a_move(at=at, effect=f"in:{at}"),
                a_move(
                    source=WAREHOUSE, target=inside(device), at=at, effect=f"out:{at}", reason=reason,
                    unit_cost=Money(Decimal(cost)),
                ),
            ]
        )  # fmt: skip
        uow.commit()


def visited(world, done_at):
    with world.uow_factory() as uow:
        uow.work_orders.add(
            WorkOrder(
                tenant=TENANT, work_order_id=WorkOrderId(0), ticket_ids=(), device_id=D1, kind=WorkOrderKind.REPAIR,
                site_id=None, customer_id=None, technician_id=None, assigned_reason="",
                state=WorkOrderState.DONE, created_at=done_at - timedelta(hours=3), due_at=done_at, done_at=done_at,
            )
        )  # fmt: skip
        uow.commit()


def figures(world, *, customers=None, devices=frozenset({D1})):
    with world.uow_factory() as uow:
        return page_money(uow, TENANT, world.policy, customers=customers, devices=devices)


def test_price_and_cost_of_a_page():
    """750.00 for 1,100 pages; one cartridge of 90.00 and one visit; what fell out of the month does not count."""
    world = a_billed_month()
    put_in(world, shanghai(5, 12), "90.00")
    put_in(world, shanghai(6, 1, 1), "500.00")  # the next month
    visited(world, shanghai(5, 12, 10))
    visited(world, shanghai(6, 1, 2))
    found = figures(world)
    visit = Decimal(str(world.policy.failures.visit_cost))
    assert (found.first, found.last, found.devices, found.pages) == (
        date(2026, 5, 1),
        date(2026, 5, 1),
        1,
        1100,
    )
    assert found.price_per_page == Decimal("0.6818")
    assert (found.supplies, found.visits) == (Decimal("90.00"), visit)
    assert found.cost_per_page == ((90 + visit) / 1100).quantize(Decimal("0.0001"))


def test_other_customers_and_devices_are_not_counted():
    world = a_billed_month()
    put_in(world, shanghai(5, 12), "90.00", reason=MoveReason.SWAP)
    assert figures(world, devices=frozenset()).supplies == 0
    assert figures(world, customers=frozenset({"somebody else"})) is None


def test_nothing_billed_says_nothing():
    assert figures(MoneyWorld()) is None
