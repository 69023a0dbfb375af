"""The list of what is coming up for a device, in words (requirement 36)."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from api.pages.care_view import word
from api.pages.supply_view import Words, supply_name
from crm_core.relations.device_reminders import DeviceReminder

_FAR: Final = timedelta(days=3 * 365)
_MONTHS_SAY_ENOUGH: Final = timedelta(days=300)


@dataclass(frozen=True, slots=True)
class ReminderRow:
    """One line: what, when, how sure, and whether it is late."""

    text: str
    sub: str
    when: str
    overdue: bool


def reminder_rows(words: Words, found: list[DeviceReminder], today: date) -> list[ReminderRow]:
    """Return the lines of what comes within three years; a day beyond that says nothing."""
    return [_row(words, each, today) for each in found if each.on - today <= _FAR]


def _day(words: Words, day: date, today: date) -> str:
    """Return a day of the months ahead, or the month beyond them."""
    return words.formats.month(day) if day - today > _MONTHS_SAY_ENOUGH else words.formats.day(day)


def _row(words: Words, row: DeviceReminder, today: date) -> ReminderRow:
    sub = words.t(f"coming.{row.kind}")
    if row.earliest is not None and row.latest is not None:
        early, late = (_day(words, day, today) for day in (row.earliest, row.latest))
        sub = words.t("coming.between", early=early, late=late)
    return ReminderRow(_name(words, row), sub, _day(words, row.on, today), row.overdue)


def _name(words: Words, row: DeviceReminder) -> str:
    if row.kind == "supply":
        name = supply_name(words, row.what, row.colour, None)
        return words.t("coming.full" if row.what == "waste" else "coming.empty", name=name)
    if row.kind == "part":
        return words.t("coming.worn", name=words.term("component", row.what))
    if row.kind == "task":
        return word(words, "task", row.what)
    if row.kind == "care":
        return words.t("coming.care_plan")
    return words.t("coming.renew" if row.kind == "renewal" else "coming.ends", contract=row.what)
