"""From the broker to the store: receive, decode, land, and only then acknowledge.

The network thread only queues. One writer thread takes what has come, lands it in one transaction and acknowledges;
while the store is slow or away nothing is acknowledged, so the broker holds back (MQTT 5: receive maximum; 3.1.1: the
broker's in-flight limit). A message that cannot be used becomes a dead letter and is acknowledged as well.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from collector.agents import AgentBook, AgentState
from collector.completion import Complete
from collector.dead_letters import DeadLetter
from collector.ingest import CollectorStore, Ingest, flag_clock
from collector.mqtt.bulk_socket import Message
from collector.mqtt.connection import MqttConnection, MqttEndpoint
from collector.mqtt.marks import MarkSchedule, ack_of
from collector.mqtt.payloads import pushed_event, pushed_reading, sequence_in, status_message
from collector.mqtt.shared_parts import SharedParts
from collector.mqtt.topics import Kind, Topic, inbound_filters, parse_topic, shared
from collector.sequences import Settled
from crm_core.domain.errors import DrumbeatError, StoreUnavailable
from crm_core.domain.telemetry import DeviceReading, TelemetryEvent
from crm_core.ports import Clock

_log = logging.getLogger(__name__)
_TICK_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 10.0


@dataclass(slots=True)
class ListenerCounters:
    """Totals since start, for metrics."""

    received: int = 0
    acknowledged: int = 0
    dead_lettered: int = 0
    statuses: int = 0
    store_failures: int = 0


@dataclass(slots=True)
class _Decoded:
    """What a batch of messages says."""

    readings: list[DeviceReading] = field(default_factory=list)
    events: list[TelemetryEvent] = field(default_factory=list)
    agents: list[AgentState] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    devices: set[tuple[str, str, str]] = field(default_factory=set)
    floors: dict[tuple[str, str, str], int] = field(default_factory=dict)


class MqttListener:
    """Listens at one broker. `group` joins an MQTT 5 shared subscription (each member keeps its own client id).

    `complete` adds what Drumbeat concludes to a pushed reading (`derived`). `batch` bounds a transaction.
    """

    def __init__(
        self,
        endpoint: MqttEndpoint,
        ingest: Ingest,
        store: CollectorStore,
        clock: Clock,
        *,
        agents: AgentBook | None = None,
        complete: Complete | None = None,
        group: str | None = None,
        batch: int = 4000,
    ) -> None:
        filters = inbound_filters() if group is None else shared(inbound_filters(), group)
        self.connection = MqttConnection(
            endpoint, filters=filters, on_messages=self._queue, on_connected=self._wake
        )
        self._ingest = ingest
        self._store = store
        self._clock = clock
        self._agents = agents
        self._complete = complete
        self._batch = batch
        self._waiting: deque[Message] = deque()
        self._news = threading.Condition()
        self._parts = SharedParts()
        self._marks = MarkSchedule()
        self._stopping = threading.Event()
        self._writer: threading.Thread | None = None
        self.counters = ListenerCounters()

    def start(self) -> None:
        """Begin to listen; return at once. The connection is made, and made again, in the background."""
        self._stopping.clear()
        self._writer = threading.Thread(target=self._write, name="mqtt-writer", daemon=True)
        self._writer.start()
        self.connection.start()

    def stop(self) -> None:
        """Land and acknowledge what has come, then disconnect."""
        self._stopping.set()
        self._wake()
        if self._writer is not None:
            self._writer.join()
            self._writer = None
        self.connection.stop()

    # --- network thread ------------------------------------------------------------------------------------------

    def _queue(self, messages: Sequence[Message]) -> None:
        self._waiting.extend(messages)
        self.counters.received += len(messages)
        if len(self._waiting) == len(messages):
            self._wake()

    def _wake(self) -> None:
        with self._news:
            self._news.notify_all()

    # --- writer thread -------------------------------------------------------------------------------------------

    def _write(self) -> None:
        while True:
            batch = self._take()
            if batch:
                self._land(batch)
            self._tell_marks()
            if self._stopping.is_set() and not self._waiting:
                return

    def _take(self) -> list[Message]:
        if not self._waiting:
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._stopping.is_set(), _TICK_SECONDS)
        return [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]

    def _land(self, batch: Sequence[Message]) -> None:
        """Land a batch, again and again until the store takes it; acknowledge afterwards."""
        decoded = self._decode(batch)
        pause = 0.1
        while True:
            try:
                self._store_all(decoded)
                break
            except StoreUnavailable as error:
                self.counters.store_failures += 1
                _log.warning("readings wait for the store: %s", error)
            if self._stopping.wait(pause):
                return  # not acknowledged: the broker brings them again
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        self.connection.acknowledge(batch)
        self.counters.acknowledged += len(batch)
        self.counters.dead_lettered += len(decoded.letters)
        for device in decoded.devices:
            self._marks.touch(device)

    def _store_all(self, decoded: _Decoded) -> None:
        """Land everything; each part may be repeated without harm."""
        if decoded.readings:
            self._land_readings(decoded)
        if decoded.events:
            self._ingest.land_events(decoded.events)
        settled = [*decoded.settled, *self._given_up(decoded.floors)]
        if decoded.letters or settled:
            self._ingest.bury(decoded.letters, settled)
        if self._agents is not None:
            for state in decoded.agents:
                self._agents.note(state)

    def _land_readings(self, decoded: _Decoded) -> None:
        """Land a batch at once; if a reading breaks something of ours, land one by one and put that one aside.

        A supervision point: no message may stop the queue, whatever our own rules do with it.
        """
        try:
            self._ingest.land(decoded.readings)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - a supervision point
            _log.exception("a batch of %d readings could not be landed at once", len(decoded.readings))
            for reading in decoded.readings:
                self._land_alone(reading)

    def _land_alone(self, reading: DeviceReading) -> None:
        """Land one reading, or keep it as a dead letter with what it broke. A supervision point, as above."""
        try:
            self._ingest.land([reading])
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a supervision point
            _log.exception("a reading of device %s could not be landed", reading.device_id)
            reason = f"Drumbeat could not judge it: {type(error).__name__}: {error}"
            self._ingest.refuse([(reading, reason)])

    def _decode(self, batch: Sequence[Message]) -> _Decoded:
        decoded = _Decoded()
        for message in batch:
            topic = None
            try:
                topic = parse_topic(message.topic.decode())
                self._read(decoded, topic, message.payload)
            except (DrumbeatError, UnicodeDecodeError) as error:
                self._refuse(decoded, topic, message, str(error))
        return decoded

    def _read(self, decoded: _Decoded, topic: Topic, body: bytes) -> None:
        now = self._clock.now()
        if topic.kind is Kind.EVENT:
            decoded.events.append(pushed_event(topic, body))
        elif topic.kind is Kind.STATUS:
            status = status_message(body) if body else None  # an empty payload clears a retained status
            self.counters.statuses += 1
            if status is not None and topic.is_agent:
                decoded.agents.append(
                    AgentState(
                        tenant=topic.tenant, site_id=topic.site_id, online=status.state == "online", since=now,
                        version=status.version,
                    )
                )  # fmt: skip
        elif topic.kind is Kind.READING:
            pushed = pushed_reading(topic, body, now, self._parts.decode)
            reading = pushed.reading if self._complete is None else self._complete(pushed.reading)
            if pushed.clock_off is not None:
                reading = flag_clock(reading)
            decoded.readings.append(reading)
            if reading.boot_id is not None:
                decoded.devices.add((topic.tenant, topic.site_id, topic.device_id))
                if pushed.oldest_seq is not None:
                    boot = (topic.tenant, topic.device_id, reading.boot_id)
                    decoded.floors[boot] = max(pushed.oldest_seq, decoded.floors.get(boot, 0))

    def _given_up(self, floors: Mapping[tuple[str, str, str], int]) -> Iterator[Settled]:
        """Yield the numbers below what senders still keep, where some are missing: they will never come."""
        for (tenant, device_id, boot_id), oldest in floors.items():
            ranges = self._store.received(tenant, device_id).get(boot_id)
            mark = None if ranges is None else ranges.mark
            if oldest > 1 and (mark is None or mark < oldest - 1):
                yield tenant, device_id, boot_id, 0, oldest - 1

    def _refuse(self, decoded: _Decoded, topic: Topic | None, message: Message, reason: str) -> None:
        body = message.payload
        name = str(topic) if topic is not None else _name_of(message)
        decoded.letters.append(DeadLetter(at=self._clock.now(), origin=name, reason=reason, body=body))
        sequence = sequence_in(body) if topic is not None and topic.kind is Kind.READING else None
        if topic is not None and sequence is not None:
            decoded.settled.append((topic.tenant, topic.device_id, sequence[0], sequence[1], sequence[1]))
            decoded.devices.add((topic.tenant, topic.site_id, topic.device_id))

    def _tell_marks(self) -> None:
        if not self._marks.waiting or not self.connection.is_connected:
            return
        devices = list(self._marks.due(busy=len(self._waiting) > self._batch))
        try:
            received = self._store.received_many([(tenant, name) for tenant, _, name in devices])
        except StoreUnavailable:
            for device in devices:
                self._marks.touch(device)
            return
        for tenant, site, name in devices:
            ack = ack_of((tenant, site, name), received[tenant, name])
            if ack is not None:
                self.connection.publish(*ack, retain=True)


def _name_of(message: Message) -> str:
    try:
        return message.topic.decode()[:256]
    except UnicodeDecodeError:
        return "a topic that is not UTF-8"
