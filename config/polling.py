"""Polling as recurring work: registered devices in groups, each at its own place in the interval, the dead backed off.

APScheduler ticks from worker threads; schedule and poller live in one asyncio loop that runs in a thread of its own. A
tick only starts what is due and returns, so a slow device never makes another one late. Readings are landed in small
batches off the loop, so that a slow disk never makes a living printer look dead.
"""

import asyncio
import threading
import zlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import structlog

from collector.ingest import Ingest
from collector.schedule import Action, Due, DueStore, PollSchedule
from collector.secrets import CredentialStore
from collector.snmp.engine import EngineStatistics, SnmpEngine
from collector.snmp.poller import Poller, PollTarget
from config.settings import Snmp
from config.targets import target_of
from crm_core.domain.errors import DeviceMisbehaved, DeviceUnreachable, NotFound, StoreUnavailable
from crm_core.domain.fleet import Device, OwnerState, Transport
from crm_core.domain.identity import TenantId
from crm_core.domain.telemetry import DeviceReading
from crm_core.ports import Clock, UnitOfWorkFactory

_log = structlog.get_logger("drumbeat.polling")
_POLLED: Final = frozenset({OwnerState.INSTALLED, OwnerState.LOAN, OwnerState.REPAIR})
_BATCH: Final = 50
_REFRESH: Final = timedelta(seconds=30)
_STOP_SECONDS: Final = 20.0
Result = TypeVar("Result")


