"""Life and failure forecasts of every device as people see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.failures import COMPONENTS, PRIOR_FAILURES_A_YEAR, HazardModel, rule_probability
from analytics.features import FleetState
from analytics.lifetime import LifeUse, life_use
from analytics.part_fits import PartFits
from analytics.supply_forecasts import Stamp, rate_deviation
from crm_core.domain.catalogue import DeviceModel
from crm_core.domain.fleet import Device
from crm_core.domain.forecast import FailureForecast, ForecastBasis, LifeForecast, Provenance, Reason
from crm_core.domain.identity import DeviceId
from crm_core.domain.policy import FailurePolicy, LifePolicy

Floats = npt.NDArray[np.float64]

LIFE_ID: Final = "life-pages/1"
RULE_ID: Final = "failures-rule/1"
#: Gauged parts: the kind of a supply row -> the component that it shows.
_GAUGED: Final = {
    "drum": "drum", "fuser": "fuser", "transfer": "transfer", "developer": "developer", "rollers": "feed_rollers",
    "maintenance": "maintenance_kit",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class UseNumbers:
    """Pages a day [devices], deviation of its logarithm, life count and age of the newest answer in days."""

    pages_per_day: Floats
    deviation: Floats
    count: Floats
    age: Floats


def use_numbers(state: FleetState, day: int) -> UseNumbers:
    """Return present use of every device at the end of `day`."""
    daily = state.usage.profile().mean(0)
    return UseNumbers(
        daily * state.usage.multipliers(daily)[2],
        rate_deviation(state, day),
        state.usage.count,
        day - state.usage.answered_day,
    )


def life_shares(state: FleetState, devices: dict[str, Device], use: UseNumbers) -> Floats:
    """Return the share of design life used per device; 0 where the design life is not known."""
    shares = np.zeros(len(state.device_ids))
    for row, device_id in enumerate(state.device_ids):
        device = devices.get(device_id)
        model = state.priors.model_of(device) if device else None
        if model is not None and not np.isnan(use.count[row]):
            shares[row] = use.count[row] / model.design_life_pages
    return shares


def life_forecasts(
    state: FleetState, devices: dict[str, Device], use: UseNumbers, stamp: Stamp, policy: LifePolicy,
    fits: PartFits = MappingProxyType({}),
) -> list[LifeForecast]:  # fmt: skip
    """Return the life of every device and of its wearing parts, or the reason why it is not known.

    `fits` tells at which count a part was last renewed; without it the part is taken for the first one.
    """
    gauges = _part_gauges(state)
    made: list[LifeForecast] = []
    for row, device_id in enumerate(state.device_ids):
        device = devices.get(device_id)
        if device is None:
            continue
        model = state.priors.model_of(device)
        made.append(_device_life(state, row, device, model, use, stamp, policy))
        for part in model.parts if model else ():
            level = gauges.get((row, part.component))
            made.append(
                _part_life(
                    state,
                    row,
                    device,
                    (part.component, part.design_life_pages),
                    level,
                    use,
                    stamp,
                    policy,
                    fits.get((device_id, part.component)),
                )
            )
    return made


def _part_gauges(state: FleetState) -> dict[tuple[int, str], float]:
    """Return the lowest stated level (share left) per device row and component."""
    gauges: dict[tuple[int, str], float] = {}
    for row, key in enumerate(state.keys):
        component = _GAUGED.get(key.kind or "")
        level = float(state.supply.reported[row])
        if component and not np.isnan(level):
            slot = (key.device_row, component)
            gauges[slot] = min(gauges.get(slot, 1.0), level)
    return gauges


def _life(
    state: FleetState, row: int, device: Device, component: str, design: int | None, found: LifeUse | str, use: UseNumbers,
    stamp: Stamp, policy: LifePolicy, basis: ForecastBasis,
) -> LifeForecast:  # fmt: skip
    reasons: tuple[Reason, ...] = ()
    if isinstance(found, LifeUse):
        arguments: dict[str, str | int | float] = {
            "percent": round(100 * found.used_share, 1), "limit": round(100 * policy.replacement_share),
            "pages_per_day": round(float(use.pages_per_day[row]), 1),
        }  # fmt: skip
        reasons = (Reason("reasons.life_used", arguments),)
    age = float(use.age[row])
    return LifeForecast(
        tenant=state.tenant,
        device_id=DeviceId(device.device_id),
        component=component,
        used_share=round(found.used_share, 4) if isinstance(found, LifeUse) else None,
        design_life_pages=design,
        days_to_replacement=found.days if isinstance(found, LifeUse) else None,
        missing_reason=found if isinstance(found, str) else None,
        provenance=Provenance(
            made_at=stamp.made_at, as_of=stamp.as_of, model=LIFE_ID, basis=basis,
            age_of_data_days=None if np.isnan(age) else age, reasons=reasons,
        ),
    )  # fmt: skip


def _device_life(
    state: FleetState,
    row: int,
    device: Device,
    model: DeviceModel | None,
    use: UseNumbers,
    stamp: Stamp,
    policy: LifePolicy,
) -> LifeForecast:
    found: LifeUse | str = "reasons.missing_design_life"
    if np.isnan(use.count[row]):
        found = "reasons.missing_counter"
    elif model is not None:
        found = life_use(
            float(use.count[row]), model.design_life_pages, float(use.pages_per_day[row]), float(use.deviation[row]),
            policy.replacement_share,
        )  # fmt: skip
    design = model.design_life_pages if model else None
    basis = _basis(state, row, stamp)
    return _life(state, row, device, "device", design, found, use, stamp, policy, basis)


def _part_life(
    state: FleetState, row: int, device: Device, part: tuple[str, int], level: float | None, use: UseNumbers, stamp: Stamp,
    policy: LifePolicy, fitted_at: int | None,
) -> LifeForecast:  # fmt: skip
    component, design = part
    basis = _basis(state, row, stamp)
    found: LifeUse | str
    if level is not None:
        pages = (1.0 - level) * design
    elif np.isnan(use.count[row]):
        return _life(
            state, row, device, component, design, "reasons.missing_counter", use, stamp, policy, basis
        )
    elif fitted_at is not None:
        pages = max(float(use.count[row]) - fitted_at, 0.0)
    else:
        pages, basis = float(use.count[row]), ForecastBasis.CATALOGUE_PRIOR  # taken for the first one fitted
    if pages > design and level is None:
        found = "reasons.missing_part_age"
    else:
        found = life_use(
            pages, design, float(use.pages_per_day[row]), float(use.deviation[row]), policy.replacement_share
        )
    return _life(state, row, device, component, design, found, use, stamp, policy, basis)


def _basis(state: FleetState, row: int, stamp: Stamp) -> ForecastBasis:
    seen = stamp.day - state.usage.first_day[row]
    return ForecastBasis.OWN_HISTORY if seen >= 14 else ForecastBasis.CATALOGUE_PRIOR


# --- failures ---------------------------------------------------------------------------------------------------------


def failure_forecasts(
    state: FleetState, devices: dict[str, Device], use: UseNumbers, stamp: Stamp, policy: FailurePolicy,
    model: HazardModel | None, failures_a_year: float = PRIOR_FAILURES_A_YEAR,
) -> list[FailureForecast]:  # fmt: skip
    """Return P(7 d) and P(14 d) of every device, with the advised visits within the ticket budget."""
    features = state.failures.features(life_shares(state, devices, use), use.pages_per_day)
    if len(features) == 0:
        return []
    chances = {
        horizon: model.predict(features, horizon)
        if model
        else rule_probability(features, horizon, failures_a_year)
        for horizon in (7, 14)
    }
    chances[14] = np.maximum(chances[14], chances[7])
    component = state.failures.likely_component()
    advised = _advise(state, chances[14], stamp.day, policy)
    made = []
    for row, device_id in enumerate(state.device_ids):
        if device_id not in devices:
            continue
        known = bool(state.failures.days[row] >= 3)
        named = COMPONENTS[component[row]] if component[row] >= 0 else None
        age = float(use.age[row])
        made.append(
            FailureForecast(
                tenant=state.tenant,
                device_id=DeviceId(device_id),
                component=named if known else None,
                p_fail_7d=round(float(chances[7][row]), 4) if known else None,
                p_fail_14d=round(float(chances[14][row]), 4) if known else None,
                visit_advised=bool(advised[row]) and known,
                missing_reason=None if known else "reasons.missing_failure_history",
                provenance=Provenance(
                    made_at=stamp.made_at, as_of=stamp.as_of, model=stamp.model_id or RULE_ID,
                    basis=ForecastBasis.FLEET_PRIOR if model else ForecastBasis.CATALOGUE_PRIOR,
                    age_of_data_days=None if np.isnan(age) else age,
                    reasons=_failure_reasons(features[row], named) if known else (),
                ),
            )
        )  # fmt: skip
    return made


def _advise(state: FleetState, chance: Floats, day: int, policy: FailurePolicy) -> npt.NDArray[np.bool_]:
    """Return which devices deserve a visit: worth its cost, most urgent first, within the budget of 30 days."""
    last = state.failures.advised_day
    running = ~np.isnan(last) & (day - last < 14) & (chance >= 0.5 * policy.visit_threshold_p14)
    worth = (chance >= policy.visit_threshold_p14) & (chance * policy.breakdown_cost > policy.visit_cost)
    fresh = worth & (np.isnan(last) | (day - last >= 14))
    budget = max(1, round(policy.tickets_per_100_devices_month * len(chance) / 100.0))
    spent = int((~np.isnan(last) & (day - last < 30)).sum())
    order = np.argsort(-chance, kind="stable")
    chosen = order[fresh[order]][: max(0, budget - spent)]
    state.failures.advised_day[chosen] = day
    advised = running.copy()
    advised[chosen] = True
    return np.asarray(advised)


def _failure_reasons(features: Sequence[float] | Floats, component: str | None) -> tuple[Reason, ...]:
    codes, burst, jams, life = (float(features[at]) for at in (0, 2, 3, 5))
    reasons = []
    if component is not None:
        reasons.append(
            Reason(
                "reasons.failure_codes", {"count": round(float(np.expm1(codes)), 1), "component": component}
            )
        )
    if burst > 0.7:
        reasons.append(Reason("reasons.failure_burst", {"times": round(float(np.exp(burst)), 1)}))
    if jams > 3.0:
        reasons.append(Reason("reasons.failure_jams", {"jams": round(jams, 1)}))
    if life > 0.8:
        reasons.append(Reason("reasons.failure_worn", {"percent": round(100 * life)}))
    return tuple(reasons[:3]) or (Reason("reasons.failure_usual", {}),)
