"""What only the wire shows: a counter that passes 32 bits, traps of every version, supplies in one context only."""

import asyncio
import shutil
import socket
import subprocess
from datetime import UTC, date, datetime, timedelta

import pytest
from pyasn1.codec.ber import decoder
from pysnmp.proto import api

from collector.snmp.engine import UsmUser as ReceivingUser
from collector.snmp.traps import Trap, TrapReceiver
from simulators import ber
from simulators.device import DeviceSpec, Fleet, Roster, SiteSpec, make_roster
from simulators.device.mishaps import CALM
from simulators.models import default_models
from simulators.snmp_faults import SnmpFaults
from simulators.snmp_fleet import SnmpFleetServer, fleet_agents
from simulators.snmp_view import GET
from simulators.traps import send_due_traps
from simulators.usm import UsmUser

START = date(2025, 3, 3)
NOON = datetime(2025, 3, 5, 4, 0, tzinfo=UTC)
LIFE_COUNT = "1.3.6.1.2.1.43.10.2.1.4.1.1"
LEVELS = "1.3.6.1.2.1.43.11.1.1.9"
USER = UsmUser(
    name="reader", auth="SHA256", auth_password="auth-password", priv="AES", priv_password="priv-password"
)


class Clock:
    def __init__(self) -> None:
        self.instant = NOON

    def now(self) -> datetime:
        return self.instant


def life_count(asking: socket.socket, place: tuple[str, int]) -> tuple[str, int]:
    """Return type and value of prtMarkerLifeCount as pysnmp's codec reads the answer."""
    varbind = ber.tlv(0x30, ber.tlv(0x30, ber.oid(LIFE_COUNT) + b"\x05\x00"))
    body = ber.integer(7) + ber.integer(0) + ber.integer(0) + varbind
    asking.sendto(ber.tlv(0x30, ber.integer(1) + ber.octets(b"public") + ber.tlv(GET, body)), place)
    module = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]
    message, _ = decoder.decode(asking.recv(65_535), asn1Spec=module.Message())
    ((_, value),) = module.apiPDU.get_varbinds(module.apiMessage.get_pdu(message))
    return type(value).__name__, int(value)


@pytest.mark.parametrize("model", sorted(default_models()))
def test_prt_marker_life_count_passes_32_bits_and_restarts_at_zero(model: str):
    start = 2**32 - 900
    roster = Roster(
        sites=(SiteSpec(site_id="s", profile="round_the_clock"),),
        devices=(
            DeviceSpec(device_id="d", site_id="s", model_id=model, pages_a_day=900, start_counter=start),
        ),
    )
    fleet = Fleet(roster, seed=2, start=START, mishaps=CALM)
    clock = Clock()
    clock.instant = datetime(2025, 3, 3, tzinfo=UTC)
    agents = fleet_agents(fleet, clock.instant, refresh=timedelta(0))
    device = agents[0]._device
    seen = []
    with SnmpFleetServer(agents, clock) as server, socket.socket(type=socket.SOCK_DGRAM) as asking:
        asking.settimeout(5.0)
        for _ in range(100):
            clock.instant += timedelta(hours=3)
            if device.answers(clock.instant):
                kind, value = life_count(asking, (server.address_of(0), server.port))
                assert kind == "Counter32"
                assert value == device.state(clock.instant).meters["total"] % 2**32
                seen.append(value)
    falls = [i for i in range(1, len(seen)) if seen[i] < seen[i - 1]]
    assert len(falls) == 1, "the counter passes 2^32 once"
    assert seen[falls[0] - 1] > 2**32 - 1000
    assert seen[falls[0]] < 5000
    assert seen[-1] > seen[falls[0]]


@pytest.mark.parametrize("version", [0, 1, 3], ids=["v1", "v2c", "v3 authPriv"])
def test_traps_of_every_version_are_understood_by_pysnmps_receiver(version: int):
    fleet = Fleet(make_roster(6, default_models(), seed=3), seed=3, start=START, mishaps=CALM)
    since, until = NOON, NOON + timedelta(days=4)
    server = SnmpFleetServer(fleet_agents(fleet, NOON, with_v3=True), Clock(), users=[USER])

    async def main() -> tuple[int, list[Trap]]:
        got: list[Trap] = []
        arrived = asyncio.Event()

        def note(trap: Trap) -> None:
            got.append(trap)
            arrived.set()

        users = [ReceivingUser("reader", "sha256", "auth-password", "aes128", "priv-password")]
        receiver = TrapReceiver(note, is_known=lambda _: True, host="127.0.0.1", port=0, users=users)
        port = await receiver.start()
        sent = send_due_traps(
            server,
            fleet,
            ("127.0.0.1", port),
            since,
            until,
            version=version,
            user=USER if version == 3 else None,
        )
        async with asyncio.timeout(10):
            while len(got) < sent:
                await arrived.wait()
                arrived.clear()
        await receiver.stop()
        return sent, got

    with server:
        sent, got = asyncio.run(main())
    assert 0 < sent == len(got)
    assert all(trap.is_printer_alert for trap in got)
    assert all(trap.alert["severity"] == 3 and trap.alert["code"] > 0 for trap in got)
    assert {trap.host for trap in got} <= {server.address_of(i) for i in range(6)}


def test_a_v3_trap_needs_a_user():
    fleet = Fleet(make_roster(1, default_models(), seed=3), seed=3, start=START)
    server = SnmpFleetServer(fleet_agents(fleet, NOON, with_v3=True), Clock())
    with pytest.raises(ValueError, match="needs a user"):
        server.send_trap(0, ("127.0.0.1", 9), {}, 1, version=3)


@pytest.mark.server
@pytest.mark.skipif(shutil.which("snmpwalk") is None, reason="install net-snmp: sudo apt-get install snmp")
def test_supplies_show_only_in_the_context_that_the_device_states():
    hp = next(name for name, model in default_models().items() if model.vendor.key == "hp")
    roster = Roster(
        sites=(SiteSpec(site_id="s", profile="round_the_clock"),),
        devices=tuple(DeviceSpec(device_id=name, site_id="s", model_id=hp) for name in ("hides", "shows")),
    )
    fleet = Fleet(roster, seed=1, start=START, mishaps=CALM)
    faults = {"hides": SnmpFaults(supply_context="Jetdirect")}
    agents = fleet_agents(fleet, NOON - timedelta(hours=1), with_v3=True, faults=faults)
    v3 = ["-v3", "-ureader", "-lauthPriv", "-aSHA-256", "-Aauth-password", "-xAES", "-Xpriv-password"]

    def levels(number: int, *how: str, of: str = LEVELS) -> int:
        command = ["snmpwalk", "-m", "", "-On", "-t", "5", "-r", "1", *how]
        done = subprocess.run(
            [*command, f"{server.address_of(number)}:{server.port}", of], capture_output=True, check=True
        )
        return done.stdout.count(b"INTEGER: ")

    with SnmpFleetServer(agents, Clock(), users=[USER]) as server:
        here = levels(1, *v3)
        assert here > 0
        assert levels(0, *v3) == 0
        assert levels(0, *v3, "-n", "Jetdirect") == here
        assert levels(0, "-v2c", "-cpublic") == 0
        assert levels(0, "-v2c", "-cpublic@Jetdirect") == here
        assert levels(0, *v3, of="1.3.6.1.2.1.43.8") == levels(1, *v3, of="1.3.6.1.2.1.43.8") > 0
