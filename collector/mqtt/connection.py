"""One MQTT connection with a stable identity: MQTT 5 where the broker has it, otherwise 3.1.1, and always back again.

The listener and the edge agent share it. It subscribes at every connect, because a broker that lost its session file
answers "no session" and would stay silent for ever (paho 2.x documentation, on_connect).
"""

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from collector.mqtt.bulk_socket import BulkSocket, Message
from collector.mqtt.topics import HAPPENINGS
from crm_core.domain.errors import StoreUnavailable

_log = logging.getLogger(__name__)
#: How long the broker keeps our session while we are away, in seconds.
SESSION_SECONDS: Final = 7 * 86_400
_CONNECT_SECONDS: Final = 10.0
_UNSUPPORTED_VERSION: Final = "Unsupported protocol version"
_LOST: Final = "the connection ended before an answer"
#: How long a refused subscription rests until it is asked for again, in seconds; this long the network thread stands still.
_SUBSCRIBE_AGAIN_SECONDS: Final = 4.0
#: Pauses between attempts to come back, in seconds: short enough that a restarted broker is found within a few.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttEndpoint:
    """Which broker, and who we are there. `protocol` auto tries MQTT 5 first.

    `window` is how many messages may be on the way to us unacknowledged: with MQTT 5 the broker keeps to it, with
    3.1.1 the broker's own limit holds.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    client_id: str = "drumbeat-collector"
    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    window: int = 8000
    keepalive_seconds: int = 60


@dataclass(frozen=True, slots=True)
class LastWill:
    """What the broker says for us when we vanish (retained, QoS 1)."""

    topic: str
    payload: bytes


Protocol = Literal["5", "3.1.1"]
Received = Callable[[Sequence[Message]], None]


class _BulkClient(paho.Client):
    """paho over a socket that takes messages out in bulk (see `bulk_socket`)."""

    def __init__(self, *arguments: Any, received: Received | None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._received = received
        self.link: BulkSocket | None = None

    def _create_socket(self) -> Any:  # the place that paho leaves for other sockets
        plain = super()._create_socket()
        if self._received is None:
            return plain
        five = self.protocol == paho.MQTTv5
        self.link = BulkSocket(cast("socket.socket", plain), self._received, five=five)
        return self.link


class MqttConnection:
    """Connects in the background and stays connected; callbacks run in the network thread.

    `on_messages` gets what came together, must hand over quickly, and may be called before `on_connected`; acknowledge
    with `acknowledge` when the messages are safe. `on_connected` is called at every connect, after subscribing.
    """

    def __init__(
        self,
        endpoint: MqttEndpoint,
        *,
        filters: Sequence[str],
        on_messages: Received,
        on_connected: Callable[[], None] | None = None,
        will: LastWill | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._filters = list(filters)
        self._on_messages = on_messages
        self._on_connected = on_connected
        self._will = will
        self._client: _BulkClient | None = None
        self._stopping = threading.Event()
        self._answered = threading.Event()
        self._connected = threading.Event()
        self._refusal = ""
        self._thread: threading.Thread | None = None
        self.protocol: Protocol | None = None
        self.connects = 0

    @property
    def is_connected(self) -> bool:
        return self._connected.is_set()

    @property
    def refusal(self) -> str:
        """The broker's reason for its last refusal; empty when there was none."""
        return self._refusal

    def start(self) -> None:
        """Begin to connect; return at once."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._keep_connecting, name="mqtt-connect", daemon=True)
        self._thread.start()

    def wait_connected(self, seconds: float) -> None:
        """Wait for the connection, or raise `StoreUnavailable`."""
        if not self._connected.wait(seconds):
            reason = self._refusal or "no answer"
            raise StoreUnavailable(f"MQTT broker {self.endpoint.host}:{self.endpoint.port}: {reason}")

    def stop(self) -> None:
        """Disconnect; the broker keeps the session."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None
        self._connected.clear()

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Acknowledge messages in the order in which they came; those of an older connection come again."""
        client = self._client
        if client is not None and client.link is not None:
            link = client.link
            link.acknowledge([message.mid for message in messages if message.link is link and message.mid])

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> paho.MQTTMessageInfo | None:
        """Publish with QoS 1; None while there is no connection."""
        client = self._client
        if client is None or not self._connected.is_set():
            return None
        return client.publish(topic, payload, qos=1, retain=retain)

    # --- the connection's life -----------------------------------------------------------------------------------

    def _keep_connecting(self) -> None:
        """Find out which protocol the broker speaks and connect; from then on paho reconnects by itself."""
        pause = 0.2
        while not self._stopping.is_set():
            wanted = self._wanted()
            if wanted is not None and self._try(wanted):
                return
            self._stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _wanted(self) -> Protocol | None:
        """Return the protocol to use, None when the broker did not tell.

        The question is a CONNECT of MQTT 5 without properties and credentials: a broker that only knows 3.1.1 can read
        it and refuses the version; with more in it, it would wait for bytes. Any other answer is one of MQTT 5.
        """
        if self.endpoint.protocol != "auto":
            return self.endpoint.protocol
        question = self._make("5", f"{self.endpoint.client_id}-asks", None, signed=False)
        question.on_disconnect = self._disconnected
        self._connect(question, None)
        question.disconnect()
        question.loop_stop()
        if self._refusal == _UNSUPPORTED_VERSION:
            return "3.1.1"
        return "5" if self._answered.is_set() and self._refusal != _LOST else None

    def _try(self, protocol: Protocol) -> bool:
        self.protocol = protocol
        client = self._client = self._make(
            protocol, self.endpoint.client_id, self._will, received=self._on_messages
        )
        client.on_connect = self._connect_answered
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        if self._connect(client, _session(self.endpoint.window) if protocol == "5" else None):
            return True
        client.disconnect()
        client.loop_stop()
        return False

    def _connect(self, client: paho.Client, properties: Properties | None) -> bool:
        """Connect and wait for the broker's answer; tell whether it was a welcome."""
        self._answered.clear()
        self._refusal = ""
        clean: dict[str, Any] = {} if properties is None else {"clean_start": False, "properties": properties}
        try:
            client.connect(self.endpoint.host, self.endpoint.port, self.endpoint.keepalive_seconds, **clean)
        except (OSError, ValueError) as error:
            self._refusal = str(error)
            return False
        client.loop_start()
        return self._answered.wait(_CONNECT_SECONDS) and not self._refusal

    def _make(
        self,
        protocol: Protocol,
        client_id: str,
        will: LastWill | None,
        *,
        signed: bool = True,
        received: Received | None = None,
    ) -> _BulkClient:
        five = protocol == "5"
        client = _BulkClient(
            CallbackAPIVersion.VERSION2,
            received=received,
            client_id=client_id,
            clean_session=None if five else False,
            protocol=paho.MQTTv5 if five else paho.MQTTv311,
            manual_ack=True,
        )
        client.max_inflight_messages_set(1000)
        client.max_queued_messages_set(0)
        client.reconnect_delay_set(_FIRST_PAUSE, _LONGEST_PAUSE)  # type: ignore[arg-type]  # paho takes fractions of seconds, its hints say int
        if signed and self.endpoint.username is not None:
            client.username_pw_set(self.endpoint.username, self.endpoint.password)
        if self.endpoint.tls:
            client.tls_set(
                ca_certs=_path(self.endpoint.ca_file),
                certfile=_path(self.endpoint.certificate),
                keyfile=_path(self.endpoint.key),
                cert_reqs=ssl.CERT_REQUIRED,
            )
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = self._answer
        return client

    def _answer(self, _client: paho.Client, _: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._refusal = str(reason) if reason.is_failure else ""
        self._answered.set()

    def _connect_answered(
        self, client: paho.Client, _: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure:
            self._refusal = str(reason)
            self._answered.set()
            return
        self._refusal = ""
        self.connects += 1
        self._answered.set()
        if self._filters:
            self._subscribe(client)
        else:
            self._ready()

    def _subscribe(self, client: paho.Client) -> None:
        """Ask for the filters. With MQTT 5 a session that goes on gets no retained reading or event once more."""
        if self.protocol == "5":
            client.subscribe([(text, _options(text)) for text in self._filters])
        else:
            client.subscribe([(text, 1) for text in self._filters])

    def _subscribed(
        self, client: paho.Client, _: Any, _mid: int, reasons: Sequence[Any], _properties: Any
    ) -> None:
        """Count as connected if the broker granted every filter; else say what it refused, and ask again."""
        refused = [text for text, reason in zip(self._filters, reasons, strict=False) if reason.is_failure]
        if not refused:
            self._refusal = ""
            self._ready()
            return
        self._refusal = f"it refuses the subscription to {', '.join(refused)}: check the rights of this user"
        _log.warning("MQTT broker %s:%d: %s", self.endpoint.host, self.endpoint.port, self._refusal)
        if not self._stopping.wait(_SUBSCRIBE_AGAIN_SECONDS):
            self._subscribe(client)

    def _ready(self) -> None:
        """Count as connected: only now does the broker send us what others publish."""
        self._connected.set()
        if self._on_connected is not None:
            self._on_connected()

    def _disconnected(
        self, _client: paho.Client, _: Any, _flags: Any, _reason: Any, _properties: Any
    ) -> None:
        self._connected.clear()
        if not self._answered.is_set():
            self._refusal = _LOST
            self._answered.set()


def _options(text: str) -> SubscribeOptions:
    """Return how to subscribe: what happened once comes once, what holds now (statuses, marks) comes at every connect."""
    once = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
    return SubscribeOptions(
        qos=1,
        retainHandling=once if text.endswith(HAPPENINGS) else SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE,
    )


def _session(window: int) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
    properties.SessionExpiryInterval = SESSION_SECONDS
    properties.ReceiveMaximum = window
    return properties


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)
