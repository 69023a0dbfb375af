"""Lists over the fleet as one person sees it."""

from collections.abc import Sequence

from api.access import Principal, owns_customer
from crm_core.device_state import device_state
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.service import Role
from crm_core.domain.telemetry import DeviceState
from crm_core.ports import TelemetryStore, UnitOfWork, WorkOrderFilter


def visible_bundles(principal: Principal, uow: UnitOfWork, *, q: str | None = None) -> Sequence[DeviceBundle]:
    """Return the devices in sight ordered by id; `q` is a part of id, serial, model, customer or site name."""
    own = _devices_with_own_orders(principal, uow)
    needle = (q or "").casefold()
    rows = [
        bundle
        for bundle in uow.devices.bundles(principal.tenant)
        if (
            (principal.bound_to is not None and owns_customer(principal, bundle.device.customer_id))
            or principal.sees_region(bundle.site.region if bundle.site else None)
            or bundle.device.device_id in own
        )
        and (not needle or needle in _text_of(bundle))
    ]
    return sorted(rows, key=lambda bundle: bundle.device.device_id)


def states_of(
    store: TelemetryStore, tenant: TenantId, bundles: Sequence[DeviceBundle]
) -> dict[DeviceId, DeviceState]:
    """Return the newest states of one page of devices, without looking at the rest of the fleet."""
    keys = [bundle.device.device_id for bundle in bundles]
    return {key: device_state(reading) for key, reading in store.newest_many(tenant, keys).items()}


def _devices_with_own_orders(principal: Principal, uow: UnitOfWork) -> frozenset[str]:
    """Return the devices at which a technician has a work order, whatever the region."""
    if principal.role is not Role.TECHNICIAN or principal.technician_id is None:
        return frozenset()
    which = WorkOrderFilter(technician_id=principal.technician_id, limit=1000)
    return frozenset(order.device_id for order in uow.work_orders.list(principal.tenant, which))


def _text_of(bundle: DeviceBundle) -> str:
    """Return what a search looks at, case-folded."""
    device = bundle.device
    parts = (
        device.device_id,
        device.serial,
        device.model_name,
        device.asset_tag,
        bundle.customer.name if bundle.customer else None,
        bundle.site.name if bundle.site else None,
    )
    return "\n".join(part for part in parts if part).casefold()
