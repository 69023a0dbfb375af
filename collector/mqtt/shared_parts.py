"""Decodes pushed readings, each part of them only once while devices repeat it.

A printer says most things again and again: five minutes later some counters and a tray differ, and a fleet of one model
shares the rest. Parts whose bytes came before are handed out again as the same object, which costs a tenth of decoding
them, keeps a fleet's newest readings small, and tells every later step at a glance that nothing changed there
(`crm_core.domain.content`). What is refused is refused by the whole decoder, with its reason.
"""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec

from crm_core.domain.content import CONTENT_FIELDS
from crm_core.domain.errors import InvalidValue
from crm_core.domain.telemetry import Count, DeviceReading
from crm_core.domain.wire import MAX_READING_BYTES, decode_reading

#: Bytes of parts in each of two generations; decoded, a part takes some three times its bytes.
_GENERATION_BYTES: Final = 8 * 1024 * 1024
_ABSENT: Final = msgspec.Raw(b"")


class Envelope(msgspec.Struct, kw_only=True):
    """What a pushed reading may say about its sending, beside the reading itself.

    `oldest_seq`: the sender keeps nothing of this boot below it; what is missing there will never come.
    `sent_at`: the sender's clock when it sent this message, so that a wrong clock can be put right.
    """

    oldest_seq: Count | None = None
    sent_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


_FIELDS: Final = {field.name: field for field in msgspec.structs.fields(DeviceReading)}
_HEAD: Final = tuple(name for name in _FIELDS if name not in CONTENT_FIELDS)


def _with_default(field: msgspec.structs.FieldInfo) -> tuple[Any, ...]:
    return (field.name, field.type) if field.required else (field.name, field.type, field.default)


_Outline: Final = msgspec.defstruct(
    "_Outline",
    [
        *(_with_default(_FIELDS[name]) for name in _HEAD),
        *(_with_default(field) for field in msgspec.structs.fields(Envelope)),
        *((name, msgspec.Raw, _ABSENT) for name in CONTENT_FIELDS),
    ],
    kw_only=True,
    gc=False,
)
_outlines: Final = msgspec.json.Decoder(_Outline, strict=True)
_envelopes: Final = msgspec.json.Decoder(Envelope)


class SharedParts:
    """Remembers decoded parts by their bytes, at most two generations of `generation_bytes`. For one thread."""

    def __init__(self, generation_bytes: int = _GENERATION_BYTES) -> None:
        self._bytes = generation_bytes
        self._decoders = {
            name: msgspec.json.Decoder(_FIELDS[name].type, strict=True) for name in CONTENT_FIELDS
        }
        self._young: dict[str, dict[bytes, Any]] = {name: {} for name in CONTENT_FIELDS}
        self._old = self._young
        self._held = 0

    def decode(self, body: bytes) -> tuple[DeviceReading, Envelope | None]:
        """Return the reading in `body` and what it says about its sending; raise `InvalidValue` with the reason."""
        if len(body) > MAX_READING_BYTES:
            return whole(body)
        try:
            outline: Any = _outlines.decode(body)
            parts = {name: getattr(outline, name) for name in _HEAD}
            for name, decoder in self._decoders.items():
                raw = bytes(getattr(outline, name))
                if raw:
                    parts[name] = self._part(name, decoder, raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return whole(body)
        envelope = None
        if outline.oldest_seq is not None or outline.sent_at is not None:
            envelope = Envelope(oldest_seq=outline.oldest_seq, sent_at=outline.sent_at)
        return DeviceReading(**parts), envelope

    def _part(self, name: str, decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
        young = self._young[name]
        part = young.get(raw)
        if part is None:
            part = self._old[name].get(raw)
            if part is None:
                part = decoder.decode(raw)
            young[raw] = part
            self._held += len(raw)
            if self._held > self._bytes:
                self._old, self._young, self._held = self._young, {field: {} for field in self._young}, 0
        return part


def whole(body: bytes) -> tuple[DeviceReading, Envelope | None]:
    """Return what `SharedParts.decode` returns, decoded anew."""
    reading = decode_reading(body)
    if b'"oldest_seq"' in body or b'"sent_at"' in body:
        return reading, _envelope(body)
    return reading, None


def _envelope(body: bytes) -> Envelope:
    try:
        return _envelopes.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(f"not a reading: {error}") from error
