"""Traps and informs: a hint that something happened, never a fact - they only make us look at the device at once.

pysnmp decodes (v1, v2c, v3) and acknowledges informs. In front of it stands a gate: only addresses of registered devices, only
sound messages, and no more than a few a second from one device and in all, because pysnmp decodes about 800 a second and a
storm must not take the poller's time. `Repolls` merges what comes through: a device is polled at once, and once more when
further traps came within the quiet time.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config
from pysnmp.entity.rfc3413 import ntfrcv
from pysnmp.hlapi.v3arch import asyncio as hlapi
from pysnmp.proto.rfc1902 import OctetString

from collector.snmp import ber, oids, pdu, usm
from collector.snmp.engine import UsmUser
from collector.snmp.engine_pysnmp import AUTH_PROTOCOLS, PRIV_PROTOCOLS
from collector.snmp.usm import stretched_key

_TRAP_V1: Final = 0xA4
_INFORM: Final = 0xA6
_TRAP_V2: Final = 0xA7
_MAX_OCTETS: Final = 8192
_BUFFER_OCTETS: Final = 8 * 1024 * 1024
_SNMP_TRAP_OID: Final = "1.3.6.1.6.3.1.1.4.1.0"
_ALERT_COLUMNS: Final = {"severity": 2, "training": 3, "group": 4, "group_index": 5, "location": 6, "code": 7}


@dataclass(frozen=True, slots=True)
class Trap:
    """A notification that came through the gate. `alert` holds the columns of prtAlertTable that it brought."""

    host: str
    oid: str
    alert: dict[str, int] = field(default_factory=dict)

    @property
    def is_printer_alert(self) -> bool:
        return self.oid == oids.PRINTER_V2_ALERT


@dataclass(slots=True)
class TrapStatistics:
    """Counts since start; `dropped` by reason. Exported on /metrics by the wiring."""

    received: int = 0
    accepted: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


class _Bucket:
    """So many a second, and as many at once."""

    __slots__ = ("_at", "_left", "_rate")

    def __init__(self, rate: float) -> None:
        self._rate, self._left, self._at = rate, rate, monotonic()

    def take(self) -> bool:
        now = monotonic()
        self._left = min(self._rate, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class TrapGate:
    """Decides which datagrams pysnmp may see."""

    def __init__(
        self, is_known: Callable[[str], bool], *, a_second: float = 200.0, a_second_per_device: float = 5.0
    ) -> None:
        self.statistics = TrapStatistics()
        self._is_known = is_known
        self._all = _Bucket(a_second)
        self._per_device = a_second_per_device
        self._devices: dict[str, _Bucket] = {}

    def lets_in(self, datagram: bytes, host: str) -> bool:
        """Tell whether a datagram may be decoded; count why not."""
        self.statistics.received += 1
        reason = self._fault(datagram, host)
        if reason is not None:
            self.statistics.drop(reason)
            return False
        self.statistics.accepted += 1
        return True

    def _fault(self, datagram: bytes, host: str) -> str | None:
        if not self._is_known(host):
            return "unknown_source"
        bucket = self._devices.setdefault(host, _Bucket(self._per_device))
        if not bucket.take():
            return "device_rate"
        if len(datagram) > _MAX_OCTETS:
            return "size"
        try:
            check_notification(datagram)
        except ber.Malformed:
            return "malformed"
        return None if self._all.take() else "rate"


def check_notification(datagram: bytes) -> None:
    """Raise `Malformed` unless the datagram is a sound trap or inform, as far as it can be read without keys."""
    at, end = ber.expect(datagram, 0, len(datagram), ber.SEQUENCE)
    if end != len(datagram):
        raise ber.Malformed("octets follow the message")
    version, at = ber.read_integer(datagram, at, end)
    if version == 3:
        usm.read_message(datagram)
        return
    _, at = ber.expect(datagram, at, end, ber.OCTET_STRING)
    kind, start, stop = ber.header(datagram, at, end)
    if version == 0 and kind == _TRAP_V1:
        _check_v1(datagram, start, stop)
    elif version == 1 and kind in {_TRAP_V2, _INFORM}:
        _, _, _, _, first, last = pdu.pdu_head(datagram, at, end)
        pdu.read_varbinds(datagram, first, last)
    else:
        raise ber.Malformed("the message is no notification")


def is_v3(datagram: bytes) -> bool:
    """Tell whether a sound message is of version 3."""
    at, end = ber.expect(datagram, 0, len(datagram), ber.SEQUENCE)
    return ber.read_integer(datagram, at, end)[0] == 3


def _check_v1(datagram: bytes, at: int, end: int) -> None:
    _, at = ber.expect(datagram, at, end, ber.OBJECT_IDENTIFIER)
    start, at = ber.expect(datagram, at, end, ber.IP_ADDRESS)
    if at - start != 4:
        raise ber.Malformed("an address has four octets")
    for _ in range(2):
        _, at = ber.read_integer(datagram, at, end)
    _, at = ber.expect(datagram, at, end, ber.TIME_TICKS)
    start, stop = ber.expect(datagram, at, end, ber.SEQUENCE)
    pdu.read_varbinds(datagram, start, stop)


class TrapReceiver:
    """Receives notifications in the running event loop and calls `on_trap` for each that is let in."""

    def __init__(
        self,
        on_trap: Callable[[Trap], None],
        *,
        is_known: Callable[[str], bool],
        host: str = "0.0.0.0",  # noqa: S104 - devices of every site send to us
        port: int = 162,
        communities: Sequence[str] = ("public",),
        users: Sequence[UsmUser] = (),
        a_second: float = 200.0,
        a_second_per_device: float = 5.0,
    ) -> None:
        self._on_trap = on_trap
        self._gate = TrapGate(is_known, a_second=a_second, a_second_per_device=a_second_per_device)
        self._address = (host, port)
        self._communities = tuple(communities)
        self._users = {user.name.encode(): user for user in users}
        self._senders: dict[str, tuple[bytes, bytes]] = {}
        self._engine: Any = None

    @property
    def statistics(self) -> TrapStatistics:
        return self._gate.statistics

    async def start(self) -> int:
        """Bind and listen; return the port. Raises `OSError` when the port is taken or forbidden."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)
            sock.bind(self._address)
        except OSError:
            sock.close()
            raise
        self._engine = hlapi.SnmpEngine()
        self._add_secrets()
        transport = _gated(self._gate, self._learn_sender)()
        config.add_transport(self._engine, udp.DOMAIN_NAME, transport.open_server_mode(sock=sock))
        ntfrcv.NotificationReceiver(self._engine, self._received)
        self._engine.transport_dispatcher.job_started(1)
        await asyncio.sleep(0)
        port: int = sock.getsockname()[1]
        return port

    async def stop(self) -> None:
        """Close the socket."""
        if self._engine is not None:
            self._engine.close_dispatcher()
            self._engine = None
            await asyncio.sleep(0)

    def _add_secrets(self) -> None:
        for number, community in enumerate(self._communities):
            config.add_v1_system(self._engine, f"community-{number}", community)
        for user in self._users.values():
            self._add_user(user)

    def _add_user(self, user: UsmUser, engine_id: bytes | None = None) -> None:
        """Make pysnmp know the user; `engine_id` is the sender's for traps, ours (None) for informs."""
        keys: dict[str, Any] = {}
        if user.auth != "none":
            keys |= {"authKey": OctetString(stretched_key(user.auth, user.auth_password)), "authKeyType": hlapi.USM_KEY_TYPE_MASTER}  # fmt: skip
        if user.priv != "none":
            keys |= {"privKey": OctetString(stretched_key(user.auth, user.priv_password)), "privKeyType": hlapi.USM_KEY_TYPE_MASTER}  # fmt: skip
        config.add_v3_user(
            self._engine,
            user.name,
            AUTH_PROTOCOLS[user.auth],
            privProtocol=PRIV_PROTOCOLS[user.priv],
            securityEngineId=OctetString(engine_id) if engine_id else None,
            **keys,
        )

    def _learn_sender(self, datagram: bytes, host: str) -> None:
        """Prepare the user's key for the engine that signs a v3 trap: the sender is authoritative (RFC 3414, 1.5.1).

        One engine id a host is kept, so that a stranger behind a known address cannot fill the table. The name proves
        nothing by itself: only a sender who knows the user's password can sign with the key that is made for it.
        """
        head = usm.read_message(datagram)
        user = self._users.get(head.user)
        sender = (head.engine_id, head.user)
        own = bytes(self._engine.snmpEngineID)
        if user is None or not head.engine_id or head.engine_id == own or self._senders.get(host) == sender:
            return
        before = self._senders.pop(host, None)
        if before is not None and before not in self._senders.values():
            config.delete_v3_user(self._engine, before[1].decode(), OctetString(before[0]))
        if sender not in self._senders.values():
            self._add_user(user, head.engine_id)
        self._senders[host] = sender

    def _received(
        self, engine: Any, reference: Any, _engine_id: object, _context: object, varbinds: Any, _ctx: object
    ) -> None:
        _, address = engine.message_dispatcher.get_transport_info(reference)
        values = {str(oid): value for oid, value in varbinds}
        alert = {
            name: int(value)
            for name, column in _ALERT_COLUMNS.items()
            for oid, value in values.items()
            if oid.startswith(f"{oids.PRT_ALERT}.{column}.") and str(value).lstrip("-").isdigit()
        }
        self._on_trap(Trap(host=str(address[0]), oid=str(values.get(_SNMP_TRAP_OID, "")), alert=alert))


