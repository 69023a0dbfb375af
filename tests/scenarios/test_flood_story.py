"""Acceptance story 6, its tickets (reference product.md section 5): a gateway sends everything again.

Thirty printers push over a gateway that falls behind: for three hours two thirds of their readings stay in it. Then it
sends everything of the last days again, doubled and shuffled: 50,000 messages. They go through decoding, ingest, inbox
and triage as MQTT messages do.
"""

import random
from datetime import timedelta
from itertools import groupby

import pytest

from collector.dead_letters import MemoryDeadLetters
from collector.ingest import Ingest
from collector.stores.memory import MemoryTelemetryStore
from config.fault_code_files import load_fault_codes
from crm_core.domain.service import OPEN_STATES, TicketState
from crm_core.domain.wire import decode_reading
from crm_core.signals import Concluder
from crm_core.stock.swap_watch import SwapWatch
from crm_core.ticket_states import Move
from crm_core.triage import Triage
from simulators.runner import walk
from simulators.scenario import load_scenario
from tests.builders import TENANT, a_customer, a_device, a_site
from tests.policies import a_catalogue, a_policy, a_rule, a_triage_policy
from tests.unit.crm_core.desk import Desk

BATCH = 500
RULES = [
    a_rule("fault.", n=1, clear_n=2, clear_minutes=30),
    a_rule("supply.", clear_n=2),
    a_rule("paper.", n=2),
]
BOOK = load_fault_codes()


class FloodWorld(Desk):
    """The gateway's printers with a store, an ingest and triage; what the store concludes goes to the inbox."""

    def __init__(self, devices) -> None:
        policy = a_policy(
            a_triage_policy(RULES, max_automatic_tickets_per_site_day=10_000, campaign_devices=10**6)
        )
        super().__init__(policy=policy, devices=0)
        self.telemetry = MemoryTelemetryStore()
        self.letters = MemoryDeadLetters()
        self.triage = Triage(self.uow_factory, self.clock, policy, BOOK, a_catalogue())
        self.ingest = Ingest(self.telemetry, Concluder(BOOK), self.letters, self.clock)
        self.watch = SwapWatch(self.uow_factory, self.clock, self.telemetry, policy, a_catalogue(), BOOK)
        self._passed = 0
        with self.uow_factory() as uow:
            uow.customers.save(a_customer("c-gate"))
            uow.sites.save(a_site("gateway", "c-gate"))
            for device_id in devices:
                uow.devices.save(a_device(device_id, "gateway", "c-gate"))
            uow.commit()

    def receive(self, bodies):
        """Take messages as the listener does, then let triage see what they say."""
        readings = [decode_reading(body) for body in bodies]
        result = self.ingest.land(readings)
        fresh = self.telemetry.signals[self._passed :]
        self._passed = len(self.telemetry.signals)
        with self.uow_factory() as uow:
            uow.signals.append(fresh)
            uow.commit()
        self.triage.run_all()
        return result

    def told(self):
        return {ticket.ticket_id: (ticket.dedup_key, ticket.raised_at) for ticket in self.tickets()}


def the_flood(messages):
    scenario = load_scenario("duplicate_flood")
    count = 0
    kept = []
    for at, group in groupby(walk(scenario, scenario.fleet()), key=lambda said: said.at):
        said = [each for each in group if each.body is not None]
        kept.append((at, said))
        count += len(said)
        if 2 * count >= messages:
            break
    return kept


@pytest.mark.parametrize("messages", [6_000, pytest.param(50_000, marks=pytest.mark.heavy)])
def test_story_6_duplicate_flood(messages):
    rounds = the_flood(messages)
    devices = sorted({said.device.device_id for _, group in rounds for said in group})
    draw = random.Random(6)
    world, control = FloodWorld(devices), FloodWorld(devices)
    behind_from = rounds[-1][0] - timedelta(hours=3)
    held_back = []
    for at, group in rounds:
        for each in (world, control):
            each.clock.move_to(at)
        control.receive([said.body for said in group])
        stuck = [at >= behind_from and draw.random() < 0.67 for _ in group]
        held_back += [said.body for said, late in zip(group, stuck, strict=True) if late]
        world.receive([said.body for said, late in zip(group, stuck, strict=True) if not late])
        world.watch.run(TENANT, timedelta(minutes=5))
    assert held_back
    for ticket in world.tickets(TicketState.NEW)[:2]:  # people deal with some, and close them
        for each in (world, control):
            twin = next(
                (one for one in each.tickets(TicketState.NEW) if one.dedup_key == ticket.dedup_key), None
            )
            if twin is not None:
                each.servicedesk.move(TENANT, twin.ticket_id, Move.CANCEL, actor="li", note="wrong alarm")
    closed = {t.ticket_id: t for t in world.tickets() if t.state not in OPEN_STATES}
    assert closed
    before = world.told()
    stored = world.telemetry.stats(TENANT).readings

    flood = [said.body for _, group in rounds for said in group] * 2
    draw.shuffle(flood)
    world.clock.move_to(rounds[-1][0] + timedelta(minutes=1))
    duplicates = 0
    for start in range(0, len(flood), BATCH):
        duplicates += world.receive(flood[start : start + BATCH]).duplicates
        world.watch.run(TENANT, timedelta(minutes=5))
    assert len(flood) >= messages
    assert duplicates == len(flood) - len(held_back)  # each held-back reading is new once
    assert world.telemetry.stats(TENANT).readings == stored + len(held_back)

    open_keys = [ticket.dedup_key for ticket in world.tickets(*OPEN_STATES)]
    assert len(open_keys) == len(set(open_keys))  # no duplicate ticket
    for ticket_id, ticket in closed.items():  # no closed ticket is touched or reopened
        assert next(t for t in world.tickets() if t.ticket_id == ticket_id) == ticket
    assert before.items() <= world.told().items()
    assert set(open_keys) <= {key for key, _ in control.told().values()}  # nothing that order would not raise
    with world.uow_factory() as uow:
        assert uow.signals.pending(10) == []
    _check_counters(world, devices, rounds)


def _check_counters(world, devices, rounds):
    """State that the counters of each device rise from reading to reading, as the printers said them."""
    first, last = rounds[0][0], rounds[-1][0]
    for device_id in devices:
        counts = [
            reading.counters.life_count
            for reading in world.telemetry.readings(
                TENANT, device_id, first, last + timedelta(minutes=1), limit=100_000
            )
        ]
        assert counts == sorted(counts)
        for row in world.telemetry.daily_meters(TENANT, 0, 10**6, device_id):
            assert row.pages >= 0
            assert row.epoch_changes == 0
