"""How a reading is kept small: only the parts that differ from another reading of the device, deflated against those.

Most of a reading repeats what the device said before: whole parts (supplies, alerts, what Drumbeat concludes), and
in the others names, units and capacities. A number tells which parts differ; raw deflate with the same parts of the
day's first reading as preset dictionary leaves 50 to 100 bytes of them, and stays exact whatever the schema gains.
Columns of the store carry what differs by nature: device, time, boot, sequence, site and source.
"""

import zlib
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Final

import msgspec

from crm_core.domain.content import CONTENT_FIELDS
from crm_core.domain.errors import InvalidValue
from crm_core.domain.telemetry import SCHEMA, DeviceReading
from crm_core.domain.wire import decode_reading, encode_part, instant_to_json

#: What a device said: the JSON text of each of `CONTENT_FIELDS`, in their order. Equal parts are mostly one object.
Parts = tuple[bytes, ...]

MS_PER_DAY: Final = 86_400_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KEYS: Final = tuple(f'"{name}":'.encode() for name in CONTENT_FIELDS)
_objects = attrgetter(*CONTENT_FIELDS)
_outlines: Final = msgspec.json.Decoder(
    msgspec.defstruct("_Content", [(name, msgspec.Raw) for name in CONTENT_FIELDS], gc=False)
)
#: Stands between parts; compact JSON holds no line feed.
_BETWEEN: Final = b"\n"
_MASK_BYTES: Final = 2
_RAW: Final = -15  # no zlib header and checksum: SQLite pages and the outbox have their own
#: A small window and little memory are prepared fastest; the same place of the frame lies its length back.
_SMALL_WINDOW, _SMALL_FRAME_BYTES = -13, 7500
_FAST_LEVEL, _LITTLE_MEMORY = 3, 5

#: Preset dictionary of a day's first reading: the keys and words that nearly every reading has.
_COMMON: Final = (
    b'"hrDeviceStatus":{"1":2},"hrPrinterStatus":{"1":3},"hrPrinterDetectedErrorState":{"1":"00"},"errors":{"1":[]},'
    b'"console":[""]},"prtMarkerPowerOnCount":{"1.1":"vendor_status":{},"derived":{"vendor":null,"model_id":null,'
    b'"supplies":[],"faults":[]},"incomplete":[]}{"index":"1.1","severity":3,"training":5,"group":8,"gindex":1,'
    b'"location":null,"code":"desc":"time":"covers":{"1.1":{"name":"Front Cover","status":4}},"status":{'
    b'"outputs":[{"index":"1.1","name":"Output Bin","capacity":250,"remaining":-2,"status":0}],"alerts":[],'
    b'"trays":[{"index":"1.1","name":"Tray 1","capacity":500,"level":-3,"level_state":"some_remaining","percent":'
    b'null,"status":0}],"kind":"toner","colour":"yellow","magenta","part_number":null,"serial":null,"level_percent":'
    b'null,"source":{"kind":"name","colour":"name"}}"no_restriction","unknown","wasteToner","developer","fuser","drum"'
    b'"counters":{"prtMarkerLifeCount":{"1.1":},"prtMarkerCounterUnit":{"1.1":"impressions"},"vendor":{"total_printed":'
    b'"mono":"colour":"print_total":"copy_total":"scan_total":"duplex_total":'
    b'"identity":{"vendor":"model":"serial":"firmware":},"supplies":[{"index":"1.1","name":"Black Toner Cartridge",'
    b'"type":"tonerCartridge","cls":"supplyThatIsConsumed","colorant":"black","unit":"percent","capacity":100,"level":'
    b'"level_state":"known","percent":"receptacleThatIsFilled","tenThousandthsOfInches","impressions"'
)


def at_ms(instant: datetime) -> int:
    """Return the instant in whole milliseconds since 1970, rounded as in `DeviceReading.key`."""
    return round(instant.timestamp() * 1000)


