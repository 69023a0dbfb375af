"""Small adapters that let strangers meet: the collector's view of the CRM, which neither part may import."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.fleet import Device, OwnerState
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.service import Signal
from crm_core.domain.standing import DeviceDimensions
from crm_core.ports import Clock, UnitOfWorkFactory

_GONE: Final = frozenset({OwnerState.RETIRED, OwnerState.LOST})
_REFRESH: Final = timedelta(seconds=30)
_REFRESH_ON_MISS: Final = timedelta(seconds=1)  # a flood of unknown names must not become a flood of queries

_log = logging.getLogger(__name__)


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
    """Which devices are registered and where they stand, remembered for half a minute.

    `keep` hears where devices belong, whenever that changed: the telemetry store keeps its figures by it.
    """

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        keep: Callable[[Sequence[DeviceDimensions]], None] = lambda _: None,
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._keep = keep
        self._lock = threading.Lock()
        self._sites: dict[str, dict[str, str]] = {}
        self._kept: dict[str, dict[str, DeviceDimensions]] = {}
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

    def changed(self, tenant: TenantId, device_id: DeviceId) -> None:
        """Take over at once where one device belongs now; the rest is read anew at the next question."""
        self.forget()
        with self._uow_factory() as uow:
            bundle = uow.devices.bundle(tenant, device_id)
        region = bundle.site.region if bundle.site is not None else None
        with self._lock:
            self._hand_on(tenant, [_dimensions(bundle.device, region)])

    def refresh(self, tenant: str) -> None:
        """Look now, unless that was done less than half a minute ago."""
        with self._lock:
            self._refresh(tenant, _REFRESH)

    def _refresh(self, tenant: str, age: timedelta) -> None:
        now = self._clock.now()
        read_at = self._read_at.get(tenant)
        if read_at is not None and now - read_at < age:
            return
        with self._uow_factory() as uow:
            devices = uow.devices.all(TenantId(tenant))
            regions = {site.site_id: site.region for site in uow.sites.all(TenantId(tenant))}
        self._sites[tenant] = {
            device.device_id: device.site_id or "" for device in devices if device.owner_state not in _GONE
        }
        self._read_at[tenant] = now
        self._hand_on(
            tenant,
            [_dimensions(device, device.site_id and regions.get(device.site_id)) for device in devices],
        )

    def _hand_on(self, tenant: str, devices: Sequence[DeviceDimensions]) -> None:
        """Tell the store of devices that belong elsewhere than it was told; while it is away, they are told later."""
        kept = self._kept.setdefault(tenant, {})
        news = [found for found in devices if kept.get(found.device_id) != found]
        try:
            if news:
                self._keep(news)
        except StoreUnavailable as error:
            _log.warning("where devices belong waits for the store: %s", error)
            return
        kept.update((found.device_id, found) for found in news)


def _dimensions(device: Device, region: str | None) -> DeviceDimensions:
    return DeviceDimensions(
        tenant=device.tenant,
        device_id=device.device_id,
        site_id=device.site_id,
        customer_id=device.customer_id,
        region=region,
        model_id=device.model_id,
    )
