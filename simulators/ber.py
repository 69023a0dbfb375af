"""BER as SNMP uses it (X.690, RFC 3417): the simulator's own codec, independent of the collector's engines.

Encoders return whole TLVs. The decoder is strict: definite lengths within the datagram, at most four length
octets; anything else raises `BerError`, so a hostile datagram is dropped and never loops.
"""

from functools import lru_cache
from typing import Final

INTEGER: Final = 0x02
OCTETS: Final = 0x04
NULL: Final = 0x05
OID: Final = 0x06
SEQUENCE: Final = 0x30
IP_ADDRESS: Final = 0x40
COUNTER32: Final = 0x41
GAUGE32: Final = 0x42
TIMETICKS: Final = 0x43
OPAQUE: Final = 0x44
COUNTER64: Final = 0x46
NO_SUCH_OBJECT: Final = b"\x80\x00"
NO_SUCH_INSTANCE: Final = b"\x81\x00"
END_OF_MIB_VIEW: Final = b"\x82\x00"

_SHORT_LENGTHS: Final = tuple(bytes([n]) for n in range(128))


class BerError(ValueError):
    """Octets that are not the expected BER."""


def length(size: int) -> bytes:
    """Return the length octets of `size`."""
    if size < 128:
        return _SHORT_LENGTHS[size]
    body = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(body)]) + body


def tlv(tag: int, body: bytes) -> bytes:
    """Return tag, length and body."""
    return bytes([tag]) + length(len(body)) + body


def integer(value: int, tag: int = INTEGER) -> bytes:
    """Return a signed integer in the fewest octets; unsigned types get their leading zero octet where needed."""
    return tlv(tag, value.to_bytes((value.bit_length() // 8) + 1, "big", signed=True))


def octets(value: bytes, tag: int = OCTETS) -> bytes:
    """Return an octet string."""
    return tlv(tag, value)


def oid_body(numbers: tuple[int, ...]) -> bytes:
    """Return the content octets of an object identifier of at least two numbers."""
    out = bytearray(_base128(numbers[0] * 40 + numbers[1]))
    for number in numbers[2:]:
        out += _base128(number)
    return bytes(out)


def _base128(number: int) -> bytes:
    if number < 128:
        return _SHORT_LENGTHS[number]
    parts = [number & 0x7F]
    number >>= 7
    while number:
        parts.append(0x80 | number & 0x7F)
        number >>= 7
    return bytes(reversed(parts))


@lru_cache(maxsize=65_536)
def oid(text: str) -> bytes:
    """Return the TLV of a dotted object identifier."""
    return tlv(OID, oid_body(oid_numbers(text)))


@lru_cache(maxsize=65_536)
def oid_numbers(text: str) -> tuple[int, ...]:
    """Return a dotted object identifier as numbers."""
    return tuple(int(part) for part in text.strip(".").split("."))


def oid_from_body(body: bytes) -> tuple[int, ...]:
    """Return the numbers of an object identifier's content octets. Raises `BerError`."""
    if not body or body[-1] & 0x80:
        raise BerError("object identifier is cut")
    numbers: list[int] = []
    number = 0
    for octet in body:
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return (first, numbers[0] - 40 * first, *numbers[1:])


def read(data: bytes, at: int) -> tuple[int, int, int]:
    """Return tag, start and end of the content of the TLV at `at`. Raises `BerError` when it does not fit."""
    if at + 2 > len(data):
        raise BerError("cut before a length")
    tag, size = data[at], data[at + 1]
    start = at + 2
    if size & 0x80:
        count = size & 0x7F
        if count == 0 or count > 4 or start + count > len(data):
            raise BerError("bad length")
        size = int.from_bytes(data[start : start + count], "big")
        start += count
    end = start + size
    if end > len(data):
        raise BerError("longer than the datagram")
    return tag, start, end


def expect(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """Return start and end of a TLV that must have `tag`. Raises `BerError`."""
    found, start, end = read(data, at)
    if found != tag:
        raise BerError(f"tag {found:#x} instead of {tag:#x}")
    return start, end


def read_integer(data: bytes, at: int) -> tuple[int, int]:
    """Return the INTEGER at `at` and the position after it. Raises `BerError`."""
    start, end = expect(data, at, INTEGER)
    if start == end or end - start > 9:
        raise BerError("integer of no or too many octets")
    return int.from_bytes(data[start:end], "big", signed=True), end


def read_octets(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the OCTET STRING at `at` and the position after it. Raises `BerError`."""
    start, end = expect(data, at, OCTETS)
    return data[start:end], end
