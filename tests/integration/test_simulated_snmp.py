"""The simulated agents against net-snmp's own tools: the same lines as the data, in every version."""

import shutil
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from simulators import ber
from simulators.device import Fleet, make_roster
from simulators.models import default_models
from simulators.recordings import RecordingPlayer, read_recording
from simulators.snmp_fleet import SnmpFleetServer, fleet_agents
from simulators.usm import UsmUser

NOON = datetime(2025, 3, 5, 4, 0, tzinfo=UTC)
USERS = (
    UsmUser(name="plain"),
    UsmUser(name="md5", auth="MD5", auth_password="authauth1"),
    UsmUser(name="shades", auth="SHA", auth_password="authauth1", priv="DES", priv_password="privpriv1"),
    UsmUser(
        name="sha256aes", auth="SHA256", auth_password="authauth1", priv="AES", priv_password="privpriv1"
    ),
)


class FixedClock:
    def now(self) -> datetime:
        return NOON


def tool_path(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed: sudo apt-get install snmp")
    return found


def net_snmp(tool: str, *arguments: str) -> str:
    """Run one of net-snmp's tools and return what it printed; its errors fail the test."""
    command = [tool_path(tool), "-m", "", "-On", "-Oe", "-Ox", "-OU", "-Ot", "-t", "5", "-r", "1", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8", "replace")


def names_in(text: str) -> list[str]:
    return [line.split(" = ")[0].lstrip(".") for line in _lines(text)]


@pytest.fixture(scope="module")
def agents():
    fleet = Fleet(make_roster(12, default_models(), seed=3), seed=3, start=date(2025, 3, 3))
    with SnmpFleetServer(
        fleet_agents(fleet, NOON - timedelta(hours=2), with_v3=True), FixedClock(), users=USERS
    ) as server:
        yield fleet, server


@pytest.mark.server
@pytest.mark.parametrize("tool", ["snmpwalk", "snmpbulkwalk"])
def test_a_walk_over_a_simulated_printer_shows_every_row_in_order(agents, tool):
    _, server = agents
    expected = sorted(server.agents[2].rows(NOON), key=ber.oid_numbers)
    shown = net_snmp(tool, "-v2c", "-c", "public", f"{server.address_of(2)}:{server.port}", ".1")
    assert names_in(shown) == expected


@pytest.mark.server
@pytest.mark.parametrize(
    "arguments",
    [
        ("-l", "noAuthNoPriv", "-u", "plain"),
        ("-l", "authNoPriv", "-u", "md5", "-a", "MD5", "-A", "authauth1"),
        ("-l", "authPriv", "-u", "shades", "-a", "SHA", "-A", "authauth1", "-x", "DES", "-X", "privpriv1"),
        (
            "-l",
            "authPriv",
            "-u",
            "sha256aes",
            "-a",
            "SHA-256",
            "-A",
            "authauth1",
            "-x",
            "AES",
            "-X",
            "privpriv1",
        ),
    ],
    ids=["noAuth", "MD5", "SHA-DES", "SHA256-AES"],
)
def test_version_3_at_every_security_level(agents, arguments):
    _, server = agents
    place = f"{server.address_of(4)}:{server.port}"
    text = net_snmp("snmpget", "-v3", *arguments, place, "1.3.6.1.2.1.1.2.0", "1.3.6.1.2.1.43.10.2.1.4.1.1")
    assert "Counter32" in text
    if "DES" in arguments:  # one whole walk through DES, whose blocks are padded
        walked = net_snmp("snmpwalk", "-v3", *arguments, place, "1.3.6.1.2.1.43.11")
        assert len(names_in(walked)) >= 7


@pytest.mark.server
def test_version_3_refuses_a_wrong_password(agents):
    _, server = agents
    tool = tool_path("snmpget")
    command = [
        tool,
        "-v3",
        "-l",
        "authNoPriv",
        "-u",
        "md5",
        "-a",
        "MD5",
        "-A",
        "wrongwrong",
        "-r",
        "0",
        "-t",
        "2",
    ]
    done = subprocess.run(
        [*command, f"{server.address_of(4)}:{server.port}", "1.3.6.1.2.1.1.1.0"],
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
    assert b"uthentication" in done.stderr


@pytest.mark.server
def test_version_1_says_no_such_name(agents):
    _, server = agents
    tool = tool_path("snmpget")
    place = f"{server.address_of(1)}:{server.port}"
    done = subprocess.run(
        [tool, "-v1", "-c", "public", place, "1.3.6.1.2.1.99.1.0"], capture_output=True, check=False
    )
    assert b"noSuchName" in done.stderr
    assert net_snmp("snmpwalk", "-v1", "-c", "public", place, "1.3.6.1.2.1.43.11.1.1.9")


@pytest.mark.server
@pytest.mark.shared
@pytest.mark.parametrize("tool", ["snmpwalk", "snmpbulkwalk"])
def test_all_recordings_walk_to_the_same_lines_as_the_data(tool, recordings_folder: Path):
    with RecordingPlayer(recordings_folder, FixedClock()) as player:
        assert len(player.addresses) == 41
        for name, address in player.addresses.items():
            recording = read_recording(recordings_folder / f"{name}.snmprec")
            text = net_snmp(tool, "-v2c", "-c", "any", "-Cc", f"{address}:{player.port}", ".1")
            assert names_in(text) == [row[0] for row in recording.rows], name
            for (oid, tag, content), line in zip(recording.rows, _lines(text), strict=True):
                if tag == ber.INTEGER:
                    assert line == f".{oid} = INTEGER: {int.from_bytes(content, 'big', signed=True)}"
                elif tag in (ber.COUNTER32, ber.GAUGE32, ber.COUNTER64):
                    assert line.endswith(f": {int.from_bytes(content, 'big')}")
                elif tag == ber.OCTETS and content:
                    assert bytes.fromhex(line.split("Hex-STRING:")[1].replace("\n", "")) == content, oid


def _lines(text: str) -> list[str]:
    """Join the continuation lines of long hex strings."""
    lines: list[str] = []
    for line in text.splitlines():
        if "No more variables left" in line:
            continue
        if line.startswith(".") and " = " in line:
            lines.append(line)
        else:
            lines[-1] += line
    return lines


@pytest.fixture
def recordings_folder(shared: Path) -> Path:
    return shared / "real_printers" / "dumps"
