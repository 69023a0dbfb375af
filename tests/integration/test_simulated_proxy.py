"""Every fault of the proxy bites, on real sockets; without faults it changes nothing."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

import pytest

from simulators.proxy import Faults, TcpFaultProxy, UdpFaultProxy


class TcpEcho:
    """An echo server that also notes what came in. Each thread closes its own connection; `close` waits for them."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.open: list[socket.socket] = []
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):  # the end of the listener
            while True:
                made, _ = self.listener.accept()
                self.open.append(made)
                self.threads.append(threading.Thread(target=self._echo, args=(made,), daemon=True))
                self.threads[-1].start()

    def _echo(self, made: socket.socket) -> None:
        with made, suppress(OSError):
            while data := made.recv(65_536):
                made.sendall(data)
            made.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.threads[0].join(30)
        self.listener.close()
        for made in self.open:
            with suppress(OSError):  # it ended before
                made.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(30)


class UdpEcho:
    """Echoes datagrams until an empty one asks it to stop."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = self.socket.getsockname()
        self.seen: list[bytes] = []
        self.thread = threading.Thread(target=self._echo, daemon=True)
        self.thread.start()

    def _echo(self) -> None:
        with self.socket:
            while True:
                data, peer = self.socket.recvfrom(65_535)
                if not data:
                    return
                self.seen.append(data)
                self.socket.sendto(data, peer)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.sendto(b"", self.address)
        self.thread.join(30)


@pytest.fixture
def tcp_echo() -> Iterator[TcpEcho]:
    echo = TcpEcho()
    yield echo
    echo.close()


@pytest.fixture
def udp_echo() -> Iterator[UdpEcho]:
    echo = UdpEcho()
    yield echo
    echo.close()


def dial(proxy: TcpFaultProxy) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    made.settimeout(5)
    return made


def read_exactly(made: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = made.recv(size - len(data))
        if not piece:
            break
        data += piece
    return data


def end_of(made: socket.socket, words: bytes = b"") -> type[BaseException]:
    """Say something and return the error with which the connection ends, `EOFError` for an orderly end."""
    try:
        made.sendall(words)
        while made.recv(1024):
            pass
    except ConnectionError as error:
        return type(error)
    return EOFError


def fate_of_a_new_one(proxy: TcpFaultProxy) -> type[BaseException]:
    """Dial, say something and return how it ends; the reset may come as early as in dialling."""
    try:
        with dial(proxy) as made:
            return end_of(made, b"hello")
    except ConnectionError as error:
        return type(error)


# --- TCP ---------------------------------------------------------------------------------------------------------


def test_tcp_without_faults_carries_every_octet(tcp_echo):
    body = bytes(range(256)) * 400
    with TcpFaultProxy(tcp_echo.address) as proxy, dial(proxy) as made:
        made.sendall(body)
        assert read_exactly(made, len(body)) == body
        made.shutdown(socket.SHUT_WR)
        assert made.recv(1) == b""


def test_tcp_delay(tcp_echo):
    with TcpFaultProxy(tcp_echo.address, Faults(delay_seconds=0.15)) as proxy, dial(proxy) as made:
        began = time.monotonic()
        made.sendall(b"x")
        assert read_exactly(made, 1) == b"x"
        assert time.monotonic() - began >= 0.3


def test_tcp_rate(tcp_echo):
    with TcpFaultProxy(tcp_echo.address, Faults(bytes_per_second=200_000)) as proxy, dial(proxy) as made:
        began = time.monotonic()
        made.sendall(bytes(60_000))
        assert len(read_exactly(made, 60_000)) == 60_000
        assert time.monotonic() - began >= 0.3


def test_tcp_corrupt_changes_octets_but_not_their_number(tcp_echo):
    with TcpFaultProxy(tcp_echo.address, Faults(corrupt=1.0), seed=3) as proxy, dial(proxy) as made:
        made.sendall(b"a" * 100)
        got = read_exactly(made, 100)
        assert len(got) == 100
        assert 1 <= sum(octet != ord("a") for octet in got) <= 2


def test_tcp_reset_by_chance_and_after_bytes(tcp_echo):
    for faults in (Faults(reset=1.0), Faults(reset_after_bytes=10)):
        with TcpFaultProxy(tcp_echo.address, faults) as proxy, dial(proxy) as made:
            assert end_of(made, b"y" * 100) is ConnectionResetError


def test_tcp_refuse_resets_new_connections(tcp_echo):
    with TcpFaultProxy(tcp_echo.address, Faults(refuse=True)) as proxy:
        assert issubclass(fate_of_a_new_one(proxy), ConnectionError)


def test_tcp_half_open_stays_open_and_says_nothing(tcp_echo):
    with TcpFaultProxy(tcp_echo.address) as proxy, dial(proxy) as made:
        made.sendall(b"1")
        assert read_exactly(made, 1) == b"1"
        proxy.faults = Faults(half_open=True)
        made.sendall(b"2")
        made.settimeout(0.3)
        with pytest.raises(TimeoutError):
            made.recv(1)


def test_tcp_cut_all(tcp_echo):
    with TcpFaultProxy(tcp_echo.address) as proxy, dial(proxy) as made:
        made.sendall(b"1")
        assert read_exactly(made, 1) == b"1"
        proxy.cut_all()
        assert end_of(made) is ConnectionResetError


def test_tcp_target_away_resets(free_port):
    with TcpFaultProxy(("127.0.0.1", free_port())) as proxy:
        assert issubclass(fate_of_a_new_one(proxy), ConnectionError)


# --- UDP ---------------------------------------------------------------------------------------------------------


LAST_WORD = b"last"


class Client:
    """Sends numbered datagrams through a proxy and gathers what comes back."""

    def __init__(self, proxy: UdpFaultProxy) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", proxy.port))

    def talk(self, count: int, expect: int | None = None) -> list[bytes]:
        """Send `count` datagrams; return what comes back until `expect` have come, else until a last word is back.

        The last word is repeated until it gets through; the way keeps the order, so the fate of all before it is decided.
        """
        for k in range(count):
            self.socket.send(b"%04d" % k)
        self.socket.settimeout(0.05 if expect is None else 10.0)
        got: list[bytes] = []
        end = time.monotonic() + 20
        while len(got) != expect and LAST_WORD not in got and time.monotonic() < end:
            if expect is None:
                self.socket.send(LAST_WORD)
            with suppress(TimeoutError):
                got.append(self.socket.recv(65_535))
        return [data for data in got if data != LAST_WORD]

    def hears_nothing(self, count: int) -> bool:
        """Send `count` datagrams; silence can only be shown by waiting a while."""
        for k in range(count):
            self.socket.send(b"%04d" % k)
        self.socket.settimeout(0.3)
        try:
            self.socket.recv(65_535)
        except TimeoutError:
            return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


NUMBERED = [b"%04d" % k for k in range(100)]


def test_udp_without_faults_carries_every_datagram_in_order(udp_echo):
    with UdpFaultProxy(udp_echo.address) as proxy, Client(proxy) as client:
        client.talk(1, expect=1)
        assert client.talk(100, expect=100) == NUMBERED


def test_udp_drop_loses_its_share_and_the_seed_says_which(udp_echo):
    runs = []
    arrived = []
    for _ in range(2):
        with UdpFaultProxy(udp_echo.address, Faults(drop=0.3), seed=9) as proxy, Client(proxy) as client:
            runs.append(client.talk(100))
        arrived.append([data for data in udp_echo.seen if data != LAST_WORD])
        udp_echo.seen.clear()
    assert arrived[0] == arrived[1]
    assert 25 < len(runs[0]) < 75  # both ways: 0.7 x 0.7
    assert set(runs[0]) < set(NUMBERED)


def test_udp_duplicate_doubles(udp_echo):
    with UdpFaultProxy(udp_echo.address, Faults(duplicate=1.0)) as proxy, Client(proxy) as client:
        assert len(client.talk(10, expect=40)) == 40


def test_udp_reorder_changes_the_order_only(udp_echo):
    with UdpFaultProxy(udp_echo.address, Faults(reorder=0.5), seed=2) as proxy, Client(proxy) as client:
        got = client.talk(100)
        assert got != sorted(got)
        assert len(got) >= 98  # the last one may still be held


def test_udp_corrupt_changes_one_octet(udp_echo):
    with UdpFaultProxy(udp_echo.address, Faults(corrupt=1.0), seed=5) as proxy, Client(proxy) as client:
        got = client.talk(20, expect=20)
        assert len(got) == 20
        assert sum(a != b for a, b in zip(sorted(got), NUMBERED, strict=False)) >= 15


def test_udp_delay_and_rate(udp_echo):
    with (
        UdpFaultProxy(udp_echo.address, Faults(delay_seconds=0.1, jitter_seconds=0.02)) as proxy,
        Client(proxy) as client,
    ):
        began = time.monotonic()
        client.socket.send(b"x")
        client.socket.settimeout(5)
        assert client.socket.recv(10) == b"x"
        assert time.monotonic() - began >= 0.2
    with UdpFaultProxy(udp_echo.address, Faults(bytes_per_second=2000)) as proxy, Client(proxy) as client:
        began = time.monotonic()
        assert len(client.talk(100, expect=100)) == 100
        assert time.monotonic() - began >= 0.2


def test_udp_half_open_is_silence(udp_echo):
    with UdpFaultProxy(udp_echo.address, Faults(half_open=True)) as proxy, Client(proxy) as client:
        assert client.hears_nothing(5)
        assert udp_echo.seen == []
