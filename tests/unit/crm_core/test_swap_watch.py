"""Signs of a changed cartridge, glitches that are none, and the ticket of a gauge that gives no number."""

from datetime import timedelta

import pytest

from collector.stores.memory import MemoryTelemetryStore
from crm_core.domain.cartridges import CartridgeFilter, CartridgeOrigin, SwapEvidence
from crm_core.domain.service import ClockKind, TicketState
from crm_core.domain.telemetry import Counters, Derived, DerivedSupply
from crm_core.ports import Landing
from crm_core.signals import conclude
from crm_core.stock.swap_watch import SwapWatch
from tests.builders import TENANT, a_condition, a_reading, a_supply, an_alert
from tests.policies import L1, a_book, a_catalogue, a_policy
from tests.unit.crm_core.desk import Desk

LOW = an_alert(1104, severity=4)


class Watched(Desk):
    """One device whose readings go through store, triage and watch."""

    def __init__(self) -> None:
        super().__init__()
        self.telemetry = MemoryTelemetryStore()
        self.watch = SwapWatch(
            self.uow_factory, self.clock, self.telemetry, a_policy(), a_catalogue(), a_book()
        )
        self._previous, self._count = None, 1000

    def say(self, *supplies, alerts=(), serial=None, pages=30):
        self.clock.advance(hours=1)
        self._count += pages
        derived = Derived(
            supplies=tuple(
                DerivedSupply(
                    index=each.index,
                    kind="toner",
                    colour=each.colorant,
                    serial=serial[number % len(serial)] if serial else None,
                )
                for number, each in enumerate(supplies)
            )
        )
        counters = Counters(prt_marker_life_count={"1.1": self._count})
        reading = a_reading(
            self.clock.now(), supplies=supplies, alerts=alerts, derived=derived, counters=counters
        )
        signal = conclude(reading, self._previous, a_book()).signal
        self._previous = reading
        self.telemetry.append([Landing(reading=reading)])
        self.take([signal] if signal is not None else [])
        report = self.watch.run(TENANT, timedelta(hours=1))
        self.triage.run()
        return report

    def gone(self):
        with self.uow_factory() as uow:
            return uow.stock.cartridges(TENANT, CartridgeFilter(removed=True))

    def present(self):
        with self.uow_factory() as uow:
            return uow.stock.cartridges(TENANT, CartridgeFilter(removed=False))


def black(level):
    return a_supply("1.1", level)


def test_a_gauge_without_numbers_clears_its_ticket_when_the_cartridge_was_changed():
    desk = Watched()
    desk.say(black(-3))
    desk.say(black(-3), alerts=[LOW])
    assert desk.ticket().state is TicketState.NEW
    desk.say(black(-3), alerts=[LOW])
    for _ in range(2):  # the complaint is gone, but that alone says nothing yet
        assert desk.say(black(-3), pages=5).swaps == 0
    assert desk.ticket().state is TicketState.NEW
    assert desk.say(black(-3), pages=30).swaps == 1
    assert desk.ticket().state is TicketState.AUTO_RESOLVED
    (old,) = desk.gone()
    assert (old.evidence, old.residual_percent, old.early) == (SwapEvidence.COMPLAINT, None, False)


def test_a_single_glitch_is_no_swap_and_a_rise_that_stays_is():
    desk = Watched()
    for level in (30, 29, 100, 29, 28):
        assert desk.say(black(level)).swaps == 0
    desk.say(black(100))
    report = desk.say(black(99))
    assert (report.swaps, report.early) == (1, 1)
    (old,) = desk.gone()
    assert (old.evidence, old.residual_percent) == (SwapEvidence.LEVEL, 28)
    assert desk.present()[0].origin is CartridgeOrigin.NEW
    assert desk.watch.run(TENANT).swaps == 0  # a repeat finds nothing twice


def test_another_serial_is_a_swap_at_once_and_the_old_one_is_known_again():
    desk = Watched()
    desk.say(black(40), serial="A")
    assert desk.say(black(41), serial="B").swaps == 1
    report = desk.say(black(39), serial="A")
    assert (report.swaps, report.reinserted) == (1, 1)
    assert [row.evidence for row in desk.gone()] == [SwapEvidence.SERIAL] * 2


def test_two_cartridges_that_changed_places_are_in_the_wrong_slots():
    desk = Watched()
    for left, right, serials in ((60, 20, "AB"), (59, 19, "AB"), (19, 59, "BA")):
        desk.say(a_supply("1.1", left), a_supply("1.2", right, "cyan"), serial=serials)
    assert [(row.supply_index, row.wrong_slot) for row in desk.present()] == [("1.1", True), ("1.2", True)]


@pytest.mark.parametrize("step", [10, 33])
def test_steps_of_a_coarse_gauge_are_no_swaps(step):
    desk = Watched()
    levels = [99, 99 - step, 99 - step, 99 - step + 1, 99 - 2 * step, 99 - 2 * step]
    assert sum(desk.say(black(level)).swaps for level in levels) == 0


def test_a_proposal_promises_an_offer_and_no_repair():
    desk = Desk()
    desk.see(a_condition("life.device", L1, category="replacement"))
    kinds = {clock.kind for clock in desk.ticket().clocks}
    assert kinds == {ClockKind.RESPOND, ClockKind.PROPOSAL}
