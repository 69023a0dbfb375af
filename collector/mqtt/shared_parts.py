"""Decodes pushed readings, each part of them only once while devices repeat it.

A printer says most things again and again: five minutes later some counters and a tray differ, and a fleet of one model
shares the rest. Parts whose bytes came before are handed out again as the same object, which costs a tenth of decoding
them, keeps a fleet's newest readings small, and tells every later step at a glance that nothing changed there
(`crm_core.domain.content`). What is refused is refused by the whole decoder, with its reason.
"""

from datetime import datetime
from operator import attrgetter
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
_heads = attrgetter(*_HEAD)
_raws = attrgetter(*CONTENT_FIELDS)
_outlines: Final = msgspec.json.Decoder(_Outline, strict=True)
_envelopes: Final = msgspec.json.Decoder(Envelope)


class SharedParts:
    """Remembers decoded parts by their bytes, at most two generations of `generation_bytes`. For one thread."""

    def __init__(self, generation_bytes: int = _GENERATION_BYTES) -> None:
        self._bytes = generation_bytes
        self._kinds = [_Parts(name) for name in CONTENT_FIELDS]
        self._held = 0

    def decode(self, body: bytes) -> tuple[DeviceReading, Envelope | None]:
        """Return the reading in `body` and what it says about its sending; raise `InvalidValue` with the reason."""
        if len(body) > MAX_READING_BYTES:
            return whole(body)
        try:
            outline: Any = _outlines.decode(body)
            fields = dict(zip(_HEAD, _heads(outline), strict=True))
            for kind, text in zip(self._kinds, map(bytes, _raws(outline)), strict=True):
                part = kind.young.get(text)
                if part is not None:
                    fields[kind.name] = part
                elif text:
                    fields[kind.name] = self._seldom_said(kind, text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return whole(body)
        envelope = None
        if outline.oldest_seq is not None or outline.sent_at is not None:
            envelope = Envelope(oldest_seq=outline.oldest_seq, sent_at=outline.sent_at)
        return DeviceReading(**fields), envelope

    def _seldom_said(self, kind: "_Parts", text: bytes) -> Any:
        """Return a part that this generation has not seen."""
        part = kind.old.get(text)
        if part is None:
            part = kind.decoder.decode(text)
        kind.young[text] = part
        self._held += len(text)
        if self._held > self._bytes:
            self._held = 0
            for one in self._kinds:
                one.old, one.young = one.young, {}
        return part


class _Parts:
    """The parts of one field, of this generation and of the one before."""

    __slots__ = ("decoder", "name", "old", "young")

    def __init__(self, name: str) -> None:
        self.name = name
        self.decoder: Final = msgspec.json.Decoder(_FIELDS[name].type, strict=True)
        self.young: dict[bytes, Any] = {}
        self.old: dict[bytes, Any] = {}


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
