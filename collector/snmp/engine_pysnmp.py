"""pysnmp behind the SNMP port: the portable engine (`snmp.engine = pysnmp`), for devices with odd v3 options, and the oracle.

pysnmp itself accepts replies from any source and raises inside the event loop on some broken messages (measured on 7.1.30).
So a guarded transport checks each datagram first: strict BER, a message id that is waiting, the address that was asked.
Passwords are stretched to keys once per credential; a pysnmp engine is kept per credential, as users are known by name only.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

from pyasn1.type import univ
from pysnmp.carrier.asyncio.dgram import udp, udp6
from pysnmp.entity.rfc3413 import cmdgen
from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch import asyncio as hlapi
from pysnmp.hlapi.v3arch.asyncio.lcd import CommandGeneratorLcdConfigurator
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.proto.api import v2c

from collector.snmp import ber, pdu, usm
from collector.snmp.engine import (
    MAX_ROWS,
    Allowance,
    Community,
    Credential,
    EngineStatistics,
    RequestTimedOut,
    SnmpTarget,
    UsmUser,
    Value,
    acceptable,
)
from collector.snmp.exchange import Reply, refused
from collector.snmp.usm import stretched_key
from collector.snmp.walking import ColumnWalk, Rows
from crm_core.domain.errors import InvalidValue

AUTH_PROTOCOLS: Final = {
    "none": hlapi.USM_AUTH_NONE, "md5": hlapi.USM_AUTH_HMAC96_MD5, "sha1": hlapi.USM_AUTH_HMAC96_SHA,
    "sha224": hlapi.USM_AUTH_HMAC128_SHA224, "sha256": hlapi.USM_AUTH_HMAC192_SHA256,
    "sha384": hlapi.USM_AUTH_HMAC256_SHA384, "sha512": hlapi.USM_AUTH_HMAC384_SHA512,
}  # fmt: skip
PRIV_PROTOCOLS: Final = {
    "none": hlapi.USM_PRIV_NONE, "des": hlapi.USM_PRIV_CBC56_DES, "aes128": hlapi.USM_PRIV_CFB128_AES,
    "aes192": hlapi.USM_PRIV_CFB192_AES_BLUMENTHAL, "aes256": hlapi.USM_PRIV_CFB256_AES_BLUMENTHAL,
}  # fmt: skip
_TICK_SECONDS: Final = 0.1
_REMEMBERED: Final = 4096
_HIGHEST_STATUS: Final = 18  # RFC 3416
_BUFFER_OCTETS: Final = 4 * 1024 * 1024
_WINDOW: Final = 64  # pysnmp answers about 50 devices a second: more in flight only waits longer


class _Guard:
    """Remembers which address and community each message id was sent to, and refuses everything else."""

    def __init__(self, statistics: EngineStatistics) -> None:
        self.statistics = statistics
        self._asked: dict[int, tuple[tuple[str, int], int, bytes]] = {}

    def sent(self, message: bytes, address: tuple[str, int]) -> None:
        version, number = pdu.peek(message)
        if len(self._asked) > _REMEMBERED:  # forgotten answers; ids in use are always among the newest
            for old in list(self._asked)[: _REMEMBERED // 2]:
                del self._asked[old]
        self._asked[number] = ((address[0], address[1]), version, _community(version, message))
        self.statistics.requests += 1

    def accepts(self, datagram: bytes, source: tuple[str, int]) -> bool:
        """Tell whether pysnmp may see a datagram; count why not."""
        reason = self._fault(datagram, source)
        if reason is not None:
            self.statistics.reject(reason)
            return False
        self.statistics.replies += 1
        return True

    def _fault(self, datagram: bytes, source: tuple[str, int]) -> str | None:
        try:
            _, number = pdu.peek(datagram)
            if number not in self._asked:
                return "unknown_id"
            address, version, community = self._asked[number]
            if (source[0], source[1]) != address:
                return "source"
            _check_shape(version, community, datagram)
        except ber.Malformed:
            return "malformed"
        return None


def _community(version: int, message: bytes) -> bytes:
    """Return the community of a v1 or v2c message; empty for v3."""
    if version == 3:
        return b""
    at, end = ber.expect(message, 0, len(message), ber.SEQUENCE)
    _, at = ber.read_integer(message, at, end)
    start, stop = ber.expect(message, at, end, ber.OCTET_STRING)
    return message[start:stop]


def _check_shape(version: int, community: bytes, datagram: bytes) -> None:
    """Raise `Malformed` unless the message is sound as far as it can be read without keys."""
    if version == 3:
        usm.read_message(datagram)
        return
    at, end = pdu.community_pdu(datagram, version, community)
    kind, _, status, _, start, stop = pdu.pdu_head(datagram, at, end)
    if kind != pdu.RESPONSE or not 0 <= status <= _HIGHEST_STATUS:
        raise ber.Malformed("the message is no response")
    pdu.read_varbinds(datagram, start, stop)


def _guarded(base: Any, guard: _Guard) -> Any:
    """Return pysnmp's transport class with the guard in front."""

    class Guarded(base):  # type: ignore[misc] # pysnmp is untyped
        def connection_made(self, transport: asyncio.DatagramTransport) -> None:
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)
            super().connection_made(transport)

        def send_message(self, message: bytes, address: tuple[str, int]) -> None:
            guard.sent(message, address)
            super().send_message(message, address)

        def datagram_received(self, datagram: bytes, address: tuple[str, int]) -> None:
            if guard.accepts(datagram, address):
                super().datagram_received(datagram, address)

    return Guarded


