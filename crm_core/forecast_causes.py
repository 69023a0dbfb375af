"""Forecasts as conditions: which supplies to bring, which devices to replace, where a breakdown threatens. Pure.

The decision to replenish or to visit is the forecaster's (days, costs, budget); here it only gets a cause, a level and
the interval that people see. Between raising and clearing lies a zone in which a forecast says neither.
"""

from datetime import datetime, timedelta

from crm_core.conditions import supply_label
from crm_core.domain.forecast import FailureForecast, Forecast, LifeForecast, SupplyForecast
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import Condition, Signal, SignalOrigin, TicketLevel
from crm_core.ports import DeviceForecasts
from crm_core.replacement import replacement_due

Detail = dict[str, str | int | float | None]


def signal_of(
    tenant: TenantId, device_id: DeviceId, forecasts: DeviceForecasts, policy: PolicyBook
) -> Signal | None:
    """Return what the forecasts of one device say, as one signal; None when there is no forecast."""
    rows: list[Forecast] = [*forecasts.supplies, *forecasts.life]
    if forecasts.failure is not None:
        rows.append(forecasts.failure)
    if not rows:
        return None
    conditions: list[Condition] = []
    unknown: list[str] = []
    for row in rows:
        verdict = _judge(row, policy)
        if isinstance(verdict, Condition):
            conditions.append(verdict)
        elif verdict is not None:
            unknown.append(verdict)
    made_at = max(row.provenance.made_at for row in rows)
    return Signal(
        tenant=tenant,
        device_id=device_id,
        observed_at=made_at,
        origin=SignalOrigin.FORECAST,
        evidence=f"forecast:{made_at.isoformat()}",
        conditions=tuple(conditions),
        unknown=tuple(unknown),
    )


def _judge(row: Forecast, policy: PolicyBook) -> Condition | str | None:
    """Return a condition, the cause that stays undecided, or None when all is well."""
    match row:
        case SupplyForecast():
            return _supply(row, policy)
        case LifeForecast():
            return _life(row, policy)
    return _failure(row)


def _supply(row: SupplyForecast, policy: PolicyBook) -> Condition | str | None:
    cause = f"supply.{row.supply_index}"
    if row.days_to_empty is None:
        return cause
    if not row.replenish:
        return cause if row.days_to_empty.p50 <= policy.replenishment.clear_at_days_left else None
    detail: Detail = {
        "supply_index": row.supply_index,
        "label": supply_label(row.kind, row.colour, row.supply_index),
        "kind": row.kind,
        "colour": row.colour,
        "percent": row.level_percent,
        **_days(row.days_to_empty.p10, row.days_to_empty.p50, row.days_to_empty.p90),
    }
    return Condition(
        cause=cause,
        level=TicketLevel.L2,
        category="consumable",
        code="forecast:supply",
        detail=detail | _basis(row),
    )


def _life(row: LifeForecast, policy: PolicyBook) -> Condition | str | None:
    cause = f"life.{row.component}"
    if row.used_share is None:
        return cause
    detail: Detail = {"component": row.component, "used_percent": round(100 * row.used_share, 1)}
    days = row.days_to_replacement
    if days is not None:
        detail |= _days(days.p10, days.p50, days.p90)
    if row.component == "device":
        if not replacement_due(row.used_share, policy.life):
            return None
        # a proposal to the customer, not a repair: the first step is a call
        level, category = TicketLevel.L1, "replacement"
    else:
        due = row.used_share >= 1.0 or (days is not None and days.p50 <= policy.life.part_ticket_days_left)
        if not due:
            return None
        level, category = TicketLevel.L2, "part"
    return Condition(
        cause=cause, level=level, category=category, code="forecast:life", detail=detail | _basis(row)
    )


def _failure(row: FailureForecast) -> Condition | str | None:
    cause = f"failure_risk.{row.component or 'device'}"
    if row.p_fail_14d is None:
        return "failure_risk."
    if not row.visit_advised:
        return None
    detail: Detail = {
        "component": row.component,
        "p_fail_7d": row.p_fail_7d,
        "p_fail_14d": row.p_fail_14d,
        "risk_percent": round(100 * row.p_fail_14d),
    }
    return Condition(
        cause=cause,
        level=TicketLevel.L3,
        category="failure_risk",
        code="forecast:failure",
        detail=detail | _basis(row),
    )


def data_at(condition: Condition, observed_at: datetime) -> datetime:
    """Return when the newest reading behind a condition was made: a forecast may rest on old data."""
    age = condition.detail.get("data_age_days")
    return observed_at - timedelta(days=age) if isinstance(age, int | float) else observed_at


def _basis(row: Forecast) -> Detail:
    return {
        "forecast_model": row.provenance.model,
        "basis": row.provenance.basis.value,
        "data_age_days": row.provenance.age_of_data_days,
        "as_of": row.provenance.as_of.isoformat(),
    }


def _days(p10: float, p50: float, p90: float) -> Detail:
    return {"days_p10": p10, "days_p50": p50, "days_p90": p90}
