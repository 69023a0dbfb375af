"""Watches readings for changed cartridges, keeps who is in which slot, and does what follows from a swap.

Runs again and again in the leader: each device has a mark up to which its readings were looked through, kept in the
transaction of what they showed, so that a repeat finds nothing twice. Devices that were looked at lately give one
reading; after a gap the readings between are read one by one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crm_core.conditions import FaultCodes
from crm_core.domain.cartridges import CartridgeOrigin, SwapMark
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.fleet import DeviceBundle, OwnerState
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.telemetry import DeviceReading
from crm_core.notices.events import tell_of_swap
from crm_core.ports import Clock, DeviceFilter, TelemetryStore, UnitOfWork, UnitOfWorkFactory
from crm_core.stock.slots import DeviceSlots, SlotKnowledge
from crm_core.stock.swap_effects import Swap

_CHUNK: Final = 100  # devices of one transaction: nobody waits long for it
_MAX_READINGS: Final = 2000  # of one device and round; the rest follows in the next one
_SERVED: Final = frozenset({OwnerState.INSTALLED, OwnerState.LOAN})


@dataclass(slots=True)
class SwapReport:
    """What one round found."""

    devices: int = 0
    swaps: int = 0
    early: int = 0
    reinserted: int = 0

    def count(self, swap: Swap) -> None:
        """Add one swap."""
        self.swaps += 1
        self.early += swap.removed.early
        self.reinserted += swap.inserted.origin is CartridgeOrigin.REINSERTED


class SwapWatch:
    """The one who knows what is in which slot. One at a time (the leader)."""

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        store: TelemetryStore,
        policy: PolicyBook,
        catalogue: Catalogue,
        book: FaultCodes,
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._store = store
        self._knowledge = SlotKnowledge(policy, catalogue, book)

    def run(self, tenant: TenantId, every: timedelta = timedelta(minutes=15)) -> SwapReport:
        """Look through what came in since the last round; `every` is how far apart rounds usually are."""
        report = SwapReport()
        with self._uow_factory() as uow:
            marks = uow.stock.swap_marks(tenant)
        news = [
            DeviceId(state.device_id)
            for state in self._store.states(tenant)
            if marks.get(DeviceId(state.device_id)) is None
            or state.last_seen > marks[DeviceId(state.device_id)]
        ]
        for start in range(0, len(news), _CHUNK):
            chunk = news[start : start + _CHUNK]
            readings = self._readings(tenant, chunk, marks, every)
            with self._uow_factory() as uow:
                self._look_through(uow, tenant, readings, report)
                uow.commit()
        return report

    def _readings(
        self,
        tenant: TenantId,
        devices: Sequence[DeviceId],
        marks: Mapping[DeviceId, datetime],
        every: timedelta,
    ) -> dict[DeviceId, Sequence[DeviceReading]]:
        """Return the readings to look at: the newest one, or all since the mark where rounds were missed."""
        now = self._clock.now()
        newest = self._store.newest_many(tenant, devices)
        found: dict[DeviceId, Sequence[DeviceReading]] = {}
        for device_id in devices:
            mark = marks.get(device_id)
            if mark is not None and now - mark > 2 * every:
                since = mark + timedelta(microseconds=1)
                found[device_id] = self._store.readings(
                    tenant, device_id, since, now + every, limit=_MAX_READINGS
                )
            elif device_id in newest:
                found[device_id] = (newest[device_id],)
        return found

    def _look_through(
        self,
        uow: UnitOfWork,
        tenant: TenantId,
        readings: Mapping[DeviceId, Sequence[DeviceReading]],
        report: SwapReport,
    ) -> None:
        current = uow.stock.current_cartridges(tenant, list(readings))
        items = uow.stock.items(tenant)
        bundles = _served(uow, tenant, readings)
        marks = []
        for device_id, series in readings.items():
            if not series:
                continue
            bundle = bundles.get(device_id)
            if bundle is not None:
                report.devices += 1
                slots = DeviceSlots(
                    uow=uow,
                    bundle=bundle,
                    items=items,
                    knowledge=self._knowledge,
                    current={row.supply_index: row for row in current[device_id]},
                )
                for swap in slots.take(series):
                    report.count(swap)
                    tell_of_swap(uow, swap.removed, swap.inserted, self._clock.now())
            marks.append(SwapMark(tenant, device_id, series[-1].polled_at))
        uow.stock.save_swap_marks(marks)


def _served(
    uow: UnitOfWork, tenant: TenantId, device_ids: Iterable[DeviceId]
) -> dict[DeviceId, DeviceBundle]:
    """Return those of the devices that stand with a customer, by one query."""
    found = uow.devices.search(tenant, DeviceFilter(device_ids=frozenset(device_ids)))
    return {each.device.device_id: each for each in found if each.device.owner_state in _SERVED}
