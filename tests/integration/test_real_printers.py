"""The 41 recordings of real printers, served over real UDP and polled: every fact equal, nothing invented."""

import asyncio
import json
import os
from pathlib import Path

import msgspec
import pytest

from collector.profiles import load_profiles
from collector.snmp.engine import Community, SnmpEngine
from collector.snmp.engine_datagram import DatagramEngine
from collector.snmp.engine_gufo import GufoEngine
from collector.snmp.engine_pysnmp import PysnmpEngine
from collector.snmp.poller import Poller, PollTarget
from config.clock import SystemClock
from config.fault_code_files import load_fault_codes
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.telemetry import DeviceReading
from crm_core.domain.wire import decode_reading, encode_reading
from simulators.recordings import RecordingPlayer
from tests.peer_table import table
from tests.snmp_scores import FACTS_OF_ALL, Score

DATA = Path(os.environ.get("DRUMBEAT_SHARED", "../shared")) / "real_printers"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not DATA.is_dir(), reason="set DRUMBEAT_SHARED to the folder with real_printers"),
]
PROFILES = load_profiles()
BOOK = load_fault_codes()


@pytest.fixture(scope="module")
def player():
    with RecordingPlayer(DATA / "dumps", SystemClock(), first_address="127.2.0.1") as serving:
        yield serving


def poller(engine: SnmpEngine, **options) -> Poller:
    return Poller(
        engine, profiles=PROFILES, catalogue=Catalogue([]), book=BOOK, clock=SystemClock(), **options
    )


async def poll_all(engine, player, credential, times: int = 1, names=None) -> dict[str, DeviceReading]:
    polling = poller(engine)
    readings: dict[str, DeviceReading] = {}

    async def keep(target, reading):
        readings[target.device_id] = reading

    async def fail(target, error):
        raise AssertionError(f"{target.device_id}: {error}")

    targets = [
        PollTarget(host=address, port=player.port, credential=credential, device_id=name, site_id=name)
        for name, address in player.addresses.items()
        if names is None or name in names
    ]
    try:
        for _ in range(times):
            await polling.sweep(targets, keep, fail, in_flight=16)
    finally:
        await engine.close()
    return readings


def assert_exact(readings: dict[str, DeviceReading]) -> None:
    score = Score()
    for path in sorted((DATA / "expected").glob("*.json")):
        reading = readings[path.stem]
        assert reading.incomplete == (), (path.stem, reading.incomplete)
        assert decode_reading(encode_reading(reading)) == reading
        score.compare(
            path.stem, json.loads(path.read_text("utf-8"))["facts"], json.loads(encode_reading(reading))
        )
    assert score.differences == []
    assert score.inventions == []
    assert score.right == FACTS_OF_ALL


@pytest.mark.parametrize("version", ["1", "2c"])
def test_all_recordings_are_read_exactly(player, version):
    assert_exact(asyncio.run(poll_all(DatagramEngine(), player, Community("public", version))))


def test_an_ordinary_poll_after_the_first_says_the_same(player):
    engine = DatagramEngine()
    readings = asyncio.run(poll_all(engine, player, Community("public"), times=2))
    assert_exact(readings)


@pytest.mark.parametrize("engine_class", [GufoEngine, PysnmpEngine])
def test_the_other_engines_read_the_full_walks_alike(player, engine_class):
    names = (
        "printmaster_kyocera_cs4053",
        "librenms_sharp",
        "librenms_jetdirect_m880",
        "habrother_dcp-9020cdw",
    )

    async def both():
        mine = await poll_all(DatagramEngine(), player, Community("public"), names=names)
        return mine, await poll_all(engine_class(), player, Community("public"), names=names)

    mine, theirs = asyncio.run(both())
    for name in names:
        assert msgspec.structs.replace(theirs[name], polled_at=mine[name].polled_at) == mine[name]


def test_the_table_beside_the_peer_is_printed(capsys):
    score, peer, printed = table()
    with capsys.disabled():
        print(f"\n{printed}")
    assert score.differences == []
    assert score.inventions == []
    assert peer.right["supplies"] < peer.asked["supplies"]
