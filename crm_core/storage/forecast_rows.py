"""What the stores of forecasts share: the key of a forecast within its device, and the grouping by kind."""

from collections.abc import Iterable, Sequence
from typing import Final, assert_never

from crm_core.domain.forecast import FailureForecast, Forecast, LifeForecast, SupplyForecast
from crm_core.domain.identity import DeviceId
from crm_core.ports import DeviceForecasts, FleetShares

FORECAST_KINDS: Final[dict[str, type[Forecast]]] = {
    "supply": SupplyForecast,
    "life": LifeForecast,
    "failure": FailureForecast,
}


def subject_of(forecast: Forecast) -> tuple[str, str, float | None]:
    """Return kind, subject within the device, and P50 in days (None where there is none)."""
    match forecast:
        case SupplyForecast():
            days = forecast.days_to_empty
            return "supply", forecast.supply_index, days.p50 if days else None
        case LifeForecast():
            days = forecast.days_to_replacement
            return "life", forecast.component, days.p50 if days else None
        case FailureForecast():
            return "failure", "", None
        case _:
            assert_never(forecast)


def share_of(forecast: Forecast) -> float | None:
    """Return the figure between 0 and 1 that figures of whole fleets need; None where there is none."""
    match forecast:
        case LifeForecast(component="device"):
            return forecast.used_share
        case FailureForecast():
            return forecast.p_fail_14d
    return None


def fleet_shares(rows: Iterable[tuple[DeviceId, str, float]]) -> FleetShares:
    """Return device, kind and share as the figures of a fleet."""
    chances: dict[DeviceId, float] = {}
    used: dict[DeviceId, float] = {}
    for device_id, kind, share in rows:
        (chances if kind == "failure" else used)[device_id] = share
    return FleetShares(chances, used)


def grouped_forecasts(rows: Sequence[Forecast]) -> DeviceForecasts:
    """Return the forecasts of one device by their kind."""
    return DeviceForecasts(
        supplies=tuple(row for row in rows if isinstance(row, SupplyForecast)),
        life=tuple(row for row in rows if isinstance(row, LifeForecast)),
        failure=next((row for row in rows if isinstance(row, FailureForecast)), None),
    )
