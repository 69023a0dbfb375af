"""Planned visits as iCalendar (RFC 5545), for the calendar of a phone: stable UIDs, rising SEQUENCE, cancelled ones kept."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from icalendar import Calendar, Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarVisit:
    """One visit as it stands in a calendar; instants are aware UTC, `sequence` rises with every change."""

    uid: str
    sequence: int
    starts: datetime
    length: timedelta
    summary: str
    place: str
    details: str
    url: str
    cancelled: bool


def calendar_of(name: str, visits: Iterable[CalendarVisit], now: datetime) -> bytes:
    """Return the feed as octets; readers fetch it again about every hour."""
    feed = Calendar()
    feed.add("prodid", "-//Drumbeat//Drumbeat//EN")
    feed.add("version", "2.0")
    feed.add("calscale", "GREGORIAN")
    feed.add("method", "PUBLISH")
    feed.add("name", name)
    feed.add("x-wr-calname", name)
    feed.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    for visit in visits:
        feed.add_component(_event(visit, now))
    return bytes(feed.to_ical())


def _event(visit: CalendarVisit, now: datetime) -> Event:
    event = Event()
    event.add("uid", visit.uid)
    event.add("sequence", visit.sequence)
    event.add("dtstamp", now)
    event.add("dtstart", visit.starts)
    event.add("dtend", visit.starts + visit.length)
    event.add("summary", visit.summary)
    event.add("status", "CANCELLED" if visit.cancelled else "CONFIRMED")
    for name, value in (("location", visit.place), ("description", visit.details), ("url", visit.url)):
        if value:
            event.add(name, value)
    return event
