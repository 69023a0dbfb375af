"""The poller on difficult but real behaviour: tooBig, loss, slowness, reboots, vanished rows, contexts, endless tables."""

import asyncio
import contextlib
import time

import pytest

from collector.profiles import load_profiles
from collector.snmp.asking import MAX_OIDS
from collector.snmp.engine import Community, UsmUser
from collector.snmp.engine_datagram import DatagramEngine
from collector.snmp.poller import Poller, PollTarget
from config.clock import SystemClock
from config.fault_code_files import load_fault_codes
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.errors import DeviceMisbehaved, DeviceUnreachable
from simulators import usm
from simulators.recordings import Recording, recording_agent
from simulators.snmp_faults import SnmpFaults
from simulators.snmp_fleet import SnmpFleetServer

SUPPLIES, ALERT = "1.3.6.1.2.1.43.11.1.1", "1.3.6.1.2.1.43.18.1.1"
UP_TIME = "1.3.6.1.2.1.1.3.0"
PROFILES, BOOK = load_profiles(), load_fault_codes()


def rows(level=50, ticks=1000, alerts=(), count=8):
    values = [("1.3.6.1.2.1.1.1.0", 4, b"SHARP MX-1"), (UP_TIME, 0x43, ticks.to_bytes(4, "big"))]
    for row in range(1, count + 1):
        values += [
            (f"{SUPPLIES}.6.1.{row}", 4, f"Toner {row}".encode()),
            (f"{SUPPLIES}.8.1.{row}", 2, b"\x64"),
            (f"{SUPPLIES}.9.1.{row}", 2, bytes((level,))),
        ]
    for index, code in alerts:
        values += [(f"{ALERT}.2.1.{index}", 2, b"\x03"), (f"{ALERT}.7.1.{index}", 2, bytes((code,)))]
    return tuple(values)


class Bench:
    """One agent, one poller; `show` changes what the agent says."""

    def __init__(self, **options):
        self.agent = recording_agent(Recording("p", rows()), community=b"public")
        self.options = options

    def show(self, **changes):
        fresh = recording_agent(Recording("p", rows(**changes)))
        self.agent.show(fresh.layout, fresh.values)

    def run(self, work, credential=None, users=()):
        async def main(server):
            engine = DatagramEngine()
            poller = Poller(
                engine,
                profiles=PROFILES,
                catalogue=Catalogue([]),
                book=BOOK,
                clock=SystemClock(),
                **self.options,
            )
            target = PollTarget(
                host=server.address_of(0), port=server.port, credential=credential or Community()
            )

            async def poll():
                before = engine.statistics.requests
                reading = await poller.poll(target)
                return reading, engine.statistics.requests - before

            try:
                return await work(poll)
            finally:
                await engine.close()

        with SnmpFleetServer(
            [self.agent], SystemClock(), port=0, first_address="127.4.7.1", users=users
        ) as server:
            return asyncio.run(main(server))


def levels(reading):
    return {supply.level for supply in reading.supplies}


def test_an_ordinary_poll_costs_two_requests_and_sees_changes():
    bench = Bench()

    async def work(poll):
        first = await poll()
        bench.show(level=49, ticks=2000)
        second = await poll()
        bench.show(level=48, ticks=3000, alerts=[(7, 8)])
        third = await poll()
        bench.show(level=48, ticks=4000)
        return first, second, third, await poll()

    (first, cost_first), (second, cost_second), (third, cost_third), (fourth, _) = bench.run(work)
    assert levels(first) == {50}
    assert levels(second) == {49}
    assert [supply.name for supply in second.supplies] == [supply.name for supply in first.supplies]
    assert cost_first <= 16
    assert cost_second == 2
    assert cost_third <= 3
    assert [alert.code for alert in third.alerts] == [8]
    assert fourth.alerts == ()


