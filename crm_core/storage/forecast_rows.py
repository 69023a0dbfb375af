"""What the stores of forecasts share: the key of a forecast within its device, and the grouping by kind."""

from collections.abc import Sequence
from typing import Final, assert_never

from crm_core.domain.forecast import FailureForecast, Forecast, LifeForecast, SupplyForecast
from crm_core.ports import DeviceForecasts

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


def grouped_forecasts(rows: Sequence[Forecast]) -> DeviceForecasts:
    """Return the forecasts of one device by their kind."""
    return DeviceForecasts(
        supplies=tuple(row for row in rows if isinstance(row, SupplyForecast)),
        life=tuple(row for row in rows if isinstance(row, LifeForecast)),
        failure=next((row for row in rows if isinstance(row, FailureForecast)), None),
    )
