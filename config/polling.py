"""Polling as recurring work: the registered devices in groups, each group swept by the poller on its own event loop.

APScheduler calls from worker threads; the poller lives in one asyncio loop that runs in a thread of its own. Readings
are landed in small batches off the loop, so that a slow disk never makes a living printer look dead.
"""

import asyncio
import socket
import threading
import zlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import structlog

from collector.ingest import Ingest
from collector.snmp.engine import Community, SnmpEngine
from collector.snmp.poller import Poller, PollTarget
from config.settings import Snmp
from crm_core.domain.errors import (
    DeviceMisbehaved,
    DeviceUnreachable,
    InvalidConfiguration,
    StoreUnavailable,
)
from crm_core.domain.fleet import Device, OwnerState, SnmpAddress, Transport
from crm_core.domain.identity import TenantId
from crm_core.domain.telemetry import DeviceReading
from crm_core.ports import UnitOfWorkFactory

_log = structlog.get_logger("drumbeat.polling")
_POLLED: Final = frozenset({OwnerState.INSTALLED, OwnerState.LOAN, OwnerState.REPAIR})
_BATCH: Final = 50
_STOP_SECONDS: Final = 20.0
Result = TypeVar("Result")


class LoopThread:
    """An asyncio loop in its own thread; `run` waits for a coroutine from any other thread."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run `work` on the loop and return its result, or raise its error."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        """End the loop; calling it twice is harmless."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_STOP_SECONDS)
        if not self._loop.is_running() and not self._loop.is_closed():
            self._loop.close()


@dataclass(slots=True)
class PollCounters:
    """Totals since start, for metrics."""

    polled: int = 0
    unreachable: int = 0
    misbehaved: int = 0
    unresolved: int = 0


@dataclass(slots=True)
class PollGroups:
    """Sweeps the registered SNMP devices, each device always in the same of `groups` groups."""

    poller: Poller
    engine: SnmpEngine
    ingest: Ingest
    uow_factory: UnitOfWorkFactory
    tenant: TenantId
    settings: Snmp
    groups: int
    counters: PollCounters = field(default_factory=PollCounters)
    _loop: LoopThread = field(default_factory=lambda: LoopThread("snmp-poller"))
    _down: set[str] = field(default_factory=set)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.run(self.engine.close())
        self._loop.stop()

    def sweep(self, group: int) -> int:
        """Poll all devices of one group once; return how many answered."""
        targets = [target for device in self._devices(group) if (target := self._target(device)) is not None]
        return self._loop.run(self._sweep(targets)) if targets else 0

    def poll_one(self, target: PollTarget) -> DeviceReading:
        """Poll one target now, without landing the reading."""
        return self._loop.run(self.poller.poll(target))

    def _devices(self, group: int) -> list[Device]:
        with self.uow_factory() as uow:
            devices = uow.devices.all(self.tenant)
        return [
            device
            for device in devices
            if device.transport is Transport.SNMP
            and device.snmp is not None
            and device.owner_state in _POLLED
            and zlib.crc32(device.device_id.encode()) % self.groups == group
        ]

    def _target(self, device: Device) -> PollTarget | None:
        assert device.snmp is not None
        try:
            return target_of(device.snmp, self.settings.community, device)
        except DeviceUnreachable as error:
            self.counters.unresolved += 1
            _log.warning("device has no address", device=device.device_id, reason=str(error))
            return None

    async def _sweep(self, targets: list[PollTarget]) -> int:
        landed = 0
        batch: list[DeviceReading] = []

        async def take(_: PollTarget, reading: DeviceReading) -> None:
            nonlocal landed
            self._noted(reading.device_id or "", None)
            batch.append(reading)
            landed += 1
            if len(batch) >= _BATCH:
                await self._land(batch)

        async def miss(target: PollTarget, error: DeviceUnreachable | DeviceMisbehaved) -> None:
            self._noted(target.device_id or target.host, error)

        await self.poller.sweep(
            targets,
            take,
            miss,
            site_cap=self.settings.max_in_flight_per_site,
            in_flight=min(self.settings.max_in_flight, len(targets)),
        )
        await self._land(batch)
        return landed

    async def _land(self, batch: list[DeviceReading]) -> None:
        readings = batch.copy()
        batch.clear()
        if readings:
            try:
                await asyncio.to_thread(self.ingest.land, readings)
            except StoreUnavailable as error:  # polled readings come again with the next poll
                _log.warning("readings were not stored", count=len(readings), reason=str(error))

    def _noted(self, device: str, error: DeviceUnreachable | DeviceMisbehaved | None) -> None:
        """Count the outcome; log a device once when it falls silent and once when it is back."""
        match error:
            case None:
                self.counters.polled += 1
                if device in self._down:
                    self._down.discard(device)
                    _log.info("device answers again", device=device)
                return
            case DeviceUnreachable():
                self.counters.unreachable += 1
            case DeviceMisbehaved():
                self.counters.misbehaved += 1
        if device not in self._down:
            self._down.add(device)
            _log.info("device does not answer", device=device, reason=str(error))


def target_of(address: SnmpAddress, community: str, device: Device | None = None) -> PollTarget:
    """Return the poll target of a registered address; raises `DeviceUnreachable` for a name without address."""
    if address.version not in {"1", "2c"}:
        raise InvalidConfiguration(
            f"SNMP version {address.version} of registered devices needs stored credentials, which are not built yet"
        )
    return PollTarget(
        host=resolve(address.host),
        port=address.port,
        credential=Community(community, "1" if address.version == "1" else "2c"),
        context=address.context,
        tenant=device.tenant if device else TenantId("default"),
        site_id=device.site_id if device else None,
        device_id=device.device_id if device else None,
    )


def resolve(host: str) -> str:
    """Return the IP address of a host name; raises `DeviceUnreachable` when there is none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise DeviceUnreachable(f"{host}: no such host: {error.strerror or error}") from error
    except UnicodeError as error:
        raise DeviceUnreachable(f"{host[:80]}: not a host name") from error
    return str(found[0][4][0])
