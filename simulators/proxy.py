"""A proxy that makes a network bad, for TCP and UDP, seeded, without root: tests put it between two parts.

For a stream the chances count per chunk read (up to 16 KiB), for UDP per datagram. Order is kept unless `reorder`
says otherwise. Faults can be changed while it runs: assign to `faults`.
"""

import asyncio
import random
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Self

CHUNK: Final = 16_384
START_SECONDS: Final = 10.0
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER on with 0 s: close sends RST


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What the way does to traffic; the defaults do nothing. Chances are 0..1.

    `reset` and `half_open` concern streams only, `drop`, `duplicate` and `reorder` datagrams only: a stream that
    lost or doubled octets would not be TCP.
    """

    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0  # a datagram is held back until the next one has passed
    corrupt: float = 0.0  # one octet is changed
    bytes_per_second: float | None = None
    reset: float = 0.0  # the connection ends with RST
    reset_after_bytes: int | None = None
    half_open: bool = False  # the connection stays, nothing passes any more
    refuse: bool = False  # new connections are reset at once


class _Way:
    """One direction of traffic: its chances and its rate."""

    def __init__(self, seed: str) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - reproducible faults, no secret
        self._free_at = 0.0

    def hits(self, share: float) -> bool:
        return share > 0 and self.chance.random() < share

    def wait_seconds(self, faults: Faults, size: int, now: float) -> float:
        """Return how long this piece waits: delay, jitter and what the rate allows."""
        wait = faults.delay_seconds
        if faults.jitter_seconds:
            wait += self.chance.random() * faults.jitter_seconds
        if faults.bytes_per_second:
            self._free_at = max(self._free_at, now) + size / faults.bytes_per_second
            wait += self._free_at - now
        return wait

    def corrupted(self, data: bytes) -> bytes:
        """Return the octets with one of them changed."""
        at = self.chance.randrange(len(data))
        return data[:at] + bytes([data[at] ^ (1 + self.chance.randrange(255))]) + data[at + 1 :]


class _Proxy(ABC):
    """What both kinds share: a thread with an event loop, the port, the faults."""

    def __init__(
        self, target: tuple[str, int], faults: Faults | None = None, *, seed: int = 0, port: int = 0
    ) -> None:
        self.target = target
        self.faults = faults or Faults()
        self.seed = seed
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)

    def start(self) -> None:
        """Listen on 127.0.0.1; `port` tells where. Raises `OSError` when the port is taken."""
        self._thread.start()
        try:
            self._call(self._open())
        except OSError:
            self._end_loop()
            raise

    def stop(self) -> None:
        """Close everything; calling it twice is harmless."""
        if self._thread.is_alive():
            self._call(self._close())
            self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(START_SECONDS)

    @abstractmethod
    async def _open(self) -> None:
        """Listen, and set `port`."""

    @abstractmethod
    async def _close(self) -> None:
        """Stop listening and end what is under way."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


# --- TCP -------------------------------------------------------------------------------------------------------------


