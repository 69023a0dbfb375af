"""End to end on one core: poll, normalise, conclude, land durably - against snmp_exporter's scrape alone.

`as before` sends the same values again, as an idle printer does; of `one level new` and `all new` one and every supply has
another level at each look.
"""

import asyncio
import itertools
import time
from operator import truediv
from statistics import median

import pytest

from collector.dead_letters import MemoryDeadLetters
from collector.ingest import Ingest
from collector.profiles import load_profiles
from collector.snmp.engine_datagram import DatagramEngine
from collector.snmp.poller import Poller, PollTarget
from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import SystemClock
from config.fault_code_files import load_fault_codes
from config.wiring.garbage import settle_garbage_collection
from crm_core.domain.catalogue import Catalogue
from crm_core.signals import Concluder
from tests.benchmarks.test_snmp_engines import (
    AGENTS,
    EXPORTER,
    SUPPLIES,
    Result,
    address,
    exporter,
    responder,
)

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]
BATCH = 50
TURNS = 5
LEVELS = tuple(f"{SUPPLIES}.8.1.{row}" for row in range(1, 9))


class MovingEngine(DatagramEngine):
    """Every look finds another level in those supplies, as if everything printed all the time."""

    def __init__(self, name, levels):
        super().__init__()
        self.name, self.levels, self.turns = name, levels, itertools.count()

    async def get(self, *question):
        found = await super().get(*question)
        level = next(self.turns) % 97
        return {oid: level if oid.startswith(self.levels) else value for oid, value in found.items()}


async def polled(port, folder, polls, *, engine) -> Result:
    """Poll as the collector process does, its way with garbage included."""
    settle_garbage_collection()
    clock, book = SystemClock(), load_fault_codes()
    store = SqliteTelemetryStore(folder / f"{engine.name}.sqlite", clock)
    ingest = Ingest(store, Concluder(book), MemoryDeadLetters(), clock)
    poller = Poller(
        engine,
        profiles=load_profiles(),
        catalogue=Catalogue([]),
        book=book,
        clock=clock,
    )
    targets = [
        PollTarget(host=address(number), port=port, device_id=f"d{number}", site_id="bench")
        for number in range(AGENTS)
    ]
    lost = 0

    async def sweep(count):
        nonlocal lost
        turns, batch = iter(range(count)), []

        async def work():
            nonlocal lost
            for turn in turns:
                reading = await poller.poll(targets[turn % AGENTS])
                lost += len(reading.supplies) != 8
                batch.append(reading)
                if len(batch) >= BATCH:
                    ingest.land(batch)
                    batch.clear()

        await asyncio.gather(*(work() for _ in range(50)))
        ingest.land(batch)

    try:
        await sweep(AGENTS)
        cpu, wall = time.process_time(), time.monotonic()
        await sweep(polls)
        return Result(
            f"poll to durable store, {engine.name}",
            polls,
            lost,
            time.process_time() - cpu,
            time.monotonic() - wall,
        )
    finally:
        await engine.close()
        store.close()


def test_poll_to_durable_store_against_a_scrape_alone(tmp_path):
    """Ours and the exporter take turns, because what a CPU second does changes with what others do meanwhile."""
    rates = {name: [] for name in ("as before", "one level new", "all new", "scrape")}
    with responder() as port:
        for turn in range(TURNS):
            folder = tmp_path / str(turn)
            folder.mkdir()
            for name, levels in (("as before", ()), ("one level new", LEVELS[:1]), ("all new", LEVELS)):
                row = asyncio.run(polled(port, folder, 1500, engine=MovingEngine(name, levels)))
                assert row.lost == 0
                rates[name].append(row.rate)
            if EXPORTER:
                rates["scrape"].append(exporter(port, 300, folder).rate)
    print()
    for name, found in rates.items():
        print(f"{name:16}{median(found or [0]):>10,.0f} devices/CPU-s")
    if EXPORTER:
        pairs = {
            name: map(truediv, found, rates["scrape"]) for name, found in rates.items() if name != "scrape"
        }
        ratios = {name: median(pair) for name, pair in pairs.items()}
        print(
            "ratio to the scrape alone:", ", ".join(f"{ratio:.1f} ({name})" for name, ratio in ratios.items())
        )
        # issue 4 asks for 2; the slack is for machines that do other work meanwhile
        assert ratios["as before"] >= 2.5
        assert ratios["one level new"] >= 1.6
        assert ratios["all new"] >= 1.5
