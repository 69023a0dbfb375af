"""SNMP protocol data units: requests as templates of bytes, replies checked against what was asked.

A request of the same OIDs differs only in its request-id, so it is built once and the id is filled in. A reply to a GET
is read by comparing each OID with the encoded one that was sent; only a reply of another shape takes the general path.
"""

from functools import lru_cache
from typing import Final

from collector.snmp import ber
from collector.snmp.ber import Malformed

GET: Final = 0xA0
GET_NEXT: Final = 0xA1
RESPONSE: Final = 0xA2
GET_BULK: Final = 0xA5
REPORT: Final = 0xA8

NO_ERROR: Final = 0
TOO_BIG: Final = 1
NO_SUCH_NAME: Final = 2

MAX_VARBINDS: Final = 4096
#: Request ids always take four octets, so that they can be filled into a template.
MIN_ID: Final = 0x0100_0000
MAX_ID: Final = 0x7FFF_FFFF

Value = int | bytes | str | None


@lru_cache(maxsize=4096)
def encode_varbinds(oids: tuple[str, ...]) -> bytes:
    """Return the variable-bindings of a request: each OID with NULL."""
    body = b"".join(ber.tlv(ber.SEQUENCE, ber.encode_oid(oid) + b"\x05\x00") for oid in oids)
    return ber.tlv(ber.SEQUENCE, body)


@lru_cache(maxsize=4096)
def encoded_oids(oids: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return each OID as it stands in a request and must stand in the reply."""
    return tuple(ber.encode_oid(oid) for oid in oids)


@lru_cache(maxsize=4096)
def template(kind: int, oids: tuple[str, ...], second: int = 0, third: int = 0) -> tuple[bytes, bytes]:
    """Return what stands before and after the four octets of the request-id in a PDU.

    `second` and `third` are error-status and error-index, or non-repeaters and max-repetitions of a GETBULK.
    """
    after = ber.encode_integer(second) + ber.encode_integer(third) + encode_varbinds(oids)
    before = bytes((kind,)) + ber.encode_length(6 + len(after)) + b"\x02\x04"
    return before, after


@lru_cache(maxsize=4096)
def community_template(
    version: int, community: bytes, kind: int, oids: tuple[str, ...], second: int = 0, third: int = 0
) -> tuple[bytes, bytes]:
    """Return a whole v1 (version 0) or v2c (1) message around the four octets of the request-id."""
    before, after = template(kind, oids, second, third)
    start = ber.encode_integer(version) + ber.tlv(ber.OCTET_STRING, community)
    length = len(start) + len(before) + 4 + len(after)
    return bytes((ber.SEQUENCE,)) + ber.encode_length(length) + start + before, after


def peek(data: bytes) -> tuple[int, int]:
    """Return (version, id) of a datagram: the request-id of v1 and v2c, the msgID of v3."""
    at, end = ber.expect(data, 0, len(data), ber.SEQUENCE)
    version, at = ber.read_integer(data, at, end)
    if version in {0, 1}:
        _, at = ber.expect(data, at, end, ber.OCTET_STRING)
        _, at, end = ber.header(data, at, end)
    elif version == 3:
        at, end = ber.expect(data, at, end, ber.SEQUENCE)
    else:
        raise Malformed(f"version {version} is none of SNMP's")
    number, _ = ber.read_integer(data, at, end)
    return version, number


def community_pdu(data: bytes, version: int, community: bytes) -> tuple[int, int]:
    """Return (start, end) of the PDU in a v1 or v2c message; version and community must be the asked ones."""
    at, end = ber.expect(data, 0, len(data), ber.SEQUENCE)
    found, at = ber.read_integer(data, at, end)
    start, at = ber.expect(data, at, end, ber.OCTET_STRING)
    if end != len(data):
        raise Malformed("octets follow the message")
    if found != version or data[start:at] != community:
        raise Malformed("the reply has another version or community")
    return at, end


def pdu_head(data: bytes, at: int, end: int) -> tuple[int, int, int, int, int, int]:
    """Return (kind, request-id, error-status, error-index, start, stop of the varbinds)."""
    kind, at, stop = ber.header(data, at, end)
    if stop != end:
        raise Malformed("octets follow the PDU")
    request_id, at = ber.read_integer(data, at, stop)
    status, at = ber.read_integer(data, at, stop)
    index, at = ber.read_integer(data, at, stop)
    start, vb_stop = ber.expect(data, at, stop, ber.SEQUENCE)
    if vb_stop != stop:
        raise Malformed("octets follow the variable bindings")
    return kind, request_id, status, index, start, vb_stop


def read_exact(data: bytes, at: int, end: int, expected: tuple[bytes, ...]) -> list[Value] | None:
    """Return the values of a reply that holds exactly the expected OIDs in order; None when its shape is another.

    This is the hot path: 45 values a printer. Any doubt gives None, and the general decoder judges.
    """
    values: list[Value] = []
    try:
        for oid in expected:
            if data[at] != ber.SEQUENCE:
                return None
            length = data[at + 1]
            at += 2
            if length >= 0x80:
                at, length = _long_length(data, at, length)
            stop = at + length
            after = at + len(oid)
            if stop > end or data[at:after] != oid:
                return None
            tag, length = data[after], data[after + 1]
            after += 2
            if length >= 0x80:
                after, length = _long_length(data, after, length)
            if after + length != stop:
                return None
            if tag == ber.INTEGER and 0 < length <= 4:
                values.append(int.from_bytes(data[after:stop], "big", signed=True))
            elif tag == ber.OCTET_STRING:
                values.append(data[after:stop])
            else:
                values.append(ber.read_value(data, tag, after, stop))
            at = stop
    except (IndexError, Malformed):
        return None
    return values if at == end else None


def _long_length(data: bytes, at: int, first: int) -> tuple[int, int]:
    count = first & 0x7F
    if not 0 < count <= 3:
        raise Malformed("the length is indefinite or too long")
    return at + count, int.from_bytes(data[at : at + count], "big")


def read_varbinds(data: bytes, at: int, end: int) -> list[tuple[str, Value]]:
    """Return the varbinds between two positions, whatever they are; raise `Malformed` at the first fault."""
    found: list[tuple[str, Value]] = []
    while at < end:
        if len(found) >= MAX_VARBINDS:
            raise Malformed("the reply holds too many variable bindings")
        at, stop = ber.expect(data, at, end, ber.SEQUENCE)
        start, oid_stop = ber.expect(data, at, stop, ber.OBJECT_IDENTIFIER)
        tag, value_start, value_stop = ber.header(data, oid_stop, stop)
        if value_stop != stop:
            raise Malformed("octets follow a value")
        found.append(
            (ber.decode_oid(data[start:oid_stop]), ber.read_value(data, tag, value_start, value_stop))
        )
        at = stop
    return found
