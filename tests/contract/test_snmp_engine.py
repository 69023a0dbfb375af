"""What every SNMP engine must do, on a simulated agent over real UDP: v1, v2c and v3, limits and refusals."""

import asyncio
import contextlib

import pytest

from collector.snmp.engine import (
    Allowance,
    AllowanceSpent,
    Community,
    RequestRefused,
    RequestTimedOut,
    SnmpTarget,
    UsmUser,
    walk,
)
from collector.snmp.engine_datagram import DatagramEngine
from collector.snmp.engine_gufo import GufoEngine
from collector.snmp.engine_pysnmp import PysnmpEngine
from config.clock import SystemClock
from simulators import usm as simulated_usm
from simulators.recordings import Recording, recording_agent
from simulators.snmp_fleet import SnmpFleetServer

ENGINES = {"datagram": DatagramEngine, "gufo": GufoEngine, "pysnmp": PysnmpEngine}
SUPPLIES = "1.3.6.1.2.1.43.11.1.1"
ROWS = tuple(
    [("1.3.6.1.2.1.1.1.0", 4, b"A printer"), ("1.3.6.1.2.1.1.2.0", 6, bytes((0x2B, 6, 1, 4, 1, 0x92, 0x51))),
     ("1.3.6.1.2.1.1.3.0", 0x43, (2**32 - 1).to_bytes(5, "big")), ("1.3.6.1.2.1.4.20.1.1.1", 0x40, bytes((10, 0, 0, 1)))]
    + [(f"{SUPPLIES}.6.1.{row}", 4, f"Toner {row}".encode()) for row in range(1, 61)]
    + [(f"{SUPPLIES}.9.1.{row}", 2, (256 - 3).to_bytes(1, "big") if row == 1 else bytes((row,))) for row in range(1, 61)]
)  # fmt: skip
USER = UsmUser("reader", "sha256", "auth-password", "aes128", "priv-password")
CREDENTIALS = {"v1": Community("public", "1"), "v2c": Community("public", "2c"), "v3": USER}


@pytest.fixture(scope="module")
def server():
    users = (
        simulated_usm.UsmUser(
            name="reader",
            auth="SHA256",
            auth_password="auth-password",
            priv="AES",
            priv_password="priv-password",
        ),
    )
    clock = SystemClock()
    agent = recording_agent(Recording("contract", ROWS), community=b"public")
    agent.engine = simulated_usm.Engine(b"\x80\x00\x1f\x88\x04contract", clock.now())
    with SnmpFleetServer([agent], clock, port=0, first_address="127.3.0.1", users=users) as serving:
        yield serving


@pytest.fixture(params=ENGINES)
def engine_class(request):
    return ENGINES[request.param]


@pytest.fixture(params=CREDENTIALS)
def credential(request):
    return CREDENTIALS[request.param]


def run(engine_class, use):
    async def main():
        engine = engine_class()
        try:
            return await use(engine)
        finally:
            await engine.close()
            await asyncio.sleep(0)

    return asyncio.run(main())


def target(server, credential, **changes):
    return SnmpTarget(
        **{"host": server.address_of(0), "port": server.port, "credential": credential} | changes
    )


def test_values_come_with_their_types_and_absent_rows_are_absent(engine_class, credential, server):
    wanted = [oid for oid, _, _ in ROWS[:4]] + [f"{SUPPLIES}.9.1.1", f"{SUPPLIES}.9.1.99"]
    got = run(engine_class, lambda engine: engine.get(target(server, credential), wanted, Allowance()))
    assert got == {
        "1.3.6.1.2.1.1.1.0": b"A printer",
        "1.3.6.1.2.1.1.2.0": "1.3.6.1.4.1.2385",
        "1.3.6.1.2.1.1.3.0": 2**32 - 1,
        "1.3.6.1.2.1.4.20.1.1.1": "10.0.0.1",
        f"{SUPPLIES}.9.1.1": -3,
    }


def test_columns_are_walked_to_their_end_and_no_further(engine_class, credential, server):
    columns = [f"{SUPPLIES}.6", f"{SUPPLIES}.9", f"{SUPPLIES}.8"]
    allowance = Allowance(requests=200)
    got = run(engine_class, lambda engine: walk(engine, target(server, credential), columns, allowance))
    assert len(got) == 120
    assert got[f"{SUPPLIES}.6.1.60"] == b"Toner 60"
    assert got[f"{SUPPLIES}.9.1.2"] == 2


def test_a_walk_keeps_its_limit_of_rows(engine_class, server):
    at = target(server, CREDENTIALS["v2c"])
    got = run(engine_class, lambda engine: walk(engine, at, [f"{SUPPLIES}.6"], Allowance(), max_rows=10))
    assert len(got) == 10


def test_what_was_read_before_the_allowance_ended_is_kept(engine_class, server):
    found = {}

    async def use(engine):
        with contextlib.suppress(AllowanceSpent):
            await engine.walk_into(
                found,
                target(server, CREDENTIALS["v2c"]),
                [f"{SUPPLIES}.6"],
                Allowance(requests=2),
                per_reply=10,
            )
        return engine.statistics.requests

    requests = run(engine_class, use)
    assert requests <= 2
    assert 10 <= len(found) <= 20


def test_a_silent_address_times_out_after_the_repeats(engine_class, credential, server):
    async def use(engine):
        allowance = Allowance(seconds=0.3, repeats=1)
        with pytest.raises((RequestTimedOut, AllowanceSpent)):
            await engine.get(target(server, credential, host="127.3.0.77"), ["1.3.6.1.2.1.1.1.0"], allowance)
        return engine.statistics

    assert run(engine_class, use).replies == 0


def test_a_wrong_community_gets_no_value(engine_class, server):
    async def use(engine):
        with pytest.raises((RequestTimedOut, AllowanceSpent)):
            await engine.get(
                target(server, Community("wrong")), ["1.3.6.1.2.1.1.1.0"], Allowance(seconds=0.2, repeats=0)
            )

    run(engine_class, use)


@pytest.mark.parametrize(
    "user",
    [
        UsmUser("reader", "sha256", "wrong-password", "aes128", "priv-password"),
        UsmUser("stranger", "sha256", "auth-password", "aes128", "priv-password"),
    ],
    ids=["wrong password", "unknown user"],
)
def test_a_wrong_v3_user_is_refused_or_unheard(engine_class, user, server):
    async def use(engine):
        with pytest.raises((RequestRefused, RequestTimedOut, AllowanceSpent)):
            await engine.get(target(server, user), ["1.3.6.1.2.1.1.1.0"], Allowance(seconds=0.5, repeats=0))

    run(engine_class, use)


def test_many_requests_at_once_all_get_their_own_answer(engine_class, server):
    async def use(engine):
        at = target(server, CREDENTIALS["v2c"])
        rows = await asyncio.gather(
            *(engine.get(at, [f"{SUPPLIES}.6.1.{row}"], Allowance(seconds=30)) for row in range(1, 61))
        )
        return [next(iter(row.values())) for row in rows]

    assert run(engine_class, use) == [f"Toner {row}".encode() for row in range(1, 61)]


def test_an_allowance_of_nothing_sends_nothing(engine_class, server):
    async def use(engine):
        with pytest.raises(AllowanceSpent):
            await engine.get(target(server, CREDENTIALS["v2c"]), ["1.3.6.1.2.1.1.1.0"], Allowance(requests=0))
        return engine.statistics.requests

    assert run(engine_class, use) == 0
