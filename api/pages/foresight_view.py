"""What the pages of foresight show, worked out from records of quality."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from api.pages import quality_charts
from api.pages.supply_view import Words
from api.routes.foresight import DemandRow, model_row
from api.wording import reason_text, term
from crm_core.domain.identity import TenantId
from crm_core.domain.quality import Finding, Outlook, OutlookKind, Score, Subject
from crm_core.domain.quality_policy import QualityPolicy
from crm_core.domain.service import Role
from crm_core.ports import UnitOfWork

ANSWERING: Final = frozenset({Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER})
_DAYS: Final = 180
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
    """Return demand by month, the largest needs first."""
    rows = [DemandRow.model_validate(dict(row)) for row in demand.rows] if demand else []
    months = sorted({row.month for row in rows})
    by_month = {
        month: sorted((row for row in rows if row.month == month), key=lambda row: -row.expected)
        for month in months
    }
    return {
        "as_of": demand.as_of if demand else None,
        "months": {month: found[:_DEMAND_ROWS] for month, found in by_month.items()},
        "left_out": {month: len(found) - _DEMAND_ROWS for month, found in by_month.items()},
        "item_word": lambda row: _item(row, words),
    }


def _item(row: DemandRow, words: Words) -> str:
    """Return the supply, part or device in words."""
    if row.what == "device":
        return _say(words, "whole_device")
    family = "component" if row.what == "part" else "kind"
    return " ".join(
        term(family if at == 0 else "colour", word, words.messages, words.language)
        for at, word in enumerate(row.item.split())
    )


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