class LoopThread:
    """An asyncio loop in its own thread; other threads hand it coroutines."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run `work` on the loop and return its result, or raise its error. The loop must have been started."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        """End the loop; harmless when it was not started or has ended."""
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()
        self._loop = self._thread = None


@dataclass(slots=True)
class PollCounters:
    """Totals since start, for metrics."""

    polled: int = 0
    unreachable: int = 0
    misbehaved: int = 0
    unresolved: int = 0


@dataclass(slots=True)
class _Group:
    """The devices of one group, read again from the register every half minute."""

    schedule: PollSchedule
    targets: dict[str, PollTarget] = field(default_factory=dict)
    read_at: datetime | None = None


class PollGroups:
    """Polls the registered SNMP devices, each device always in the same of `groups` groups."""

    def __init__(
        self,
        poller: Poller,
        engine: SnmpEngine,
        ingest: Ingest,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        *,
        tenant: TenantId,
        settings: Snmp,
        groups: int,
        credentials: CredentialStore | None = None,
        due_times: DueStore | None = None,
    ) -> None:
        self._due_times = due_times
        self._credentials = credentials
        self.counters = PollCounters()
        self._poller = poller
        self._engine = engine
        self._ingest = ingest
        self._uow_factory = uow_factory
        self._clock = clock
        self._tenant = tenant
        self._settings = settings
        interval = timedelta(seconds=settings.poll_interval_seconds)
        self._groups = [
            _Group(PollSchedule(interval=interval, site_cap=settings.max_in_flight_per_site))
            for _ in range(groups)
        ]
        self._loop = LoopThread("snmp-poller")
        self._sites: dict[str | None, asyncio.Semaphore] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._waiting: list[DeviceReading] = []
        self._down: set[str] = set()
        self._unresolved: set[str] = set()

    def start(self) -> None:
        """Go on with the due times of the last run."""
        saved = [] if self._due_times is None else list(self._due_times.load())
        for number, group in enumerate(self._groups):
            group.schedule.restore(record for record in saved if self._group_of(record.key) == number)
        self._loop.start()

    def stop(self) -> None:
        """Let running polls end, land what they read, close the engine."""
        self._loop.run(self._finish())
        self._loop.stop()

    @property
    def statistics(self) -> EngineStatistics:
        """What the SNMP engine sent, received and rejected since start."""
        return self._engine.statistics

    def tick(self, group: int) -> int:
        """Start the polls of a group that are due now; return how many."""
        return self._loop.run(self._tick(self._groups[group], self._clock.now()))

    def sweep(self, group: int) -> int:
        """Poll every device of a group now and wait; return how many polls succeeded."""
        return self._loop.run(self._sweep(self._groups[group]))

    def wake(self, device_id: str) -> bool:
        """Make a device due at once, because it called by trap; False for an unknown one."""
        return self._loop.run(self._wake(device_id))

    # --- on the loop -----------------------------------------------------------------------------------------------

    async def _tick(self, group: _Group, now: datetime) -> int:
        if group.read_at is None or now - group.read_at >= _REFRESH:
            await self._read_register(group, now)
        room = max(self._settings.max_in_flight - len(self._under_way), 0)
        turns = group.schedule.due(now, room)
        for turn in turns:
            task = asyncio.get_running_loop().create_task(self._turn(group, turn))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        await self._land()
        return len(turns)

    async def _sweep(self, group: _Group) -> int:
        await self._read_register(group, self._clock.now())
        before = self.counters.polled
        turns = [Due(key, Action.POLL) for key in group.targets]
        await asyncio.gather(*(self._turn(group, turn) for turn in turns))
        await self._land()
        return self.counters.polled - before

    async def _wake(self, device_id: str) -> bool:
        now = self._clock.now()
        return any(group.schedule.wake(device_id, now) for group in self._groups)

    async def _turn(self, group: _Group, turn: Due) -> None:
        """Poll one device, within the limit of its site, and note how it went."""
        target = group.targets.get(turn.key)
        if target is None:
            return
        gate = self._sites.setdefault(
            target.site_id, asyncio.Semaphore(self._settings.max_in_flight_per_site)
        )
        async with gate:
            try:
                if turn.action is Action.PROBE:
                    await self._poller.probe(target)
                reading = await self._poller.poll(target)
            except (DeviceUnreachable, DeviceMisbehaved) as error:
                group.schedule.failed(turn.key, self._clock.now())
                self._noted(turn.key, error)
                return
        group.schedule.answered(turn.key, self._clock.now())
        self._noted(turn.key, None)
        self._waiting.append(reading)
        if len(self._waiting) >= _BATCH:
            await self._land()

    async def _land(self) -> None:
        readings, self._waiting = self._waiting, []
        if readings:
            try:
                await asyncio.to_thread(self._ingest.land, readings)
            except StoreUnavailable as error:  # polled readings come again with the next poll
                _log.warning("readings were not stored", count=len(readings), reason=str(error))

    async def _finish(self) -> None:
        if self._under_way:
            await asyncio.gather(*self._under_way)
        await self._land()
        await self._save_due_times()
        await self._engine.close()

    async def _read_register(self, group: _Group, now: datetime) -> None:
        number = self._groups.index(group)
        group.targets = await asyncio.to_thread(self._targets, number)
        sites = {key: target.site_id for key, target in group.targets.items()}
        group.schedule.keep_only(group.targets, now, sites)
        group.read_at = now
        if number == 0:
            await self._save_due_times()

    # --- in worker threads -----------------------------------------------------------------------------------------

    def _targets(self, number: int) -> dict[str, PollTarget]:
        with self._uow_factory() as uow:
            devices = uow.devices.all(self._tenant)
        targets = (
            (device.device_id, self._target(device)) for device in devices if self._is_of(device, number)
        )
        return {device_id: target for device_id, target in targets if target is not None}

    def _is_of(self, device: Device, number: int) -> bool:
        return (
            device.transport is Transport.SNMP
            and device.snmp is not None
            and device.owner_state in _POLLED
            and self._group_of(device.device_id) == number
        )

    def _group_of(self, device_id: str) -> int:
        return zlib.crc32(device_id.encode()) % len(self._groups)

    async def _save_due_times(self) -> None:
        if self._due_times is not None:
            records = [record for group in self._groups for record in group.schedule.records()]
            await asyncio.to_thread(self._due_times.save, records)

    def _target(self, device: Device) -> PollTarget | None:
        assert device.snmp is not None
        try:
            target = target_of(device.snmp, self._settings.community, self._credentials, device)
        except (DeviceUnreachable, NotFound) as error:
            self.counters.unresolved += 1
            if device.device_id not in self._unresolved:
                self._unresolved.add(device.device_id)
                _log.warning("device cannot be asked", device=device.device_id, reason=str(error))
            return None
        self._unresolved.discard(device.device_id)
        return target

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
