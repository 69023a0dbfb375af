"""The page of service quality: whether repairs hold, how long customers wait, and how the months went."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from api.access import services_of
from api.pages import charts
from api.pages.common import Supervisors, renderer_of, words_of
from api.pages.supply_view import Words
from crm_core.relations.truth import Share
from crm_core.service_figures import Restore, ServiceFigures, ServiceMonth, ServiceQuality

router = APIRouter(include_in_schema=False)


@router.get("/service-quality")
def service_quality(request: Request, principal: Supervisors) -> Response:
    """Show the figures of the last 90 days and of the last six months."""
    services, words = services_of(request), words_of(request, principal)
    quality = ServiceQuality(services.read_uow_factory, services.clock, services.policy)
    figures = quality.figures(principal.tenant, regions=principal.regions)
    return renderer_of(request).page(
        request, "service_quality.html", principal=principal, **quality_context(figures, words)
    )


def quality_context(figures: ServiceFigures, words: Words) -> dict[str, Any]:
    """Return what the page shows."""
    return {
        "figures": figures,
        "fixed": _share(figures.first_time_fix, words),
        "repeats": _share(figures.repeats, words),
        "in_use": _share(figures.in_use, words),
        "restores": [_restore(row, words) for row in figures.restores],
        "months": [_month(row, words) for row in figures.months],
        "tickets_bars": _bars(words, "quality.tickets", [row.tickets for row in figures.months]),
        "visits_bars": _bars(words, "quality.visits", [row.visits for row in figures.months]),
        "month_from": words.formats.month(figures.months[0].month) if figures.months else "",
        "month_to": words.formats.month(figures.months[-1].month) if figures.months else "",
    }


def _share(share: Share, words: Words) -> dict[str, str]:
    """Return percent, count and interval in words; a dash where nothing can be said."""
    formats = words.formats
    if share.interval is None:
        return {"value": formats.percent(None), "note": words.t("quality.nothing"), "range": ""}
    low, high = (formats.percent(float(each) / 100) for each in share.interval)
    return {
        "value": formats.percent(share.met / share.of),
        "note": words.t("quality.of", met=formats.number(share.met), total=formats.number(share.of)),
        "range": words.t("quality.range", low=low, high=high),
    }


def _restore(row: Restore, words: Words) -> dict[str, Any]:
    hours = row.median_hours
    return {
        "level": row.level.value,
        "hours": words.formats.number(hours, 1) if hours is not None else words.formats.number(None),
        **_share(row.within, words),
    }


def _month(row: ServiceMonth, words: Words) -> dict[str, Any]:
    return {
        "month": words.formats.month(row.month),
        "fixed": _share(row.first_time_fix, words),
        "repeats": row.repeats,
        "tickets": row.tickets,
        "visits": row.visits,
    }


def _bars(words: Words, key: str, values: Sequence[int]) -> Markup:
    parts = ", ".join(words.formats.number(value) for value in values)
    return charts.bars(list(values), f"{words.t(key)}: {parts}")
