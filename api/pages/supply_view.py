"""One supply as people see it: its level as the device states it, how it went, and when it will be empty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from markupsafe import Markup

from api.pages import charts
from api.pages.formats import Formats
from api.wording import reason_text, term
from crm_core.domain.forecast import Interval, Provenance, SupplyForecast
from crm_core.domain.messages import Messages
from crm_core.domain.telemetry import (
    DailySupply,
    DerivedSupply,
    DeviceReading,
    MarkerSupply,
    Measured,
    SomeRemaining,
    Unknown,
    Unlimited,
)

HISTORY_DAYS: Final = 28
_PLENTY_DAYS: Final = 120
_YEAR: Final = 365
COLOURS: Final = frozenset({"black", "cyan", "magenta", "yellow"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The language of a page: texts and formats."""

    messages: Messages
    language: str
    formats: Formats

    def text(self, key: str, /, **arguments: object) -> str:
        """Return a text of any area."""
        return self.messages.text(self.language, key, **arguments)

    def t(self, key: str, /, **arguments: object) -> str:
        """Return a text of the pages."""
        return self.messages.text(self.language, f"pages.{key}", **arguments)

    def term(self, family: str, value: str | None) -> str:
        """Return a word of the trade."""
        return term(family, value, self.messages, self.language)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyView:
    """What the template shows of one supply."""

    name: str
    tone: str
    level: str
    meter: Markup
    fan: Markup
    days: str | None
    range: str
    missing: str | None
    reasons: tuple[str, ...]
    basis: str | None
    replenish: bool
    plenty: bool  # far from empty: shown in a line, without the picture
    pictured: bool  # there is a past or a forecast to draw


def tone_of(kind: str | None, colour: str | None) -> str:
    """Return the style class of a supply: its colour, or its family."""
    if colour in COLOURS:
        return str(colour)
    if kind == "waste":
        return "waste"
    return "black" if kind in ("toner", "ink") and colour is None else "other"


def supply_name(words: Words, kind: str | None, colour: str | None, stated: str | None) -> str:
    """Return the supply in words: colour and kind where they are known, else what the device calls it."""
    if kind is None or kind == "other":
        return stated or words.t("supply.unnamed")
    if colour is None:
        name = words.term("kind", kind)
        return name[:1].upper() + name[1:]
    return words.t("supply.named", colour=words.term("colour", colour), kind=words.term("kind", kind))


def percent_now(supply: MarkerSupply, derived: DerivedSupply | None) -> float | None:
    """Return the level in percent, as stated or from vendor data; None where the device gives no number."""
    if supply.percent is not None:
        return supply.percent
    return derived.level_percent if derived else None


def level_words(words: Words, supply: MarkerSupply, percent: float | None) -> str:
    """Return the level in words; a level that is no number is never shown as one."""
    if percent is not None:
        return words.formats.percent(percent / 100)
    match supply.reading:
        case SomeRemaining():
            return words.t("level_state.some_remaining")
        case Unlimited():
            return words.t("level_state.no_restriction")
        case Unknown():
            return words.t("level_state.unknown")
        case Measured(amount):
            return words.formats.number(amount)


def supply_views(
    words: Words,
    reading: DeviceReading | None,
    forecasts: Sequence[SupplyForecast],
    history: Mapping[str, Sequence[DailySupply]],
    last_day: int,
) -> list[SupplyView]:
    """Return the supplies of a device, those that need attention first."""
    if reading is None:
        return []
    by_index = {row.supply_index: row for row in forecasts}
    views = [
        (
            _urgency(by_index.get(supply.index)),
            _view(
                words, reading, supply, by_index.get(supply.index), history.get(supply.index, ()), last_day
            ),
        )
        for supply in reading.supplies
    ]
    return [view for _, view in sorted(views, key=lambda pair: pair[0])]


def _urgency(forecast: SupplyForecast | None) -> float:
    """Return the sort key: median days left; without a forecast last."""
    return forecast.days_to_empty.p50 if forecast and forecast.days_to_empty else 1e9


def _view(
    words: Words,
    reading: DeviceReading,
    supply: MarkerSupply,
    forecast: SupplyForecast | None,
    history: Sequence[DailySupply],
    last_day: int,
) -> SupplyView:
    """Return the view of one supply."""
    derived = reading.derived_supply(supply.index)
    kind = derived.kind if derived else None
    colour = derived.colour if derived else None
    percent = percent_now(supply, derived)
    name = supply_name(words, kind, colour, supply.name)
    past = _daily(history, last_day)
    level = level_words(words, supply, percent)
    interval = forecast.days_to_empty if forecast else None
    tone = tone_of(kind, colour)
    title = words.t(
        "supply.fan_title",
        name=name,
        level=level,
        days=words.formats.days(interval.p50 if interval else None),
    )
    return SupplyView(
        name=name,
        tone=tone,
        level=level,
        meter=charts.meter(percent, tone, f"{name} {level}"),
        fan=charts.level_fan(past, percent, interval, title),
        days=_days_left(words, interval) if interval else None,
        range=words.t(
            "supply.range", low=words.formats.days(interval.p10), high=words.formats.days(interval.p90)
        )
        if interval and interval.p10 <= _YEAR
        else "",
        missing=words.messages.text(words.language, forecast.missing_reason)
        if forecast and forecast.missing_reason
        else None,
        reasons=reasons_of(words, forecast),
        basis=basis_of(words, forecast),
        replenish=bool(forecast and forecast.replenish),
        plenty=interval is not None and interval.p10 > _PLENTY_DAYS,
        pictured=interval is not None or sum(value is not None for value in past) > 1,
    )


def _days_left(words: Words, interval: Interval) -> str:
    """Return the median days left in words; beyond a year no number is worth its digits."""
    if interval.p50 > _YEAR:
        return words.t("supply.year")
    return words.t("supply.days", days=words.formats.days(interval.p50))


def reasons_of(words: Words, forecast: SupplyForecast | None) -> tuple[str, ...]:
    """Return the reasons of a forecast in words."""
    if forecast is None:
        return ()
    return tuple(
        reason_text(reason, words.messages, words.language) for reason in forecast.provenance.reasons[:3]
    )


def basis_of(words: Words, forecast: SupplyForecast | None) -> str | None:
    """Return what a forecast rests on and how old its data is."""
    if forecast is None or forecast.days_to_empty is None:
        return None
    return origin_of(words, forecast.provenance)


def origin_of(words: Words, origin: Provenance) -> str:
    """Return what a forecast rests on, how old its data is and which model made it."""
    return origin_words(words, origin.basis.value, origin.age_of_data_days, origin.model, origin.as_of)


def origin_words(words: Words, basis: str, age_days: float | None, model: str, as_of: date) -> str:
    """Return the same from single facts, as a ticket keeps them; the age is that on the day of the forecast, which is named."""
    said = words.t(f"basis.{basis}")
    if age_days is not None:
        age = words.formats.number(max(age_days, 0.0), 1)
        said = words.t("basis.with_age", basis=said, age=age, day=words.formats.day(as_of))
    return words.messages.text(words.language, "foresight.made_by", basis=said, model=model)


def _daily(history: Sequence[DailySupply], last_day: int) -> list[float | None]:
    """Return the level at the end of each of the last days, oldest first; None where there is no number."""
    by_day = {row.day: row.last_percent for row in history}
    return [by_day.get(day) for day in range(last_day - HISTORY_DAYS, last_day + 1)]
