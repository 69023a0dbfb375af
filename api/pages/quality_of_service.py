"""The page of service quality: whether repairs hold, how long customers wait, and how the months went."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from api.access import MONEY, Principal, overviews_of, services_of
from api.documents.money_papers import money
from api.manager_figures import MoneyFigures, figures_of
from api.pages import charts
from api.pages.common import Supervisors, renderer_of, words_of
from api.pages.supply_view import Words
from crm_core.billing.page_money import PageMoney
from crm_core.fleet_health import FleetOverview
from crm_core.relations.truth import Share
from crm_core.service_figures import Restore, ServiceFigures, ServiceMonth
from crm_core.stock.waste import total_loss

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: `key` names its label and its definition, `note` says out of how many, `href` leads to what is behind."""

    key: str
    value: str
    note: str
    href: str = ""
    tone: str = ""


@router.get("/service-quality")
def service_quality(request: Request, principal: Supervisors) -> Response:
    """Show the figures of the last 90 days and of the last six months."""
    services, words = services_of(request), words_of(request, principal)
    tenant = principal.tenant
    found = figures_of(request).newest(tenant, principal.regions)
    figures = found.service
    overview = overviews_of(request).overview(tenant, principal.regions)
    renewals = Figure(
        "renewals",
        words.formats.number(figures.renewals),
        words.t("quality.renewals_note"),
        "/contracts" if principal.role in MONEY.roles else "",
    )
    return renderer_of(request).page(
        request,
        "service_quality.html",
        principal=principal,
        rows=[
            [
                *_promises(overview, words, services.policy.sla.at_risk_within),
                *service_figures(figures, words),
            ],
            [*_money_figures(principal, words, found.money), renewals],
        ],
        **quality_context(figures, words),
    )


def _promises(overview: FleetOverview, words: Words, within: timedelta) -> list[Figure]:
    """Return what is at risk now (due `within`, or missed) and what runs out."""
    overdue, covered = overview.overdue_total, overview.covered_total
    tone = "critical" if overdue else "warning" if overview.at_risk else ""
    number = words.formats.number
    return [
        Figure(
            "at_risk",
            number(overview.at_risk_total),
            words.t(
                "quality.at_risk_note", overdue=number(overdue), hours=number(within / timedelta(hours=1))
            ),
            "/#risk",
            tone,
        ),
        Figure(
            "runs_out",
            number(overview.running_out_total),
            words.t("quality.runs_out_note", covered=number(covered)),
            "/#out",
        ),
    ]


def service_figures(figures: ServiceFigures, words: Words) -> list[Figure]:
    """Return how repairs hold, what comes again, pages between visits and the use of the fleet, in this order."""
    fixed, repeats, in_use = (
        _share(share, words) for share in (figures.first_time_fix, figures.repeats, figures.in_use)
    )
    number = words.formats.number
    return [
        Figure(
            "fixed",
            fixed["value"],
            f"{fixed['note']} · {fixed['range']}" if fixed["range"] else fixed["note"],
        ),
        Figure("repeats", repeats["value"], repeats["note"]),
        Figure("pages", number(figures.pages_between_visits), words.t("quality.pages_note")),
        Figure("in_use", in_use["value"], in_use["note"], "/devices"),
    ]


def _money_figures(principal: Principal, words: Words, found: MoneyFigures) -> list[Figure]:
    """Return the figures in money for those who may see money: none of them guesses, a dash stands for nothing known."""
    if principal.role not in MONEY.roles:
        return []
    number = words.formats.number
    return [
        *page_figures(found.pages, words),
        waste_figure(found, words),
        Figure(
            "overdue",
            words.t("quality.yuan", amount=money(found.overdue)),
            words.t("quality.overdue_note", customers=number(found.overdue_customers)),
            "/ageing",
            "warning" if found.overdue_customers else "",
        ),
    ]


def waste_figure(found: MoneyFigures, words: Words) -> Figure:
    """Return the toner that was thrown away, in money."""
    number = words.formats.number
    early = number(sum(row.early for row in found.waste))
    return Figure(
        "waste",
        words.t("quality.yuan", amount=money(total_loss(found.waste).amount)),
        words.t("quality.waste_note", early=early, customers=number(len(found.waste))),
        "/stock/swaps",
    )


def page_figures(pages: PageMoney | None, words: Words) -> list[Figure]:
    """Return cost against price of a page, with the months and the pages that they rest on."""
    if pages is None or pages.price_per_page is None or pages.cost_per_page is None:
        nothing = words.t("quality.nothing")
        return [Figure(key, words.formats.number(None), nothing) for key in ("page_price", "page_cost")]
    span = words.t(
        "quality.page_note",
        first=words.formats.month(pages.first),
        last=words.formats.month(pages.last),
        pages=words.formats.number(pages.pages),
        devices=words.formats.number(pages.devices),
    )
    parts = words.t("quality.cost_note", supplies=money(pages.supplies), visits=money(pages.visits))
    tone = "critical" if pages.cost_per_page > pages.price_per_page else ""
    return [
        Figure(
            "page_price", words.t("quality.yuan", amount=f"{pages.price_per_page:.4f}"), span, "/invoices"
        ),
        Figure("page_cost", words.t("quality.yuan", amount=f"{pages.cost_per_page:.4f}"), parts, tone=tone),
    ]


def quality_context(figures: ServiceFigures, words: Words) -> dict[str, Any]:
    """Return the tables and pictures of the page."""
    return {
        "figures": figures,
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
