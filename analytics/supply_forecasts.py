"""Supply forecasts as people see them: interval, basis, reasons, and the decision to replenish.

Numbers come from the arrays; here they become `SupplyForecast`s. Nothing is made up: a supply whose gauge gives no number
and whose history shows no replacement gets a reason instead of days.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.features import FleetState, calendar_ahead
from analytics.lifetime import interval_of
from analytics.supplies import FAR_DAYS, Snapshot, SupplyModel, snapshot
from analytics.supply_state import SupplyState
from analytics.usage import UsageState
from crm_core.domain.fleet import Device
from crm_core.domain.forecast import ForecastBasis, Interval, Provenance, Reason, SupplyForecast
from crm_core.domain.identity import DeviceId
from crm_core.domain.policy import ReplenishmentPolicy

Floats = npt.NDArray[np.float64]

FORMULA_ID: Final = "supplies-hier/1"
_LONGEST_DAYS: Final = 3650.0
_OWN_DAYS: Final = 14.0  # a device speaks for itself after two weeks and two movements of its gauge
_MAX_REASONS: Final = 3


@dataclass(frozen=True, slots=True)
class SupplyNumbers:
    """Days to empty [n, 3], pages a day [n] and its log deviation [n], level [n] in percent, and the basis [n]."""

    days: Floats
    pages_per_day: Floats
    rate_deviation: Floats
    level_percent: Floats
    basis: list[ForecastBasis]
    multiplier: Floats
    by_model: npt.NDArray[np.bool_]
    features: npt.NDArray[np.float32] | None  # what the model saw, for drift; None without a model


def rate_deviation(usage: UsageState, day: int) -> Floats:
    """Return how unsure pages a day are, as deviation of the logarithm, per device."""
    seen = np.where(np.isnan(usage.first_day), 0.0, day - usage.first_day)
    return np.asarray(np.sqrt(0.85**2 / (1.0 + seen / 2.0) + 0.15**2 + 0.02 * np.minimum(usage.spread, 3.0)))


@dataclass(frozen=True, slots=True)
class _Spread:
    """How wide the formula's interval must be, so that about 80 % of outcomes lie inside from the second day on.

    Constants by pinball loss of P10 and P90 over the first 300 days of two synthetic fleets: devices of every age.
    """

    least: float = 0.09
    of_level: float = 0.68
    of_use: float = 0.61
    of_days: float = 0.37  # single days differ from their mean
    down: float = 1.69
    up: float = 2.01  # a low guess of days is more often wrong than a high one,
    up_young: float = 0.41  # all the more of a device that is hardly known
    young_days: float = 14.0


_SPREAD: Final = _Spread()


def formula_days(usage: UsageState, supply: SupplyState, snap: Snapshot) -> Floats:
    """Return P10, P50, P90 of the formula's days to empty, [n, 3].

    The spread is that of the logarithm of days + 1: of the level in days of use, of use per page, of pages a day, of days.
    """
    rows, its = supply.usage_row, _SPREAD
    days = snap.formula_days
    share = days / (days + 1.0)
    of_use = supply.var_slope / supply.slope**2 + rate_deviation(usage, snap.day)[rows] ** 2
    level_days = (
        np.sqrt(supply.var_level) / supply.slope * supply.nominal / np.maximum(snap.pages_per_day, 1e-3)
    )
    of_days = its.of_days * np.minimum(usage.spread[rows], 3.0) / (days + 1.0)
    variance = (
        its.least**2
        + (its.of_level * level_days / (days + 1.0)) ** 2
        + its.of_use**2 * share**2 * of_use
        + of_days
    )
    deviation = np.minimum(np.sqrt(variance), 1.5)
    age = np.where(np.isnan(usage.first_day), 0.0, snap.day - usage.first_day)[rows]
    up = its.up * (1.0 + its.up_young / (1.0 + age / its.young_days))
    middle = np.log1p(days)
    low, high = np.maximum(np.expm1(middle - its.down * deviation), 0.0), np.expm1(middle + up * deviation)
    return np.stack([low, days, high], axis=1)


def supply_numbers(
    state: FleetState, day: int, holidays: frozenset[int], model: SupplyModel | None
) -> SupplyNumbers:
    """Return the numbers of every supply at the end of `day`: by the model where it was taught, else by the formula."""
    snap = snapshot(day, state.usage, state.supply, calendar_ahead(day, holidays))
    days = formula_days(state.usage, state.supply, snap)
    basis = _bases(state, day)
    by_model = np.zeros(len(days), bool)
    if model is not None:
        own = np.array([item is ForecastBasis.OWN_HISTORY for item in basis])
        by_model = own & snap.usable & (snap.formula_days <= 1.5 * FAR_DAYS)
        if by_model.any():
            days[by_model] = model.predict(snap.features[by_model], snap.formula_days[by_model])
    rows = state.supply.usage_row
    return SupplyNumbers(
        days=np.clip(days, 0.0, _LONGEST_DAYS),
        pages_per_day=snap.pages_per_day,
        rate_deviation=rate_deviation(state.usage, day)[rows],
        level_percent=_levels(state),
        basis=basis,
        multiplier=state.usage.multipliers(state.usage.profile().mean(0))[1][rows],
        by_model=by_model,
        features=snap.features[by_model] if model is not None else None,
    )


def _levels(state: FleetState) -> Floats:
    supply = state.supply
    return np.asarray(100.0 * np.clip(np.where(np.isnan(supply.reported), np.nan, supply.reported), 0.0, 1.0))


def _bases(state: FleetState, day: int) -> list[ForecastBasis]:
    supply, usage = state.supply, state.usage
    seen = day - usage.first_day[supply.usage_row]
    moved = (supply.seg_level0 - supply.level > 0.04) | (supply.carts > 0) | (supply.swaps_early > 0)
    own = (seen >= _OWN_DAYS) & moved
    groups = int(supply.model.max()) + 1 if len(supply) else 0
    peers = np.bincount(supply.model, own * 1.0, groups)[supply.model] if groups else np.zeros(0)
    return [
        ForecastBasis.OWN_HISTORY
        if mine
        else ForecastBasis.FLEET_PRIOR
        if others >= 2
        else ForecastBasis.CATALOGUE_PRIOR
        for mine, others in zip(own.tolist(), peers.tolist(), strict=True)
    ]


def chance_before(days: npt.ArrayLike, within: float) -> Floats:
    """Return the chance that supplies are empty within `within` days, from P10, P50, P90 [.., 3] (piecewise log-normal)."""
    logs = np.log(np.maximum(np.asarray(days, float), 0.01))
    low, mid, high = logs[..., 0], logs[..., 1], logs[..., 2]
    point = np.log(max(within, 0.01))
    width = np.maximum(np.where(point < mid, mid - low, high - mid), 0.05) / 1.2816
    return np.asarray(np.where(mid <= np.log(0.05), 1.0, _normal_cdf((point - mid) / width)))


def _normal_cdf(z: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(z * 0.7978845608 * (1.0 + 0.044715 * z * z))))


def replenish(days: npt.ArrayLike, policy: ReplenishmentPolicy) -> npt.NDArray[np.bool_]:
    """Return which supplies must be brought now: waiting one more day would cost more than bringing them early.

    `days` are P10, P50, P90 [.., 3]. Bringing it today wastes `early_waste_cost_per_day` for every day that it comes too
    early; waiting risks the stock-out cost when the supply is empty before the next delivery arrives (newsvendor, one day
    ahead). The policy's days left (P50) are the latest moment at which people want to hear of it. No percent of the level
    decides.
    """
    quantiles = np.asarray(days, float)
    median = quantiles[..., 1]
    now = chance_before(quantiles, policy.delivery_days)
    later = chance_before(quantiles, policy.delivery_days + 1.0)
    risk = (later - now) * policy.stock_out_cost
    waste = (1.0 - later) * policy.early_waste_cost_per_day * median
    return np.asarray((median <= policy.raise_at_days_left) | (risk > waste))


@dataclass(frozen=True, slots=True)
class Stamp:
    """When and for which day forecasts are made, and the models in charge."""

    made_at: datetime
    as_of: date
    day: int
    model_id: str | None


def supply_forecasts(
    state: FleetState,
    devices: dict[str, Device],
    numbers: SupplyNumbers,
    stamp: Stamp,
    policy: ReplenishmentPolicy,
) -> list[SupplyForecast]:
    """Return a forecast, or the reason why there is none, for every supply of every device that still exists."""
    made = []
    days = np.round(numbers.days, 2).tolist()
    age = (stamp.day - state.usage.answered_day).tolist()
    bring_all = replenish(numbers.days, policy).tolist()
    for row, key in enumerate(state.keys):
        device = devices.get(state.device_ids[key.device_row])
        if device is None:
            continue
        missing = _missing_reason(state, row)
        level = float(numbers.level_percent[row])
        data_age = age[key.device_row]
        interval = None if missing else Interval(*days[row])
        bring = interval is not None and bring_all[row]
        made.append(
            SupplyForecast(
                tenant=state.tenant,
                device_id=DeviceId(device.device_id),
                supply_index=key.index,
                kind=key.kind,
                colour=key.colour,
                level_percent=None if np.isnan(level) else round(level, 1),
                days_to_empty=interval,
                pages_per_day=interval_of(
                    float(numbers.pages_per_day[row]), float(numbers.rate_deviation[row]), 1e6
                ),
                missing_reason=missing,
                replenish=bring,
                provenance=Provenance(
                    made_at=stamp.made_at,
                    as_of=stamp.as_of,
                    model=stamp.model_id if stamp.model_id and numbers.by_model[row] else FORMULA_ID,
                    basis=numbers.basis[row],
                    age_of_data_days=None if np.isnan(data_age) else float(data_age),
                    reasons=() if missing else _reasons(state, row, numbers, bring, policy),
                ),
            )
        )
    return made


def _missing_reason(state: FleetState, row: int) -> str | None:
    """Return the message key that says why nothing can be forecast; None if something can."""
    supply = state.supply
    statement = state.last_statement.get(row)
    if not np.isnan(supply.reported[row]):
        return None
    if statement == "some_remaining":
        learned = bool(supply.seg_seen_start[row]) or supply.carts[row] > 0
        return None if learned else "reasons.missing_some_remaining"
    if statement == "no_restriction":
        return "reasons.missing_no_restriction"
    if statement == "known_without_capacity":
        return "reasons.missing_capacity"
    return "reasons.missing_level"


def _reasons(
    state: FleetState, row: int, numbers: SupplyNumbers, bring: bool, policy: ReplenishmentPolicy
) -> tuple[Reason, ...]:
    supply = state.supply
    per_day = round(float(numbers.pages_per_day[row]), 1)
    pages_left = round(_pages_left(state, row))
    reasons = [Reason("reasons.supply_pages_left", {"pages": pages_left, "pages_per_day": per_day})]
    if bring:
        reasons.append(Reason("reasons.supply_before_delivery", {"days": float(policy.delivery_days)}))
    if numbers.basis[row] is ForecastBasis.CATALOGUE_PRIOR:
        reasons.append(Reason("reasons.supply_prior", {"yield_pages": round(float(supply.nominal[row]))}))
    elif numbers.basis[row] is ForecastBasis.FLEET_PRIOR:
        reasons.append(Reason("reasons.supply_fleet", {}))
    if state.last_statement.get(row) == "some_remaining":
        used = round(float(supply.seg_used[row] * supply.nominal[row]))
        reasons.append(Reason("reasons.supply_counted", {"pages": used}))
    change = float(numbers.multiplier[row]) - 1.0
    if abs(change) >= 0.25 and numbers.basis[row] is ForecastBasis.OWN_HISTORY:
        key = "reasons.supply_busier" if change > 0 else "reasons.supply_quieter"
        reasons.append(Reason(key, {"percent": round(100 * abs(change))}))
    return tuple(reasons[:_MAX_REASONS])


def _pages_left(state: FleetState, row: int) -> float:
    supply = state.supply
    return max(float(supply.level[row]), 0.0) / float(supply.slope[row]) * float(supply.nominal[row])