class TcpFaultProxy(_Proxy):
    """Forwards connections to `target`. `connections` counts the accepted ones."""

    connections = 0

    async def _open(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        ends = (writer.wait_closed() for writer in self._writers)
        await asyncio.gather(*ends, return_exceptions=True)

    def cut_all(self) -> None:
        """Reset every open connection now; safe from any thread."""
        self._loop.call_soon_threadsafe(self._reset_all)

    def _reset_all(self) -> None:
        for writer in self._writers:
            _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        if self.faults.refuse:
            _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            _reset(writer)
            return
        self._writers |= {writer, far_writer}
        ways = (
            self._pump(reader, far_writer, writer, _Way(f"{self.seed}/{number}/up")),
            self._pump(far_reader, writer, far_writer, _Way(f"{self.seed}/{number}/down")),
        )
        tasks = {asyncio.ensure_future(way) for way in ways}
        self._tasks |= tasks
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks -= tasks
        for side in (writer, far_writer):
            self._writers.discard(side)
            side.close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, back: asyncio.StreamWriter, way: _Way
    ) -> None:
        """Carry one direction until its end, with what the faults do to it."""
        passed = 0
        while True:
            try:
                data = await source.read(CHUNK)
                faults = self.faults
                passed += len(data)
                over = faults.reset_after_bytes is not None and passed > faults.reset_after_bytes
                if data and (over or way.hits(faults.reset)):
                    _reset(sink)
                    _reset(back)
                    return
                wait = way.wait_seconds(faults, len(data), self._loop.time())
                if wait > 0:
                    await asyncio.sleep(wait)
                if self.faults.half_open:
                    if not data:
                        await asyncio.Event().wait()  # the end is not passed on either, until the proxy stops
                    continue
                if not data:
                    if not (back.transport.is_closing() or sink.transport.is_closing()):
                        sink.write_eof()
                    return
                sink.write(way.corrupted(data) if way.hits(faults.corrupt) else data)
                await sink.drain()
            except (ConnectionError, OSError):
                _reset(sink)
                _reset(back)
                return


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST instead of FIN."""
    opened = writer.get_extra_info("socket")
    if opened is not None and not writer.transport.is_closing():
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


# --- UDP -------------------------------------------------------------------------------------------------------------


class UdpFaultProxy(_Proxy):
    """Forwards datagrams to `target` and answers back, one upstream socket per client."""

    async def _open(self) -> None:
        self._upstream: dict[tuple[str, int], asyncio.DatagramTransport] = {}
        self._waiting: dict[tuple[str, int], list[bytes]] = {}
        self._ways = (_Way(f"{self.seed}/up"), _Way(f"{self.seed}/down"))
        self._held: list[Callable[[], None] | None] = [None, None]
        self._tasks: set[asyncio.Future[Any]] = set()
        listener = _Receiver(self._from_client)
        self._front, _ = await self._loop.create_datagram_endpoint(
            lambda: listener, local_addr=("127.0.0.1", self.port)
        )
        self.port = self._front.get_extra_info("sockname")[1]

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._front.close()
        for transport in self._upstream.values():
            transport.close()
        await asyncio.sleep(0)

    def _from_client(self, data: bytes, client: tuple[str, int]) -> None:
        known = self._upstream.get(client)
        if known is not None:
            self._pass(0, data, known.sendto)
        elif client in self._waiting:
            self._waiting[client].append(data)
        else:
            self._waiting[client] = [data]
            self._spawn(self._connect(client))

    async def _connect(self, client: tuple[str, int]) -> None:
        receiver = _Receiver(
            lambda answer, _: self._pass(1, answer, lambda piece: self._front.sendto(piece, client))
        )
        made, _ = await self._loop.create_datagram_endpoint(lambda: receiver, remote_addr=self.target)
        self._upstream[client] = made
        for data in self._waiting.pop(client):
            self._pass(0, data, made.sendto)

    def _pass(self, direction: int, data: bytes, send: Callable[[bytes], None]) -> None:
        """Send one datagram on, or lose, double, damage, hold or delay it."""
        way, faults = self._ways[direction], self.faults
        if faults.half_open or way.hits(faults.drop):
            return
        if data and way.hits(faults.corrupt):
            data = way.corrupted(data)
        copies = 2 if way.hits(faults.duplicate) else 1
        held, self._held[direction] = self._held[direction], None
        wait = way.wait_seconds(faults, len(data), self._loop.time())

        def go() -> None:
            for _ in range(copies):
                send(data)

        if held is None and way.hits(faults.reorder):
            self._held[direction] = go
            return
        if wait > 0:
            self._loop.call_later(wait, go)
        else:
            go()
        if held is not None:
            held()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Receiver(asyncio.DatagramProtocol):
    """Hands datagrams on; ICMP errors of a target that is away are nothing to a proxy."""

    def __init__(self, take: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._take(data, (addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        """Ignore it: the target is away, and the client will find out by silence."""
