"""The edge agent's sending side: keep, publish, and publish again until the collector's marks cover it.

A broker's acknowledgement is not safety, so the ring forgets a reading only when a retained mark of the collector
covers it. Nothing else is remembered between two lives of the agent: it begins with its oldest reading.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from collector.mqtt.bulk_socket import Message
from collector.mqtt.connection import LastWill, MqttConnection, MqttEndpoint
from collector.mqtt.payloads import ack_message, encode_status
from collector.mqtt.ring import EdgeRing, Waiting
from collector.mqtt.topics import AGENT, Kind, Topic, ack_filter, parse_topic
from crm_core.domain.errors import InvalidValue, StoreUnavailable
from crm_core.domain.telemetry import DeviceReading
from crm_core.domain.wire import decode_reading, encode_part, encode_reading, instant_to_json
from crm_core.ports import Clock

_log = logging.getLogger(__name__)
_TICK_SECONDS: Final = 0.2
_BATCH: Final = 200
_LONGEST_PATIENCE: Final = 4
#: Readings that are held in memory while the ring cannot be written; beyond it the oldest go, with a count.
_MOST_HELD: Final = 10_000


@dataclass(slots=True)
class EdgeCounters:
    """Totals since start. `lost` could be kept neither in the ring nor in memory."""

    kept: int = 0
    sent: int = 0
    repeated: int = 0
    covered: int = 0
    lost: int = 0


class EdgeAgent:
    """Sends the readings of one site. `window` bounds what is sent and not yet covered.

    What no mark covered within `resend_seconds` is sent again, at twice the interval each time until a mark comes (up to
    four times): a collector that is slow is not helped by repeats. After every new connection everything is sent.
    """

    def __init__(
        self,
        endpoint: MqttEndpoint,
        ring: EdgeRing,
        clock: Clock,
        *,
        tenant: str,
        site_id: str,
        version: str = "",
        window: int = 2000,
        resend_seconds: float = 30.0,
    ) -> None:
        self._ring = ring
        self._clock = clock
        self._place = (tenant, site_id)
        self._version = version
        self._window = window
        self._resend = resend_seconds
        self._patience = resend_seconds
        self._status = str(Topic(tenant, site_id, AGENT, Kind.STATUS))
        self._as_encoded = b'"tenant":%b,"site_id":%b,' % (encode_part(tenant), encode_part(site_id))
        self._held: list[DeviceReading] = []
        self._offering = threading.Lock()
        self._open: OrderedDict[int, float] = OrderedDict()  # record id -> when it was sent
        self._cursor = 0
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.counters = EdgeCounters()
        self.connection = MqttConnection(
            endpoint,
            filters=(ack_filter(tenant, site_id),),
            on_messages=self._marks_came,
            on_connected=self._begin_again,
            will=LastWill(self._status, encode_status(online=False)),
        )

    def offer(self, readings: Sequence[DeviceReading]) -> None:
        """Keep readings of this site's devices; durable on return, sent as soon as there is a network.

        Raises `StoreUnavailable` while the ring cannot be written: they are held in memory and go with the next offer.
        """
        with self._offering:
            self._held += readings
            try:
                self._ring.append(self._held)
            except StoreUnavailable:
                lost = max(0, len(self._held) - _MOST_HELD)
                del self._held[:lost]
                self.counters.lost += lost
                raise
            self.counters.kept += len(self._held)
            self._held.clear()
        self._news.set()

    @property
    def held(self) -> int:
        """How many readings are in memory only, because the ring cannot be written."""
        return len(self._held)

    def start(self) -> None:
        """Begin to send; return at once."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._send, name="edge-sender", daemon=True)
        self._thread.start()
        self.connection.start()

    def stop(self) -> None:
        """Say goodbye and stop; the ring keeps what is not covered."""
        self._keep_what_is_held()
        self._stopping.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        farewell = self.connection.publish(self._status, encode_status(online=False), retain=True)
        if farewell is not None:
            try:
                farewell.wait_for_publish(2.0)
            except (RuntimeError, ValueError) as error:  # the connection went first: the last will speaks
                _log.debug("no farewell: %s", error)
        self.connection.stop()

    def _keep_what_is_held(self) -> None:
        """Try once more to keep what is in memory only; what cannot be kept now is lost, and counted."""
        try:
            self.offer(())
        except StoreUnavailable as error:
            self.counters.lost += len(self._held)
            _log.error("%d readings could not be kept: %s", len(self._held), error)

    # --- network thread ------------------------------------------------------------------------------------------

    def _begin_again(self) -> None:
        with self._lock:
            self._open.clear()
            self._cursor = 0
        status = encode_status(online=True, at=self._clock.now(), version=self._version or None)
        self.connection.publish(self._status, status, retain=True)
        self._news.set()

    def _marks_came(self, messages: Sequence[Message]) -> None:
        for message in messages:
            try:
                topic = parse_topic(message.topic.decode())
                marks = ack_message(message.payload).marks
            except (InvalidValue, UnicodeDecodeError) as error:
                _log.warning("an acknowledgement that cannot be read: %s", error)
                continue
            try:
                for mark in marks:
                    self._cover(topic.device_id, mark.boot_id, mark.seq)
            except (
                StoreUnavailable
            ) as error:  # the readings stay, are sent again, and then a mark comes again
                _log.warning("a mark could not be noted: %s", error)
        self.connection.acknowledge(messages)
        self._news.set()

    def _cover(self, device_id: str, boot_id: str, seq: int) -> None:
        gone = self._ring.cover(device_id, boot_id, seq)
        with self._lock:
            for number in gone:
                self._open.pop(number, None)
        self.counters.covered += len(gone)
        if gone:
            self._patience = self._resend

    # --- sender thread -------------------------------------------------------------------------------------------

    def _send(self) -> None:
        while not self._stopping.is_set():
            try:
                sent = self.connection.is_connected and (self._send_new() + self._send_overdue())
            except StoreUnavailable as error:
                _log.warning("%s", error)
                sent = 0
            if not sent:
                self._news.wait(_TICK_SECONDS)
                self._news.clear()

    def _send_new(self) -> int:
        with self._lock:
            room, cursor = self._window - len(self._open), self._cursor
        waiting = self._ring.after(cursor, min(room, _BATCH)) if room > 0 else ()
        for reading in waiting:
            if not self._publish(reading):
                break
            with self._lock:
                self._cursor = max(self._cursor, reading.record_id)
            self.counters.sent += 1
        return len(waiting)

    def _send_overdue(self) -> int:
        """Send again what was sent long ago and is not covered."""
        limit = time.monotonic() - self._patience
        with self._lock:
            overdue = [number for number, sent_at in self._open.items() if sent_at < limit][:_BATCH]
        repeated = 0
        for number in overdue:
            found = self._ring.after(number - 1, 1)
            if found and found[0].record_id == number:
                if not self._publish(found[0]):
                    break
                repeated += 1
            else:
                with self._lock:
                    self._open.pop(number, None)
        self.counters.repeated += repeated
        if repeated:
            self._patience = min(self._patience * 2, self._resend * _LONGEST_PATIENCE)
        return repeated

    def _publish(self, reading: Waiting) -> bool:
        extra = f',"oldest_seq":{reading.oldest_seq},"sent_at":"{instant_to_json(self._clock.now())}"}}'
        topic = Topic(*self._place, reading.device_id, Kind.READING)
        if self.connection.publish(str(topic), self._placed(reading.body)[:-1] + extra.encode()) is None:
            return False
        with self._lock:
            self._open.pop(reading.record_id, None)
            self._open[reading.record_id] = time.monotonic()
        return True

    def _placed(self, body: bytes) -> bytes:
        """Return a reading as one of this agent's site: it may have been kept before the site got its name."""
        if self._as_encoded in body:
            return body
        tenant, site_id = self._place
        return encode_reading(msgspec.structs.replace(decode_reading(body), tenant=tenant, site_id=site_id))
