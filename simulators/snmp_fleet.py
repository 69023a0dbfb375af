"""A whole fleet of SNMP agents behind one UDP socket: the destination address names the device.

A socket bound to 0.0.0.0 receives for all of 127.0.0.0/8; with IP_PKTINFO each datagram tells which address it was
sent to, and the answer leaves from that address. So one descriptor serves any number of devices, and clients see a
distinct IP address per device on one port, as in the field (Linux; measured in docs/benchmarks.md).
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from typing import Final, Self

from crm_core.ports import Clock
from simulators import ber
from simulators.device import Fleet, SimulatedDevice, devices_of
from simulators.snmp_agent import SnmpAgent
from simulators.snmp_faults import SnmpFaults, break_datagram
from simulators.snmp_view import TRAP_V1, TRAP_V2, Layouts, Value
from simulators.usm import Engine, UsmUser, users_by_name

IP_PKTINFO: Final = 8  # linux/in.h; the socket module lacks it before Python 3.14
FIRST_ADDRESS: Final = "127.1.0.1"
SPOOF_ADDRESS: Final = "127.254.254.254"
RECEIVE_BUFFER: Final = 8 * 1024 * 1024
DATAGRAMS_A_TURN: Final = 64
PRINTER_V2_ALERT: Final = "1.3.6.1.2.1.43.18.2.0.1"
IP_ADDRESS: Final = 0x40
ENTERPRISE_SPECIFIC: Final = 6
SNMP_TRAP_OID: Final = "1.3.6.1.6.3.1.1.4.1.0"
_PKTINFO: Final = struct.Struct("=I4s4s")

_Path = tuple[str, int]


class SnmpFleetServer:
    """Serves agents on consecutive loopback addresses from `first_address` on, all on one port (0 = a free one).

    Start it in its own thread with `start()`/`stop()`, or run `await serve()` on a loop of your own.
    A datagram that is not SNMP gets no answer. Raises `OSError` from `start` when the port is taken.
    """

    def __init__(
        self,
        agents: Sequence[SnmpAgent],
        clock: Clock,
        *,
        port: int = 0,
        first_address: str = FIRST_ADDRESS,
        users: Sequence[UsmUser] = (),
    ) -> None:
        self.agents = agents
        self._clock = clock
        self._wanted_port = port
        self._first = int(IPv4Address(first_address))
        self._users = users_by_name(*users)
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.received = 0
        self.answered = 0
        self._traps = 0

    @property
    def port(self) -> int:
        """The port in use. Raises `RuntimeError` before the start."""
        if self._socket is None:
            raise RuntimeError("the SNMP fleet is not started")
        return int(self._socket.getsockname()[1])

    def address_of(self, number: int) -> str:
        """Return the IP address of an agent."""
        return str(IPv4Address(self._first + number))

    # --- life ------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Bind the socket. Raises `OSError` when the port is taken."""
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            bound.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            bound.settimeout(0)
            bound.bind(("0.0.0.0", self._wanted_port))  # noqa: S104 - all of 127/8 arrives only here; others are dropped
        except OSError:
            bound.close()
            raise
        self._socket = bound

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve on `loop` from now on."""
        if self._socket is None:
            self.open()
        self._loop = loop
        loop.add_reader(self._bound, self._read)

    def close(self) -> None:
        """Stop serving and free the port; calling it twice is harmless."""
        if self._socket is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def start(self) -> None:
        """Serve in a thread of its own until `stop`."""
        self.open()
        loop = asyncio.new_event_loop()
        self.attach(loop)
        self._thread = threading.Thread(target=loop.run_forever, name="snmp-fleet", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and free the port; calling it twice is harmless."""
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._thread = None
            self.close()
            self._loop.close()
        self.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _bound(self) -> socket.socket:
        if self._socket is None:
            raise RuntimeError("the SNMP fleet is not started")
        return self._socket

    # --- datagrams -------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Answer what has arrived, a bounded number at a time so that timers get their turn."""
        bound = self._bound
        agents, first = self.agents, self._first
        for _ in range(DATAGRAMS_A_TURN):
            try:
                data, ancillary, _, peer = bound.recvmsg(65_535, 64)
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue
            self.received += 1
            to = ancillary[0][2][8:12] if ancillary else b""
            number = int.from_bytes(to, "big") - first
            if 0 <= number < len(agents):
                self._handle(agents[number], data, to, peer)

    def _handle(self, agent: SnmpAgent, data: bytes, to: bytes, peer: _Path) -> None:
        faults = agent.faults
        if faults is not None and (faults.dead or (faults.loss and faults.chance.random() < faults.loss)):
            return
        try:
            answer = agent.answer(data, self._clock.now(), self._users)
        except ber.BerError:
            return
        if answer is None:
            return
        if faults is None:
            self._send(answer, to, peer)
        else:
            self._send_faulty(faults, answer, to, peer)

    def _send_faulty(self, faults: SnmpFaults, answer: bytes, to: bytes, peer: _Path) -> None:
        if faults.malformed and faults.chance.random() < faults.malformed:
            answer = break_datagram(faults, answer)
        source = IPv4Address(SPOOF_ADDRESS).packed if faults.spoofed else to
        copies = 2 if faults.duplicate and faults.chance.random() < faults.duplicate else 1
        for _ in range(copies):
            if faults.delay_seconds > 0 and self._loop is not None:
                self._loop.call_later(faults.delay_seconds, self._send, answer, source, peer)
            else:
                self._send(answer, source, peer)

    def _send(self, answer: bytes, source: bytes, peer: _Path) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendmsg(
                [answer], [(socket.IPPROTO_IP, IP_PKTINFO, _PKTINFO.pack(0, source, source))], 0, peer
            )
            self.answered += 1
        except (BlockingIOError, ConnectionError):
            return

    # --- traps -----------------------------------------------------------------------------------------------------

    def send_trap(
        self,
        number: int,
        to: _Path,
        rows: Mapping[str, int | bytes | str],
        ticks: int,
        *,
        version: int = 1,
        user: UsmUser | None = None,
    ) -> None:
        """Send printerV2Alert (RFC 3805) as a trap from the device's own address; safe from other threads.

        `rows` are the prtAlert columns of the notification, `ticks` the device's sysUpTime, `version` as in the message:
        0 v1, 1 v2c, 3 with `user` at its highest level. Raises `ValueError` for v3 without user or engine.
        """
        agent = self.agents[number]
        community, source = agent.community or b"public", IPv4Address(self.address_of(number)).packed
        if version == 0:
            datagram = alert_trap_v1(community, source, rows, ticks)
        elif version == 1:
            datagram = alert_trap(community, rows, ticks)
        elif user is None or agent.engine is None:
            raise ValueError("a v3 trap needs a user, and an agent with an engine (with_v3)")
        else:
            self._traps += 1
            pdu = alert_pdu(rows, ticks, self._traps)
            datagram = agent.engine.notification(pdu, user, self._clock.now(), self._traps)
        if self._loop is None:
            self._send(datagram, source, to)
        else:
            self._loop.call_soon_threadsafe(self._send, datagram, source, to)


