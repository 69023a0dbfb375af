"""The port of forecasts: one device's in full, a whole fleet's in the figures that lists and counts need."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from crm_core.domain.forecast import FailureForecast, Forecast, LifeForecast, SupplyForecast
from crm_core.domain.identity import DeviceId, TenantId


class SoonEmpty(NamedTuple):
    """A supply and the P50 of the days until it is empty."""

    device_id: DeviceId
    supply_index: str
    days: float


@dataclass(frozen=True, slots=True)
class FleetShares:
    """By device: the chance of a failure within 14 days, and the used share of the design life; unknown ones are absent."""

    p_fail_14d: Mapping[DeviceId, float]
    used: Mapping[DeviceId, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceForecasts:
    """The newest forecasts of one device."""

    supplies: tuple[SupplyForecast, ...] = ()
    life: tuple[LifeForecast, ...] = ()
    failure: FailureForecast | None = None


class ForecastRepository(Protocol):
    """The only way of forecasts from analytics to people and triage. Newest per device and subject is kept apart."""

    def save_all(self, forecasts: Sequence[Forecast]) -> None: ...

    def for_device(self, tenant: TenantId, device_id: DeviceId) -> DeviceForecasts: ...

    def for_devices(self, tenant: TenantId) -> Mapping[DeviceId, DeviceForecasts]: ...

    def for_some(
        self, tenant: TenantId, device_ids: Collection[DeviceId]
    ) -> Mapping[DeviceId, DeviceForecasts]: ...

    def empty_within(self, tenant: TenantId, days: float) -> Sequence[SoonEmpty]:
        """Return the supplies whose P50 is at most `days`, soonest first, without reading a forecast in full."""
        ...

    def shares(self, tenant: TenantId) -> FleetShares:
        """Return the figures between 0 and 1 of all devices, without reading a forecast in full."""
        ...

    def running_out(
        self, tenant: TenantId, within_days: float, limit: int = 1000
    ) -> Sequence[SupplyForecast]:
        """Return supplies whose P50 is at most `within_days`, soonest first."""
        ...

    def count(self, tenant: TenantId) -> int: ...
