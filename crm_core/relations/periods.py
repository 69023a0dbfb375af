"""Calendar months as reminders and cadence count them: some months before a date, and blocks of whole months."""

import calendar
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

MORNING: Final = time(9)


def months_before(day: date, months: int) -> date:
    """Return the day that many months before; a day that the month lacks becomes its last one (05-31 -> 02-28)."""
    number = day.year * 12 + day.month - 1 - months
    year, month = divmod(number, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def block_start(day: date, months: int) -> date:
    """Return the first day of the block of whole months that `day` lies in; blocks are counted from January."""
    return date(day.year, (day.month - 1) // months * months + 1, 1)


def block_end(day: date, months: int) -> date:
    """Return the first day after the block of whole months that `day` lies in."""
    return months_before(block_start(day, months), -months)


def morning(day: date, time_zone: str) -> datetime:
    """Return 09:00 of a local day as an instant: when a task of that day is due."""
    return datetime.combine(day, MORNING, ZoneInfo(time_zone)).astimezone(UTC)


def local_day(instant: datetime, time_zone: str) -> date:
    """Return the local day of an instant."""
    return instant.astimezone(ZoneInfo(time_zone)).date()
