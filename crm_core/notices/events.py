"""Events of other parts for programs: a cartridge was changed, a forecast says something else than before.

Each is written in the transaction of what it tells of, once for each effect: a swap is named by the number of the new
cartridge in its slot, a changed forecast by the day of the history it was made from.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from crm_core.domain.cartridges import Cartridge
from crm_core.domain.forecast import FailureForecast, Forecast, SupplyForecast
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.notices.announcing import publish
from crm_core.ports import DeviceForecasts, UnitOfWork

SUPPLY_SWAPPED: Final = "supply.swapped"
FORECAST_CHANGED: Final = "forecast.changed"
#: All events that a program may ask for; docs/notices.md lists the same.
EVENTS: Final = (
    "ticket.<state>",
    "ticket.<step>",
    "workorder.<state>",
    SUPPLY_SWAPPED,
    FORECAST_CHANGED,
    "invoice.issued",
)


def tell_of_swap(uow: UnitOfWork, removed: Cartridge, inserted: Cartridge, now: datetime) -> None:
    """Tell programs of a changed cartridge: what came out with how much left, and what went in."""
    body = {
        "device_id": inserted.device_id,
        "site_id": inserted.site_id,
        "customer_id": inserted.customer_id,
        "supply_index": inserted.supply_index,
        "kind": inserted.kind,
        "colour": inserted.colour,
        "number": inserted.number,
        "swapped_at": inserted.installed_at or inserted.found_at,
        "origin": inserted.origin,
        "serial": inserted.serial,
        "removed_serial": removed.serial,
        "residual_percent": removed.residual_percent,
        "early": removed.early,
        "loss": None if removed.loss is None else str(removed.loss.amount),
        "pages": removed.pages,
    }
    publish(
        uow,
        inserted.tenant,
        SUPPLY_SWAPPED,
        subject=f"device:{inserted.device_id}",
        change=f"swap:{inserted.supply_index}:{inserted.number}",
        body=body,
        now=now,
    )


def tell_of_forecasts(uow: UnitOfWork, tenant: TenantId, made: Iterable[Forecast], now: datetime) -> int:
    """Tell programs of devices whose forecasts ask for something else than those that are stored; return how many.

    To be called before the new ones are saved. What counts is what to do: which supplies to order now, and whether to send
    somebody before a failure; a date that moves by a day is no event.
    """
    if not any(hook.wants(FORECAST_CHANGED) for hook in uow.notices.webhooks(tenant)):
        return 0
    after, told = _by_device(made), 0
    before = uow.forecasts.for_some(tenant, after)
    for device_id, new in after.items():
        old = before.get(device_id, DeviceForecasts())
        if _asks(old) == _asks(new) or not (new.supplies or new.failure):
            continue
        publish(
            uow,
            tenant,
            FORECAST_CHANGED,
            subject=f"device:{device_id}",
            change=f"forecast:{_as_of(new)}",
            body={"device_id": device_id, "as_of": _as_of(new), "before": _asks(old), "after": _asks(new)},
            now=now,
        )
        told += 1
    return told


def _by_device(made: Iterable[Forecast]) -> dict[DeviceId, DeviceForecasts]:
    supplies: dict[DeviceId, list[SupplyForecast]] = {}
    failures: dict[DeviceId, FailureForecast] = {}
    for each in made:
        if isinstance(each, SupplyForecast):
            supplies.setdefault(each.device_id, []).append(each)
        elif isinstance(each, FailureForecast):
            failures[each.device_id] = each
    return {
        device_id: DeviceForecasts(
            supplies=tuple(supplies.get(device_id, ())), failure=failures.get(device_id)
        )
        for device_id in sorted({*supplies, *failures})
    }


def _asks(forecasts: DeviceForecasts) -> dict[str, object]:
    """Return what the forecasts of a device ask for."""
    risk = forecasts.failure
    return {
        "replenish": sorted(each.supply_index for each in forecasts.supplies if each.replenish),
        "visit_advised": risk is not None and risk.visit_advised,
        "component": risk.component if risk is not None and risk.visit_advised else None,
    }


def _as_of(forecasts: DeviceForecasts) -> str:
    days = [each.provenance.as_of for each in forecasts.supplies]
    if forecasts.failure is not None:
        days.append(forecasts.failure.provenance.as_of)
    return max(days).isoformat()
