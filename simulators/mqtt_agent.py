"""One simulated MQTT sender: an agent that speaks for the devices of a site (docs/mqtt.md), with what can go wrong.

It keeps every reading in a ring until the collector's retained mark covers it, and sends it again until then; the
broker's PUBACK alone is not trusted. paho is driven from one selector loop for all agents (`simulators.mqtt_fleet`).
"""

import heapq
import json
import random
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

ROOT: Final = "drumbeat/v1"
KEEPALIVE_SECONDS: Final = 30
INFLIGHT: Final = 100
RING_READINGS: Final = 10_000
FIRST_RETRY_SECONDS: Final = 0.5
LONGEST_RETRY_SECONDS: Final = 15.0


@dataclass(slots=True, kw_only=True)
class MqttChaos:
    """What goes wrong on the way; chances 0..1 per reading, drawn from the fleet's seed.

    `late` readings are held back by up to `late_seconds`; `shuffled` groups leave in random order; a `drop` closes
    the connection without DISCONNECT, so that the last will speaks.
    """

    duplicate: float = 0.0
    late: float = 0.0
    late_seconds: float = 2.0
    shuffled: bool = False
    drop: float = 0.0


@dataclass(slots=True, kw_only=True)
class MqttPlace:
    """Where the broker is and as whom the agents sign in."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = None
    tenant: str = "default"
    client_prefix: str = "sim"


@dataclass(slots=True)
class SiteAgent:
    """The agent of one site. All methods run on the fleet's own thread."""

    site_id: str
    place: MqttPlace
    chaos: MqttChaos
    seed: int
    resend_seconds: float = 5.0
    on_socket: Callable[["SiteAgent", socket.socket | None], None] | None = None
    ring: dict[str, "OrderedDict[tuple[str, int], bytes]"] = field(default_factory=dict)
    connected: bool = False
    sent: int = 0
    dropped: int = 0
    client: paho.Client = field(init=False)
    _chance: random.Random = field(init=False)
    _retry_at: float = 0.0
    _retry_seconds: float = FIRST_RETRY_SECONDS
    _granted: bool = False
    _due: list[tuple[float, int, str, tuple[str, int]]] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(f"{self.seed}/{self.site_id}")  # noqa: S311 - reproducible chaos, no secret
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{self.place.client_prefix}-{self.place.tenant}-{self.site_id}",
            protocol=paho.MQTTv311,
        )
        self.client.max_inflight_messages_set(INFLIGHT)
        if self.place.username is not None:
            self.client.username_pw_set(self.place.username, self.place.password)
        self.client.will_set(self._status_topic, _status("offline"), qos=1, retain=True)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = self._on_message
        self.client.on_subscribe = self._on_subscribe
        self.client.on_socket_open = lambda _c, _u, opened: self._socket_changed(opened)
        self.client.on_socket_close = lambda _c, _u, _s: self._socket_changed(None)

    @property
    def _root(self) -> str:
        return f"{ROOT}/{self.place.tenant}/{self.site_id}"

    @property
    def _status_topic(self) -> str:
        return f"{self._root}/_agent/status"

    @property
    def pending(self) -> int:
        """Readings that no mark covers yet."""
        return sum(len(kept) for kept in self.ring.values())

    # --- readings --------------------------------------------------------------------------------------------------

    def keep(self, device_id: str, boot_id: str, seq: int, body: bytes) -> None:
        """Put a reading into the ring, to be sent now, or later if chance will have it so."""
        kept = self.ring.setdefault(device_id, OrderedDict())
        late = self._chance.random() < self.chaos.late
        wait = self._chance.random() * self.chaos.late_seconds if late else 0.0
        kept[(boot_id, seq)] = body
        self._plan(time.monotonic() + wait, device_id, (boot_id, seq))
        while len(kept) > RING_READINGS:
            kept.popitem(last=False)
            self.dropped += 1

    def _plan(self, due: float, device_id: str, key: tuple[str, int]) -> None:
        self._count += 1
        heapq.heappush(self._due, (due, self._count, device_id, key))

    def work(self, now: float) -> None:
        """Connect when due, send what is due, let paho keep its promises."""
        if not self.connected:
            if self.client.socket() is None and now >= self._retry_at:
                self._connect(now)
        elif self._granted:
            self._send_due(now)
        self.client.loop_misc()

    def _send_due(self, now: float) -> None:
        batch: list[tuple[str, tuple[str, int]]] = []
        while self._due and self._due[0][0] <= now and len(batch) < INFLIGHT:
            _, _, device_id, key = heapq.heappop(self._due)
            if key in self.ring[device_id]:
                batch.append((device_id, key))
        if self.chaos.shuffled:
            self._chance.shuffle(batch)
        for device_id, key in batch:
            self._plan(now + self.resend_seconds, device_id, key)
        for device_id, key in batch:
            copies = 2 if self._chance.random() < self.chaos.duplicate else 1
            for _ in range(copies):
                self.client.publish(f"{self._root}/{device_id}/reading", self._body(device_id, key), qos=1)
                self.sent += 1
            if self._chance.random() < self.chaos.drop:
                self.cut()
                return

    def _body(self, device_id: str, key: tuple[str, int]) -> bytes:
        """Return a reading, with `oldest_seq` once readings of the ring were given up."""
        ring = self.ring[device_id]
        if not self.dropped:
            return ring[key]
        oldest = min(seq for boot, seq in ring if boot == key[0])
        return ring[key][:-1] + b',"oldest_seq":%d}' % oldest

    def _covered(self, device_id: str, marks: list[dict[str, Any]]) -> None:
        ring = self.ring.get(device_id)
        if ring is None:
            return
        high = {str(mark["boot_id"]): int(mark["seq"]) for mark in marks}
        for key in [key for key in ring if key[1] <= high.get(key[0], -1)]:
            del ring[key]

    # --- connection ------------------------------------------------------------------------------------------------

    def _connect(self, now: float) -> None:
        self._retry_at = now + self._retry_seconds
        self._retry_seconds = min(self._retry_seconds * 2, LONGEST_RETRY_SECONDS)
        try:
            self.client.connect(self.place.host, self.place.port, keepalive=KEEPALIVE_SECONDS)
        except OSError:
            return

    def cut(self) -> None:
        """Close the connection without a word, as a power cut does; the broker speaks the last will."""
        opened = self.client.socket()
        if isinstance(opened, socket.socket):
            opened.shutdown(socket.SHUT_RDWR)

    def leave(self) -> None:
        """Say good-bye: status offline, then DISCONNECT."""
        if self.connected:
            self.client.publish(self._status_topic, _status("offline"), qos=1, retain=True)
            self.client.loop_write()
            self.client.disconnect()

    def _socket_changed(self, opened: Any) -> None:
        if self.on_socket is not None:
            self.on_socket(self, opened)

    def _on_connect(
        self, client: paho.Client, _user: object, _flags: object, reason: Any, _props: object
    ) -> None:
        if reason.is_failure:
            return
        self.connected = True
        self._retry_seconds = FIRST_RETRY_SECONDS
        client.subscribe(f"{self._root}/+/ack", qos=1)
        client.publish(self._status_topic, _status("online"), qos=1, retain=True)

    def _on_subscribe(self, *_: object) -> None:
        """Send from now on: retained marks come with the grant, so little is sent twice."""
        self._granted = True

    def _on_disconnect(self, *_: object) -> None:
        self.connected = False
        self._granted = False
        now = time.monotonic()
        self._retry_at = now + 0.05
        self._due.clear()
        for device_id, ring in self.ring.items():
            for key in ring:
                self._plan(now, device_id, key)

    def _on_message(self, _client: paho.Client, _user: object, message: paho.MQTTMessage) -> None:
        device_id = message.topic.split("/")[4]
        try:
            marks = json.loads(message.payload)["marks"]
            self._covered(device_id, marks)
        except (ValueError, KeyError, TypeError):
            return

    def read(self) -> None:
        """Let paho read what has arrived."""
        if self.client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self.connected = False

    def write(self) -> None:
        """Let paho write what waits."""
        self.client.loop_write()


def _status(state: str) -> bytes:
    return json.dumps({"schema": "drumbeat.status/1", "state": state}, separators=(",", ":")).encode()
