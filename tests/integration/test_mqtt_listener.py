"""The listener on real brokers: what is acknowledged is durable, what cannot be used is kept with its reason."""

import queue
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from collector.agents import SqliteAgentBook
from collector.dead_letters import SqliteDeadLetters
from collector.ingest import Ingest
from collector.mqtt.broker import EmbeddedBroker
from collector.mqtt.bulk_socket import Message
from collector.mqtt.connection import MqttConnection, MqttEndpoint
from collector.mqtt.listener import MqttListener
from collector.mqtt.payloads import ack_message, encode_status
from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import SystemClock
from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.wire import encode_reading
from crm_core.ports import AppendResult, Landing
from crm_core.signals import conclude
from tests.conftest import requires_server
from tests.contract.test_telemetry_store import NoCodes
from tests.telemetry_readings import START, reading
from tests.telemetry_servers import mosquitto, running

TENANT = TenantId("default")
BASE = "drumbeat/v1/default/site-1"
FAR = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


class MoodyStore(SqliteTelemetryStore):
    """A store whose disk can be taken away."""

    away = threading.Event()
    tried = threading.Semaphore(0)

    def append(self, landings: Sequence[Landing]) -> AppendResult:
        self.tried.release()
        if self.away.is_set():
            raise StoreUnavailable("the disk is away")
        return super().append(landings)


@pytest.fixture(params=["embedded", pytest.param("mosquitto", marks=pytest.mark.server)])
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    if request.param == "mosquitto":
        with running(mosquitto(requires_server("mosquitto"), tmp_path / "broker")) as daemon:
            yield daemon.port
        return
    broker = EmbeddedBroker(port=0)
    broker.start()
    yield broker.port
    broker.stop()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MoodyStore]:
    opened = MoodyStore(tmp_path / "telemetry.sqlite", SystemClock())
    opened.away = threading.Event()
    opened.tried = threading.Semaphore(0)
    yield opened
    opened.close()


def make_listener(
    port: int, store: MoodyStore, *, client_id: str = "drumbeat-collector", group: str | None = None
) -> MqttListener:
    clock = SystemClock()
    ingest = Ingest(store, partial(conclude, book=NoCodes()), SqliteDeadLetters(store), clock)
    return MqttListener(
        MqttEndpoint(port=port, client_id=client_id),
        ingest,
        store,
        clock,
        agents=SqliteAgentBook(store),
        group=group,
    )


