"""What travels under the topics: strict decoding with a reason for every refusal, and the few encoders.

A payload may add keys that this version does not know. It may not contradict its topic, hold NUL or leave the limits
of `docs/reading.schema.json`; whatever does is refused with `InvalidValue`, which becomes a dead letter.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, TypeVar

import msgspec

from collector.mqtt.shared_parts import Envelope, whole
from collector.mqtt.topics import Topic
from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import DEFAULT_TENANT
from crm_core.domain.telemetry import (
    BootId,
    Count,
    DeviceReading,
    ShortText,
    TelemetryEvent,
    Text,
)
from crm_core.domain.wire import MAX_READING_BYTES

Message = TypeVar("Message")
Decode = Callable[[bytes], tuple[DeviceReading, Envelope | None]]
EVENT_SCHEMA: Final = "drumbeat.event/1"
STATUS_SCHEMA: Final = "drumbeat.status/1"
MAX_SMALL_BYTES: Final = 16 * 1024
_BOOT: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PUSHED_SOURCES: Final = frozenset({"mqtt", "edge"})
#: A difference between the sender's clock at sending and ours that is put right.
_CLOCK_TOLERANCE: Final = timedelta(minutes=5)


class _Sequence(msgspec.Struct):
    """The two fields that a refused message is settled by."""

    boot_id: BootId
    seq: Count


class PushedReading(msgspec.Struct, frozen=True, kw_only=True):
    """A reading as it came over MQTT. `clock_off` is set when its times had to be moved."""

    reading: DeviceReading
    oldest_seq: int | None = None
    clock_off: timedelta | None = None


class EventMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a device reports by itself (topic `event`)."""

    schema: Literal["drumbeat.event/1"] = EVENT_SCHEMA
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    code: ShortText
    began: bool = True
    severity: Literal["info", "warning", "critical"] | None = None
    text: Text | None = None


class StatusMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the sender is there (topic `status`, retained; the last will says `offline`)."""

    schema: Literal["drumbeat.status/1"] = STATUS_SCHEMA
    state: Literal["online", "offline"]
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    version: ShortText | None = None


class Mark(msgspec.Struct, frozen=True):
    """Every reading of this boot up to and with `seq` is durable or dead-lettered."""

    boot_id: BootId
    seq: Count


class AckMessage(msgspec.Struct, frozen=True):
    """The collector's marks of one device, newest boot first (topic `ack`, retained)."""

    marks: tuple[Mark, ...]


_sequences: Final = msgspec.json.Decoder(_Sequence)
_events: Final = msgspec.json.Decoder(EventMessage)
_statuses: Final = msgspec.json.Decoder(StatusMessage)
_acks: Final = msgspec.json.Decoder(AckMessage)


def pushed_reading(topic: Topic, body: bytes, now: datetime, decode: Decode = whole) -> PushedReading:
    """Return the reading in `body`; identifiers that it leaves out come from its topic.

    `decode` may be that of a `SharedParts`.
    """
    _refuse_unfit(body, MAX_READING_BYTES)
    reading, envelope = decode(body)
    changes = _placed(reading, topic, body)
    if reading.boot_id is not None and not _BOOT.fullmatch(reading.boot_id):
        raise InvalidValue("boot_id may hold only letters, digits, '.', '_' and '-'")
    if (reading.boot_id is None) != (reading.seq is None):
        raise InvalidValue("boot_id and seq go together")
    if reading.source not in _PUSHED_SOURCES:
        changes["source"] = "mqtt"
    polled_at = _utc(reading.polled_at)
    oldest_seq, clock_off = None, None
    if envelope is not None:
        oldest_seq = _still_kept(envelope.oldest_seq, reading.seq)
        if envelope.sent_at is not None and abs(now - _utc(envelope.sent_at)) > _CLOCK_TOLERANCE:
            clock_off = now - _utc(envelope.sent_at)
            polled_at = _moved(polled_at, clock_off)
    if polled_at is not reading.polled_at:
        changes["polled_at"] = polled_at
    if changes:
        reading = msgspec.structs.replace(reading, **changes)
    return PushedReading(reading=reading, oldest_seq=oldest_seq, clock_off=clock_off)


def pushed_event(topic: Topic, body: bytes) -> TelemetryEvent:
    """Return the event in `body`."""
    _refuse_unfit(body, MAX_SMALL_BYTES)
    message = _decoded(_events, body, "an event")
    return TelemetryEvent(
        tenant=topic.tenant,
        device_id=topic.device_id,
        at=_utc(message.at),
        kind="pushed",
        code=message.code,
        began=message.began,
        severity=message.severity,
        text=message.text,
    )


def status_message(body: bytes) -> StatusMessage:
    """Return the status in `body`."""
    _refuse_unfit(body, MAX_SMALL_BYTES)
    return _decoded(_statuses, body, "a status")


def ack_message(body: bytes) -> AckMessage:
    """Return the marks in `body`."""
    _refuse_unfit(body, MAX_SMALL_BYTES)
    return _decoded(_acks, body, "an acknowledgement")


def encode_ack(marks: Sequence[tuple[str, int]]) -> bytes:
    """Return the payload of an acknowledgement."""
    return msgspec.json.encode(AckMessage(tuple(Mark(boot_id, seq) for boot_id, seq in marks)))


def encode_status(*, online: bool, at: datetime | None = None, version: str | None = None) -> bytes:
    """Return the payload of a status; a last will has no time, because it is written before the end."""
    return msgspec.json.encode(StatusMessage(state="online" if online else "offline", at=at, version=version))


def sequence_in(body: bytes) -> tuple[str, int] | None:
    """Return boot id and sequence of a refused message, as far as they can be read, so that they are settled."""
    try:
        sequence = _sequences.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return (sequence.boot_id, sequence.seq) if _BOOT.fullmatch(sequence.boot_id) else None


def _still_kept(oldest_seq: int | None, seq: int | None) -> int | None:
    """Return the lowest number that the sender keeps: at most that of the reading, which it has just sent."""
    return None if oldest_seq is None or seq is None else min(oldest_seq, seq)


def _placed(reading: DeviceReading, topic: Topic, body: bytes) -> dict[str, object]:
    """Return the identifiers to take from the topic; refuse a reading that contradicts it."""
    changes: dict[str, object] = {}
    if reading.tenant != topic.tenant:
        if reading.tenant != DEFAULT_TENANT or b'"tenant"' in body:
            raise InvalidValue(f"tenant {reading.tenant[:64]!r} came under the topic of {topic.tenant!r}")
        changes["tenant"] = topic.tenant
    for name, stated, wanted in (
        ("site_id", reading.site_id, topic.site_id),
        ("device_id", reading.device_id, topic.device_id),
    ):
        if stated is None:
            changes[name] = wanted
        elif stated != wanted:
            raise InvalidValue(f"{name} {stated[:64]!r} came under the topic of {wanted!r}")
    return changes


def _refuse_unfit(body: bytes, limit: int) -> None:
    if len(body) > limit:
        raise InvalidValue(f"message of {len(body)} bytes is larger than {limit}")
    if b"\x00" in body or (b"\\" in body and b"\\u0000" in body):
        raise InvalidValue("the message holds NUL")


def _decoded(decoder: msgspec.json.Decoder[Message], body: bytes, what: str) -> Message:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(f"not {what}: {error}") from error


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is UTC:
        return instant
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise InvalidValue(f"time {instant.isoformat()} lies outside of the calendar") from error


def _moved(instant: datetime, by: timedelta) -> datetime:
    try:
        return instant + by
    except OverflowError as error:
        raise InvalidValue(f"time {instant.isoformat()} lies outside of the calendar") from error
