"""The edge agent: it keeps what nobody confirmed, through restarts and outages, within its bounds."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collector.agents import SqliteAgentBook
from collector.mqtt.broker import EmbeddedBroker
from collector.mqtt.connection import MqttEndpoint
from collector.mqtt.edge import EdgeAgent
from collector.mqtt.ring import EdgeRing
from config.clock import SystemClock
from crm_core.domain.identity import DeviceId
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


def test_the_ring_counts_on_over_restarts_and_forgets_only_what_is_covered(tmp_path: Path) -> None:
    ring = EdgeRing(tmp_path / "ring.sqlite")
    ring.append([reading("d1"), reading("d2"), reading("d1", minutes=5)])
    boot = ring.boot_id
    ring.close()
    ring = EdgeRing(tmp_path / "ring.sqlite")
    ring.append([reading("d1", minutes=10)])
    assert ring.boot_id == boot
    assert [(w.device_id, w.seq, w.oldest_seq) for w in ring.after(0, 10)] == [
        ("d1", 1, 1), ("d2", 1, 1), ("d1", 2, 1), ("d1", 3, 1),
    ]  # fmt: skip
    assert list(ring.cover("d1", "another boot", 3)) == []
    assert len(ring.cover("d1", boot, 2)) == 2
    assert [(w.device_id, w.seq, w.oldest_seq) for w in ring.after(0, 10)] == [("d2", 1, 1), ("d1", 3, 3)]
    ring.close()


def test_a_full_ring_sheds_its_oldest_and_counts(tmp_path: Path) -> None:
    ring = EdgeRing(tmp_path / "ring.sqlite", capacity=10)
    for number in range(25):
        ring.append([reading("d1", minutes=number)])
    assert [w.seq for w in ring.after(0, 100)] == list(range(16, 26))
    assert ring.losses() == (15, 0)
    ring.close()


def test_a_torn_record_costs_only_itself(tmp_path: Path) -> None:
    ring = EdgeRing(tmp_path / "ring.sqlite")
    ring.append([reading("d1", minutes=n) for n in range(5)])
    with sqlite3.connect(tmp_path / "ring.sqlite") as other:
        other.execute("UPDATE reading SET body = zeroblob(50) WHERE seq = 3")
    other.close()
    assert [w.seq for w in ring.after(0, 10)] == [1, 2, 4, 5]
    assert ring.losses() == (0, 1)
    assert len(ring) == 4
    ring.close()


def test_what_was_kept_without_a_network_arrives_later(port: int, store: MoodyStore, tmp_path: Path) -> None:
    ring = EdgeRing(tmp_path / "ring.sqlite")
    lonely = make_agent(ring, free_port())
    lonely.start()
    lonely.offer([reading(f"d{n % 3}", minutes=n, pages=1000 + n) for n in range(300)])
    lonely.stop()
    assert len(ring) == 300

    listener = make_listener(port, store)
    listener.start()
    listener.connection.wait_connected(20)
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
    listener.connection.wait_connected(20)

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
    listener.connection.wait_connected(20)
    ring = EdgeRing(tmp_path / "ring.sqlite")
    agent = make_agent(ring, port, resend_seconds=0.3)
    agent.start()
    agent.offer([reading("d1", minutes=n) for n in range(20)])
    for _ in range(2):
        assert store.tried.acquire(timeout=20)
    assert len(ring) == 20
    store.away.clear()
    wait_until_empty(ring)
    agent.stop()
    listener.stop()
    ring.close()
    assert len(store.readings(TENANT, DeviceId("d1"), *FAR)) == 20


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
