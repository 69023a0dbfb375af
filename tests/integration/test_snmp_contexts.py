"""Printers that show their supplies only in a context, as HP's JetDirect does: found in every version, at no cost to others."""

import asyncio

import pytest

from collector.profiles import load_profiles
from collector.snmp.engine import Community, UsmUser
from collector.snmp.engine_datagram import DatagramEngine
from collector.snmp.engine_pysnmp import PysnmpEngine
from collector.snmp.poller import Poller, PollTarget
from config.clock import SystemClock
from config.fault_code_files import load_fault_codes
from crm_core.domain.catalogue import Catalogue
from simulators import usm
from simulators.snmp_agent import SnmpAgent
from simulators.snmp_faults import SnmpFaults
from simulators.snmp_fleet import SnmpFleetServer
from simulators.snmp_view import Layouts

SUPPLIES = "1.3.6.1.2.1.43.11.1.1"
UP_TIME = "1.3.6.1.2.1.1.3.0"
PROFILES, BOOK = load_profiles(), load_fault_codes()
READER = UsmUser("reader", "sha256", "auth-password", "aes128", "priv-password")
KNOWN = usm.UsmUser(
    name="reader", auth="SHA256", auth_password="auth-password", priv="AES", priv_password="priv-password"
)
HP = {"1.3.6.1.2.1.1.1.0": b"HP ETHERNET MULTI-ENVIRONMENT", UP_TIME: 9}
TONER = {f"{SUPPLIES}.6.1.1": b"Black Cartridge", f"{SUPPLIES}.8.1.1": 100, f"{SUPPLIES}.9.1.1": 42}


def agent_of(rows, context=""):
    faults = SnmpFaults(supply_context=context) if context else None
    contexts = frozenset([b"", context.encode()])
    engine = usm.Engine(b"\x80\x00\x1f\x88\x04hp", SystemClock().now(), contexts=contexts)
    return SnmpAgent(lambda _: rows, Layouts(), engine=engine, faults=faults)


def polls(agent, credential, engine_class=DatagramEngine, times=2, context=""):
    """Poll an agent some times; return the readings and the requests that each one cost."""

    async def main(server):
        engine = engine_class()
        poller = Poller(engine, profiles=PROFILES, catalogue=Catalogue([]), book=BOOK, clock=SystemClock())
        target = PollTarget(
            host=server.address_of(0), port=server.port, credential=credential, context=context
        )
        found = []
        try:
            for _ in range(times):
                before = engine.statistics.requests
                found.append((await poller.poll(target), engine.statistics.requests - before))
        finally:
            await engine.close()
        return found

    with SnmpFleetServer([agent], SystemClock(), port=0, first_address="127.4.8.1", users=[KNOWN]) as server:
        return asyncio.run(main(server))


@pytest.mark.parametrize("engine_class", [DatagramEngine, PysnmpEngine])
@pytest.mark.parametrize(
    "credential", [Community(), Community(version="1"), READER], ids=["v2c", "v1", "v3 authPriv"]
)
def test_hidden_supplies_are_found_and_read_again(credential, engine_class):
    agent = agent_of(HP | TONER, "Jetdirect")
    (first, learning), (second, ordinary) = polls(agent, credential, engine_class)
    for reading in (first, second):
        assert [(supply.name, supply.level) for supply in reading.supplies] == [("Black Cartridge", 42)]
        assert reading.incomplete == ()
    assert ordinary < learning


def test_a_context_that_the_operator_names_is_used_from_the_start():
    agent = agent_of(HP | TONER, "Jetdirect")
    ((reading, named), _) = polls(agent, Community(), context="Jetdirect")
    ((_, searched), _) = polls(agent, Community())
    assert len(reading.supplies) == 1
    assert named < searched


@pytest.mark.parametrize("credential", [Community(), READER], ids=["v2c", "v3 authPriv"])
def test_an_agent_without_contexts_and_supplies_loses_nothing(credential):
    (first, _), (second, ordinary) = polls(agent_of(HP), credential)
    assert (first.supplies, first.incomplete) == ((), ())
    assert (second.supplies, second.incomplete) == ((), ())
    assert ordinary <= 3
