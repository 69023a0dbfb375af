"""Lists over the fleet as one person sees it: what is out of sight is left out by the query."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from api.access import Principal
from crm_core.device_state import device_state
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.forecast import SupplyForecast
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.service import Role
from crm_core.domain.telemetry import DeviceState
from crm_core.ports import DeviceFilter, TelemetryStore, UnitOfWork, WorkOrderFilter

_MOST_FORECASTS: Final = 10_000


def devices_in_sight(principal: Principal, uow: UnitOfWork, which: DeviceFilter) -> Sequence[DeviceBundle]:
    """Return the devices of a filter that are in sight, ordered by id."""
    limited = _in_sight(principal, uow, which)
    return () if limited is None else uow.devices.search(principal.tenant, limited)


def count_in_sight(principal: Principal, uow: UnitOfWork, which: DeviceFilter) -> int:
    """Return how many devices of a filter are in sight."""
    limited = _in_sight(principal, uow, which)
    return 0 if limited is None else uow.devices.matching(principal.tenant, limited)


def visible_bundles(principal: Principal, uow: UnitOfWork, *, q: str = "") -> Sequence[DeviceBundle]:
    """Return all devices in sight ordered by id; for exports, which need each of them."""
    return devices_in_sight(principal, uow, DeviceFilter(q=q))


def running_out_in_sight(
    principal: Principal, uow: UnitOfWork, within_days: float, limit: int
) -> list[tuple[SupplyForecast, DeviceBundle]]:
    """Return what runs out within so many days at devices in sight, soonest first."""
    everything = principal.bound_to is None and principal.sees_region(None)
    found = uow.forecasts.running_out(
        principal.tenant, within_days, 2 * limit if everything else _MOST_FORECASTS
    )
    which = DeviceFilter(device_ids=frozenset(row.device_id for row in found))
    bundles = {each.device.device_id: each for each in devices_in_sight(principal, uow, which)}
    rows = [(row, bundles[row.device_id]) for row in found if row.device_id in bundles]
    return rows[:limit]


def states_of(
    store: TelemetryStore, tenant: TenantId, bundles: Sequence[DeviceBundle]
) -> dict[DeviceId, DeviceState]:
    """Return the newest states of one page of devices, without looking at the rest of the fleet."""
    keys = [bundle.device.device_id for bundle in bundles]
    return {key: device_state(reading) for key, reading in store.newest_many(tenant, keys).items()}


def _in_sight(principal: Principal, uow: UnitOfWork, which: DeviceFilter) -> DeviceFilter | None:
    """Return the filter limited to what the person may see; None when that is nothing."""
    if principal.bound_to is not None:
        if not principal.bound_to or which.customer_id not in (None, principal.bound_to):
            return None
        return replace(which, customer_id=principal.bound_to)
    if principal.sees_region(None):
        return which
    own = _devices_with_own_orders(principal, uow)
    if not which.regions:
        return replace(which, regions=principal.regions or ("",), also=own)
    allowed = tuple(region for region in which.regions if region in principal.regions)
    if allowed:
        return replace(which, regions=allowed)
    return replace(which, device_ids=own if which.device_ids is None else own & which.device_ids)


def _devices_with_own_orders(principal: Principal, uow: UnitOfWork) -> frozenset[str]:
    """Return the devices at which a technician has a work order, whatever the region."""
    if principal.role is not Role.TECHNICIAN or principal.technician_id is None:
        return frozenset()
    which = WorkOrderFilter(technician_id=principal.technician_id, limit=1000)
    return frozenset(order.device_id for order in uow.work_orders.list(principal.tenant, which))
