"""A hostile agent for tests: for each request it sends wrong answers by class, then (if wanted) the right one.

It builds its messages on its own, byte by byte, so that it can break what a codec would not.
"""

import asyncio
import random
import socket
from collections.abc import Callable

TRUE_VALUE = b"the truth"
SPOOFED = b"SPOOFED"
OID = bytes((0x2B, 6, 1, 2, 1, 1, 1, 0))  # 1.3.6.1.2.1.1.1.0
OTHER_OID = bytes((0x2B, 6, 1, 2, 1, 1, 5, 0))


def tlv(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 128:
        return bytes((tag, size)) + body
    return bytes((tag, 0x82)) + size.to_bytes(2, "big") + body


def integer(number: int) -> bytes:
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def varbind(oid: bytes, value: bytes) -> bytes:
    return tlv(0x30, tlv(6, oid) + value)


def message(
    number: int,
    varbinds: bytes,
    *,
    kind: int = 0xA2,
    community: bytes = b"public",
    version: int = 1,
    status: int = 0,
    index: int = 0,
) -> bytes:
    body = integer(number) + integer(status) + integer(index) + tlv(0x30, varbinds)
    return tlv(0x30, integer(version) + tlv(4, community) + tlv(kind, body))


def truth(number: int) -> bytes:
    return message(number, varbind(OID, tlv(4, TRUE_VALUE)))


def lie(number: int, **changes) -> bytes:
    return message(number, varbind(OID, tlv(4, SPOOFED)), **changes)


Attack = Callable[[int, random.Random], bytes]

#: Answers that must be ignored or refused; none of their values may ever be taken.
ATTACKS: dict[str, Attack] = {
    "other id": lambda number, _: lie(number ^ 0x5A5A),
    "other community": lambda number, _: lie(number, community=b"private"),
    "no community": lambda number, _: lie(number, community=b""),
    "version 1": lambda number, _: lie(number, version=0),
    "version 2": lambda number, _: lie(number, version=2),
    "version 9": lambda number, _: lie(number, version=9),
    "a request": lambda number, _: lie(number, kind=0xA0),
    "a trap": lambda number, _: lie(number, kind=0xA7),
    "a report": lambda number, _: lie(number, kind=0xA8),
    "status out of range": lambda number, _: lie(number, status=70_000),
    "negative status": lambda number, _: lie(number, status=-1),
    "truncated": lambda number, dice: truth(number)[: dice.randrange(1, 40)],
    "trailing": lambda number, dice: lie(number) + dice.randbytes(dice.randrange(1, 30)),
    "indefinite length": lambda number, _: bytes((0x30, 0x80)) + lie(number)[2:] + b"\0\0",
    "long length": lambda number, _: bytes((0x30, 0x84, 0, 0, 0)) + lie(number)[1:],
    "length past the end": lambda number, _: bytes((0x30, 0x7F)) + lie(number)[2:],
    "negative length": lambda number, _: bytes((0x30, 0xFF)) + lie(number)[2:],
    "noise": lambda _, dice: dice.randbytes(dice.randrange(1, 120)),
    "six octets": lambda _, dice: dice.randbytes(6),
    "empty": lambda *_: b"\x30\x00",
    "deep": lambda *_: b"\x30\x82\x07\xd0" + b"\x30\x80" * 1000,
    "id as string": lambda number, _: tlv(0x30, integer(1) + tlv(4, b"public") + tlv(0xA2, tlv(4, number.to_bytes(4, "big")))),
    "value past its varbind": lambda number, _: message(number, tlv(0x30, tlv(6, OID) + b"\x04\x7fSPOOFED")),
    "two values": lambda number, _: message(number, tlv(0x30, tlv(6, OID) + tlv(4, SPOOFED) + tlv(4, SPOOFED))),
    "padded oid": lambda number, _: message(number, varbind(b"\x80" + OID, tlv(4, SPOOFED))),
    "oid cut off": lambda number, _: message(number, varbind(OID[:-1] + b"\x80", tlv(4, SPOOFED))),
    "unknown value tag": lambda number, _: message(number, varbind(OID, tlv(0x45, SPOOFED))),
    "constructed value": lambda number, _: message(number, varbind(OID, tlv(0x30, tlv(4, SPOOFED)))),
    "empty integer": lambda number, _: message(number, varbind(OID, b"\x02\x00")),
    "huge integer": lambda number, _: message(number, varbind(OID, tlv(2, b"\x7f" * 200))),
    "short address": lambda number, _: message(number, varbind(OID, tlv(0x40, b"\x01\x02"))),
}  # fmt: skip

#: Well-formed answers of the right device to the right request with the wrong contents: refused at once.
MISBEHAVIOUR: dict[str, Attack] = {
    "other oid": lambda number, _: message(number, varbind(OTHER_OID, tlv(4, SPOOFED))),
    "one more": lambda number, _: message(number, varbind(OID, tlv(4, SPOOFED)) * 2),
    "fifty": lambda number, _: message(number, varbind(OTHER_OID, tlv(4, SPOOFED)) * 50),
    "none": lambda number, _: message(number, b""),
    "general error": lambda number, _: message(number, varbind(OID, b"\x05\x00"), status=5, index=1),
    "too big": lambda number, _: message(number, b"", status=1),
}


class HostileAgent(asyncio.DatagramProtocol):
    """Answers each request with one attack; `then_truth` sends the right answer after it."""

    def __init__(self, attacks: list[Attack], *, seed: int = 0, then_truth: bool = True) -> None:
        self._attacks = attacks
        self._dice = random.Random(seed)
        self._then_truth = then_truth
        self.sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        number = request_id(data)
        attack = self._attacks[self.sent % len(self._attacks)]
        self.sent += 1
        self.transport.sendto(attack(number, self._dice), address)
        if self._then_truth:
            self.transport.sendto(truth(number), address)


def request_id(data: bytes) -> int:
    """Return the request-id of a v2c request with community `public`."""
    at = data.index(b"\x04\x06public") + 8
    at += 2 if data[at + 1] < 0x80 else 2 + (data[at + 1] & 0x7F)
    return int.from_bytes(data[at + 2 : at + 2 + data[at + 1]], "big", signed=True)


async def serve(agent: HostileAgent, host: str = "127.0.0.1") -> int:
    """Start the agent in this loop and return its port."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    sock.bind((host, 0))
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: agent, sock=sock)
    SERVING.append(transport)
    return transport.get_extra_info("sockname")[1]


async def close_all() -> None:
    """Stop every agent that was started."""
    while SERVING:
        SERVING.pop().close()
    await asyncio.sleep(0)


SERVING: list[asyncio.DatagramTransport] = []
