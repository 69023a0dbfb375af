"""Sentences about tickets and work orders, made from keys and arguments in the reader's language."""

import re
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from crm_core.business_time import elapsed_business
from crm_core.domain.forecast import Reason
from crm_core.domain.messages import Messages
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import Evidence, SlaClock, Ticket, WorkOrder
from crm_core.domain.sla import BusinessCalendar
from crm_core.domain.wording import Figure, fault_name, term, worded, worded_detail
from crm_core.ticket_states import pauses_of

__all__ = [
    "Figure",
    "clock_reasons",
    "evidence_text",
    "fault_name",
    "guide_steps",
    "reason_text",
    "span_text",
    "term",
    "ticket_title",
    "worded",
    "worded_detail",
]


def ticket_title(ticket: Ticket, messages: Messages, language: str) -> str:
    """Return the ticket's title in words."""
    return messages.text(language, ticket.title_key, **worded_detail(ticket.detail, messages, language))


def reason_text(reason: Reason, messages: Messages, language: str) -> str:
    """Return a forecast's reason in words."""
    arguments = {name: worded(name, value, messages, language) for name, value in reason.arguments.items()}
    return messages.text(language, reason.key, **arguments)


def note_text(note: str, messages: Messages, language: str) -> str:
    """Return the remarks of a work order, those of the product in the reader's language."""
    return "\n".join(messages.unpacked(language, line) for line in note.split("\n"))


def guide_steps(order: WorkOrder, messages: Messages, language: str) -> list[str]:
    """Return the steps of the guide in words, in order."""
    return [messages.text(language, key) for key in order.guide_keys]


def clock_reasons(
    clock: SlaClock, ticket: Ticket, policy: PolicyBook, messages: Messages, language: str
) -> list[str]:
    """Return why a promise is due when it is: what was promised, from when, and which hours of which days counted."""
    calendar = policy.sla.calendar_named(clock.calendar)
    zone = ZoneInfo(calendar.time_zone)
    key = "why_business" if clock.business_hours else "why_wall"
    lines = [
        messages.text(
            language,
            f"pages.clock.{key}",
            promised=span_text(timedelta(seconds=clock.duration_seconds), messages, language),
            start=clock.started_at.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
            due=clock.due_at.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
        )
    ]
    if clock.business_hours:
        days = _days_that_counted(clock, calendar, messages, language)
        lines.append(messages.text(language, "pages.clock.why_days", days=", ".join(days)))
        named = messages.text(
            language, "pages.clock.why_calendar", name=calendar.name, version=calendar.version
        )
        lines.append(named)
    if clock.by_contract:
        lines.append(messages.text(language, "pages.clock.why_contract"))
    if clock.provisional:
        lines.append(messages.text(language, "pages.clock.why_provisional"))
    if any(pause.start < clock.due_at for pause in pauses_of(ticket)):
        lines.append(messages.text(language, "pages.clock.why_paused"))
    return lines


def _days_that_counted(
    clock: SlaClock, calendar: BusinessCalendar, messages: Messages, language: str
) -> list[str]:
    """Return each local day between start and due time with the business time that it gave; at most ten."""
    zone = ZoneInfo(calendar.time_zone)
    day, last = clock.started_at.astimezone(zone).date(), clock.due_at.astimezone(zone).date()
    shown: list[str] = []
    while day <= last and len(shown) < 10:
        opens = datetime.combine(day, time.min, zone)
        closes = datetime.combine(day + timedelta(days=1), time.min, zone)
        counted = elapsed_business(calendar, max(opens, clock.started_at), min(closes, clock.due_at))
        if counted:
            shown.append(f"{day:%m-%d} {span_text(counted, messages, language)}")
        day += timedelta(days=1)
    return shown


def span_text(span: timedelta, messages: Messages, language: str) -> str:
    """Return a duration in hours and minutes."""
    minutes = round(span.total_seconds() / 60)
    hours, rest = divmod(minutes, 60)
    if not rest and hours:
        return messages.text(language, "pages.span.hours", hours=hours)
    if not hours:
        return messages.text(language, "pages.span.minutes", minutes=rest)
    return messages.text(language, "pages.span.both", hours=hours, minutes=rest)


_EVIDENCE_KEYS: Final = {
    "prtAlertCode": "evidence.alert",
    "vendor": "device.fault_code",
    "silence": "cause.silence",
}
_FORECAST_DAYS = re.compile(r"^P50 ([0-9.]+) d \(([0-9.]+) to ([0-9.]+)\)$")


def evidence_text(evidence: Evidence, messages: Messages, language: str) -> str:
    """Return what was observed in words; parts that have no words (a text of the device) stay as they are."""
    parts = [_evidence_part(part, messages, language) for part in evidence.summary.split(" | ")]
    return " · ".join(dict.fromkeys(part for part in parts if part))


def _evidence_part(part: str, messages: Messages, language: str) -> str:
    """Return one part of an evidence's summary in words."""
    days = _FORECAST_DAYS.match(part)
    if days:
        median, low, high = days.groups()
        if float(high) == 0:
            return ""  # reached already: the title says so
        return messages.text(language, "pages.evidence.days", median=median, low=low, high=high)
    scheme, _, code = part.partition(":")
    if scheme == "hrPrinterDetectedErrorState":
        return term("error", code, messages, language)
    key = f"evidence.{code}" if scheme == "forecast" else _EVIDENCE_KEYS.get(scheme)
    return messages.text(language, f"pages.{key}", code=code) if key else fault_name(part, messages, language)
