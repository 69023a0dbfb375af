"""Acceptance story 4 with its exact figures (reference product.md section 5, corrected in 1.4)."""

from datetime import timedelta
from decimal import Decimal

import pytest

from collector.stores.memory import MemoryTelemetryStore
from crm_core.domain.cartridges import CartridgeFilter, CartridgeOrigin
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.identity import ModelId
from crm_core.domain.money import Money
from crm_core.domain.stock import MoveReason, PlaceKey, inside, is_external, shelf_at
from crm_core.ports import Landing
from crm_core.ports.stock import MoveFilter
from crm_core.signals import conclude
from crm_core.stock.swap_watch import SwapReport, SwapWatch
from tests.builders import TENANT, a_customer, a_device, a_site
from tests.policies import a_book, a_policy
from tests.scenarios.toner_thief import EVERY, MODEL, SEEDS, SITE, device_ids, rounds, thief_fleet, true_swaps
from tests.stock_builders import a_move, an_item
from tests.unit.crm_core.desk import Desk

PRICE = Decimal("420.00")


class ThiefWorld(Desk):
    """The customer's machines, a shelf with cartridges, and the watch over both."""

    def __init__(self, on_shelf: int) -> None:
        super().__init__(devices=0)
        self.telemetry = MemoryTelemetryStore()
        self.watch = SwapWatch(
            self.uow_factory, self.clock, self.telemetry, a_policy(), Catalogue([]), a_book()
        )
        with self.uow_factory() as uow:
            uow.customers.save(a_customer("c-studio"))
            uow.sites.save(a_site(SITE, "c-studio"))
            for device_id in device_ids():
                uow.devices.save(a_device(device_id, SITE, "c-studio", model_id=ModelId(MODEL)))
            uow.stock.save_item(an_item("CRG-052", None, model_ids=(ModelId(MODEL),), unit_cost=Money(PRICE)))
            uow.stock.post([a_move(on_shelf, target=shelf_at(SITE), item_id="CRG-052")])
            uow.commit()
        self._previous: dict[str, object] = {}

    def look(self, at, readings) -> SwapReport:
        self.clock.move_to(at)
        signals = []
        for reading in readings:
            concluded = conclude(reading, self._previous.get(reading.device_id), a_book())
            self._previous[reading.device_id] = reading
            self.telemetry.append([Landing(reading=reading, events=concluded.events)])
            signals += [concluded.signal] if concluded.signal is not None else []
        report = self.watch.run(TENANT, EVERY)
        self.take(signals)
        return report


@pytest.mark.parametrize(
    "seed", [SEEDS[0], *(pytest.param(each, marks=pytest.mark.heavy) for each in SEEDS[1:8])]
)
def test_story_4_toner_thief(seed):
    fleet = thief_fleet(seed)
    truth = true_swaps(fleet)
    fresh = sum(not swap.put_back for swap in truth)
    world = ThiefWorld(on_shelf=fresh + 4)
    for at, readings in rounds(fleet):
        world.look(at, readings)
    with world.uow_factory() as uow:
        found = uow.stock.cartridges(TENANT, CartridgeFilter(removed=True))
        balances = {row.place: row.quantity for row in uow.stock.balances(TENANT)}
        moves = uow.stock.moves(TENANT, MoveFilter(limit=1000))
    early = sorted((row.device_id, row.removed_at) for row in found if row.early)
    assert len(early) == 9
    for swap in truth:
        (row,) = [
            each
            for each in found
            if each.device_id == swap.device_id
            and 0 <= (each.removed_at.date() - (fleet.start + timedelta(days=swap.day))).days <= 3
        ]
        assert row.residual_percent == pytest.approx(swap.residual, abs=5)
        assert row.early == swap.early
    assert len(found) == len(truth)
    with world.uow_factory() as uow:
        every = uow.stock.cartridges(TENANT, CartridgeFilter())
    assert sum(row.origin is CartridgeOrigin.REINSERTED for row in every) == 2
    left_in_bins = sum(row.residual_percent for row in found if row.early) - sum(
        row.first_percent for row in every if row.origin is CartridgeOrigin.REINSERTED
    )
    loss = sum(row.loss.amount for row in found if row.loss is not None)
    step = PRICE * 2 / 100  # 1 % gauges: what was put back may be a point off, for each of the two
    assert loss == pytest.approx(PRICE * Decimal(left_in_bins) / 100, abs=step + Decimal("0.05"))
    assert Decimal(500) < loss < Decimal(1000)
    assert balances[shelf_at(SITE)] == 4
    assert sum(balances.values()) == 0
    assert all(quantity >= 0 for place, quantity in balances.items() if not is_external(PlaceKey(place)))
    assert {balances[inside(each)] for each in device_ids()} == {1}
    assert sum(move.reason is MoveReason.SWAP for move in moves) == len(truth)
