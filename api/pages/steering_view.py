"""The figures that a manager steers by, on the first page: how repairs hold, how long customers wait, what pages cost.

Each leads to the page that explains it, and shows its months where it has them. What they mean stands on the page of
service quality; the definitions are not repeated here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from api.access import MONEY, Principal
from api.manager_figures import ManagerFigures
from api.pages import charts
from api.pages.quality_of_service import Figure, page_figures, service_figures, waste_figure
from api.pages.supply_view import Words
from crm_core.relations.truth import Share


@dataclass(frozen=True, slots=True)
class Steered:
    """A figure with the picture of its months, empty where it has none."""

    figure: Figure
    picture: Markup


def steering(found: ManagerFigures, principal: Principal, words: Words) -> list[Steered]:
    """Return the figures that the account may see."""
    service, months = found.service, found.service.months
    number = words.formats.number
    fixed, repeats, pages, _ = service_figures(service, words)
    by_level = " · ".join(
        f"{row.level.value} {number(row.median_hours, 1)}" for row in service.restores if row.within.of
    )
    restore = Figure(
        "restore_hours",
        words.t("quality.hours_value", hours=number(service.restore_hours, 1)),
        by_level or words.t("quality.nothing"),
    )
    figures = [
        Steered(fixed, _months(words, "fixed", [_part(row.first_time_fix) for row in months])),
        Steered(
            repeats, _months(words, "repeats", [_part(Share(row.repeats, row.tickets)) for row in months])
        ),
        Steered(restore, _months(words, "restore_hours", [row.restore_hours for row in months])),
        Steered(pages, _months(words, "pages", [row.pages_between_visits for row in months])),
    ]
    if principal.role not in MONEY.roles:
        return figures
    price, cost = page_figures(found.money.pages, words)
    against = Figure("cost_price", f"{cost.value} / {price.value}", price.note, tone=cost.tone)
    waste = waste_figure(found.money, words)
    lost = [float(each) for each in found.money.waste_by_month]
    return [*figures, Steered(waste, _months(words, "waste", lost)), Steered(against, Markup(""))]


def _part(share: Share) -> float | None:
    """Return a share in percent; None where nothing can be said."""
    return 100 * share.met / share.of if share.of else None


def _months(words: Words, key: str, values: Sequence[float | None]) -> Markup:
    """Return the months as bars, the running one marked; nothing before two of them are known."""
    if sum(value is not None for value in values) < 2:
        return Markup("")
    parts = ", ".join(words.formats.number(value, 1) for value in values)
    title = words.t("quality.by_month", name=words.t(f"quality.{key}"), parts=parts)
    return charts.bars([value or 0.0 for value in values], title, width=120, height=26)