def alert_trap(
    community: bytes, rows: Mapping[str, int | bytes | str], ticks: int, request_id: int = 1
) -> bytes:
    """Return an SNMPv2-Trap message with sysUpTime, snmpTrapOID = printerV2Alert and the given integer columns."""
    pdu = alert_pdu(rows, ticks, request_id)
    return ber.tlv(ber.SEQUENCE, ber.integer(1) + ber.octets(community) + pdu)


def alert_trap_v1(
    community: bytes, agent_address: bytes, rows: Mapping[str, int | bytes | str], ticks: int
) -> bytes:
    """Return the same as an SNMPv1 Trap-PDU: enterprise and specific number split as in RFC 3584, 3.2."""
    enterprise, _, specific = PRINTER_V2_ALERT.rpartition(".")
    pdu = (
        ber.oid(enterprise.removesuffix(".0"))
        + ber.tlv(IP_ADDRESS, agent_address)
        + ber.integer(ENTERPRISE_SPECIFIC)
        + ber.integer(int(specific))
        + ber.integer(ticks, ber.TIMETICKS)
        + ber.tlv(ber.SEQUENCE, _alert_varbinds(rows))
    )
    return ber.tlv(ber.SEQUENCE, ber.integer(0) + ber.octets(community) + ber.tlv(TRAP_V1, pdu))


