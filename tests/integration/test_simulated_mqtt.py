"""The MQTT fleet keeps and resends every reading until the retained mark covers it, whatever the way does to it."""

import json
import resource
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from simulators.device import Fleet, Roster, devices_of, make_roster
from simulators.models import default_models
from simulators.mqtt_agent import MqttChaos, MqttPlace
from simulators.mqtt_fleet import MqttFleet
from simulators.runner import LiveOptions, LiveRun, run_live
from simulators.scenario import load_scenario
from simulators.truth import Ledger

NOON = datetime(2025, 3, 5, 4, 0, tzinfo=UTC)


class Collector:
    """A minimal collector: notes readings, and sets the retained mark of each device to its highest gapless seq."""

    def __init__(self, port: int) -> None:
        self.seen: dict[tuple[str, str], set[int]] = {}
        self.copies = 0
        self.order: list[tuple[str, int]] = []
        self.statuses: list[tuple[str, str]] = []
        self.lock = threading.Lock()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="test-collector")
        self.client.on_message = self._on_message
        self.client.on_connect = lambda c, *_: c.subscribe("drumbeat/v1/#", qos=1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _on_message(self, client, _user, message):
        kind = message.topic.rsplit("/", 1)[1]
        if kind == "status":
            self.statuses.append((message.topic, json.loads(message.payload)["state"]))
        if kind != "reading":
            return
        reading = json.loads(message.payload)
        assert message.topic == f"drumbeat/v1/default/{reading['site_id']}/{reading['device_id']}/reading"
        with self.lock:
            seqs = self.seen.setdefault((reading["device_id"], reading["boot_id"]), set())
            self.copies += reading["seq"] in seqs
            seqs.add(reading["seq"])
            self.order.append((reading["device_id"], reading["seq"]))
            high = 0
            while high + 1 in seqs:
                high += 1
        if high:
            marks = {"marks": [{"boot_id": reading["boot_id"], "seq": high}]}
            client.publish(message.topic.replace("/reading", "/ack"), json.dumps(marks), qos=1, retain=True)

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def broker(tmp_path, free_port):
    binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if binary is None:
        pytest.skip("mosquitto is not installed: sudo apt-get install mosquitto")
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\n"
    )
    process = subprocess.Popen([binary, "-c", str(config)], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    yield port
    process.terminate()
    process.wait(60)


@pytest.fixture
def collector(broker):
    made = Collector(broker)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def devices():
    return devices_of(
        Fleet(make_roster(20, default_models(), seed=3, sites=6), seed=3, start=date(2025, 3, 3))
    )


def until(condition, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.server
@pytest.mark.parametrize(
    "chaos",
    [
        MqttChaos(),
        MqttChaos(duplicate=0.5),
        MqttChaos(late=0.5, late_seconds=0.4, shuffled=True),
        MqttChaos(drop=0.05, duplicate=0.2),
    ],
    ids=["calm", "duplicates", "late and shuffled", "drops"],
)
def test_every_reading_arrives_and_is_covered(broker, collector, devices, chaos):
    ledger = Ledger()
    fleet = MqttFleet(devices, MqttPlace(port=broker), chaos=chaos, seed=7, ledger=ledger, resend_seconds=1.0)
    with fleet:
        for k in range(12):
            fleet.push(NOON + timedelta(minutes=10 * k))
        assert fleet.wait_until_covered(60.0)
    wanted: dict[tuple[str, str], set[int]] = {}
    for device_id, boot_id, seq, _ in ledger.rows:
        wanted.setdefault((device_id, boot_id), set()).add(seq)
    assert collector.seen == wanted
    if chaos.duplicate and not chaos.drop:
        assert collector.copies > 20
    if chaos.shuffled:
        assert any(
            later < earlier
            for (_, earlier), (_, later) in zip(collector.order, collector.order[1:], strict=False)
        )


@pytest.mark.server
def test_a_cut_connection_speaks_the_last_will_and_comes_back(broker, collector, devices):
    fleet = MqttFleet(devices, MqttPlace(port=broker), resend_seconds=0.5)
    with fleet:
        assert until(lambda: fleet.connected == len(fleet.agents))
        agent = next(iter(fleet.agents.values()))
        topic = f"drumbeat/v1/default/{agent.site_id}/_agent/status"
        assert until(lambda: (topic, "online") in collector.statuses)
        agent.cut()
        assert until(lambda: (topic, "offline") in collector.statuses)
        assert until(lambda: collector.statuses.count((topic, "online")) >= 2)


@pytest.mark.server
def test_what_was_not_covered_is_sent_again_after_the_collector_returns(broker, devices):
    fleet = MqttFleet(devices, MqttPlace(port=broker), resend_seconds=0.3)
    with fleet:
        sent = fleet.push(NOON)
        assert not fleet.wait_until_covered(0.5)
        collector = Collector(broker)
        try:
            assert fleet.wait_until_covered(60.0)
            assert sum(len(seqs) for seqs in collector.seen.values()) == sent
        finally:
            collector.stop()


@pytest.mark.server
def test_a_live_story_pushes_with_the_time_of_now(broker, collector):
    class Wall:
        def now(self) -> datetime:
            return datetime(2026, 5, 4, 12, 0, tzinfo=UTC)

    scenario = load_scenario("duplicate_flood", devices=6)
    options = LiveOptions(speed=7200.0, mqtt=MqttPlace(port=broker))
    stop = threading.Event()

    def look(run: LiveRun) -> None:
        if run.summary.readings > 100 and collector.copies > 50:
            stop.set()

    summary = run_live(scenario, options, Wall(), stop=stop, show=look)
    assert summary.readings > 100
    assert {boot.rsplit("-", 1)[1] for _, boot in collector.seen} == {str(int(Wall().now().timestamp()))}


@pytest.mark.server
@pytest.mark.heavy
def test_two_thousand_connections_on_one_thread(broker, collector):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("by design: this machine allows a process fewer than 4,096 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        many = make_roster(2000, default_models(), seed=1, sites=2000)
        roster = Roster(
            sites=many.sites,
            devices=tuple(
                replace(spec, site_id=site.site_id)
                for spec, site in zip(many.devices, many.sites, strict=True)
            ),
        )
        fleet = MqttFleet(
            devices_of(Fleet(roster, seed=1, start=date(2025, 3, 3), keep_days=2)),
            MqttPlace(port=broker),
            resend_seconds=60.0,
        )
        others = threading.active_count()
        with fleet:
            assert until(lambda: fleet.connected == 2000, 120)
            assert threading.active_count() - others < 10
            sent = fleet.push(NOON)
            assert fleet.wait_until_covered(120.0)
        assert sum(len(seqs) for seqs in collector.seen.values()) == sent > 1700
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
