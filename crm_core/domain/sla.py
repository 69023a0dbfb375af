"""Service level arithmetic: due times over a business calendar, as pure functions of what is promised."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from crm_core.domain.service import ClockKind


class EscalationStep(StrEnum):
    """Who is told that a promise is running out, one after the other (reference 3.4)."""

    TECHNICIAN = "technician"
    DISPATCHER = "dispatcher"
    SUPERVISOR = "supervisor"
    MANAGER = "manager"


@dataclass(frozen=True, slots=True)
class WorkWindow:
    """An opening time that begins on a local day. An `end` before `start` is on the next day, 00:00 is its beginning."""

    start: time
    end: time

    @property
    def over_midnight(self) -> bool:
        """Whether it ends on the next day: at its very beginning, or later."""
        return self.end < self.start or self.end == time(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessCalendar:
    """When a promise counts: windows by weekday (0 = Monday), in a time zone, with holidays and swap workdays.

    `swap_workdays` are weekend days that are worked (they take the windows of Monday). `provisional_from` is the
    first year whose official calendar is not published; due times that reach it are provisional.
    """

    name: str
    time_zone: str
    windows: dict[int, tuple[WorkWindow, ...]]
    holidays: frozenset[date] = frozenset()
    swap_workdays: frozenset[date] = frozenset()
    provisional_from: int | None = None
    version: str = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A duration that counts either on the wall clock or in business hours."""

    kind: ClockKind
    duration: timedelta
    business_hours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTime:
    """The answer of the SLA engine: when, why, and whether the calendar is only provisional."""

    due_at: datetime
    explanation: str
    provisional: bool = False
    parts: tuple[str, ...] = field(default=())