class PysnmpEngine:
    """SNMP by pysnmp (see `SnmpEngine`)."""

    def __init__(self, *, window: int = _WINDOW) -> None:
        self.statistics = EngineStatistics()
        self._slots = asyncio.Semaphore(window)
        self._guard = _Guard(self.statistics)
        self._udp: Any = type(
            "Udp",
            (hlapi.UdpTransportTarget,),
            {"PROTO_TRANSPORT": _guarded(udp.UdpAsyncioTransport, self._guard)},
        )
        self._udp6: Any = type("Udp6", (hlapi.Udp6TransportTarget,), {"PROTO_TRANSPORT": _guarded(udp6.Udp6AsyncioTransport, self._guard)})  # fmt: skip
        self._lcd = CommandGeneratorLcdConfigurator()
        self._engines: dict[Credential, Any] = {}
        self._names: dict[SnmpTarget, str] = {}

    async def get(self, target: SnmpTarget, wanted: Sequence[str], allowance: Allowance) -> dict[str, Value]:
        """Return the values of exact OIDs in one request (see `SnmpEngine.get`)."""
        oids = tuple(wanted)
        while oids:
            reply = await self._ask(target, cmdgen.GetCommandGenerator(), oids, allowance)
            if not reply.error_status and reply.refusal is None:
                if [oid for oid, _ in reply.rows] != list(oids):
                    raise refused(reply, self.statistics, oids)
                return {oid: value for oid, value in reply.rows if value is not None and self._is_fair(value)}
            missing = reply.missing_name(oids)
            if missing is None:
                raise refused(reply, self.statistics, oids)
            oids = oids[:missing] + oids[missing + 1 :]
        return {}

    async def walk_into(
        self,
        found: dict[str, Value],
        target: SnmpTarget,
        columns: Sequence[str],
        allowance: Allowance,
        *,
        max_rows: int = MAX_ROWS,
        per_reply: int = 45,
    ) -> None:
        """Put everything below the columns into `found` (see `SnmpEngine.walk_into`)."""
        v1 = isinstance(target.credential, Community) and target.credential.version == "1"

        async def ask_next(asked: tuple[str, ...], repetitions: int) -> Rows:
            if v1:
                return await self._next_v1(target, asked, allowance)
            generator = cmdgen.BulkCommandGenerator()
            reply = await self._ask(target, generator, asked, allowance, repetitions)
            if reply.error_status or reply.refusal:
                raise refused(reply, self.statistics, asked)
            return reply.rows

        walk = ColumnWalk(columns, found, max_rows=max_rows, per_reply=per_reply, stats=self.statistics)
        await walk.run(ask_next, allowance)

    async def _next_v1(self, target: SnmpTarget, asked: tuple[str, ...], allowance: Allowance) -> Rows:
        ended: set[int] = set()
        while len(ended) < len(asked):
            positions = [position for position in range(len(asked)) if position not in ended]
            oids = tuple(asked[position] for position in positions)
            reply = await self._ask(target, cmdgen.NextCommandGenerator(), oids, allowance)
            missing = reply.missing_name(oids)
            if missing is not None:
                ended.add(positions[missing])
                continue
            if reply.error_status or len(reply.rows) != len(oids):
                raise refused(reply, self.statistics, oids)
            rows = dict(zip(positions, reply.rows, strict=True))
            return [rows.get(position, (asked[position], None)) for position in range(len(asked))]
        return [(oid, None) for oid in asked]

    async def close(self) -> None:
        """Close pysnmp's dispatchers and sockets."""
        for engine in self._engines.values():
            engine.close_dispatcher()
        self._engines.clear()
        self._names.clear()

    # --- one request ---------------------------------------------------------------------------------------------

    async def _ask(
        self,
        target: SnmpTarget,
        generator: Any,
        oids: tuple[str, ...],
        allowance: Allowance,
        repetitions: int = 0,
    ) -> Reply:
        """Send one request with the allowance's repeats and return what came back."""
        timeout = allowance.trips.timeout_seconds
        asked_at = monotonic()
        async with self._slots:
            allowance.give_back(monotonic() - asked_at)
            for attempt in range(allowance.repeats + 1):
                left = allowance.take()
                started = monotonic()
                try:
                    reply = await asyncio.wait_for(
                        self._send(target, generator, oids, repetitions),
                        min(timeout, left),
                    )
                except TimeoutError:
                    self.statistics.repeats += 1
                    timeout *= 2
                    continue
                if attempt == 0:
                    allowance.trips.learn(monotonic() - started)
                return reply
        self.statistics.timeouts += 1
        raise RequestTimedOut(f"{target.host}:{target.port} did not answer {allowance.repeats + 1} times")

    async def _send(
        self, target: SnmpTarget, generator: Any, oids: tuple[str, ...], repetitions: int
    ) -> Reply:
        engine, name = await self._configured(target)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def done(
            _engine: object,
            _handle: object,
            indication: object,
            status: int,
            index: int,
            rows: Any,
            _ctx: object,
        ) -> None:
            if future.done():
                return
            if indication is not None:
                if type(indication).__name__ != "RequestTimedOut":
                    future.set_result(Reply(refusal=f"pysnmp: {indication}"))
                return  # our own clock tells a timeout
            future.set_result(Reply(rows=_plain(rows), error_status=int(status), error_index=int(index)))

        varbinds = [(rfc1902.ObjectName(oid), v2c.null) for oid in oids]
        limits = (0, repetitions) if repetitions else ()
        try:
            generator.send_varbinds(engine, name, None, _context(target), *limits, varbinds, done)
        except PySnmpError as error:
            return Reply(refusal=f"pysnmp: {error}")
        return await future

    async def _configured(self, target: SnmpTarget) -> tuple[Any, str]:
        """Return pysnmp's engine for the credential and its name for the target."""
        engine = self._engines.get(target.credential)
        if engine is None:
            engine = self._engines[target.credential] = hlapi.SnmpEngine()
        if target not in self._names:
            kind = self._udp6 if ":" in target.host else self._udp
            try:
                ipaddress.ip_address(target.host)
            except ValueError as error:
                raise InvalidValue(
                    f"{target.host!r} is no IP address: resolve names before polling"
                ) from error
            where = await kind.create((target.host, target.port), timeout=30, retries=0)
            name, _ = self._lcd.configure(engine, _auth_data(target.credential), where, _context(target))
            engine.transport_dispatcher.set_timer_resolution(_TICK_SECONDS)
            self._names[target] = name
        return engine, self._names[target]

    def _is_fair(self, value: Value) -> bool:
        if acceptable(value):
            return True
        self.statistics.reject("size")
        return False