def _gated(gate: TrapGate, learn_sender: Callable[[bytes, str], None]) -> Any:
    """Return pysnmp's transport class with the gate in front."""

    class Gated(udp.UdpAsyncioTransport):  # type: ignore[misc] # pysnmp is untyped
        def datagram_received(self, datagram: bytes, address: tuple[str, int]) -> None:
            host = str(address[0])
            if gate.lets_in(datagram, host):
                if is_v3(datagram):
                    learn_sender(datagram, host)
                super().datagram_received(datagram, address)

    return Gated


class Repolls:
    """Turns traps into polls: at once, but a device no more than once within `quiet_seconds`, and few at a time.

    `poll` is called with the host; it must not raise for a device that does not answer. A trap that comes within the quiet
    time, or while the poll runs, leads to one further poll at its end: the last state is always read.
    """

    def __init__(
        self, poll: Callable[[str], Awaitable[None]], *, quiet_seconds: float = 10.0, at_once: int = 16
    ) -> None:
        self._poll = poll
        self._quiet = quiet_seconds
        self._slots = asyncio.Semaphore(at_once)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self.merged = 0

    def ask(self, host: str) -> None:
        """Note a trap of a device; call in the event loop."""
        if host in self._running:
            self.merged += host in self._again
            self._again.add(host)
            return
        task = asyncio.get_running_loop().create_task(self._serve(host))
        self._running[host] = task
        task.add_done_callback(lambda _: self._running.pop(host, None))

    async def _serve(self, host: str) -> None:
        while True:
            self._again.discard(host)
            async with self._slots:
                await self._poll(host)
            await asyncio.sleep(self._quiet)
            if host not in self._again:
                return

    async def stop(self) -> None:
        """Cancel what waits."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
