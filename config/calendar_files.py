"""Reads business calendars (`config/policy/calendars/*.yaml`): opening times, holidays and swapped workdays."""

from collections.abc import Iterable
from datetime import date, time, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.catalogue_files import read_yaml
from config.settings import TimeZone
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.sla import BusinessCalendar, WorkWindow

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MAX_SPAN: Final = timedelta(days=31)
_DAY_IS_OVER: Final = "24:00"


class _Calendar(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1)]
    version: str
    time_zone: TimeZone
    windows: Annotated[
        dict[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], list[str]], Field(min_length=1)
    ]
    provisional_from: int | None = None
    holidays_of: str | None = None  # another calendar's holidays and swapped workdays, beside the own ones
    holidays: list[date | str] = []
    swap_workdays: list[date | str] = []


def load_calendar(path: Path) -> BusinessCalendar:
    """Return the calendar in `path`, or raise `InvalidConfiguration` naming the wrong entry."""
    try:
        read = _Calendar.model_validate(read_yaml(path))
        other = (
            None if read.holidays_of is None else load_calendar(path.with_name(f"{read.holidays_of}.yaml"))
        )
        return BusinessCalendar(
            name=read.name,
            time_zone=read.time_zone,
            windows={WEEKDAYS.index(day): _windows(day, spans) for day, spans in read.windows.items()},
            holidays=frozenset(_days(read.holidays)) | (other.holidays if other else frozenset()),
            swap_workdays=frozenset(_days(read.swap_workdays))
            | (other.swap_workdays if other else frozenset()),
            provisional_from=read.provisional_from or (other.provisional_from if other else None),
            version=read.version,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidConfiguration(f"{path}: {where}: {first['msg']}") from None
    except ValueError as error:
        raise InvalidConfiguration(f"{path}: {error}") from error


def _windows(day: str, spans: Iterable[str]) -> tuple[WorkWindow, ...]:
    """Return the windows of a day; one that ends at an earlier hour than it begins runs into the next day."""
    windows: list[WorkWindow] = []
    for span in spans:
        start, separator, end = span.partition("-")
        if not separator:
            raise ValueError(f"windows.{day}: {span!r} must look like 09:00-12:00")
        closes = time(0) if end.strip() == _DAY_IS_OVER else time.fromisoformat(end.strip())
        window = WorkWindow(time.fromisoformat(start.strip()), closes)
        if window.start == closes and end.strip() != _DAY_IS_OVER:
            raise ValueError(f"windows.{day}: {span!r} has no length; a whole day is 00:00-24:00")
        before = windows[-1] if windows else None
        if before is not None and (before.over_midnight or before.end > window.start):
            raise ValueError(f"windows.{day}: {span!r} overlaps the window before")
        windows.append(window)
    return tuple(windows)


def _days(entries: Iterable[date | str]) -> Iterable[date]:
    for entry in entries:
        if isinstance(entry, date):
            yield entry
            continue
        first_text, _, last_text = entry.partition("..")
        first = date.fromisoformat(first_text.strip())
        last = date.fromisoformat(last_text.strip()) if last_text else first
        if not timedelta(0) <= last - first <= _MAX_SPAN:
            raise ValueError(f"{entry!r} must be a day or a span of at most {_MAX_SPAN.days} days")
        for offset in range((last - first).days + 1):
            yield first + timedelta(days=offset)
