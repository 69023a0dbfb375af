"""A fleet in one pair of processes: a fifth dead, five percent of requests lost; nobody alive may look silent.

The sweep is compared with what it must take: the time of the living at the rate measured on a healthy sweep of the same run, or
the time-outs of the dead over the window (at least those of one), whichever is longer. The full figure is 10,000 printers (`make soak`).
"""

import asyncio
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from collector.profiles import load_profiles
from collector.schedule import Reachability
from collector.snmp.engine_datagram import DatagramEngine
from collector.snmp.poller import Poller, PollTarget
from config.clock import SystemClock
from config.fault_code_files import load_fault_codes
from crm_core.domain.catalogue import Catalogue
from tests.benchmarks.test_snmp_engines import address, responder

WINDOW = 512
DEAD_SHARE = 0.2
LOSS = 0.05
FLEETS = [
    pytest.param(500, marks=[pytest.mark.heavy, pytest.mark.timeout(600)]),
    pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
]


def _resident_mb() -> float:
    """Return the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def targets(count: int, port: int) -> list[PollTarget]:
    return [
        PollTarget(host=address(number), port=port, device_id=f"d{number}", site_id=f"s{number // 40}")
        for number in range(count)
    ]


class Sweeps:
    def __init__(self, engine: DatagramEngine) -> None:
        self.engine = engine
        self.poller = Poller(
            engine,
            profiles=load_profiles(),
            catalogue=Catalogue([]),
            book=load_fault_codes(),
            clock=SystemClock(),
        )
        self.outcome: Counter[str] = Counter()
        self.failed: set[str] = set()

    async def run(self, devices: list[PollTarget]) -> float:
        self.outcome.clear()
        self.failed.clear()

        async def good(target, reading):
            self.outcome["read"] += 1
            self.outcome["complete"] += not reading.incomplete

        async def bad(target, error):
            self.outcome["failed"] += 1
            self.failed.add(target.device_id)

        started = time.monotonic()
        await self.poller.sweep(devices, good, bad, in_flight=WINDOW)
        return time.monotonic() - started


@pytest.mark.parametrize("count", FLEETS)
def test_no_living_printer_looks_silent_with_a_fifth_dead_and_loss(count):
    async def main(port):
        sweeps = Sweeps(DatagramEngine(window=WINDOW))
        devices = targets(count, port)
        living = [target for number, target in enumerate(devices) if number % 5 != 4]
        try:
            await sweeps.run(living)  # first contact
            alive_seconds = await sweeps.run(living)
            dead_timeouts = (count - len(living)) * sweeps.poller.seconds_a_poll
            floor = max(alive_seconds, dead_timeouts / WINDOW, sweeps.poller.seconds_a_poll)
            all_seconds = await sweeps.run(devices)
            failures = [set(sweeps.failed)]
            for _ in range(2):
                await sweeps.run(devices)
                failures.append(set(sweeps.failed))
            now = SystemClock().now()
            silent = [
                target.device_id
                for target in living
                if sweeps.poller.schedule.reachability(target.key, now) is Reachability.SILENT
            ]
            return len(living) / alive_seconds, floor, all_seconds, silent, failures, sweeps.engine.statistics
        finally:
            await sweeps.engine.close()

    before = _resident_mb()  # other tests of this run may have left much behind
    with responder(count, DEAD_SHARE, LOSS) as port:
        rate, floor, seconds, silent, failures, statistics = asyncio.run(main(port))
    memory = max(0.0, _resident_mb() - before)
    print(
        f"\n{count} printers, 20 % dead, 5 % loss: {rate:,.0f} living devices/s; sweep of all {seconds:.1f} s, "
        f"floor {floor:.1f} s (x{seconds / floor:.2f}); living reported silent: {len(silent)}; "
        f"memory grew by {memory:.0f} MB; {statistics}"
    )
    assert silent == []
    dead = {f"d{number}" for number in range(4, count, 5)}
    assert all(len(failed - dead) <= count * 0.01 for failed in failures)
    assert seconds <= 1.3 * floor
    assert memory < 500


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_a_healthy_fleet_at_a_thousand_in_flight_loses_nothing():
    async def main(port):
        engine = DatagramEngine(window=1000)
        sweeps = Sweeps(engine)
        devices = [
            PollTarget(host=target.host, port=port, device_id=target.device_id, site_id=target.device_id)
            for target in targets(2000, port)
        ]
        try:
            for _ in range(3):
                await sweeps.poller.sweep(devices, *callbacks(sweeps), in_flight=1000)
            return sweeps, engine.window
        finally:
            await engine.close()

    def callbacks(sweeps):
        async def good(target, reading):
            sweeps.outcome["read"] += 1

        async def bad(target, error):
            sweeps.outcome["failed"] += 1

        return good, bad

    with responder(2000) as port:
        sweeps, window = asyncio.run(main(port))
    print(
        f"\n3 sweeps of 2,000 healthy printers, window {window}: {dict(sweeps.outcome)}, {sweeps.engine.statistics}"
    )
    assert sweeps.outcome == {"read": 6000}
