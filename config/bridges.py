"""Small adapters that let strangers meet: the collector's view of the CRM, which neither part may import."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from crm_core.domain.fleet import OwnerState
from crm_core.domain.identity import TenantId
from crm_core.domain.service import Signal
from crm_core.ports import Clock, UnitOfWorkFactory

_GONE: Final = frozenset({OwnerState.RETIRED, OwnerState.LOST})
_REFRESH: Final = timedelta(seconds=30)
_REFRESH_ON_MISS: Final = timedelta(seconds=1)  # a flood of unknown names must not become a flood of queries


class CrmInbox:
    """The signal inbox of the CRM database; one transaction per call."""

    def __init__(self, uow_factory: UnitOfWorkFactory) -> None:
        self._uow_factory = uow_factory

    def append(self, signals: Sequence[Signal]) -> int:
        """Add signals and return how many were new."""
        with self._uow_factory() as uow:
            added = uow.signals.append(signals)
            uow.commit()
        return added


class CrmDirectory:
    """Which devices are registered and where they stand, remembered for half a minute."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._lock = threading.Lock()
        self._sites: dict[str, dict[str, str]] = {}
        self._read_at: dict[str, datetime] = {}

    def site_of(self, tenant: str, device_id: str) -> str | None:
        """Return the site of a device in use, or None. A miss looks again, at most once a second."""
        with self._lock:
            self._refresh(tenant, _REFRESH)
            site = self._sites[tenant].get(device_id)
            if site is None:
                self._refresh(tenant, _REFRESH_ON_MISS)
                site = self._sites[tenant].get(device_id)
            return site

    def forget(self) -> None:
        """Read anew at the next question, because a device was just registered or moved."""
        with self._lock:
            self._read_at.clear()

    def _refresh(self, tenant: str, age: timedelta) -> None:
        now = self._clock.now()
        read_at = self._read_at.get(tenant)
        if read_at is not None and now - read_at < age:
            return
        with self._uow_factory() as uow:
            devices = uow.devices.all(TenantId(tenant))
        self._sites[tenant] = {
            device.device_id: device.site_id or "" for device in devices if device.owner_state not in _GONE
        }
        self._read_at[tenant] = now
