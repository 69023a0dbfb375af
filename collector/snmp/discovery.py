"""Finding printers in networks: who answers, who is a printer, and how it fits what is registered already.

Only networks that the settings allow are searched, at a limited rate, with a small question first; credentials are tried in
order. What is no printer is named with its reason. Matching by serial number and MAC address tells new devices from moved,
exchanged and cloned ones. Nothing is registered here: the caller confirms proposals.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import Final

from collector.snmp import oids
from collector.snmp.engine import (
    Allowance,
    AllowanceSpent,
    Credential,
    RequestRefused,
    RequestTimedOut,
    RoundTrips,
    SnmpEngine,
    SnmpTarget,
    UsmUser,
    walk,
)
from collector.snmp.poller import Poller, PollTarget
from collector.snmp.text import decode_text, fold_blanks
from crm_core.domain.errors import DeviceMisbehaved, DeviceUnreachable, InvalidValue
from crm_core.domain.telemetry import DeviceReading

MAX_ADDRESSES: Final = 65_536
_QUESTION: Final = (oids.SYS_DESCR, oids.SYS_OBJECT_ID)
_TRY_SECONDS: Final = 1.5
_MAC_OCTETS: Final = 6

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class NamedCredential:
    """A credential under the name that device records keep; the secret itself stays in the credential store."""

    name: str
    credential: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPrinter:
    """A printer that answered: its reading and how it was reached."""

    host: str
    port: int
    credential: str
    version: str  # 1, 2c or 3
    mac: str | None
    reading: DeviceReading

    @property
    def serial(self) -> str | None:
        return self.reading.identity.serial


@dataclass(frozen=True, slots=True)
class Skipped:
    """An address that answered but is not proposed, and why."""

    host: str
    reason: str
    description: str = ""


@dataclass(slots=True)
class Discovery:
    """The result of a search. `silent` counts addresses from which nothing came."""

    printers: list[FoundPrinter] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    searched: int = 0
    silent: int = 0


class Change(StrEnum):
    """How a found printer fits the register."""

    NEW = "new"
    KNOWN = "known"
    MOVED = "moved"  # the registered device has another address now
    SWAPPED = "swapped"  # another device answers at a registered address
    CLONED = "cloned"  # two devices claim one serial number: a board was copied


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDevice:
    """What the register holds of a device, as far as matching needs it."""

    device_id: str
    host: str
    port: int = 161
    serial: str | None = None
    mac: str | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A found printer with what should be done about it; `device_id` names the registered device that it concerns."""

    found: FoundPrinter
    change: Change
    device_id: str | None = None


def searchable(networks: Iterable[str], allowed: Iterable[str]) -> list[Network]:
    """Return the networks as objects; raise `InvalidValue` for one that is none, too large or not allowed."""
    fences = [_network(text) for text in allowed]
    wanted = [_network(text) for text in networks]
    for network in wanted:
        if network.num_addresses > MAX_ADDRESSES:
            raise InvalidValue(f"{network} has more than {MAX_ADDRESSES} addresses: search smaller networks")
        if not any(_within(network, fence) for fence in fences):
            raise InvalidValue(
                f"{network} is not allowed: add it to discovery.allowed_networks in the settings"
            )
    return wanted


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise InvalidValue(f"{text!r} is no network: write it as 10.1.2.0/24") from error


def _within(network: Network, fence: Network) -> bool:
    return (
        network.version == fence.version
        and int(network[0]) >= int(fence[0])
        and int(network[-1]) <= int(fence[-1])
    )


def addresses_of(networks: Iterable[Network]) -> Iterator[str]:
    """Yield each host address once."""
    seen: set[str] = set()
    for network in networks:
        for address in network.hosts() if network.num_addresses > 2 else network:
            text = str(address)
            if text not in seen:
                seen.add(text)
                yield text


