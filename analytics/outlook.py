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


def months_after(day: date, count: int = MONTHS) -> list[tuple[str, int, int]]:
    """Return name, first day and day after the last, in days from `day`, of the rest of this month and the next ones."""
    made = []
    start = day + timedelta(days=1)
    for _ in range(count):
        following = (start.replace(day=1) + timedelta(days=32)).replace(day=1)
        made.append((start.strftime("%Y-%m"), (start - day).days - 1, (following - day).days - 1))
        start = following
    return made


@dataclass(slots=True)
class _Sum:
    """Expected number and variance of independent needs."""

    mean: float = 0.0
    variance: float = 0.0

    def add(self, expected: float) -> None:
        self.mean += expected
        self.variance += max(expected * (1.0 - min(expected, 1.0)), 0.0) + max(expected - 1.0, 0.0) * 0.3

    def row(self) -> Row:
        spread = _Z * float(np.sqrt(self.variance))
        return {
            "p10": max(0, round(self.mean - spread)), "p50": round(self.mean), "p90": round(self.mean + spread),
            "expected": round(self.mean, 2),
        }  # fmt: skip


def demand(
    supplies: Sequence[SupplyForecast], lives: Sequence[LifeForecast], models: Mapping[str, str], yields: Mapping[tuple[str, str], float],
    as_of: date,
) -> list[Row]:  # fmt: skip
    """Return supplies, parts and devices needed by month, each with P10, P50, P90.

    `models` names the model of each device, `yields` the pages that one cartridge of a device's supply gives.
    """
    months = months_after(as_of)
    sums: dict[tuple[str, str, str, str], _Sum] = {}
    for supply in supplies:
        if supply.days_to_empty is None:
            continue
        quantiles = (supply.days_to_empty.p10, supply.days_to_empty.p50, supply.days_to_empty.p90)
        per_day = supply.pages_per_day.p50 if supply.pages_per_day else 0.0
        each = yields.get((str(supply.device_id), supply.supply_index), 0.0)
        lasts = each / per_day if per_day > 0 and each > 0 else 3650.0
        item = " ".join(word for word in (supply.kind, supply.colour) if word) or supply.supply_index
        for month, first, last in months:
            before, by = (
                float(chance_before(quantiles, max(first, 0.0))),
                float(chance_before(quantiles, last)),
            )
            again = (before + 0.5 * (by - before)) * (last - first) / max(lasts, 1.0)
            sums.setdefault((month, "supply", item, models.get(supply.device_id, "?")), _Sum()).add(
                by - (before if first > 0 else 0.0) + again
            )
    for life in lives:
        if life.days_to_replacement is None:
            continue
        days = life.days_to_replacement
        what = "device" if life.component == "device" else "part"
        for month, first, last in months:
            by = float(chance_before((days.p10, days.p50, days.p90), last))
            before = float(chance_before((days.p10, days.p50, days.p90), first)) if first > 0 else 0.0
            key = (month, what, life.component, models.get(life.device_id, "?"))
            sums.setdefault(key, _Sum()).add(by - before)
    return [
        {"month": month, "what": what, "item": item, "model": model, **total.row()}
        for (month, what, item, model), total in sorted(sums.items())
        if total.mean >= 0.05
    ]


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
