"""Every fault of a simulated agent bites, over real UDP; a healthy neighbour is not touched."""

import socket
from datetime import UTC, date, datetime, timedelta

import pytest
from pyasn1.codec.ber import decoder
from pysnmp.proto import api

from simulators import ber
from simulators.device import Fleet, make_roster
from simulators.models import default_models
from simulators.snmp_faults import SnmpFaults
from simulators.snmp_fleet import SPOOF_ADDRESS, SnmpFleetServer, fleet_agents
from simulators.snmp_view import GET, GET_BULK, GET_NEXT, TOO_BIG
from simulators.traps import due_traps, send_due_traps

NOON = datetime(2025, 3, 5, 4, 0, tzinfo=UTC)
DESCR = "1.3.6.1.2.1.1.1.0"
UP_TIME = "1.3.6.1.2.1.1.3.0"
LEVELS = "1.3.6.1.2.1.43.11.1.1.9.1"


class Clock:
    def __init__(self) -> None:
        self.instant = NOON

    def now(self) -> datetime:
        return self.instant


def question(pdu: int, request_id: int, *oids: str, second: int = 0, third: int = 0) -> bytes:
    varbinds = b"".join(ber.tlv(0x30, ber.oid(oid) + b"\x05\x00") for oid in oids)
    body = ber.integer(request_id) + ber.integer(second) + ber.integer(third) + ber.tlv(0x30, varbinds)
    return ber.tlv(0x30, ber.integer(1) + ber.octets(b"public") + ber.tlv(pdu, body))


def answer_of(data: bytes):
    """Decode an answer with pysnmp's codec: (request id, error status, [(oid, value)])."""
    module = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]
    message, rest = decoder.decode(data, asn1Spec=module.Message())
    assert not rest
    pdu = module.apiMessage.get_pdu(message)
    varbinds = [(str(oid), value) for oid, value in module.apiPDU.get_varbinds(pdu)]
    return int(module.apiPDU.get_request_id(pdu)), int(module.apiPDU.get_error_status(pdu)), varbinds


class World:
    """A fleet whose first device has the fault, and a socket to ask with."""

    def __init__(self, **fault) -> None:
        self.fleet = Fleet(make_roster(6, default_models(), seed=3), seed=3, start=date(2025, 3, 3))
        self.clock = Clock()
        agents = fleet_agents(self.fleet, NOON, with_v3=True)
        agents[0].faults = SnmpFaults(**fault)
        self.server = SnmpFleetServer(agents, self.clock)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(5.0)

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_) -> None:
        self.server.stop()
        self.socket.close()

    def send(self, data: bytes, number: int = 0) -> None:
        self.socket.sendto(data, (self.server.address_of(number), self.server.port))

    def ask(self, data: bytes, number: int = 0) -> tuple[bytes, str]:
        self.send(data, number)
        got, peer = self.socket.recvfrom(65_535)
        return got, peer[0]

    def silent(self, data: bytes) -> bool:
        """Tell whether the faulty device says nothing while its neighbour, asked later, answers."""
        self.send(data)
        self.send(question(GET, 77, DESCR), 1)
        got, _ = self.socket.recvfrom(65_535)
        assert answer_of(got)[0] == 77
        self.socket.settimeout(
            0
        )  # one thread answers in order: an answer would have come before the neighbour's
        try:
            self.socket.recvfrom(65_535)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(5.0)
        return False


def test_a_healthy_agent_answers_from_its_own_address():
    with World() as world:
        data, sender = world.ask(question(GET, 5, DESCR, LEVELS + ".1"))
        request_id, status, varbinds = answer_of(data)
        assert (request_id, status, sender) == (5, 0, world.server.address_of(0))
        assert [oid for oid, _ in varbinds] == [DESCR, LEVELS + ".1"]


def test_dead_says_nothing():
    with World(dead=True) as world:
        assert world.silent(question(GET, 1, DESCR))


def test_loss_loses_about_its_share():
    with World(loss=0.5, seed=1) as world:
        for k in range(200):
            world.send(question(GET, k + 1, DESCR))
        world.send(question(GET, 9999, DESCR), 1)
        seen = 0
        while answer_of(world.socket.recvfrom(65_535)[0])[0] != 9999:
            seen += 1
        assert 60 < seen < 140


def test_delay_answers_after_the_neighbour():
    with World(delay_seconds=0.15) as world:
        world.send(question(GET, 1, DESCR))
        world.send(question(GET, 2, DESCR), 1)
        order = [answer_of(world.socket.recvfrom(65_535)[0])[0] for _ in range(2)]
        assert order == [2, 1]


