"""A socket under paho that takes application messages out of the stream in bulk and acknowledges them in bulk.

paho reads a message with four `recv` calls and writes each acknowledgement with a call and a wake-up of its own: some
100 microseconds a message, several times what landing it costs. Connecting, signing in, subscribing, keeping alive and
publishing stay with paho; it sees every packet but PUBLISH of QoS 0 and 1 (MQTT 3.1.1 and 5, section 3.3), which are
handed to `take` as they are found. All calls are non-blocking, as paho's are.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

_CHUNK_BYTES: Final = 256 * 1024
#: paho has to wait while more than this could not be written.
_MOST_UNWRITTEN_BYTES: Final = 1024 * 1024
_PUBACK: Final = b"\x40\x02"
_PUBLISH: Final = 0x30
_WAITS: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Message(NamedTuple):
    """One application message as it came; `mid` is empty for QoS 0, `link` is the connection it came through."""

    topic: bytes
    payload: bytes
    mid: bytes
    link: "BulkSocket"


class BulkSocket:
    """Wraps the connected socket of one MQTT connection; `five` tells whether packets have properties (MQTT 5)."""

    def __init__(
        self, plain: socket.socket, take: Callable[[Sequence[Message]], None], *, five: bool
    ) -> None:
        self._socket = plain
        self._take = take
        self._five = five
        self._rest = bytearray()  # the beginning of a packet that has not come whole
        self._needed = 2
        self._for_paho = bytearray()
        self._unwritten = bytearray()
        self._lock = threading.Lock()  # OpenSSL allows one call at a time on a connection

    # --- what paho and select ask for ------------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._socket.fileno()

    def setblocking(self, flag: bool) -> None:
        self._socket.setblocking(flag)

    def settimeout(self, seconds: float | None) -> None:
        self._socket.settimeout(seconds)

    def pending(self) -> int:
        """Return how many bytes can be had without waiting."""
        self._flush()
        within_tls = self._socket.pending() if isinstance(self._socket, ssl.SSLSocket) else 0
        return len(self._for_paho) + within_tls

    def recv(self, size: int) -> bytes:
        """Return bytes of packets that are paho's; raise `BlockingIOError` when there are none now."""
        if not self._for_paho:
            self._flush()
            with self._lock:
                try:
                    chunk = self._socket.recv(_CHUNK_BYTES)
                except _WAITS as wait:
                    raise BlockingIOError from wait
            if not chunk:
                return b""
            self._split(chunk)
            if not self._for_paho:
                raise BlockingIOError
        found = bytes(self._for_paho[:size])
        del self._for_paho[:size]
        return found

    def send(self, packet: bytes) -> int:
        """Write a whole packet, now or as soon as the broker reads; raise `BlockingIOError` when too much waits."""
        if len(self._unwritten) > _MOST_UNWRITTEN_BYTES:
            self._flush()
            if len(self._unwritten) > _MOST_UNWRITTEN_BYTES:
                raise BlockingIOError
        self._write(packet)
        return len(packet)

    def close(self) -> None:
        self._socket.close()

    # --- what the connection asks for ------------------------------------------------------------------------------

    def acknowledge(self, mids: Sequence[bytes]) -> None:
        """Acknowledge messages of QoS 1, in the order in which they came. A lost connection brings them again."""
        if mids:
            try:
                self._write(_PUBACK + _PUBACK.join(mids))
            except OSError:
                return  # paho finds out by itself

    # --- writing ---------------------------------------------------------------------------------------------------

    def _write(self, packet: bytes) -> None:
        with self._lock:
            self._unwritten += packet
            self._write_what_goes()

    def _flush(self) -> None:
        if self._unwritten:
            with self._lock:
                self._write_what_goes()

    def _write_what_goes(self) -> None:
        while self._unwritten:
            try:
                written = self._socket.send(self._unwritten)
            except _WAITS:
                return
            del self._unwritten[:written]

    # --- reading ---------------------------------------------------------------------------------------------------

    def _split(self, chunk: bytes) -> None:
        """Hand on the messages among the packets that are whole; keep the rest."""
        if self._rest:
            self._rest += chunk
            if len(self._rest) < self._needed:
                return
            chunk = bytes(self._rest)
        size, at = len(chunk), 0
        messages: list[Message] = []
        self._needed = 2
        while size - at >= 2:
            remaining, body = chunk[at + 1], at + 2
            if remaining > 127:
                remaining, body = _variable(chunk, at + 1)
            if body < 0 or body + remaining > size:
                self._needed = 2 if body < 0 else body + remaining - at
                break
            end = body + remaining
            if chunk[at] & 0xF4 == _PUBLISH:  # QoS 0 or 1, whatever the other flags
                messages.append(self._message(chunk, body, end, acknowledged=bool(chunk[at] & 2)))
            else:
                self._for_paho += chunk[at:end]
            at = end
        self._rest = bytearray(chunk[at:])
        if messages:
            self._take(messages)

    def _message(self, chunk: bytes, body: int, end: int, *, acknowledged: bool) -> Message:
        """Return the message between `body` and `end`; raise `ConnectionAbortedError` when it cannot be one."""
        start = body + 2 + (chunk[body] << 8 | chunk[body + 1]) if body + 2 <= end else end + 1
        topic, mid = chunk[body + 2 : start], b""
        if acknowledged:
            mid = chunk[start : start + 2]
            start += 2
        if self._five and start < end:
            properties, after = _variable(chunk, start)
            start = after + properties if after > 0 else end + 1
        elif self._five:
            start = end + 1
        if start > end:
            raise ConnectionAbortedError("the broker sent a message that is shorter than its own lengths")
        return Message(topic, chunk[start:end], mid, self)


def _variable(chunk: bytes, at: int) -> tuple[int, int]:
    """Return a variable byte integer (MQTT 5, section 1.5.5) and the place after it; (0, -1) when it is not whole."""
    value = 0
    for number, byte in enumerate(chunk[at : at + 4]):
        value |= (byte & 0x7F) << 7 * number
        if byte < 128:
            return value, at + number + 1
    if len(chunk) - at >= 4:
        raise ConnectionAbortedError("the broker sent a packet with an impossible length")
    return 0, -1
