"""What a device said lately: its newest readings, its levels over a season, and what began and ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from api.pages import life_charts
from api.pages.supply_view import COLOURS, Words, percent_now, supply_name, tone_of
from api.wording import fault_name
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.telemetry import DailySupply, DeviceReading, TelemetryEvent
from crm_core.ports import TelemetryStore

_ROWS: Final = 8
_HOURS: Final = 6  # before the newest reading: how far back the rows reach
_AT_ONCE: Final = 400
_EVENT_DAYS: Final = 14
_EVENT_ROWS: Final = 10
_LINES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRow:
    """One reading in a line."""

    at: datetime
    pages: str
    lowest: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """Something that began or ended."""

    at: datetime
    text: str
    began: bool
    what: str


def readings_context(
    store: TelemetryStore,
    words: Words,
    reading: DeviceReading | None,
    history: Mapping[str, Sequence[DailySupply]],
    days: tuple[int, int],
    now: datetime,
) -> dict[str, Any]:
    """Return the section of readings of a device; `days` are the first and last day number of the picture."""
    if reading is None or reading.device_id is None:
        return {
            "readings": [],
            "events": [],
            "levels": None,
            "reading_hours": _HOURS,
            "event_days": _EVENT_DAYS,
        }
    key, tenant = DeviceId(reading.device_id), TenantId(reading.tenant)
    since = reading.polled_at - timedelta(hours=_HOURS)
    rows = store.readings(tenant, key, since, now, _AT_ONCE)[-_ROWS:]
    found = _said_once(store.events(tenant, now - timedelta(days=_EVENT_DAYS), now, key))
    levels, legend = _levels(words, reading, history, days)
    return {
        "readings": [_reading_row(words, row) for row in reversed(rows)],
        "reading_hours": _HOURS,
        "events": [_event_row(words, row) for row in reversed(found[-_EVENT_ROWS:])],
        "event_days": _EVENT_DAYS,
        "levels": levels,
        "levels_legend": legend,
    }


def _reading_row(words: Words, reading: DeviceReading) -> ReadingRow:
    named = [
        (percent, supply, derived)
        for supply in reading.supplies
        if (percent := percent_now(supply, derived := reading.derived_supply(supply.index))) is not None
    ]
    lowest = words.formats.number(None)
    if named:
        percent, supply, derived = min(named, key=lambda row: row[0])
        kind, colour = (derived.kind, derived.colour) if derived else (None, None)
        lowest = f"{supply_name(words, kind, colour, supply.name)} {words.formats.percent(percent / 100)}"
    troubles = [words.term("error", name) for name in sorted(reading.error_names)]
    return ReadingRow(
        at=reading.polled_at,
        pages=words.formats.number(reading.counters.life_count),
        lowest=lowest,
        says=" · ".join(troubles) or words.text("device.readings.nothing"),
    )


def _code(event: TelemetryEvent) -> str:
    """Return a fault code without the scheme before it."""
    return event.code.rpartition(":")[2]


def _said_once(events: Sequence[TelemetryEvent]) -> list[TelemetryEvent]:
    """Return the events without the fault codes that an alert of the same instant says in words."""
    told = {(each.at, each.began, each.text or "") for each in events if each.kind == "alert"}
    return [
        each
        for each in events
        if each.kind != "fault_code"
        or not any((each.at, each.began) == (at, began) and _code(each) in text for at, began, text in told)
    ]


def _event_row(words: Words, event: TelemetryEvent) -> EventRow:
    match event.kind:
        case "error_state":
            text = words.term("error", event.code)
        case "fault_code":
            text = fault_name(_code(event), words.messages, words.language)
        case "alert":
            text = event.text or words.t("device.alert_code", code=event.code)
        case _:
            text = event.text or words.text("device.lately.pushed")
    what = words.text("device.lately.began" if event.began else "device.lately.ended")
    return EventRow(at=event.at, text=text, began=event.began, what=what)


def _levels(
    words: Words, reading: DeviceReading, history: Mapping[str, Sequence[DailySupply]], days: tuple[int, int]
) -> tuple[Any, list[tuple[str, str]]]:
    """Return the picture of levels and its legend: colours first, at most so many lines as eyes tell apart."""
    first, last = days
    lines: list[tuple[str, str, list[float | None]]] = []
    for supply in reading.supplies:
        derived = reading.derived_supply(supply.index)
        kind, colour = (derived.kind, derived.colour) if derived else (None, None)
        by_day = {row.day: row.last_percent for row in history.get(supply.index, ())}
        values = [by_day.get(day) for day in range(first, last + 1)]
        if kind in ("toner", "ink", "waste") and sum(value is not None for value in values) > 1:
            lines.append((tone_of(kind, colour), supply_name(words, kind, colour, supply.name), values))
    lines.sort(key=lambda line: line[0] not in COLOURS)
    shown = lines[:_LINES]
    names = ", ".join(name for _, name, _ in shown)
    title = words.text("device.readings.levels_title", names=names, days=last - first)
    picture = life_charts.level_lines([(tone, values) for tone, _, values in shown], title) if shown else None
    return picture, [(tone, name) for tone, name, _ in shown]
