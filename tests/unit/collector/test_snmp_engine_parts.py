"""Allowance, round trips, addresses and IPv6 of our own engine."""

import asyncio
import socket

import pytest

from collector.snmp.engine import (
    FIRST_TIMEOUT_SECONDS,
    MAX_TIMEOUT_SECONDS,
    MIN_TIMEOUT_SECONDS,
    Allowance,
    AllowanceSpent,
    Community,
    RoundTrips,
    SnmpTarget,
)
from collector.snmp.engine_datagram import DatagramEngine
from collector.snmp.sockets import address_of
from crm_core.domain.errors import InvalidValue
from tests.hostile import TRUE_VALUE, HostileAgent, close_all, serve, truth

SYS_DESCR = "1.3.6.1.2.1.1.1.0"


def test_time_outs_follow_the_device_within_bounds():
    trips = RoundTrips()
    assert trips.timeout_seconds == FIRST_TIMEOUT_SECONDS
    for _ in range(50):
        trips.learn(0.001)
    assert trips.timeout_seconds == MIN_TIMEOUT_SECONDS
    for _ in range(50):
        trips.learn(1.0)
    assert 1.0 < trips.timeout_seconds < 2.0
    trips.learn(60.0)
    assert trips.timeout_seconds == MAX_TIMEOUT_SECONDS


def test_an_allowance_counts_requests_and_its_clock_starts_with_the_first():
    allowance = Allowance(requests=2, seconds=100.0)
    assert not allowance.is_spent
    allowance.take()
    before = allowance.deadline
    allowance.give_back(5.0)
    assert allowance.deadline == before + 5.0
    allowance.take()
    assert allowance.is_spent
    with pytest.raises(AllowanceSpent, match="requests"):
        allowance.take()


def test_no_seconds_are_no_requests():
    with pytest.raises(AllowanceSpent, match="seconds"):
        Allowance(seconds=0.0).take()


@pytest.mark.parametrize(
    ("host", "address", "family"),
    [
        ("127.0.0.1", ("127.0.0.1", 161), socket.AF_INET),
        ("0:0:0:0:0:0:0:1", ("::1", 161), socket.AF_INET6),
    ],
)
def test_addresses_are_written_as_sockets_report_them(host, address, family):
    assert address_of(SnmpTarget(host)) == (address, family)


def test_names_are_refused():
    with pytest.raises(InvalidValue):
        address_of(SnmpTarget("printer.example"))


def test_an_ipv6_device_is_asked_like_any_other():
    if not socket.has_ipv6:
        pytest.skip("by design: this machine has no IPv6")

    async def work():
        engine = DatagramEngine()
        agent = HostileAgent([lambda number, _: truth(number)], then_truth=False)
        try:
            port = await serve(agent, "::1")
            return await engine.get(SnmpTarget("::1", port, Community()), [SYS_DESCR], Allowance())
        finally:
            await engine.close()
            await close_all()

    assert asyncio.run(work()) == {SYS_DESCR: TRUE_VALUE}


def test_closing_fails_what_is_in_flight_and_is_harmless_twice():
    async def work():
        engine = DatagramEngine(window=4)
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        silent.bind(("127.0.0.1", 0))
        target = SnmpTarget("127.0.0.1", silent.getsockname()[1], Community())
        task = asyncio.create_task(engine.get(target, [SYS_DESCR], Allowance()))
        await asyncio.sleep(0.05)
        assert engine.in_flight == 1
        assert engine.window == 4
        await engine.close()
        await engine.close()
        silent.close()
        with pytest.raises(Exception, match="closed"):
            await task
        assert engine.in_flight == 0

    asyncio.run(work())
