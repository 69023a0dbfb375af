"""What the pages of foresight show, worked out from records of quality."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from api.pages import quality_charts
from api.pages.supply_view import Words, origin_words, supply_name
from api.routes.foresight import DemandRow, model_row
from api.wording import reason_text, term
from crm_core.domain.forecast import Forecast
from crm_core.domain.identity import TenantId
from crm_core.domain.quality import Finding, Outlook, OutlookKind, Score, Subject
from crm_core.domain.quality_policy import QualityPolicy
from crm_core.domain.service import Role, Ticket
from crm_core.ports import UnitOfWork

ANSWERING: Final = frozenset({Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER})
_DAYS: Final = 180
_FAR_DAYS: Final = 3650  # later than this is no date that anybody plans by
_DEMAND_ROWS: Final = 25


def quality_context(
    uow: UnitOfWork, tenant: TenantId, words: Words, today: date, policy: QualityPolicy
) -> dict[str, Any]:
    """Return scorecards, pictures and models."""
    rows = uow.quality.scores(tenant, today - timedelta(days=_DAYS))
    supplies = [row for row in rows if row.subject is Subject.SUPPLIES]
    over_time = [
        (row.as_of, row.coverage) for row in supplies if row.grouping == "all" and row.coverage is not None
    ]
    outlook = uow.quality.outlook(tenant, OutlookKind.MODELS)
    models = [model_row(dict(row)) for row in outlook.rows] if outlook else []
    serving = next((row for row in models if row.champion and row.name == "supplies"), None)
    return {
        "policy": policy,
        "newest": _newest(supplies, "all"),
        "gauges": _newest(supplies, "gauge"),
        "kinds": _newest(supplies, "device_model"),
        "failures": _newest([row for row in rows if row.subject is Subject.FAILURES], "all"),
        "coverage": quality_charts.coverage_over_time(
            over_time, policy.coverage_least, policy.coverage_most, _say(words, "coverage_title")
        ),
        "calibration": quality_charts.calibration(
            _curve(serving.figures.get("calibration")) if serving else [], _say(words, "calibration_title"),
            _say(words, "forecast_days"), _say(words, "true_days"),
        ),
        "models": list(reversed(models)),
        "gauge_word": lambda name: _say(words, f"gauge.{name}"),
    }  # fmt: skip


def _say(words: Words, key: str) -> str:
    return words.messages.text(words.language, f"foresight.{key}")


def _newest(rows: Sequence[Score], grouping: str) -> list[Score]:
    mine = [row for row in rows if row.grouping == grouping]
    last = max((row.as_of for row in mine), default=None)
    return [row for row in mine if row.as_of == last]


def _curve(found: object) -> list[tuple[float, float]]:
    return (
        [(float(each["forecast"]), float(each["truth"])) for each in found] if isinstance(found, list) else []
    )


def outlook_context(demand: Outlook | None, words: Words) -> dict[str, Any]:
    """Return demand by month in words, the largest needs first; what is most likely not needed at all is left out."""
    every = [DemandRow.model_validate(dict(row)) for row in demand.rows] if demand else []
    rows = [row for row in every if row.p90 > 0]
    months = sorted({row.month for row in rows})
    by_month = {
        _month_words(words, month): sorted(
            (row for row in rows if row.month == month), key=lambda row: -row.expected
        )
        for month in months
    }
    return {
        "as_of": demand.as_of if demand else None,
        "months": {month: found[:_DEMAND_ROWS] for month, found in by_month.items()},
        "left_out": {month: len(found) - _DEMAND_ROWS for month, found in by_month.items()},
        "totals": {month: demand_total(found, words) for month, found in by_month.items()},
        "item_word": lambda row: _item(row, words),
        "in_words": lambda row: likely(words, row.p10, row.p50, row.p90),
    }


def likely(words: Words, low: int, mid: int, high: int) -> str:
    """Return a number with its interval as a manager says it: probably 12, between 9 and 16."""
    number = words.formats.number
    if low == mid == high:
        return words.text("foresight.surely", mid=number(mid))
    if mid == 0:
        return words.text("foresight.rather_none", high=number(high))
    return words.text("foresight.likely", mid=number(mid), low=number(low), high=number(high))


def demand_total(rows: Sequence[DemandRow], words: Words) -> list[tuple[str, str]]:
    """Return what a month needs in all, by kind: the kinds of things are counted apart, intervals of independent needs add as squares."""
    totals = []
    for what in ("supply", "part", "device"):
        found = [row for row in rows if row.what == what]
        if found:
            mid = sum(row.expected for row in found)
            below = math.sqrt(sum((row.expected - row.p10) ** 2 for row in found if row.expected > row.p10))
            above = math.sqrt(sum((row.p90 - row.expected) ** 2 for row in found if row.p90 > row.expected))
            low, high = max(0, round(mid - below)), round(mid + above)
            totals.append((_say(words, f"total.{what}"), likely(words, low, round(mid), high)))
    return totals


def _month_words(words: Words, month: str) -> str:
    """Return a month of the form 2026-11 as people write it."""
    return words.formats.month(date.fromisoformat(f"{month}-01"))


def _item(row: DemandRow, words: Words) -> str:
    """Return the supply, part or device in words."""
    if row.what == "device":
        return _say(words, "whole_device")
    if row.what == "part":
        return term("component", row.item, words.messages, words.language)
    kind, _, colour = row.item.partition(" ")
    return supply_name(words, kind, colour or None, row.item)


def findings_context(
    rows: Sequence[Finding], words: Words, names: Mapping[Any, str | None]
) -> dict[str, Any]:
    """Return findings with their reasons in words."""
    return {
        "rows": [
            {
                "finding": row,
                "what": _say(words, f"kind.{row.kind.value}"),
                "model": names.get(row.device_id),
                "reasons": [reason_text(each, words.messages, words.language) for each in row.reasons],
            }
            for row in rows
        ]
    }


def ticket_forecast(uow: UnitOfWork, ticket: Ticket, words: Words) -> dict[str, Any] | None:
    """Return the forecast behind a ticket in words: interval, basis with the age of its data, model and reasons.

    Interval and model are those that raised the ticket; the reasons are those of the newest forecast of the same subject.
    None for a ticket that no forecast raised.
    """
    detail = ticket.detail
    model, basis = detail.get("forecast_model"), detail.get("basis")
    if not isinstance(model, str) or not isinstance(basis, str):
        return None
    age = detail.get("data_age_days")
    rows: list[tuple[str, str]] = []
    days = [detail.get(f"days_{name}") for name in ("p10", "p50", "p90")]
    if all(isinstance(each, int | float) for each in days):
        said = _expected(words, ticket.raised_at.date(), [float(each or 0.0) for each in days])
        rows.append((_say(words, "ticket_interval"), said))
    risk = detail.get("risk_percent")
    if isinstance(risk, int | float):
        said = words.messages.text(words.language, "foresight.ticket_chance_value", percent=f"{risk:g}")
        rows.append((_say(words, "ticket_chance"), said))
    told = detail.get("as_of")
    as_of = date.fromisoformat(told) if isinstance(told, str) else ticket.raised_at.date()
    origin = origin_words(words, basis, float(age) if isinstance(age, int | float) else None, model, as_of)
    rows.append((_say(words, "ticket_origin"), origin))
    return {"rows": rows, "reasons": _present_reasons(uow, ticket, words)}


def _expected(words: Words, raised: date, days: Sequence[float]) -> str:
    """Return when it is expected, from days after `raised` to P10, P50 and P90."""
    if days[-1] < 1:
        return _say(words, "ticket_now")
    early, middle, late = (words.formats.day(raised + timedelta(days=min(each, _FAR_DAYS))) for each in days)
    return words.messages.text(
        words.language, "foresight.ticket_between", early=early, middle=middle, late=late
    )


def _present_reasons(uow: UnitOfWork, ticket: Ticket, words: Words) -> list[str]:
    """Return the reasons of the newest forecast of the ticket's supply, part or device."""
    found = uow.forecasts.for_device(ticket.tenant, ticket.device_id)
    family, _, slot = ticket.cause.partition(".")
    forecasts: list[Forecast] = [
        each for each in found.supplies if family == "supply" and each.supply_index == slot
    ]
    forecasts += [each for each in found.life if family == "life" and each.component == slot]
    if family == "failure_risk" and found.failure is not None:
        forecasts.append(found.failure)
    return [
        reason_text(reason, words.messages, words.language)
        for forecast in forecasts
        for reason in forecast.provenance.reasons
    ]
