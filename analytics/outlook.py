"""What the fleet will need and what it tells of its customers: demand by month, idle devices, who may leave.

Demand adds up chances, device by device, so that its interval comes from the forecasts' own intervals. A churn warning
rests on the three reasons of requirement 99 - falling volume, open complaints, a renewal near - and names them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.features import FleetState, day_number, day_start
from analytics.recent import DAYS
from analytics.supply_forecasts import chance_before
from crm_core.domain.fleet import Contract, Customer, Device
from crm_core.domain.forecast import LifeForecast, Reason, SupplyForecast
from crm_core.domain.quality_policy import QualityPolicy

Floats = npt.NDArray[np.float64]
Row = dict[str, object]

MONTHS: Final = 3
_LATELY: Final = 30
_BEFORE: Final = 90
_MIN_PAGES: Final = 200.0  # before: fewer say nothing about a trend
_Z: Final = 1.2816
_WORTH_SAYING: Final = 0.05  # expected pieces


def months_after(day: date, count: int = MONTHS) -> list[tuple[str, int, int]]:
    """Return name, first day and day after the last, in days from `day`, of the rest of this month and the next ones."""
    made = []
    start = day + timedelta(days=1)
    for _ in range(count):
        following = (start.replace(day=1) + timedelta(days=32)).replace(day=1)
        made.append((start.strftime("%Y-%m"), (start - day).days - 1, (following - day).days - 1))
        start = following
    return made


def demand(
    supplies: Sequence[SupplyForecast], lives: Sequence[LifeForecast], models: Mapping[str, str],
    yields: Mapping[tuple[str, str], float], as_of: date,
) -> list[Row]:  # fmt: skip
    """Return supplies, parts and devices needed by month, each with P10, P50, P90.

    `models` names the model of each device, `yields` the pages that one cartridge of a device's supply gives. A supply may
    be needed again within a month; a part or device is counted once.
    """
    keys: list[tuple[str, str, str]] = []
    quantiles: list[tuple[float, float, float]] = []
    lasts: list[float] = []  # days that the next one lasts
    for supply in supplies:
        days = supply.days_to_empty
        if days is not None:
            per_day = supply.pages_per_day.p50 if supply.pages_per_day else 0.0
            each = yields.get((str(supply.device_id), supply.supply_index), 0.0)
            item = " ".join(word for word in (supply.kind, supply.colour) if word) or supply.supply_index
            keys.append(("supply", item, models.get(supply.device_id, "?")))
            quantiles.append((days.p10, days.p50, days.p90))
            lasts.append(each / per_day if per_day > 0 and each > 0 else np.inf)
    for life in lives:
        days = life.days_to_replacement
        if days is not None:
            what = "device" if life.component == "device" else "part"
            keys.append((what, life.component, models.get(life.device_id, "?")))
            quantiles.append((days.p10, days.p50, days.p90))
            lasts.append(np.inf)
    if not keys:
        return []
    return _demand_rows(keys, np.array(quantiles), np.array(lasts), as_of)


def _demand_rows(
    keys: list[tuple[str, str, str]], quantiles: Floats, lasts: Floats, as_of: date
) -> list[Row]:
    """Return the sums of all needs by month and kind; the variance is that of independent needs."""
    numbers = {key: at for at, key in enumerate(sorted(set(keys)))}
    group = np.array([numbers[key] for key in keys])
    rows: list[Row] = []
    for month, first, last in months_after(as_of):
        before = chance_before(quantiles, first) if first > 0 else np.zeros(len(quantiles))
        by = chance_before(quantiles, last)
        once = by - before
        again = (before + 0.5 * once) * (last - max(first, 0)) / np.maximum(lasts, 1.0)
        mean = np.bincount(group, once + again, len(numbers))
        variance = np.bincount(group, once * (1.0 - once) + 0.3 * again, len(numbers))
        for (what, item, model), at in numbers.items():
            if mean[at] >= _WORTH_SAYING:
                spread = _Z * float(np.sqrt(variance[at]))
                rows.append(
                    {
                        "month": month, "what": what, "item": item, "model": model,
                        "p10": max(0, round(mean[at] - spread)), "p50": round(mean[at]), "p90": round(mean[at] + spread),
                        "expected": round(float(mean[at]), 2),
                    }
                )  # fmt: skip
    return rows


def idle_devices(
    state: FleetState, devices: Mapping[str, Device], as_of: date, policy: QualityPolicy
) -> list[Row]:
    """Return devices that answer and print nothing, longest first: they cost rent and could work elsewhere."""
    day, usage = day_number(as_of), state.usage
    since = np.where(np.isnan(usage.printed_day), usage.first_day, usage.printed_day)
    answers = day - usage.answered_day < policy.silent_days
    found: list[Row] = []
    for row in np.flatnonzero(answers & (day - since >= policy.idle_days)).tolist():
        device = devices.get(state.device_ids[row])
        if device is not None:
            found.append(
                {
                    "device_id": device.device_id, "customer_id": device.customer_id, "site_id": device.site_id,
                    "model": device.model_name or device.model_id, "idle_days": int(day - since[row]),
                    "last_page_on": None if np.isnan(usage.printed_day[row]) else _iso(usage.printed_day[row]),
                }
            )  # fmt: skip
    return sorted(found, key=lambda each: (-int(str(each["idle_days"])), str(each["device_id"])))


def _iso(day: float) -> str:
    return day_start(int(day)).date().isoformat()


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """What the other areas know of one customer."""

    customer: Customer
    open_complaints: int
    contracts: Sequence[Contract]


def volumes(state: FleetState, devices: Mapping[str, Device], day: int) -> dict[str, tuple[float, float]]:
    """Return pages a day of each customer over the last 30 days and the 90 before, of devices seen all that time."""
    columns = (day - np.arange(DAYS)) % DAYS
    pages = state.recent.pages[:, columns]
    seen = day - state.usage.first_day >= _LATELY + _BEFORE
    found: dict[str, tuple[float, float]] = {}
    for row in np.flatnonzero(seen).tolist():
        device = devices.get(state.device_ids[row])
        if device is None or device.customer_id is None:
            continue
        lately, before = found.get(str(device.customer_id), (0.0, 0.0))
        found[str(device.customer_id)] = (
            lately + float(pages[row, :_LATELY].sum()) / _LATELY,
            before + float(pages[row, _LATELY : _LATELY + _BEFORE].sum()) / _BEFORE,
        )
    return found


def churn(
    facts: Sequence[CustomerFacts],
    pages: Mapping[str, tuple[float, float]],
    as_of: date,
    policy: QualityPolicy,
) -> list[Row]:
    """Return customers with at least one of the three reasons to leave, those with most reasons first."""
    found: list[tuple[float, Row]] = []
    for fact in facts:
        reasons: list[Reason] = []
        lately, before = pages.get(str(fact.customer.customer_id), (0.0, 0.0))
        fall = 1.0 - lately / before if before * _BEFORE >= _MIN_PAGES else 0.0
        if fall >= policy.churn_volume_fall:
            reasons.append(
                Reason("reasons.churn_volume", {"percent": round(100 * fall), "lately": round(lately), "before": round(before)})
            )  # fmt: skip
        if fact.open_complaints:
            reasons.append(Reason("reasons.churn_complaints", {"count": fact.open_complaints}))
        ends = [(contract.ends_on - as_of).days for contract in fact.contracts]
        near = [days for days in ends if 0 <= days <= policy.churn_renewal_days]
        if near and not any(days > policy.churn_renewal_days for days in ends):
            reasons.append(Reason("reasons.churn_renewal", {"days": min(near)}))
        if reasons:
            score = len(reasons) + max(fall, 0.0)
            found.append((score, _churn_row(fact.customer, reasons, fall, score)))
    return [row for _, row in sorted(found, key=lambda each: (-each[0], str(each[1]["customer_id"])))]


def _churn_row(customer: Customer, reasons: Sequence[Reason], fall: float, score: float) -> Row:
    return {
        "customer_id": customer.customer_id, "name": customer.name, "reasons": [
            {"key": reason.key, "arguments": reason.arguments} for reason in reasons
        ],
        "warnings": len(reasons), "volume_fall": round(max(fall, 0.0), 3), "score": round(score, 3),
    }  # fmt: skip
