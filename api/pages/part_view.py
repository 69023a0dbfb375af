"""The wearing parts of a device as people see them: how far each is, how long such parts live, and when it is due."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from markupsafe import Markup

from api.pages import life_charts
from api.pages.supply_view import Words, origin_of
from api.wording import reason_text
from crm_core.domain.fleet import Device
from crm_core.domain.forecast import Interval, LifeForecast
from crm_core.domain.part_lives import PartLife, part_lives_of
from crm_core.domain.quality import OutlookKind
from crm_core.ports import UnitOfWork

_MONTH_DAYS: Final = 30
_FAR_DAYS: Final = 300  # beyond it a month says enough
_MOST_DAYS: Final = 3650

Laws = dict[tuple[str, str], PartLife]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    """What the template shows of one part, or of the whole machine."""

    name: str
    state: str  # how much of its life is used and when it is due, or why nobody knows
    reasons: tuple[str, ...]
    origin: str
    curve: Markup | None = None
    axis_end: str = ""
    outlook: str = ""  # what the curve says of this part, in a sentence
    basis: str = ""  # what the curve rests on


def part_laws(uow: UnitOfWork, device: Device) -> Laws:
    """Return the newest nightly laws of how long parts last, by device model and component."""
    outlook = uow.quality.outlook(device.tenant, OutlookKind.PART_LIVES)
    return part_lives_of(outlook.rows) if outlook else {}


def part_views(
    words: Words, model: str | None, rows: tuple[LifeForecast, ...], laws: Laws, limit_share: float, now: datetime
) -> list[PartView]:  # fmt: skip
    """Return the machine and its parts; a part of a kind whose law is known has its survival curve.

    `model` is the id of the device model in the catalogue, `limit_share` of a design life is where parts are renewed.
    """
    return [
        _view(words, row, laws.get((model or "", row.component)), limit_share, now)
        for row in sorted(rows, key=lambda row: row.component != "device")
    ]


def _view(
    words: Words, row: LifeForecast, law: PartLife | None, limit_share: float, now: datetime
) -> PartView:
    name = words.term("component", row.component)
    view = PartView(
        name=name,
        state=_state(words, row, now),
        reasons=tuple(
            reason_text(reason, words.messages, words.language) for reason in row.provenance.reasons[:3]
        ),
        origin=origin_of(words, row.provenance),
    )
    if law is None:
        return view
    age = row.used_share * law.design_life_pages if row.used_share is not None else None
    outlook = _outlook(words, law, age, _pages_a_day(row))
    end = words.formats.number(round(life_charts.axis_pages(law, age)))
    return replace(
        view,
        curve=life_charts.survival(law, age, limit_share, f"{name}: {outlook}"),
        axis_end=words.text("device.parts.pages", pages=end),
        outlook=outlook,
        basis=_basis(words, law),
    )


def _pages_a_day(row: LifeForecast) -> float | None:
    """Return the use that the forecast counted with; None where it gave none."""
    said = next((each.arguments.get("pages_per_day") for each in row.provenance.reasons), None)
    return float(said) if isinstance(said, int | float) else None


def _outlook(words: Words, law: PartLife, age: float | None, pages_a_day: float | None) -> str:
    """Return what the law says in a sentence: of the kind where this part's age is not known, else of this part."""
    formats = words.formats
    left = law.pages_left(age or 0.0)
    low, mid, high = (formats.number(round(pages, -2)) for pages in (left.p10, left.p50, left.p90))
    if age is None:
        return words.text("device.parts.kind_lasts", low=low, mid=mid, high=high)
    parts = [
        words.text("device.parts.alive", alive=formats.number(100 * law.alive(age))),
        words.text("device.parts.lasts", low=low, mid=mid, high=high),
    ]
    if pages_a_day:
        chance = law.fails_within(age, _MONTH_DAYS * pages_a_day)
        shown = (
            f"< {formats.percent(0.001, 1)}"
            if chance < 0.001
            else formats.percent(chance, 1 if chance < 0.1 else 0)
        )
        parts.append(words.text("device.parts.month_chance", chance=shown, days=_MONTH_DAYS))
    return " ".join(parts)


def _basis(words: Words, law: PartLife) -> str:
    """Return what the law rests on, with the method that made it."""
    said = (
        words.text("device.parts.own_parts", lives=law.lives, ended=law.ended)
        if law.own
        else words.text("device.parts.data_sheet")
    )
    return words.messages.text(words.language, "foresight.made_by", basis=said, model=law.method)


def _state(words: Words, row: LifeForecast, now: datetime) -> str:
    """Return how much of its life is used and when it is due, or why nobody knows."""
    if row.days_to_replacement is None:
        return words.text(row.missing_reason) if row.missing_reason else words.formats.percent(None)
    used = words.text("device.parts.used", used=words.formats.percent(row.used_share))
    return f"{used} · {words.text('device.parts.due', when=_when(words, row.days_to_replacement, now))}"


def _when(words: Words, interval: Interval, now: datetime) -> str:
    """Return the days or months between which the replacement share is reached."""
    if interval.p50 <= 0:
        return words.t("wear.reached")
    early, late = (
        _day(words, now + timedelta(days=min(days, _MOST_DAYS)), now) for days in (interval.p10, interval.p90)
    )
    return early if early == late else words.t("wear.between", early=early, late=late)


def _day(words: Words, instant: datetime, now: datetime) -> str:
    """Return a day of this year, or the month beyond it."""
    far = instant - now > timedelta(days=_FAR_DAYS)
    return words.formats.month(instant.date()) if far else words.formats.day(instant)