def _alert_varbinds(rows: Mapping[str, int | bytes | str]) -> bytes:
    numbers = [(name, value) for name, value in rows.items() if isinstance(value, int)]
    return b"".join(ber.tlv(ber.SEQUENCE, ber.oid(name) + ber.integer(value)) for name, value in numbers)


def alert_pdu(rows: Mapping[str, int | bytes | str], ticks: int, request_id: int) -> bytes:
    """Return the SNMPv2-Trap-PDU of `alert_trap`, without the message around it."""
    varbinds = [
        ber.oid("1.3.6.1.2.1.1.3.0") + ber.integer(ticks, ber.TIMETICKS),
        ber.oid(SNMP_TRAP_OID) + ber.oid(PRINTER_V2_ALERT),
    ]
    listed = b"".join(ber.tlv(ber.SEQUENCE, varbind) for varbind in varbinds) + _alert_varbinds(rows)
    pdu = ber.integer(request_id) + ber.integer(0) + ber.integer(0) + ber.tlv(ber.SEQUENCE, listed)
    return ber.tlv(TRAP_V2, pdu)


def fleet_agents(
    fleet: Fleet,
    now: datetime,
    *,
    refresh: timedelta = timedelta(seconds=30),
    community: bytes | None = b"public",
    with_v3: bool = False,
    faults: Mapping[str, SnmpFaults] | None = None,
) -> list[SnmpAgent]:
    """Return an agent per device of a fleet, in roster order; `faults` by device id.

    A device that does not answer at the time of a question (off, disconnected) keeps silent on the wire, too.
    """
    layouts = Layouts()
    return [
        _FleetAgent(
            device,
            layouts,
            refresh=refresh,
            community=community,
            engine=_engine(device, now, (faults or {}).get(device.device_id)) if with_v3 else None,
            faults=(faults or {}).get(device.device_id),
        )
        for device in devices_of(fleet)
    ]


def _engine(device: SimulatedDevice, now: datetime, faults: SnmpFaults | None) -> Engine:
    engine_id = b"\x80\x00\x1f\x88\x04" + device.serial.encode()
    if faults is None or not faults.supply_context:
        return Engine(engine_id, now)
    return Engine(engine_id, now, contexts=frozenset([b"", faults.supply_context.encode()]))


class _FleetAgent(SnmpAgent):
    """An agent over a simulated device, silent when the device is."""

    __slots__ = ("_device",)

    def __init__(
        self,
        device: SimulatedDevice,
        layouts: Layouts,
        *,
        refresh: timedelta,
        community: bytes | None,
        engine: Engine | None,
        faults: SnmpFaults | None,
    ) -> None:
        super().__init__(
            _nothing, layouts, refresh=refresh, community=community, engine=engine, faults=faults
        )
        self._device = device

    def rows(self, now: datetime) -> Mapping[str, Value]:
        return self._device.varbinds(now)

    def answer(
        self, data: bytes, now: datetime, users: Mapping[bytes, UsmUser] | None = None
    ) -> bytes | None:
        stale = self._fresh_until is None or now >= self._fresh_until
        if stale and not self._device.answers(now):
            return None
        return super().answer(data, now, users)


def _nothing(_: datetime) -> Mapping[str, Value]:
    return {}
