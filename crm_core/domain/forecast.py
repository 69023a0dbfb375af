"""What will run out, wear out or break, and when: always an interval, its basis and its reasons.

Days count from the end of `as_of`. `age_of_data_days` says how old the newest reading was. A forecast that
cannot be made says why in `missing_reason` (a key of the message catalogue) and carries no numbers.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from crm_core.domain.identity import DeviceId, TenantId


class ForecastBasis(StrEnum):
    """What a forecast rests on."""

    OWN_HISTORY = "own_history"  # this device's own telemetry
    FLEET_PRIOR = "fleet_prior"  # the company's devices of the model or site
    CATALOGUE_PRIOR = "catalogue_prior"  # data-sheet yield and typical use: flagged as such to people


@dataclass(frozen=True, slots=True)
class Interval:
    """P10, P50 and P90 of a quantity; p10 <= p50 <= p90."""

    p10: float
    p50: float
    p90: float

    def __post_init__(self) -> None:
        if not self.p10 <= self.p50 <= self.p90:
            raise ValueError(f"quantiles must rise: {self.p10}, {self.p50}, {self.p90}")


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason in a technician's words: a key of the message catalogue with its arguments."""

    key: str
    arguments: dict[str, str | int | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a forecast comes from, shown to people with it."""

    made_at: datetime
    as_of: date
    model: str  # id of the model or method, for example supplies-hier/1
    basis: ForecastBasis
    age_of_data_days: float | None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyForecast:
    """Days until one supply is empty (a receptacle: full), and the pages per day behind it."""

    tenant: TenantId
    device_id: DeviceId
    supply_index: str
    kind: str | None
    colour: str | None
    level_percent: float | None
    days_to_empty: Interval | None
    pages_per_day: Interval | None
    missing_reason: str | None = None
    replenish: bool = False  # the replenishment decision, from delivery time and costs
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeForecast:
    """Share of the design life used by the whole device (component 'device') or a part, and when 80 % is reached."""

    tenant: TenantId
    device_id: DeviceId
    component: str
    used_share: float | None
    design_life_pages: int | None
    days_to_replacement: (
        Interval | None
    )  # until the replacement share (policy, 80 %) is reached at present use
    missing_reason: str | None = None
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureForecast:
    """Chance of a hardware failure within 7 and 14 days, and the component most likely to cause it."""

    tenant: TenantId
    device_id: DeviceId
    component: str | None
    p_fail_7d: float | None
    p_fail_14d: float | None
    visit_advised: bool = False  # decision by expected cost within the ticket budget
    bundle_with: DeviceId | None = None  # no visit of its own, but worth a look when that device is visited
    missing_reason: str | None = None
    provenance: Provenance


Forecast = SupplyForecast | LifeForecast | FailureForecast
