"""Hostile and broken agents over real UDP: nothing spoofed is accepted, nothing crashes or hangs, the next poll works."""

import asyncio
import contextlib
import random
import socket
import time

import pytest

from collector.snmp.engine import Allowance, Community, RoundTrips, SnmpTarget
from collector.snmp.engine_datagram import DatagramEngine
from collector.snmp.engine_pysnmp import PysnmpEngine
from crm_core.domain.errors import DeviceMisbehaved, DeviceUnreachable
from tests.hostile import (
    ATTACKS,
    MISBEHAVIOUR,
    OID,
    SPOOFED,
    TRUE_VALUE,
    HostileAgent,
    close_all,
    lie,
    message,
    request_id,
    serve,
    tlv,
    truth,
    varbind,
)

SYS_DESCR = "1.3.6.1.2.1.1.1.0"


async def ask(engine, port, **allowance):
    return await engine.get(SnmpTarget("127.0.0.1", port, Community()), [SYS_DESCR], Allowance(**allowance))


def run(work, engine_class=DatagramEngine):
    errors = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        engine = engine_class()
        try:
            return await work(engine)
        finally:
            await engine.close()
            await close_all()

    result = asyncio.run(main())
    assert errors == []
    return result


@pytest.mark.parametrize("engine_class", [DatagramEngine, PysnmpEngine])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_ignored_and_the_truth_taken(name, engine_class):
    async def work(engine):
        port = await serve(HostileAgent([ATTACKS[name]]))
        got = await ask(engine, port, seconds=5, repeats=0)
        return got, sum(engine.statistics.rejected.values())

    got, rejected = run(work, engine_class)
    assert got == {SYS_DESCR: TRUE_VALUE}
    assert rejected >= 1


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_wrong_contents_are_refused_and_the_next_good_poll_succeeds(name):
    async def work(engine):
        port = await serve(HostileAgent([MISBEHAVIOUR[name]], then_truth=False))
        good = await serve(HostileAgent([lambda number, _: truth(number)], then_truth=False))
        with pytest.raises((DeviceMisbehaved, DeviceUnreachable)):
            await ask(engine, port, seconds=2)
        return await ask(engine, good)

    assert run(work) == {SYS_DESCR: TRUE_VALUE}


@pytest.mark.parametrize("engine_class", [DatagramEngine, PysnmpEngine])
def test_an_answer_from_another_address_is_not_taken(engine_class):
    """The asked agent is silent; a neighbour that overheard the request answers with id and community right."""

    async def work(engine):
        loop = asyncio.get_running_loop()
        spy = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        spy.bind(("127.0.0.9", 0))

        class Asked(asyncio.DatagramProtocol):
            def datagram_received(self, data, address):
                spy.sendto(lie(request_id(data)), address)

        transport, _ = await loop.create_datagram_endpoint(Asked, local_addr=("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        try:
            with pytest.raises((DeviceUnreachable, DeviceMisbehaved)):
                await ask(engine, port, seconds=0.5, repeats=0)
        finally:
            spy.close()
            transport.close()
        return engine.statistics.rejected

    assert run(work, engine_class)["source"] >= 1


async def storm(engine, count: int, seed: int) -> tuple[int, float]:
    """Ask `count` times; each time a hostile answer comes before the true one. Return (true answers, slowest seconds)."""
    agent = HostileAgent(list(ATTACKS.values()), seed=seed)
    port = await serve(agent)
    trips, taken, slowest = RoundTrips(), 0, 0.0
    turns = iter(range(count))

    async def work():
        nonlocal taken, slowest
        for _ in turns:
            started = time.monotonic()
            got = await engine.get(
                SnmpTarget("127.0.0.1", port, Community()), [SYS_DESCR], Allowance(trips=trips, repeats=2)
            )
            slowest = max(slowest, time.monotonic() - started)
            assert got == {SYS_DESCR: TRUE_VALUE}
            taken += 1

    await asyncio.gather(*(work() for _ in range(50)))
    return taken, slowest


@pytest.mark.parametrize(
    "count", [3_000, pytest.param(50_000, marks=[pytest.mark.heavy, pytest.mark.timeout(300)])]
)
def test_a_storm_of_hostile_answers_changes_nothing(count):
    taken, _ = run(lambda engine: storm(engine, count, seed=7))
    assert taken == count


def mutated(number: int, dice: random.Random) -> bytes:
    """Return a true reply with one to four octets changed, taken out or put in."""
    body = bytearray(truth(number))
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(body))
        match dice.randrange(3):
            case 0:
                body[at] = dice.randrange(256)
            case 1:
                del body[at]
            case _:
                body.insert(at, dice.randrange(256))
    return bytes(body)


def test_mutated_replies_never_crash_and_never_bring_other_rows():
    async def work(engine):
        port = await serve(HostileAgent([mutated], seed=3))
        outcomes = []

        async def one():
            try:
                outcomes.append(await ask(engine, port, repeats=1))
            except (DeviceMisbehaved, DeviceUnreachable) as error:
                outcomes.append(error)

        for _ in range(20):
            await asyncio.gather(*(one() for _ in range(100)))
        return outcomes

    outcomes = run(work)
    assert len(outcomes) == 2000
    good = [got for got in outcomes if isinstance(got, dict)]
    assert len(good) > 1000
    assert all(set(got) <= {SYS_DESCR} for got in good)
    assert not any(SPOOFED in got.values() for got in good)


def endless(step: int):
    """Return an attack on walks: each reply holds rows that go on for ever by `step` (0 repeats, -1 goes back)."""

    def attack(number: int, _: random.Random) -> bytes:
        attack.row += step
        oid = bytes((0x2B, 6, 1, 2, 1, 43, 11, 1, 1, 9, 1)) + bytes((0x81, max(1, attack.row) & 0x7F))
        return message(number, varbind(oid, tlv(2, b"\x05")))

    attack.row = 50
    return attack


@pytest.mark.parametrize("step", [0, -1, 1], ids=["same", "decreasing", "endless"])
@pytest.mark.parametrize("engine_class", [DatagramEngine, PysnmpEngine])
def test_a_walk_of_an_endless_or_repeating_table_ends(step, engine_class):
    async def work(engine):
        port = await serve(HostileAgent([endless(step)], then_truth=False))
        found = {}
        with contextlib.suppress(DeviceMisbehaved, DeviceUnreachable):
            at = SnmpTarget("127.0.0.1", port, Community())
            await engine.walk_into(found, at, ["1.3.6.1.2.1.43.11.1.1.9"], Allowance(), max_rows=500)
        return engine.statistics.requests, len(found)

    requests, rows = run(work, engine_class)
    assert requests <= 64
    assert rows <= 64


def long_string(number: int, _: random.Random) -> bytes:
    return message(number, varbind(OID, tlv(4, b"A" * 60_000)))


def test_a_string_of_sixty_kilobytes_is_left_out():
    async def work(engine):
        port = await serve(HostileAgent([long_string], then_truth=False))
        return await ask(engine, port), engine.statistics.rejected

    got, rejected = run(work)
    assert got == {}
    assert rejected["size"] == 1