def _context(target: SnmpTarget) -> str:
    """Return the context of a v3 message; earlier versions carry it in the community."""
    return target.context if isinstance(target.credential, UsmUser) else ""


def _auth_data(credential: Credential) -> Any:
    """Return the credential as pysnmp wants it; passwords as keys that were derived once."""
    if isinstance(credential, Community):
        return hlapi.CommunityData(credential.name, mpModel=0 if credential.version == "1" else 1)
    return _usm_data(credential)


def _usm_data(user: UsmUser) -> Any:
    options: dict[str, Any] = {}
    if user.auth != "none":
        options["authKey"] = rfc1902.OctetString(stretched_key(user.auth, user.auth_password))
        options["authKeyType"] = hlapi.USM_KEY_TYPE_MASTER
    if user.priv != "none":
        options["privKey"] = rfc1902.OctetString(stretched_key(user.auth, user.priv_password))
        options["privKeyType"] = hlapi.USM_KEY_TYPE_MASTER
    return hlapi.UsmUserData(
        user.name, authProtocol=AUTH_PROTOCOLS[user.auth], privProtocol=PRIV_PROTOCOLS[user.priv], **options
    )


_ABSENT: Final = (rfc1905.NoSuchObject, rfc1905.NoSuchInstance, rfc1905.EndOfMibView, univ.Null)


def _plain(rows: Any) -> Rows:
    """Return pysnmp's varbinds as the port promises them."""
    return [(str(oid), _value(value)) for oid, value in rows]


def _value(value: Any) -> Value | None:
    if isinstance(value, _ABSENT):
        return None
    if isinstance(value, rfc1902.IpAddress):
        return ".".join(map(str, bytes(value)))
    if isinstance(value, univ.OctetString):
        return bytes(value)
    if isinstance(value, univ.ObjectIdentifier):
        return str(value)
    return int(value) if isinstance(value, univ.Integer) else None
