"""The embedded broker leaves no connection open that it does not serve, so a careless peer costs it no file handle."""

import gc
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from collector.mqtt.broker import EmbeddedBroker

_PATIENCE_SECONDS = 60.0
_CONNECT = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04abcd"
_OTHER_PROTOCOL = b"\x10\x10\x00\x04XXXX\x04\x02\x00\x3c\x00\x04abcd"
_BEGINNINGS = (b"", _CONNECT[:5], _OTHER_PROTOCOL, _CONNECT)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    """Run a broker on a free port."""
    started = EmbeddedBroker(port=0)
    started.start()
    yield started
    started.stop()


def _connect(broker: EmbeddedBroker, first_bytes: bytes) -> socket.socket:
    peer = socket.create_connection((broker.host, broker.port), timeout=_PATIENCE_SECONDS)
    peer.sendall(first_bytes)
    return peer


def _is_closed_by_broker(peer: socket.socket) -> bool:
    """Whether the other side ends the connection; a timeout is the answer no."""
    try:
        while peer.recv(1024):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


def test_who_speaks_another_protocol_is_shut_out(broker: EmbeddedBroker) -> None:
    with _connect(broker, _OTHER_PROTOCOL) as peer:
        assert _is_closed_by_broker(peer)


def test_stopping_ends_each_connection_however_far_it_had_come(broker: EmbeddedBroker) -> None:
    with ExitStack() as open_peers:
        peers = [open_peers.enter_context(_connect(broker, first)) for first in _BEGINNINGS * 5]
        gc.disable()  # the collector of garbage would close them too, some day
        try:
            broker.stop()
            assert all(_is_closed_by_broker(peer) for peer in peers)
        finally:
            gc.enable()