class Sender:
    """A device that sees its marks."""

    def __init__(self, port: int) -> None:
        self.acks: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._connection = MqttConnection(
            MqttEndpoint(port=port, client_id="sender"), filters=[f"{BASE}/+/ack"], on_messages=self._note
        )

    def _note(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.acks.put((message.topic.decode(), message.payload))
        self._connection.acknowledge(messages)

    def __enter__(self) -> Self:
        self._connection.start()
        self._connection.wait_connected(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.stop()

    def send(self, topic: str, body: bytes, *, retain: bool = False) -> None:
        info = self._connection.publish(f"{BASE}/{topic}", body, retain=retain)
        assert info is not None
        info.wait_for_publish(20)

    def wait_for_mark(self, device: str, seq: int) -> None:
        """Wait until the collector says that everything up to `seq` is safe."""
        while True:
            topic, body = self.acks.get(timeout=30)
            if topic == f"{BASE}/{device}/ack" and any(mark.seq >= seq for mark in ack_message(body).marks):
                return


def test_readings_land_and_marks_follow(port: int, store: MoodyStore) -> None:
    listener = make_listener(port, store)
    listener.start()
    listener.connection.wait_connected(60)
    with Sender(port) as sender:
        made = [reading(minutes=n, seq=n, pages=1000 + n) for n in range(1, 31)]
        for one in [*reversed(made), made[3]]:
            sender.send("d1/reading", encode_reading(one))
        sender.wait_for_mark("d1", 30)
    listener.stop()
    assert list(store.readings(TENANT, DeviceId("d1"), *FAR)) == made
    (day,) = store.daily_meters(TENANT, 0, 30_000)
    assert (day.first_count, day.last_count, day.polls, day.pages) == (1001, 1030, 30, 29)
    assert listener.counters.received == listener.counters.acknowledged == 31


def test_what_cannot_be_used_is_kept_and_its_number_settled(port: int, store: MoodyStore) -> None:
    letters = SqliteDeadLetters(store)
    listener = make_listener(port, store)
    listener.start()
    listener.connection.wait_connected(60)
    with Sender(port) as sender:
        sender.send("d1/reading", encode_reading(reading(seq=1)))
        sender.send("d1/reading", b'{"boot_id":"boot-1","seq":2,"supplies":"none"}')
        sender.send("d1/reading", b"\xff\xfe")
        sender.send("d1/event", b'{"at":"2026-03-02T07:00:00Z","code":""}')
        sender.send("d1/event", b'{"at":"2026-03-02T07:00:00Z"}')
        sender.send("d1/status", b"[]")
        sender.send("_agent/status", encode_status(online=False, version="1"))
        sender.send("d1/reading", encode_reading(reading(seq=3, minutes=3)))
        sender.wait_for_mark("d1", 3)
    listener.stop()
    reasons = [letter.reason for letter in letters.list()]
    assert len(reasons) == 4
    assert all(reasons)
    assert {letter.origin for letter in letters.list()} == {
        f"{BASE}/d1/{k}" for k in ("reading", "event", "status")
    }
    assert len(store.readings(TENANT, DeviceId("d1"), *FAR)) == 2
    assert len(store.events(TENANT, *FAR)) == 1
    assert SqliteAgentBook(store).offline_sites(TENANT) == {"site-1"}


def test_nothing_is_acknowledged_while_the_store_is_away(port: int, store: MoodyStore) -> None:
    store.away.set()
    listener = make_listener(port, store)
    listener.start()
    listener.connection.wait_connected(60)
    with Sender(port) as sender:
        sender.send("d1/reading", encode_reading(reading(seq=1)))
        for _ in range(2):
            assert store.tried.acquire(timeout=60)
        assert listener.counters.acknowledged == 0
        store.away.clear()
        sender.wait_for_mark("d1", 1)
    listener.stop()
    assert listener.counters.acknowledged == 1
    assert store.newest(TENANT, DeviceId("d1")) == reading(seq=1)


def test_a_listener_that_was_away_gets_what_was_sent_meanwhile(port: int, store: MoodyStore) -> None:
    first = make_listener(port, store)
    first.start()
    first.connection.wait_connected(60)
    with Sender(port) as sender:
        sender.send("d1/reading", encode_reading(reading(seq=1)))
        sender.wait_for_mark("d1", 1)
        first.stop()
        for number in range(2, 40):
            sender.send("d1/reading", encode_reading(reading(seq=number, minutes=number)))
        second = make_listener(port, store)
        second.start()
        sender.wait_for_mark("d1", 39)
        second.stop()
    assert len(store.readings(TENANT, DeviceId("d1"), *FAR)) == 39
    assert store.stats(TENANT).first_at == START


@pytest.mark.server
def test_collectors_share_a_subscription_where_the_broker_speaks_mqtt_5(
    store: MoodyStore, tmp_path: Path
) -> None:
    with running(mosquitto(requires_server("mosquitto"), tmp_path / "broker")) as daemon:
        pair = [
            make_listener(daemon.port, store, client_id=f"collector-{n}", group="collectors") for n in (1, 2)
        ]
        for listener in pair:
            listener.start()
            listener.connection.wait_connected(60)
            assert listener.connection.protocol == "5"
        with Sender(daemon.port) as sender:
            for number in range(1, 101):
                sender.send("d1/reading", encode_reading(reading(seq=number, minutes=number)))
            sender.wait_for_mark("d1", 100)
        for listener in pair:
            listener.stop()
    assert all(listener.counters.acknowledged > 0 for listener in pair)
    assert sum(listener.counters.acknowledged for listener in pair) == 100
    assert len(store.readings(TENANT, DeviceId("d1"), *FAR)) == 100


@pytest.mark.server
def test_a_retained_message_that_cannot_be_used_is_refused_once_not_at_every_connect(
    store: MoodyStore, tmp_path: Path
) -> None:
    letters = SqliteDeadLetters(store)
    with running(mosquitto(requires_server("mosquitto"), tmp_path / "broker")) as daemon:
        with Sender(daemon.port) as sender:
            sender.send("d1/reading", b"garbage", retain=True)
            sender.send("_agent/status", encode_status(online=False), retain=True)
        for life in (1, 2, 3):
            listener = make_listener(daemon.port, store)
            listener.start()
            listener.connection.wait_connected(20)
            with Sender(daemon.port) as sender:
                sender.send("d1/reading", encode_reading(reading(seq=life, minutes=life)))
                sender.wait_for_mark("d1", life)
            listener.stop()
            assert listener.counters.statuses == 1, "what holds now is told at every connect"
    assert letters.count() == 1


def test_a_subscription_that_the_broker_refuses_is_no_connection() -> None:
    """A collector without the right to read hears nothing: it says so, and asks again."""
    connection = MqttConnection(MqttEndpoint(), filters=("a/reading", "a/status"), on_messages=lambda _: None)
    connection.stop()  # nothing waits
    client = paho.Client(CallbackAPIVersion.VERSION2)
    granted, denied = (ReasonCode(PacketTypes.SUBACK, identifier=code) for code in (1, 0x87))
    connection._subscribed(client, None, 1, [granted, denied], None)
    assert not connection.is_connected
    assert "a/status: check the rights" in connection.refusal
    connection._subscribed(client, None, 2, [granted, granted], None)
    connection.wait_connected(0)