@pytest.mark.parametrize(
    "change", [{"ticks": 5}, {"count": 7, "ticks": 9000}], ids=["reboot", "a row is gone"]
)
def test_a_device_that_is_no_longer_what_it_was_is_read_anew(change):
    bench = Bench()

    async def work(poll):
        await poll()
        bench.show(level=33, **change)
        return await poll()

    reading, cost = bench.run(work)
    assert levels(reading) == {33}
    assert len(reading.supplies) == change.get("count", 8)
    assert cost > 3


def test_too_big_halves_the_question_once_and_for_all():
    bench = Bench()
    bench.agent.faults = SnmpFaults(too_big_over=10)

    async def work(poll):
        return await poll(), await poll(), await poll()

    (first, _), (second, cost_second), (third, cost_third) = bench.run(work)
    assert levels(first) == levels(second) == levels(third) == {50}
    assert first.incomplete == third.incomplete == ()
    assert cost_third <= cost_second <= MAX_OIDS


def test_lost_requests_are_repeated_and_nothing_is_missing():
    bench = Bench()
    bench.agent.faults = SnmpFaults(loss=0.2, seed=4)

    async def work(poll):
        return [await poll() for _ in range(3)]

    for reading, _ in bench.run(work):
        assert levels(reading) == {50}
        assert reading.incomplete == ()


@pytest.mark.parametrize(
    "faults",
    [
        {"endless": True},
        {"decreasing": True},
        {"wrong_oid": True},
        {"wrong_count": True},
        {"wrong_request_id": True},
    ],
)
def test_a_broken_agent_costs_no_more_than_the_allowance_and_heals(faults):
    bench = Bench(seconds_a_poll=1.5)
    bench.agent.faults = SnmpFaults(**faults)

    async def work(poll):
        started = time.monotonic()
        requests = 0
        with contextlib.suppress(DeviceMisbehaved, DeviceUnreachable):
            _, requests = await poll()
        took = time.monotonic() - started
        bench.agent.faults = None
        for _ in range(2):
            reading, _ = await poll()
        return requests, took, reading

    requests, took, reading = bench.run(work)
    assert requests <= 64
    assert took < 10
    assert levels(reading) == {50}
    assert len(reading.supplies) == 8


def test_a_device_that_falls_silent_half_way_gives_a_reading_that_names_what_is_missing():
    bench = Bench(seconds_a_poll=0.6, repeats=0)

    async def work(poll):
        await poll()
        bench.agent.faults = SnmpFaults(loss=0.45, seed=2)
        readings = []
        for _ in range(12):
            try:
                readings.append((await poll())[0])
            except (DeviceMisbehaved, DeviceUnreachable):
                continue
        return readings

    readings = bench.run(work)
    partial = [reading for reading in readings if reading.incomplete]
    assert partial
    assert {part for reading in partial for part in reading.incomplete} <= {
        "alerts",
        "supplies",
        "identity",
        "vendor",
    }


def test_supplies_that_show_only_in_a_context_are_found_there():
    user = UsmUser("reader", "sha256", "auth-password", "aes128", "priv-password")
    known = usm.UsmUser(
        name="reader", auth="SHA256", auth_password="auth-password", priv="AES", priv_password="priv-password"
    )
    bench = Bench()
    plain = recording_agent(
        Recording(
            "hp", (("1.3.6.1.2.1.1.1.0", 4, b"HP ETHERNET MULTI-ENVIRONMENT"), (UP_TIME, 0x43, b"\x09"))
        )
    )
    clock = SystemClock()

    class HpEngine(usm.Engine):
        """Shows the supplies in the context Jetdirect only."""

        __slots__ = ()

        def process(self, data, users, now, answer):
            def by_context(message):
                shown = plain if message.context != b"Jetdirect" else inside
                bench.agent.show(shown.layout, shown.values)
                return answer(message)

            return super().process(data, users, now, by_context)

    inside = recording_agent(Recording("p", rows()))
    bench.agent.engine = HpEngine(
        b"\x80\x00\x1f\x88\x04hp", clock.now(), contexts=frozenset([b"", b"Jetdirect"])
    )

    async def work(poll):
        return await poll(), await poll()

    (first, _), (second, _) = bench.run(work, credential=user, users=[known])
    assert len(first.supplies) == len(second.supplies) == 8