class Searcher:
    """Searches addresses with an engine; `a_second` new addresses, `at_once` in flight."""

    def __init__(
        self,
        engine: SnmpEngine,
        poller: Poller,
        *,
        credentials: Sequence[NamedCredential],
        port: int = 161,
        a_second: float = 100.0,
        at_once: int = 64,
        try_seconds: float = _TRY_SECONDS,
    ) -> None:
        self._engine = engine
        self._poller = poller
        self._credentials = tuple(credentials)
        self._port = port
        self._pause = 1.0 / a_second
        self._at_once = at_once
        self._try_seconds = try_seconds

    async def search(
        self, networks: Sequence[Network], on_progress: Callable[[int, int], None] | None = None
    ) -> Discovery:
        """Look at every address; `on_progress` is called with (looked at, of)."""
        result = Discovery()
        hosts = list(addresses_of(networks))
        turns = iter(hosts)
        started = monotonic()

        async def work() -> None:
            for host in turns:
                result.searched += 1
                due = started + result.searched * self._pause
                await asyncio.sleep(max(0.0, due - monotonic()))
                await self._look(host, result)
                if on_progress is not None:
                    on_progress(result.searched, len(hosts))

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._at_once, max(1, len(hosts)))):
                group.create_task(work())
        result.printers.sort(key=lambda found: ipaddress.ip_address(found.host))
        result.skipped.sort(key=lambda row: ipaddress.ip_address(row.host))
        return result

    async def _look(self, host: str, result: Discovery) -> None:
        refusals = 0
        for entry in self._credentials:
            target = SnmpTarget(host, self._port, entry.credential)
            trips = RoundTrips(self._try_seconds / 3)  # a second try, twice as long, fits in
            allowance = Allowance(seconds=self._try_seconds, repeats=1, trips=trips)
            try:
                answer = await self._engine.get(target, _QUESTION, allowance)
            except (RequestTimedOut, AllowanceSpent):
                continue
            except RequestRefused:
                refusals += 1
                continue
            except DeviceMisbehaved as error:
                result.skipped.append(Skipped(host, f"answers against the protocol: {error}"))
                return
            await self._judge(host, entry, answer, result)
            return
        if refusals:
            result.skipped.append(Skipped(host, "answers, but accepts none of the credentials"))
        else:
            result.silent += 1

    async def _judge(
        self, host: str, entry: NamedCredential, answer: dict[str, int | bytes | str], result: Discovery
    ) -> None:
        described = answer.get(oids.SYS_DESCR, b"")
        text = fold_blanks(decode_text(described))[:120] if isinstance(described, bytes) else ""
        try:
            reading = await self._poller.poll(
                PollTarget(host=host, port=self._port, credential=entry.credential)
            )
        except (DeviceUnreachable, DeviceMisbehaved) as error:
            result.skipped.append(Skipped(host, f"answered once, then no more: {error}", text))
            return
        if not is_printer(reading):
            result.skipped.append(
                Skipped(host, "no printer: it has neither printer status nor supplies", text)
            )
            return
        mac = await self._mac(SnmpTarget(host, self._port, entry.credential))
        result.printers.append(
            FoundPrinter(
                host=host,
                port=self._port,
                credential=entry.name,
                version=version_of(entry.credential),
                mac=mac,
                reading=reading,
            )
        )

    async def _mac(self, target: SnmpTarget) -> str | None:
        """Return the first real MAC address of the interfaces table."""
        try:
            allowance = Allowance(requests=4, seconds=2.0)
            rows = await walk(self._engine, target, [oids.IF_PHYS_ADDRESS], allowance, max_rows=16)
        except (DeviceUnreachable, DeviceMisbehaved):
            return None
        for value in rows.values():
            if isinstance(value, bytes) and len(value) == _MAC_OCTETS and any(value):
                return value.hex(":")
        return None


def version_of(credential: Credential) -> str:
    """Return the SNMP version that a credential speaks: 1, 2c or 3."""
    return "3" if isinstance(credential, UsmUser) else credential.version


def is_printer(reading: DeviceReading) -> bool:
    """Tell whether a device shows anything that only printers have."""
    return bool(
        reading.supplies
        or reading.status.hr_printer_status
        or reading.status.hr_printer_detected_error_state
        or reading.vendor_status
        or reading.counters.prt_marker_life_count
        or (reading.derived.vendor and reading.identity.model)
    )


def proposals(found: Sequence[FoundPrinter], known: Sequence[KnownDevice]) -> list[Proposal]:
    """Return for each found printer how it fits the register (pure)."""
    register = _Register(known)
    claims = Counter(printer.serial for printer in found)
    return [register.propose(printer, is_contested=claims[printer.serial] > 1) for printer in found]


class _Register:
    """The registered devices by serial number, MAC address and place."""

    def __init__(self, known: Sequence[KnownDevice]) -> None:
        self._by_serial = {device.serial: device for device in known if device.serial}
        self._by_mac = {device.mac: device for device in known if device.mac}
        self._by_place = {(device.host, device.port): device for device in known}

    def propose(self, printer: FoundPrinter, *, is_contested: bool) -> Proposal:
        """Return what a found printer is; `is_contested`: another one found claims the same serial number."""
        there = self._by_place.get((printer.host, printer.port))
        owner = self._owner(printer)
        if owner is not None and owner is there:
            return Proposal(printer, Change.KNOWN, owner.device_id)
        if printer.serial and is_contested:
            return Proposal(printer, Change.CLONED, owner.device_id if owner else None)
        if owner is not None:
            return Proposal(printer, Change.MOVED, owner.device_id)
        if there is None:
            return Proposal(printer, Change.NEW)
        change = Change.SWAPPED if _differ(printer, there) else Change.KNOWN
        return Proposal(printer, change, there.device_id)

    def _owner(self, printer: FoundPrinter) -> KnownDevice | None:
        """Return the registered device that this one says it is: by serial number, without one by MAC address."""
        if printer.serial:
            return self._by_serial.get(printer.serial)
        return self._by_mac.get(printer.mac) if printer.mac else None


def _differ(printer: FoundPrinter, there: KnownDevice) -> bool:
    """Tell whether the printer at a registered address is surely another one."""
    pairs = ((printer.serial, there.serial), (printer.mac, there.mac))
    return any(ours and theirs and ours != theirs for ours, theirs in pairs)


def legacy_warning(credential: Credential) -> str | None:
    """Return what an operator should know about a credential, or None."""
    if isinstance(credential, UsmUser):
        return "MD5, SHA-1 and DES are broken: use SHA-256 and AES" if credential.is_legacy else None
    if credential.name in {"public", "private"}:
        return f"the community {credential.name!r} is known to everyone: change it on the device"
    return None
