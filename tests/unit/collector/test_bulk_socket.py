"""Whatever way the stream is cut, messages come out whole and in order, and the rest goes to paho untouched."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.mqtt.bulk_socket import BulkSocket, Message

_SUBACK = b"\x90\x03\x00\x01\x01"


def _length(number: int) -> bytes:
    found = bytearray()
    while True:
        number, digit = divmod(number, 128)
        found.append(digit | (128 if number else 0))
        if not number:
            return bytes(found)


def publish(topic: bytes, payload: bytes, mid: int | None, *, five: bool, flags: int = 0) -> bytes:
    """Return a PUBLISH packet as MQTT 3.1.1 or 5 writes it."""
    body = len(topic).to_bytes(2, "big") + topic
    body += b"" if mid is None else mid.to_bytes(2, "big")
    body += b"\x02\x01\x00" if five else b""  # one property: payload format indicator
    body += payload
    return bytes([0x30 | flags | (0 if mid is None else 2)]) + _length(len(body)) + body


@contextmanager
def link(*, five: bool) -> Iterator[tuple[socket.socket, BulkSocket, list[Message]]]:
    ours, broker = socket.socketpair()
    found: list[Message] = []

    def take(messages: Sequence[Message]) -> None:
        found.extend(messages)

    bulk = BulkSocket(ours, take, five=five)
    bulk.setblocking(False)
    try:
        yield broker, bulk, found
    finally:
        broker.close()
        bulk.close()


def drained(bulk: BulkSocket) -> bytes:
    """Return what paho gets to see now."""
    got = b""
    with suppress(BlockingIOError):
        while True:
            got += bulk.recv(1)
    return got


_messages = st.lists(
    st.tuples(
        st.binary(min_size=1, max_size=20), st.binary(max_size=400), st.none() | st.integers(1, 65_535)
    ),
    max_size=8,
)


@given(wanted=_messages, cuts=st.lists(st.integers(1, 300), max_size=20), five=st.booleans())
def test_any_cut_of_the_stream_gives_the_same(
    wanted: list[tuple[bytes, bytes, int | None]], cuts: list[int], five: bool
) -> None:
    stream = b""
    for topic, payload, mid in wanted:
        stream += publish(topic, payload, mid, five=five, flags=1) + _SUBACK
    with link(five=five) as (broker, bulk, found):
        passed = b""
        for cut in cuts:
            broker.sendall(stream[:cut])
            stream = stream[cut:]
            passed += drained(bulk)
        broker.sendall(stream)
        passed += drained(bulk)
        assert passed == _SUBACK * len(wanted)
        assert [(message.topic, message.payload) for message in found] == [
            (topic, payload) for topic, payload, _ in wanted
        ]
        mids = [b"" if mid is None else mid.to_bytes(2, "big") for _, _, mid in wanted]
        assert [message.mid for message in found] == mids
        assert bulk.pending() == 0


def test_acknowledgements_are_written_in_order_and_those_of_qos_2_stay_with_paho() -> None:
    with link(five=False) as (broker, bulk, found):
        exactly_once = bytes([0x34]) + publish(b"a", b"b", 7, five=False)[1:]
        broker.sendall(
            publish(b"t", b"x", 258, five=False) + exactly_once + publish(b"t", b"y", 3, five=False)
        )
        assert drained(bulk) == exactly_once
        bulk.acknowledge([message.mid for message in found])
        assert broker.recv(100) == b"\x40\x02\x01\x02\x40\x02\x00\x03"


def test_a_broker_that_does_not_read_makes_paho_wait_and_loses_nothing() -> None:
    with link(five=False) as (broker, bulk, _):
        packet, sent, got = b"p" * 4096, 0, 0
        with suppress(BlockingIOError):
            while sent < 1 << 25:
                sent += bulk.send(packet)
        assert sent < 1 << 25
        broker.setblocking(False)
        while got < sent:
            bulk.pending()  # paho asks at every turn
            with suppress(BlockingIOError):
                got += len(broker.recv(1 << 20))
        assert got == sent


@pytest.mark.parametrize(
    "packet",
    [
        b"\x32\x03\x00\x05a",  # the topic is longer than the packet
        b"\x32\x03\x00\x01a",  # no message id
        b"\x30\x03\x00\x01a",  # MQTT 5 without properties
        b"\x30\xff\xff\xff\xff\x01",  # five bytes of length
    ],
)
def test_a_broken_packet_ends_the_connection(packet: bytes) -> None:
    with link(five=True) as (broker, bulk, found):
        broker.sendall(packet)
        with pytest.raises(ConnectionAbortedError):
            bulk.recv(1)
        assert found == []


def test_the_end_of_the_connection_is_paho_s_to_see() -> None:
    with link(five=False) as (broker, bulk, _):
        broker.close()
        assert bulk.recv(1) == b""
