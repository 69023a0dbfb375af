"""Traps make the poller look at once: listens where the settings say, and wakes the device that called.

It has an event loop of its own, so that a storm of traps takes no time from polling. What is known of devices is read from the
register twice a minute; strangers are not decoded.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from collector.secrets import CredentialStore
from collector.snmp.engine import UsmUser
from collector.snmp.traps import Repolls, TrapReceiver, TrapStatistics
from config.polling import LoopThread
from config.settings import Snmp
from config.targets import resolve
from crm_core.domain.errors import DeviceUnreachable, InvalidConfiguration
from crm_core.domain.identity import TenantId
from crm_core.ports import UnitOfWorkFactory

_log = structlog.get_logger("drumbeat.traps")
_REFRESH_SECONDS: Final = 30.0


@dataclass(slots=True)
class TrapWatch:
    """Receives traps and informs; `wake` is called with the id of the device that sent one, from a worker thread."""

    wake: Callable[[str], bool]
    uow_factory: UnitOfWorkFactory
    tenant: TenantId
    settings: Snmp
    credentials: CredentialStore
    port: int = 0
    _loop: LoopThread = field(default_factory=lambda: LoopThread("snmp-traps"))
    _devices: dict[str, str] = field(default_factory=dict)
    _receiver: TrapReceiver | None = None
    _repolls: Repolls | None = None
    _reader: asyncio.Task[None] | None = None

    @property
    def statistics(self) -> TrapStatistics:
        """What became of the traps so far."""
        return TrapStatistics() if self._receiver is None else self._receiver.statistics

    def start(self) -> None:
        """Listen; raises `InvalidConfiguration` when the port cannot be had."""
        self._loop.start()
        try:
            self._loop.run(self._start())
        except OSError as error:
            self._loop.stop()
            raise InvalidConfiguration(
                f"snmp.trap_port {self.settings.trap_port} cannot be listened on: {error.strerror or error}"
            ) from error

    def stop(self) -> None:
        self._loop.run(self._stop())
        self._loop.stop()

    async def _start(self) -> None:
        self._devices = await asyncio.to_thread(self._addresses)
        self._repolls = Repolls(self._wake)
        self._receiver = TrapReceiver(
            lambda trap: self._repolls.ask(trap.host) if self._repolls else None,
            is_known=lambda host: host in self._devices,
            port=self.settings.trap_port,
            communities=(self.settings.community,),
            users=[user for user in self.credentials.all().values() if isinstance(user, UsmUser)],
        )
        self.port = await self._receiver.start()
        self._reader = asyncio.get_running_loop().create_task(self._keep_reading())
        _log.info("listening for traps", port=self.port)

    async def _stop(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        if self._repolls is not None:
            await self._repolls.stop()
        if self._receiver is not None:
            await self._receiver.stop()

    async def _wake(self, host: str) -> None:
        device_id = self._devices.get(host)
        if device_id is not None:
            await asyncio.to_thread(self.wake, device_id)

    async def _keep_reading(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            self._devices = await asyncio.to_thread(self._addresses)

    def _addresses(self) -> dict[str, str]:
        """Return address -> device id of the registered devices."""
        with self.uow_factory() as uow:
            devices = uow.devices.all(self.tenant)
        found: dict[str, str] = {}
        for device in devices:
            if device.snmp is not None:
                with contextlib.suppress(DeviceUnreachable):
                    found[resolve(device.snmp.host)] = device.device_id
        return found
