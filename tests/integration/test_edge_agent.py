"""The edge agent: it keeps what nobody confirmed, through restarts and outages, within its bounds."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from collector.agents import SqliteAgentBook
from collector.mqtt.broker import EmbeddedBroker
from collector.mqtt.connection import MqttEndpoint
from collector.mqtt.edge import EdgeAgent
from collector.mqtt.ring import EdgeRing
from config.clock import SystemClock
from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.identity import DeviceId
from crm_core.domain.telemetry import DeviceReading
from tests.benchmarks.fleet_responder import fleet_server
from tests.conftest import PROJECT
from tests.integration.test_mqtt_listener import FAR, TENANT, MoodyStore, make_listener, port, store
from tests.telemetry_readings import reading
from tests.telemetry_servers import free_port

__all__ = ["port", "store"]  # fixtures of the listener's tests: both brokers, a store


def make_agent(ring: EdgeRing, broker_port: int, **changes: float) -> EdgeAgent:
    return EdgeAgent(
        MqttEndpoint(port=broker_port, client_id="agent"),
        ring,
        SystemClock(),
        tenant="default",
        site_id="site-1",
        **changes,  # type: ignore[arg-type]  # window and resend_seconds
    )


def wait_until_empty(ring: EdgeRing, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while len(ring):
        assert time.monotonic() < end, f"{len(ring)} readings are still not covered"
        time.sleep(0.02)


def test_what_was_kept_without_a_network_arrives_later(port: int, store: MoodyStore, tmp_path: Path) -> None:
    ring = EdgeRing(tmp_path / "ring.sqlite")
    lonely = make_agent(ring, free_port())
    lonely.start()
    lonely.offer([reading(f"d{n % 3}", minutes=n, pages=1000 + n) for n in range(300)])
    lonely.stop()
    assert len(ring) == 300

    listener = make_listener(port, store)
    listener.start()
    listener.connection.wait_connected(60)
    agent = make_agent(ring, port, window=50, resend_seconds=2.0)
    agent.start()
    wait_until_empty(ring)
    agent.stop()
    listener.stop()
    assert ring.losses() == (0, 0)
    ring.close()
    for device in ("d0", "d1", "d2"):
        assert len(store.readings(TENANT, DeviceId(device), *FAR)) == 100
    assert store.stats(TENANT).readings == 300


def test_a_ring_from_an_older_image_loses_nothing_new(port: int, store: MoodyStore, tmp_path: Path) -> None:
    """Numbers 6 to 20 were sent and covered, then the disk goes back to 5: what is read now must not pass for repeats."""
    file, listener = tmp_path / "ring.sqlite", make_listener(port, store)
    listener.start()
    listener.connection.wait_connected(60)

    def live(*minutes: int) -> None:
        ring = EdgeRing(file)
        agent = make_agent(ring, port, resend_seconds=0.2)
        agent.start()
        agent.offer([reading("d1", minutes=minute, pages=1000 + minute) for minute in minutes])
        wait_until_empty(ring)
        agent.stop()
        ring.close()

    live(*range(5))
    image = file.read_bytes()
    live(*range(5, 20))
    file.write_bytes(image)
    live(*range(20, 25))
    listener.stop()
    assert len(store.readings(TENANT, DeviceId("d1"), *FAR)) == 25


def test_what_a_broker_took_before_anybody_listened_comes_again(store: MoodyStore, tmp_path: Path) -> None:
    """A broker acknowledges what nobody has subscribed to yet and drops it; the agent does not believe it."""
    broker = EmbeddedBroker(port=0)
    broker.start()
    ring = EdgeRing(tmp_path / "ring.sqlite")
    agent = make_agent(ring, broker.port, resend_seconds=0.5)
    agent.start()
    agent.offer([reading("d1", minutes=n, pages=1000 + n) for n in range(20)])
    end = time.monotonic() + 30
    while agent.counters.repeated == 0:  # all was published, acknowledged by the broker and dropped
        assert time.monotonic() < end
        time.sleep(0.02)
    assert len(ring) == 20
    listener = make_listener(broker.port, store)
    listener.start()
    wait_until_empty(ring)
    agent.stop()
    listener.stop()
    broker.stop()
    ring.close()
    assert len(store.readings(TENANT, DeviceId("d1"), *FAR)) == 20


def test_a_store_that_is_away_costs_time_not_readings(port: int, store: MoodyStore, tmp_path: Path) -> None:
    store.away.set()
    listener = make_listener(port, store)
    listener.start()
    listener.connection.wait_connected(60)
    ring = EdgeRing(tmp_path / "ring.sqlite")
    agent = make_agent(ring, port, resend_seconds=0.3)
    agent.start()
    agent.offer([reading("d1", minutes=n) for n in range(20)])
    for _ in range(2):
        assert store.tried.acquire(timeout=60)
    assert len(ring) == 20
    store.away.clear()
    wait_until_empty(ring)
    agent.stop()
    listener.stop()
    ring.close()
    assert len(store.readings(TENANT, DeviceId("d1"), *FAR)) == 20


class FullRing(EdgeRing):
    """A ring on a disk that can fill up."""

    full = False

    def append(self, readings: Sequence[DeviceReading]) -> None:
        self._objection()
        super().append(readings)

    def cover(self, device_id: str, boot_id: str, seq: int) -> Sequence[int]:
        self._objection()
        return super().cover(device_id, boot_id, seq)

    def _objection(self) -> None:
        if self.full:
            raise StoreUnavailable("the disk is full")


def test_a_full_disk_at_the_agent_costs_nothing_once_there_is_room(
    port: int, store: MoodyStore, tmp_path: Path
) -> None:
    """Marks that cannot be noted do not end the connection; what cannot be kept is held until it can."""
    listener = make_listener(port, store)
    listener.start()
    listener.connection.wait_connected(60)
    ring = FullRing(tmp_path / "ring.sqlite")
    agent = make_agent(ring, port, resend_seconds=0.3)
    agent.offer([reading("d1", minutes=n) for n in range(5)])
    ring.full = True
    agent.start()
    end = time.monotonic() + 60
    while agent.counters.repeated == 0:
        assert time.monotonic() < end
        time.sleep(0.02)
    with pytest.raises(StoreUnavailable):
        agent.offer([reading("d1", minutes=n) for n in range(5, 8)])
    assert (len(ring), agent.held) == (5, 3)
    ring.full = False
    agent.offer([reading("d1", minutes=8)])
    wait_until_empty(ring)
    agent.stop()
    listener.stop()
    ring.close()
    assert agent.counters.lost == 0
    assert len(store.readings(TENANT, DeviceId("d1"), *FAR)) == 9


def test_what_was_kept_under_another_site_name_comes_as_of_this_site(
    port: int, store: MoodyStore, tmp_path: Path
) -> None:
    ring = EdgeRing(tmp_path / "ring.sqlite")
    ring.append([msgspec.structs.replace(reading("d1", minutes=n), site_id="typing-error") for n in range(3)])
    listener = make_listener(port, store)
    listener.start()
    agent = make_agent(ring, port, resend_seconds=1.0)
    agent.start()
    wait_until_empty(ring)
    agent.stop()
    listener.stop()
    ring.close()
    assert [one.site_id for one in store.readings(TENANT, DeviceId("d1"), *FAR)] == ["site-1"] * 3


@pytest.mark.parametrize("given", ["file", "environment"])
def test_the_command_polls_a_site_and_pushes_it(store: MoodyStore, tmp_path: Path, given: str) -> None:
    """One small file or environment variables, real SNMP over UDP, a real process, ended by SIGTERM."""
    broker = EmbeddedBroker(port=0)
    broker.start()
    listener = make_listener(broker.port, store)
    listener.start()
    with fleet_server(2) as printers:
        devices = {f"p{n}": f"{printers.address_of(n)}:{printers.port}" for n in range(2)}
        file = tmp_path / "edge.toml"
        named = "\n".join(f'{name} = "{address}"' for name, address in devices.items())
        file.write_text(
            f'site = "site-1"\nfolder = "{tmp_path}/edge"\ninterval_seconds = 1\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n[devices]\n{named}\n'
        )
        variables = {
            "DRUMBEAT_EDGE_SITE": "site-1",
            "DRUMBEAT_EDGE_FOLDER": f"{tmp_path}/edge",
            "DRUMBEAT_EDGE_INTERVAL_SECONDS": "1",
            "DRUMBEAT_EDGE_BROKER__HOST": "127.0.0.1",
            "DRUMBEAT_EDGE_BROKER__PORT": str(broker.port),
            "DRUMBEAT_EDGE_DEVICES": json.dumps(devices),
        }
        arguments = [str(file)] if given == "file" else []
        process = subprocess.Popen(
            [sys.executable, "drumbeat.py", "--data", str(tmp_path), "edge", *arguments],
            cwd=PROJECT, env=os.environ | (variables if given == "environment" else {}), stderr=subprocess.PIPE,
        )  # fmt: skip
        agents = SqliteAgentBook(store)
        end = time.monotonic() + 60
        while store.stats(TENANT).readings < 4:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < end
            time.sleep(0.05)
        assert [state.online for state in agents.agents(TENANT)] == [True]
        process.terminate()
        _, complaint = process.communicate(timeout=30)
    listener.stop()
    broker.stop()
    assert process.returncode == 0, complaint
    newest = store.newest(TENANT, DeviceId("p0"))
    assert newest is not None
    assert newest.source == "edge"
    assert newest.supplies
    assert agents.offline_sites(TENANT) == {"site-1"}
