"""End to end on one core: poll, normalise, conclude, land durably - against snmp_exporter's scrape alone.

`as before` sends the same values again, as an idle printer does; `all new` reads every reply anew and lands it.
"""

import asyncio
import itertools
import time

import msgspec
import pytest

from collector.dead_letters import MemoryDeadLetters
from collector.ingest import Ingest
from collector.profiles import load_profiles
from collector.snmp.engine_datagram import DatagramEngine
from collector.snmp.poller import Poller, PollTarget
from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import SystemClock
from config.fault_code_files import load_fault_codes
from crm_core.domain.catalogue import Catalogue
from crm_core.signals import Concluder
from tests.benchmarks.test_snmp_engines import AGENTS, EXPORTER, Result, address, exporter, responder

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]
BATCH = 50


async def polled(port, folder, polls, *, keep_readings) -> Result:
    clock = SystemClock()
    engine, book = DatagramEngine(), load_fault_codes()
    store = SqliteTelemetryStore(folder / f"telemetry-{keep_readings}.sqlite", clock)
    ingest = Ingest(store, Concluder(book), MemoryDeadLetters(), clock)
    poller = Poller(
        engine,
        profiles=load_profiles(),
        catalogue=Catalogue([]),
        book=book,
        clock=clock,
        keep_readings=keep_readings,
    )
    targets = [
        PollTarget(host=address(number), port=port, device_id=f"d{number}", site_id="bench")
        for number in range(AGENTS)
    ]
    pages, lost = itertools.count(1), 0

    async def sweep(count):
        nonlocal lost
        turns, batch = iter(range(count)), []

        async def work():
            nonlocal lost
            for turn in turns:
                reading = await poller.poll(targets[turn % AGENTS])
                lost += len(reading.supplies) != 8
                if not keep_readings:  # another console line each time: nothing is as before
                    status = msgspec.structs.replace(reading.status, console=(f"page {next(pages)}",))
                    reading = msgspec.structs.replace(reading, status=status)
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
        name = "poll to durable store, as before" if keep_readings else "poll to durable store, all new"
        return Result(name, polls, lost, time.process_time() - cpu, time.monotonic() - wall)
    finally:
        await engine.close()
        store.close()


def test_poll_to_durable_store_against_a_scrape_alone(tmp_path):
    with responder() as port:
        results = [
            asyncio.run(polled(port, tmp_path, 4000, keep_readings=True)),
            asyncio.run(polled(port, tmp_path, 2000, keep_readings=False)),
        ]
        if EXPORTER:
            results.append(exporter(port, 400, tmp_path))
    print()
    for row in results:
        print(
            f"{row.name:34}{row.rate:>10,.0f} devices/CPU-s{row.devices / row.wall:>9,.0f} wall/s{row.lost:>6} lost"
        )
    assert all(row.lost == 0 for row in results)
    if EXPORTER:
        print(
            f"ratio to the scrape alone: {results[0].rate / results[-1].rate:.1f} (as before), {results[1].rate / results[-1].rate:.1f} (all new)"
        )
        # issue 4 asks for 2 (seen: 4.0 and 2.0); the slack is for machines that do other work meanwhile
        assert results[0].rate >= 2.5 * results[-1].rate
        assert results[1].rate >= 1.5 * results[-1].rate