def at_us(instant: datetime) -> int:
    """Return the instant in microseconds since 1970, exactly."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def instant_of(microseconds: int) -> datetime:
    """Return the aware UTC instant of `microseconds` since 1970."""
    return EPOCH + timedelta(microseconds=microseconds)


def parts_of(reading: DeviceReading, before: DeviceReading | None = None, known: Parts = ()) -> Parts:
    """Return the parts of a reading; those that are the same objects as in `before` are taken from its parts `known`.

    What says the same is the same bytes object, so that a device's newest reading and its frame share their memory.
    """
    objects = _objects(reading)
    if before is None or not known:
        return tuple(map(encode_part, objects))
    return tuple(
        [  # a list: a generator costs twice as much here
            text if part is old or (fresh := encode_part(part)) == text else fresh
            for part, old, text in zip(objects, _objects(before), known, strict=True)
        ]
    )


def content_of(parts: Parts) -> bytes:
    """Return what the device said, as JSON text without the opening brace and the fields kept in columns."""
    return b",".join(map(bytes.__add__, _KEYS, parts)) + b"}"


def parts_in(content: bytes) -> Parts:
    """Return the parts that `content_of` was given."""
    try:
        outline: Any = _outlines.decode(b"{" + content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidValue(f"not the content of a reading: {error}") from error
    return tuple(map(bytes, _objects(outline)))


def whole_reading(
    content: bytes, *, tenant: str, site_id: str | None, device_id: str | None, polled_at: datetime,
    source: str, boot_id: str | None, seq: int | None,
) -> DeviceReading:  # fmt: skip
    """Return the reading that `content_of` and the columns came from; identifiers need no escaping."""
    head = (
        f'{{"schema":"{SCHEMA}","tenant":"{tenant}","site_id":{_quoted(site_id)},"device_id":{_quoted(device_id)},'
        f'"polled_at":"{instant_to_json(polled_at)}","source":"{source}","boot_id":{_quoted(boot_id)},'
        f'"seq":{"null" if seq is None else seq},'
    )
    return decode_reading(head.encode() + content)


def pack(content: bytes) -> bytes:
    """Deflate a whole content against words that nearly every reading has."""
    squeezer = zlib.compressobj(6, zlib.DEFLATED, _RAW, zdict=_COMMON)
    return squeezer.compress(content) + squeezer.flush()


def unpack(packed: bytes) -> bytes:
    """Return the content that `pack` was given; raise `InvalidValue` when it is torn."""
    return _inflated(packed, _COMMON)


def pack_difference(parts: Parts, frame: Parts) -> bytes:
    """Return what `parts` say otherwise than `frame` (another reading of the device)."""
    other = [
        n for n, (text, old) in enumerate(zip(parts, frame, strict=True)) if text is not old and text != old
    ]
    dictionary = _BETWEEN.join([frame[n] for n in other])
    window = _SMALL_WINDOW if len(dictionary) < _SMALL_FRAME_BYTES else _RAW
    squeezer = zlib.compressobj(_FAST_LEVEL, zlib.DEFLATED, window, _LITTLE_MEMORY, zdict=dictionary)
    mask = sum([1 << n for n in other]).to_bytes(_MASK_BYTES, "little")
    return mask + squeezer.compress(_BETWEEN.join([parts[n] for n in other])) + squeezer.flush()


def unpack_difference(packed: bytes, frame: Parts) -> Parts:
    """Return the parts that `pack_difference` was given with the same frame; raise `InvalidValue` when they are torn."""
    mask = int.from_bytes(packed[:_MASK_BYTES], "little")
    other = [n for n in range(len(frame)) if mask >> n & 1]
    dictionary = _BETWEEN.join([frame[n] for n in other])
    texts = _inflated(packed[_MASK_BYTES:], dictionary).split(_BETWEEN)
    if len(texts) != max(len(other), 1):
        raise InvalidValue("a difference between two readings does not hold what it says")
    parts = list(frame)
    for n, text in zip(other, texts, strict=False):
        parts[n] = text
    return tuple(parts)


def _inflated(packed: bytes, dictionary: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=_RAW, zdict=dictionary).decompress(packed)
    except zlib.error as error:
        raise InvalidValue(f"stored bytes are torn: {error}") from error


def _quoted(identifier: str | None) -> str:
    return "null" if identifier is None else f'"{identifier}"'
