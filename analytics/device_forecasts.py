"""Life and failure forecasts of every device as people see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.failures import COMPONENTS, PRIOR_FAILURES_A_YEAR, FailureChances, rule_probability
from analytics.features import FleetState
from analytics.lifetime import LifeUse, capped, life_use
from analytics.part_fits import PartFits
from analytics.part_lives import PartKind, PartLaw
from analytics.supply_forecasts import Stamp, rate_deviation
from crm_core.domain.catalogue import DeviceModel
from crm_core.domain.fleet import Device
from crm_core.domain.forecast import FailureForecast, ForecastBasis, LifeForecast, Provenance, Reason
from crm_core.domain.identity import DeviceId
from crm_core.domain.policy import FailurePolicy, LifePolicy

Floats = npt.NDArray[np.float64]

DAYS_A_YEAR: Final = 365.25
_HEARD: Final = 0.15  # of a code that fades: less is older than two weeks
_WORN: Final = 0.8  # of a design life
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
        rate_deviation(state.usage, day),
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


@dataclass(frozen=True, slots=True)
class PartRecords:
    """What finished orders say: life count at the last fit by device and component, and laws by model and component."""

    fits: PartFits
    laws: Mapping[PartKind, PartLaw]


NO_RECORDS: Final = PartRecords({}, {})


def life_forecasts(
    state: FleetState, devices: dict[str, Device], use: UseNumbers, stamp: Stamp, policy: LifePolicy,
    records: PartRecords = NO_RECORDS,
) -> list[LifeForecast]:  # fmt: skip
    """Return the life of every device and of its wearing parts, or the reason why it is not known.

    `records` tells at which count a part was last renewed (without it the part is taken for the first one) and how long
    parts of its kind last in this company.
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
            known = _PartKnown(
                part.component, part.design_life_pages, gauges.get((row, part.component)),
                records.fits.get((device_id, part.component)),
                records.laws.get((str(model.model_id), part.component)) if model else None,
            )  # fmt: skip
            made.append(_part_life(state, row, device, known, use, stamp, policy))
    return made


@dataclass(frozen=True, slots=True)
class _PartKnown:
    """What is known of one part: design life, gauge (share left), life count when fitted, and the law of its kind."""

    component: str
    design: int
    level: float | None
    fitted_at: int | None
    law: PartLaw | None


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
    stamp: Stamp, policy: LifePolicy, basis: ForecastBasis, extra: tuple[Reason, ...] = (),
) -> LifeForecast:  # fmt: skip
    reasons: tuple[Reason, ...] = ()
    if isinstance(found, LifeUse):
        arguments: dict[str, str | int | float] = {
            "percent": round(100 * found.used_share, 1), "limit": round(100 * policy.replacement_share),
            "pages_per_day": round(float(use.pages_per_day[row]), 1),
        }  # fmt: skip
        reasons = (Reason("reasons.life_used", arguments), *extra)
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
    """Return the life of the whole device: the share of its design life at present use, or its age, whichever is first."""
    found: LifeUse | str = "reasons.missing_design_life"
    extra: tuple[Reason, ...] = ()
    if np.isnan(use.count[row]):
        found = "reasons.missing_counter"
    elif model is not None:
        by_pages = life_use(
            float(use.count[row]), model.design_life_pages, float(use.pages_per_day[row]), float(use.deviation[row]),
            policy.replacement_share * model.design_life_pages,
        )  # fmt: skip
        found = by_pages
        if device.installed_on is not None:
            aged = (stamp.as_of - device.installed_on).days
            left = policy.device_years * DAYS_A_YEAR - aged
            if left < by_pages.days.p90:
                found = LifeUse(by_pages.used_share, capped(by_pages.days, left))
                arguments: dict[str, str | int | float] = {
                    "years": round(aged / DAYS_A_YEAR, 1), "limit": policy.device_years
                }  # fmt: skip
                extra = (Reason("reasons.life_age", arguments),)
    design = model.design_life_pages if model else None
    return _life(
        state, row, device, "device", design, found, use, stamp, policy, _basis(state, row, stamp), extra
    )


def _part_life(
    state: FleetState, row: int, device: Device, part: _PartKnown, use: UseNumbers, stamp: Stamp, policy: LifePolicy
) -> LifeForecast:  # fmt: skip
    basis = _basis(state, row, stamp)
    found: LifeUse | str
    extra: tuple[Reason, ...] = ()
    if part.level is not None:
        pages = (1.0 - part.level) * part.design
    elif np.isnan(use.count[row]):
        return _life(
            state,
            row,
            device,
            part.component,
            part.design,
            "reasons.missing_counter",
            use,
            stamp,
            policy,
            basis,
        )
    elif part.fitted_at is not None:
        pages = max(float(use.count[row]) - part.fitted_at, 0.0)
    else:
        pages, basis = float(use.count[row]), ForecastBasis.CATALOGUE_PRIOR  # taken for the first one fitted
    if pages > part.design and part.level is None:
        found = "reasons.missing_part_age"
    else:
        limit = policy.replacement_share * part.design
        if part.law is not None:
            own = part.law.pages_until(policy.part_failed_share)
            arguments: dict[str, str | int | float] = {
                "percent": round(100 * policy.part_failed_share), "pages": round(own), "lives": part.law.lives,
            }  # fmt: skip
            extra = (Reason("reasons.life_own_parts", arguments),)
            limit = min(limit, own)
        found = life_use(pages, part.design, float(use.pages_per_day[row]), float(use.deviation[row]), limit)
    return _life(state, row, device, part.component, part.design, found, use, stamp, policy, basis, extra)


