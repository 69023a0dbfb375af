"""What else a visit could see to at its site: other visits there, likely breakdowns, supplies that end soon.

Forecasts name devices that deserve a look but no journey of their own (`bundle_with`): this is where the journey is.
"""

from dataclasses import dataclass
from typing import Final

from crm_core.domain.forecast import SupplyForecast
from crm_core.domain.identity import DeviceId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import OPEN_STATES, WorkOrder, WorkOrderState
from crm_core.ports import DeviceFilter, DeviceForecasts, TicketFilter, UnitOfWork, WorkOrderFilter

_MOST_DEVICES: Final = 50  # of one site: a page stays quick at a campus
_MANY: Final = 1000
_OPEN: Final = frozenset(WorkOrderState) - {WorkOrderState.DONE, WorkOrderState.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearby:
    """One thing at the site. Either another visit (`order`), a breakdown that threatens, or a supply that ends soon."""

    device_id: DeviceId
    order: WorkOrder | None = None
    component: str | None = None
    p_fail_14d: float | None = None
    supply: SupplyForecast | None = None


def nearby_of(uow: UnitOfWork, order: WorkOrder, policy: PolicyBook) -> list[Nearby]:
    """Return what else waits at the site of an order: visits, then breakdowns by risk, then supplies by days left."""
    if order.site_id is None:
        return []
    tenant = order.tenant
    orders = uow.work_orders.list(tenant, WorkOrderFilter(states=_OPEN, site_id=order.site_id, limit=_MANY))
    others = [
        Nearby(device_id=each.device_id, order=each)
        for each in orders
        if each.work_order_id != order.work_order_id
    ]
    tickets = uow.tickets.list(tenant, TicketFilter(states=OPEN_STATES, site_id=order.site_id, limit=_MANY))
    covered = {ticket.dedup_key for ticket in tickets}
    risks: list[Nearby] = []
    ending: list[Nearby] = []
    for bundle in uow.devices.search(tenant, DeviceFilter(site_id=order.site_id, limit=_MOST_DEVICES)):
        forecasts = uow.forecasts.for_device(tenant, bundle.device.device_id)
        risks += _risk(bundle.device.device_id, forecasts, covered, policy)
        ending += _supplies(bundle.device.device_id, forecasts, covered, policy)
    risks.sort(key=lambda each: -(each.p_fail_14d or 0.0))
    ending.sort(key=lambda each: _days(each.supply))
    return [*others, *risks, *ending]


def _risk(
    device_id: DeviceId, forecasts: DeviceForecasts, covered: set[str], policy: PolicyBook
) -> list[Nearby]:
    failure = forecasts.failure
    if failure is None or failure.p_fail_14d is None:
        return []
    worth = failure.bundle_with is not None or failure.p_fail_14d >= policy.failures.bundle_threshold_p14
    if not worth or any(key.startswith(f"{device_id}:failure_risk.") for key in covered):
        return []
    return [Nearby(device_id=device_id, component=failure.component, p_fail_14d=failure.p_fail_14d)]


def _supplies(
    device_id: DeviceId, forecasts: DeviceForecasts, covered: set[str], policy: PolicyBook
) -> list[Nearby]:
    return [
        Nearby(device_id=device_id, supply=row)
        for row in forecasts.supplies
        if _days(row) <= policy.stock.consolidate_at_days_left
        and f"{device_id}:supply.{row.supply_index}" not in covered
    ]


def _days(row: SupplyForecast | None) -> float:
    """Return the median days left; infinity where nobody can say."""
    return float("inf") if row is None or row.days_to_empty is None else row.days_to_empty.p50