def test_duplicate_answers_twice():
    with World(duplicate=1.0) as world:
        first, _ = world.ask(question(GET, 3, DESCR))
        second, _ = world.socket.recvfrom(65_535)
        assert first == second


def test_too_big_beyond_a_number_of_varbinds():
    with World(too_big_over=2) as world:
        assert answer_of(world.ask(question(GET, 1, DESCR, UP_TIME))[0])[1] == 0
        _, status, varbinds = answer_of(world.ask(question(GET, 1, DESCR, UP_TIME, LEVELS + ".1"))[0])
        assert (status, varbinds) == (TOO_BIG, [])


def test_malformed_answers_are_not_ber():
    with World(malformed=1.0, seed=4) as world:
        broken = 0
        for k in range(20):
            data, _ = world.ask(question(GET, k, DESCR))
            try:
                answer_of(data)
            except Exception:  # noqa: BLE001 - pyasn1 raises many kinds; any of them proves the damage
                broken += 1
        assert broken == 20


def test_spoofed_answers_come_from_elsewhere():
    with World(spoofed=True) as world:
        assert world.ask(question(GET, 1, DESCR))[1] == SPOOF_ADDRESS


def test_an_endless_table_never_ends():
    with World(endless=True) as world:
        at, seen = LEVELS + ".1", []
        for k in range(300):
            _, status, varbinds = answer_of(world.ask(question(GET_NEXT, k, at))[0])
            assert status == 0
            at = varbinds[0][0]
            seen.append(at)
        assert len(set(seen)) == 300
        assert all(at.startswith(LEVELS) for at in seen)
        assert seen == sorted(seen, key=ber.oid_numbers)


def test_decreasing_names_go_backwards():
    with World(decreasing=True) as world:
        data, _ = world.ask(question(GET_BULK, 1, "1.3.6.1.2.1.43.11", third=8))
        names = [ber.oid_numbers(oid) for oid, _ in answer_of(data)[2]]
        assert names == sorted(names, reverse=True)


def test_wrong_oid_count_and_request_id():
    with World(wrong_oid=True) as world:
        assert answer_of(world.ask(question(GET, 1, DESCR))[0])[2][0][0] != DESCR
    with World(wrong_count=True) as world:
        assert len(answer_of(world.ask(question(GET, 1, DESCR, UP_TIME))[0])[2]) == 1
    with World(wrong_request_id=True) as world:
        assert answer_of(world.ask(question(GET, 41, DESCR))[0])[0] == 42


def test_a_reboot_starts_the_clocks_anew():
    with World() as world:
        before = int(answer_of(world.ask(question(GET, 1, UP_TIME))[0])[2][0][1])
        agent = world.server.agents[0]
        boots = agent.engine.boots
        agent.reboot(NOON)
        world.clock.instant = NOON + timedelta(seconds=31)
        after = int(answer_of(world.ask(question(GET, 2, UP_TIME))[0])[2][0][1])
        assert after == 3100 < before
        assert agent.engine.boots == boots + 1


@pytest.mark.parametrize(
    "junk", [b"", b"0", b"\x30\x84\xff\xff\xff\xff", b"\x30\x03\x02\x01\x01", bytes(1400)]
)
def test_junk_gets_no_answer_and_does_no_harm(junk):
    with World() as world:
        assert world.silent(junk)


def test_a_wrong_community_gets_no_answer():
    with World() as world:
        assert world.silent(question(GET, 1, DESCR).replace(b"public", b"secret"))


def test_traps_come_from_the_device_when_something_critical_begins():
    with World() as world, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5.0)
        since, until = NOON, NOON + timedelta(days=25)
        due = due_traps(world.fleet, since, until)
        assert due == sorted(due, key=lambda trap: (trap.at, trap.device))
        sent = send_due_traps(world.server, world.fleet, receiver.getsockname(), since, until)
        assert 0 < sent <= len(due)
        for _ in range(sent):
            data, sender = receiver.recvfrom(65_535)
            module = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]
            message, _ = decoder.decode(data, asn1Spec=module.Message())
            pdu = module.apiMessage.get_pdu(message)
            varbinds = {str(oid): value for oid, value in module.apiTrapPDU.get_varbinds(pdu)}
            assert str(varbinds["1.3.6.1.6.3.1.1.4.1.0"]) == "1.3.6.1.2.1.43.18.2.0.1"
            assert sender[0] in {world.server.address_of(i) for i in range(6)}
            assert any(oid.startswith("1.3.6.1.2.1.43.18.1.1.7.1.") for oid in varbinds)
