"""Strict BER for SNMP (X.690, RFC 1157, RFC 3416), as little of it as a manager needs, and nothing lenient.

Written for speed in plain Python: functions take the whole datagram and positions, so that nothing is copied before it is
accepted. Every fault is a `Malformed`; no input can make a function hang, recurse or allocate more than the datagram.
Checked against pyasn1 and pysnmp by property tests.
"""

from functools import lru_cache
from typing import Final

INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
SEQUENCE: Final = 0x30
IP_ADDRESS: Final = 0x40
COUNTER32: Final = 0x41
GAUGE32: Final = 0x42
TIME_TICKS: Final = 0x43
OPAQUE: Final = 0x44
COUNTER64: Final = 0x46
UNSIGNED32: Final = 0x47
NO_SUCH_OBJECT: Final = 0x80
NO_SUCH_INSTANCE: Final = 0x81
END_OF_MIB_VIEW: Final = 0x82

_UNSIGNED: Final = frozenset({COUNTER32, GAUGE32, TIME_TICKS, COUNTER64, UNSIGNED32})
_ABSENT: Final = frozenset({NULL, NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB_VIEW})
_MAX_LENGTH_OCTETS: Final = 3
_MAX_INTEGER_OCTETS: Final = 9
_MAX_ARCS: Final = 128
_MAX_ARC_OCTETS: Final = 5
_MAX_ARC: Final = 2**32 - 1


class Malformed(ValueError):
    """The octets are not what BER and SNMP allow at this place."""


def encode_length(length: int) -> bytes:
    """Return the definite length octets of a content of `length` octets."""
    if length < 0x80:
        return bytes((length,))
    body = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(body),)) + body


def tlv(tag: int, content: bytes) -> bytes:
    """Return tag, length and content."""
    return bytes((tag,)) + encode_length(len(content)) + content


def encode_integer(value: int) -> bytes:
    """Return an INTEGER in its shortest form."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


@lru_cache(maxsize=65_536)
def encode_oid(oid: str) -> bytes:
    """Return a dotted OID (no leading dot) with tag and length; raise ValueError when it is none."""
    arcs = [int(part) for part in oid.split(".")]
    if (
        len(arcs) < 2
        or arcs[0] > 2
        or (arcs[0] < 2 and arcs[1] > 39)
        or min(arcs) < 0
        or len(arcs) > _MAX_ARCS
    ):
        raise ValueError(f"{oid!r} is not an object identifier")
    body = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        septets = [arc & 0x7F]
        rest = arc >> 7
        while rest:
            septets.append(0x80 | rest & 0x7F)
            rest >>= 7
        body.extend(reversed(septets))
    return tlv(OBJECT_IDENTIFIER, bytes(body))


def header(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Return (tag, start, stop) of the element at `at`; its content lies within `end`."""
    if at + 2 > end:
        raise Malformed("an element is cut off")
    tag, length = data[at], data[at + 1]
    if tag & 0x1F == 0x1F:
        raise Malformed("long tags do not occur in SNMP")
    at += 2
    if length >= 0x80:
        count = length & 0x7F
        if not 0 < count <= _MAX_LENGTH_OCTETS or at + count > end:
            raise Malformed("the length is indefinite or too long")
        length = int.from_bytes(data[at : at + count], "big")
        at += count
    if at + length > end:
        raise Malformed("an element is longer than its container")
    return tag, at, at + length


def expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Return (start, stop) of the element at `at`, which must have this tag."""
    if at + 2 <= end and data[at] == tag and data[at + 1] < 0x80 and at + 2 + data[at + 1] <= end:
        return at + 2, at + 2 + data[at + 1]  # nearly all of them: at once
    found, start, stop = header(data, at, end)
    if found != tag:
        raise Malformed(f"tag {found:#04x} where {tag:#04x} must stand")
    return start, stop


def read_integer(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return (value, position after it) of an INTEGER."""
    if at + 2 < end and data[at] == INTEGER and 0 < data[at + 1] <= min(_MAX_INTEGER_OCTETS, end - at - 2):
        stop = at + 2 + data[at + 1]  # nearly all of them: at once
        return int.from_bytes(data[at + 2 : stop], "big", signed=True), stop
    start, stop = expect(data, at, end, INTEGER)
    if not 0 < stop - start <= _MAX_INTEGER_OCTETS:
        raise Malformed("an integer is empty or too long")
    return int.from_bytes(data[start:stop], "big", signed=True), stop


@lru_cache(maxsize=65_536)
def decode_oid(body: bytes) -> str:
    """Return the dotted form of the content octets of an OBJECT IDENTIFIER."""
    if not body or body[-1] & 0x80:
        raise Malformed("an object identifier is empty or cut off")
    arcs: list[int] = []
    value = octets = 0
    for octet in body:
        if octets == 0 and octet == 0x80:
            raise Malformed("an object identifier is padded")
        value = value << 7 | octet & 0x7F
        octets += 1
        if octets > _MAX_ARC_OCTETS:
            raise Malformed("an arc is too large")
        if octet < 0x80:
            if value > _MAX_ARC + 80:
                raise Malformed("an arc is too large")
            arcs.append(value)
            value = octets = 0
    if len(arcs) >= _MAX_ARCS:
        raise Malformed("an object identifier is too long")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def read_value(data: bytes, tag: int, start: int, stop: int) -> int | bytes | str | None:
    """Return a value as Python sees it; None where the device says that it has none.

    Counters, gauges and ticks are never negative, even from agents that forget the leading zero octet.
    """
    if tag in {OCTET_STRING, OPAQUE}:
        return data[start:stop]
    if tag == INTEGER or tag in _UNSIGNED:
        if not 0 < stop - start <= _MAX_INTEGER_OCTETS:
            raise Malformed("a number is empty or too long")
        return int.from_bytes(data[start:stop], "big", signed=tag == INTEGER)
    if tag == OBJECT_IDENTIFIER:
        return decode_oid(data[start:stop])
    if tag == IP_ADDRESS:
        if stop - start != 4:
            raise Malformed("an address has four octets")
        return ".".join(map(str, data[start:stop]))
    if tag in _ABSENT:
        if stop != start:
            raise Malformed("an absent value has no content")
        return None
    raise Malformed(f"tag {tag:#04x} is not an SNMP value")
