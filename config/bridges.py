"""Small adapters that let strangers meet: the collector's view of the CRM, which neither part may import."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.fleet import Device, OwnerState
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.service import Signal
from crm_core.domain.standing import DeviceDimensions
from crm_core.domain.trust import AuditEvent
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory

_GONE: Final = frozenset({OwnerState.RETIRED, OwnerState.LOST})
_REFRESH: Final = timedelta(seconds=30)
_REFRESH_ON_MISS: Final = timedelta(seconds=1)  # a flood of unknown names must not become a flood of queries
#: When more happened in the CRM than this, reading all devices is the shorter way.
_MOST_EVENTS: Final = 2000

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

    All devices are read once; from then on the audit chain tells which changed, in the order of the commits. `keep` hears where devices belong, whenever that changed: the telemetry store keeps its figures by it.
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
        self._read_to: dict[str, int] = {}  # the last event of the audit chain that is taken over

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
        mark = self._read_to.pop(tenant, None)  # comes back when everything is taken over
        with self._uow_factory() as uow:
            events = None if mark is None else self._events_after(uow, tenant, mark)
            if events is None:
                head = uow.trust.head(TenantId(tenant))  # first: what changes meanwhile is read again
                mark = 0 if head is None else head.number
                taken_over = self._read_all(uow, tenant)
            else:
                mark = events[-1].number if events else mark
                changed = {event.object_id for event in events if event.kind == "devices"}
                taken_over = self._read_some(uow, tenant, changed)
        self._read_at[tenant] = now
        if taken_over and mark is not None:
            self._read_to[tenant] = mark

    def _events_after(self, uow: UnitOfWork, tenant: str, mark: int) -> Sequence[AuditEvent] | None:
        """Return what happened since the last look; None when everything has to be read."""
        events = uow.trust.events(TenantId(tenant), mark, _MOST_EVENTS)
        moved_sites = any(event.kind == "sites" and event.action != "insert" for event in events)
        return None if len(events) == _MOST_EVENTS or moved_sites else events

    def _read_all(self, uow: UnitOfWork, tenant: str) -> bool:
        devices = uow.devices.all(TenantId(tenant))
        regions = {site.site_id: site.region for site in uow.sites.all(TenantId(tenant))}
        self._sites[tenant] = {
            device.device_id: device.site_id or "" for device in devices if device.owner_state not in _GONE
        }
        return self._hand_on(
            tenant,
            [_dimensions(device, device.site_id and regions.get(device.site_id)) for device in devices],
        )

    def _read_some(self, uow: UnitOfWork, tenant: str, device_ids: Iterable[str]) -> bool:
        sites, found = self._sites[tenant], []
        for device_id in device_ids:
            device = uow.devices.find(TenantId(tenant), device_id)
            if device is None or device.owner_state in _GONE:
                sites.pop(device_id, None)
            else:
                sites[device_id] = device.site_id or ""
            if device is not None:
                site = device.site_id and uow.sites.find(TenantId(tenant), device.site_id)
                found.append(_dimensions(device, site.region if site else None))
        return self._hand_on(tenant, found)

    def _hand_on(self, tenant: str, devices: Sequence[DeviceDimensions]) -> bool:
        """Tell the store of devices that belong elsewhere than it was told; False while it is away: tell it later."""
        kept = self._kept.setdefault(tenant, {})
        news = [found for found in devices if kept.get(found.device_id) != found]
        try:
            if news:
                self._keep(news)
        except StoreUnavailable as error:
            _log.warning("where devices belong waits for the store: %s", error)
            return False
        kept.update((found.device_id, found) for found in news)
        return True


def _dimensions(device: Device, region: str | None) -> DeviceDimensions:
    return DeviceDimensions(
        tenant=device.tenant,
        device_id=device.device_id,
        site_id=device.site_id,
        customer_id=device.customer_id,
        region=region,
        model_id=device.model_id,
    )
