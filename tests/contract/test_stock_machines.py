"""Cartridges, loans and down time keep their promises on every store."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crm_core.domain.cartridges import (
    Cartridge,
    CartridgeFilter,
    CartridgeKey,
    CartridgeOrigin,
    PendingJump,
    SwapMark,
)
from crm_core.domain.errors import Conflict
from crm_core.domain.identity import DeviceId, TicketId
from crm_core.domain.loans import OPEN_LOANS, DownTime, Loan, LoanState, LoyaltyLevel, StandBy
from crm_core.domain.money import Money
from tests.builders import T0, TENANT
from tests.stock_builders import WAREHOUSE

HOUR = timedelta(hours=1)


def a_cartridge(number=1, index="1.1", **changes):
    fields = {
        "tenant": TENANT, "device_id": DeviceId("d1"), "supply_index": index, "number": number, "kind": "toner",
        "colour": "black", "origin": CartridgeOrigin.NEW, "found_at": T0, "last_at": T0, **changes,
    }  # fmt: skip
    return Cartridge(**fields)


def a_loan(ticket=1, device="standby", **changes):
    fields = {
        "tenant": TENANT, "ticket_id": TicketId(ticket), "device_id": DeviceId(device), "for_device": DeviceId("d1"),
        "customer_id": "c1", "site_id": "s1", "state": LoanState.RESERVED, "reserved_at": T0, "promised_by": T0 + HOUR,
        "loyalty": LoyaltyLevel.GOLD, "distance_km": 3.5, "reason": "why", **changes,
    }  # fmt: skip
    return Loan(**fields)


def test_a_slot_holds_one_cartridge_and_remembers_the_others(uow_factory):
    pending = PendingJump(at=T0, percent=90.0, before=20.0, sure=True, pages=5)
    old = a_cartridge(
        removed_at=T0 + HOUR, residual_percent=31.0, early=True, loss=Money(Decimal("93.00")), customer_id="c1",
        site_id="s1", serial="S1",
    )  # fmt: skip
    new = a_cartridge(2, pending=pending, came_from=old.key)
    with uow_factory() as uow:
        uow.stock.save_cartridge(old)
        uow.stock.save_cartridge(new)
        uow.stock.save_cartridge(a_cartridge(1, "1.2", removed_at=T0 + 2 * HOUR, customer_id="c1"))
        uow.commit()
    with uow_factory() as uow, pytest.raises(Conflict):
        uow.stock.save_cartridge(a_cartridge(3))
    with uow_factory() as uow:
        stock = uow.stock
        assert stock.find_cartridge(TENANT, old.key) == old
        missing = CartridgeKey(device_id=DeviceId("d1"), supply_index="1.1", number=9)
        assert stock.find_cartridge(TENANT, missing) is None
        devices = [DeviceId("d1"), DeviceId("d2")]
        assert stock.current_cartridges(TENANT, devices) == {"d1": [new], "d2": []}
        assert stock.cartridges_with_serial(TENANT, "S1") == [old]
        found = stock.cartridges(TENANT, CartridgeFilter())
        assert [(row.supply_index, row.number) for row in found] == [("1.1", 2), ("1.2", 1), ("1.1", 1)]
        assert stock.cartridges(TENANT, CartridgeFilter(early=True, customer_id="c1")) == [old]
        assert stock.cartridges(TENANT, CartridgeFilter(removed=False)) == [new]
        late = CartridgeFilter(since=T0 + 2 * HOUR, until=T0 + 3 * HOUR)
        assert [row.supply_index for row in stock.cartridges(TENANT, late)] == ["1.2"]


def test_marks_move_forward(uow_factory):
    with uow_factory() as uow:
        uow.stock.save_swap_marks([])
        uow.stock.save_swap_marks([SwapMark(TENANT, DeviceId("d1"), T0)])
        uow.stock.save_swap_marks([SwapMark(TENANT, DeviceId("d1"), T0 + HOUR)])
        assert uow.stock.swap_marks(TENANT) == {"d1": T0 + HOUR}


def test_a_ticket_and_a_machine_have_one_open_loan_each(uow_factory):
    with uow_factory() as uow:
        first = uow.stock.open_loan(a_loan())
        assert uow.stock.open_loan(a_loan(device="other")) is None
        assert uow.stock.open_loan(a_loan(ticket=2)) is None
        out = uow.stock.save_loan(replace(first, state=LoanState.OUT, out_at=T0))
        assert uow.stock.open_loan(a_loan(ticket=2)) is None
        with pytest.raises(Conflict):
            uow.stock.save_loan(first)  # an older version
        back = uow.stock.save_loan(replace(out, state=LoanState.BACK, back_at=T0 + HOUR))
        second = uow.stock.open_loan(a_loan(ticket=2))
        assert uow.stock.loans(TENANT) == [second, back]
        assert uow.stock.loans(TENANT, states=OPEN_LOANS) == [second]
        assert uow.stock.loans(TENANT, ticket_id=TicketId(1)) == [back]


def test_stand_by_machines_and_down_times(uow_factory):
    down = DownTime(
        tenant=TENANT, ticket_id=TicketId(1), device_id=DeviceId("d1"), customer_id="c1", contract_id=None, since=T0,
        until=T0 + 5 * HOUR, lent_seconds=3600, counted_seconds=4 * 3600,
    )  # fmt: skip
    with uow_factory() as uow:
        machine = StandBy(tenant=TENANT, device_id=DeviceId("standby"), place=WAREHOUSE)
        uow.stock.save_stand_by(machine)
        assert uow.stock.stand_bys(TENANT) == [machine]
        uow.stock.drop_stand_by(TENANT, machine.device_id)
        assert uow.stock.stand_bys(TENANT) == []
        uow.stock.save_down_time(down)
        uow.stock.save_down_time(down)
        assert uow.stock.find_down_time(TENANT, TicketId(1)) == down
        assert uow.stock.down_times(TENANT, T0, T0 + 5 * HOUR) == []
        assert uow.stock.down_times(TENANT, T0, T0 + 6 * HOUR, customer_id="c1") == [down]
        assert down.counted == 4 * HOUR