def _basis(state: FleetState, row: int, stamp: Stamp) -> ForecastBasis:
    seen = stamp.day - state.usage.first_day[row]
    return ForecastBasis.OWN_HISTORY if seen >= 14 else ForecastBasis.CATALOGUE_PRIOR


# --- failures ---------------------------------------------------------------------------------------------------------


def failure_forecasts(
    state: FleetState, devices: dict[str, Device], use: UseNumbers, stamp: Stamp, policy: FailurePolicy,
    chances: FailureChances | None, failures_a_year: float = PRIOR_FAILURES_A_YEAR,
) -> list[FailureForecast]:  # fmt: skip
    """Return P(7 d) and P(14 d) of every device, with the advised visits within the ticket budget.

    `chances` are those of the fitted hazard; without them the rule over recent codes decides.
    """
    features = state.failures.features(life_shares(state, devices, use), use.pages_per_day)
    if len(features) == 0:
        return []
    told = _tell(state, features, chances, failures_a_year)
    advised = _advise(state, told.fourteen, stamp.day, policy)
    bundled = _bundled(state, devices, told.fourteen, advised, policy)
    made = []
    for row, device_id in enumerate(state.device_ids):
        if device_id not in devices:
            continue
        known = bool(state.failures.days[row] >= 3)
        named = COMPONENTS[told.blame[row]] if told.blame[row] >= 0 else None
        age = float(use.age[row])
        reasons = _failure_reasons(state, row, features[row], named, float(told.worn[row])) if known else ()
        with_device = bundled.get(row)
        if with_device is not None and known:
            reasons = (*reasons[:2], Reason("reasons.failure_bundled", {"device": with_device}))
        made.append(
            FailureForecast(
                tenant=state.tenant,
                device_id=DeviceId(device_id),
                component=named if known else None,
                p_fail_7d=round(float(told.seven[row]), 4) if known else None,
                p_fail_14d=round(float(told.fourteen[row]), 4) if known else None,
                visit_advised=bool(advised[row]) and known,
                bundle_with=DeviceId(with_device) if with_device is not None and known else None,
                missing_reason=None if known else "reasons.missing_failure_history",
                provenance=Provenance(
                    made_at=stamp.made_at, as_of=stamp.as_of, model=stamp.model_id or RULE_ID,
                    basis=ForecastBasis.FLEET_PRIOR if chances else ForecastBasis.CATALOGUE_PRIOR,
                    age_of_data_days=None if np.isnan(age) else age, reasons=reasons,
                ),
            )
        )  # fmt: skip
    return made


def _tell(
    state: FleetState, features: Floats, chances: FailureChances | None, failures_a_year: float
) -> FailureChances:
    """Return the chances of the hazard, or of the rule where no hazard was fitted yet."""
    if chances is not None:
        return chances
    seven, fourteen = (rule_probability(features, horizon, failures_a_year) for horizon in (7, 14))
    return FailureChances(
        seven, np.maximum(seven, fourteen), state.failures.likely_component(), np.zeros(len(features))
    )


def _bundled(
    state: FleetState, devices: dict[str, Device], chance: Floats, advised: npt.NDArray[np.bool_], policy: FailurePolicy
) -> dict[int, str]:  # fmt: skip
    """Return the devices that are worth a look while somebody is at their site anyway, with the device visited there.

    A visit that is made anyway costs no journey: a lower chance pays for the look. (Service neighbours when that is
    cheaper than a second visit.)
    """
    visited: dict[str, str] = {}
    for row in np.flatnonzero(advised).tolist():
        device = devices.get(state.device_ids[row])
        if device is not None and device.site_id:
            visited.setdefault(str(device.site_id), state.device_ids[row])
    found = {}
    if visited:
        for row in np.flatnonzero(~advised & (chance >= policy.bundle_threshold_p14)).tolist():
            device = devices.get(state.device_ids[row])
            if device is not None and device.site_id and str(device.site_id) in visited:
                found[row] = visited[str(device.site_id)]
    return found


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


def _failure_reasons(
    state: FleetState, row: int, features: Floats, component: str | None, worn: float
) -> tuple[Reason, ...]:
    """Return at most three reasons in a technician's words, the clearest first."""
    burst, jams, life = (float(features[at]) for at in (2, 3, 5))
    reasons = []
    if component is not None:
        codes = float(state.failures.codes_fast[COMPONENTS.index(component), row])
        if codes > _HEARD:
            arguments: dict[str, str | int | float] = {"count": round(codes, 1), "component": component}
            reasons.append(Reason("reasons.failure_codes", arguments))
        if worn > _WORN:
            reasons.append(
                Reason("reasons.failure_part_worn", {"percent": round(100 * worn), "component": component})
            )
    if burst > 0.7:
        reasons.append(Reason("reasons.failure_burst", {"times": round(float(np.exp(burst)), 1)}))
    if jams > 3.0:
        reasons.append(Reason("reasons.failure_jams", {"jams": round(jams, 1)}))
    if life > _WORN:
        reasons.append(Reason("reasons.failure_worn", {"percent": round(100 * life)}))
    return tuple(reasons[:3]) or (Reason("reasons.failure_usual", {}),)
