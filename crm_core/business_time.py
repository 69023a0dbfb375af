"""Arithmetic of business time over a calendar: add a duration to an instant, and its exact inverse.

Many windows a day, windows over midnight, holidays, swap workdays, time zones with summer time: it is open when the
clock on the wall there shows a time inside a window, so an hour that summer time skips does not count, and one that
it repeats counts twice. A calendar is compiled once a year of dates into sorted opening spans with running totals
(integer microseconds), so that a due time costs two binary searches.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import Final
from zoneinfo import ZoneInfo

from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.sla import BusinessCalendar, WorkWindow

_MONDAY: Final = 0
_MIDNIGHT: Final = time(0)
_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_KEPT: Final = 64  # compiled calendars that are kept


def windows_on(calendar: BusinessCalendar, day: date) -> tuple[WorkWindow, ...]:
    """Return the opening windows of a local day; a swap workday takes Monday's when its own weekday is closed."""
    if day in calendar.holidays:
        return ()
    own = calendar.windows.get(day.weekday(), ())
    if day in calendar.swap_workdays:
        return own or calendar.windows.get(_MONDAY, ())
    return own


def add_business(calendar: BusinessCalendar, start: datetime, duration: timedelta) -> datetime:
    """Return the earliest UTC instant at which `duration` (>= 0) of business time has passed since `start`.

    A calendar without opening hours for two years raises `InvalidConfiguration`.
    """
    compiled = _compiled(calendar)
    begin, left = _microseconds(start), duration // _MICROSECOND
    number = compiled.year_of(begin, start.year)
    empty_years = 0
    while empty_years < 2:
        year = compiled.year(number)
        first = bisect_right(year.ends, begin)
        if first < len(year.ends):
            empty_years = 0
            opens = max(begin, year.starts[first])
            if left == 0:
                return _instant(opens)
            target = year.before[first] + (opens - year.starts[first]) + left
            last = bisect_left(year.after, target)
            if last < len(year.after):
                return _instant(year.starts[last] + target - year.before[last])
            left = target - year.total
        elif not year.ends:
            empty_years += 1
        number += 1
    raise InvalidConfiguration(
        f"calendar {calendar.name!r} has no opening hours for two years: check its windows"
    )


def elapsed_business(calendar: BusinessCalendar, start: datetime, end: datetime) -> timedelta:
    """Return the business time between two instants; zero when `end` is not after `start`."""
    begin, finish = _microseconds(start), _microseconds(end)
    if finish <= begin:  # the instants, not the clocks on the wall: these may go back
        return timedelta()
    compiled = _compiled(calendar)
    first, last = compiled.year_of(begin, start.year), compiled.year_of(finish, end.year)
    total = compiled.year(last).up_to(finish) - compiled.year(first).up_to(begin)
    total += sum(compiled.year(number).total for number in range(first, last))
    return total * _MICROSECOND


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of that name."""
    return ZoneInfo(name)


@dataclass(frozen=True, slots=True)
class _Year:
    """The opening spans of one local year; `before` and `after` are business time up to each span's ends."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    total: int

    def up_to(self, instant: int) -> int:
        """Return the business time of this year up to an instant."""
        span = bisect_right(self.starts, instant) - 1
        if span < 0:
            return 0
        return self.before[span] + min(instant, self.ends[span]) - self.starts[span]


class _Compiled:
    """A calendar with the years that were asked for."""

    def __init__(self, calendar: BusinessCalendar) -> None:
        self.calendar = calendar
        self._years: dict[int, _Year] = {}

    def year(self, number: int) -> _Year:
        found = self._years.get(number)
        if found is None:
            found = self._years[number] = _compile_year(self.calendar, number)
        return found

    def year_of(self, instant: int, utc_year: int) -> int:
        """Return the local year whose spans an instant lies in or before: near New Year it is not the UTC year."""
        ends = self.year(utc_year - 1).ends
        if ends and ends[-1] > instant:
            return utc_year - 1
        starts = self.year(utc_year + 1).starts
        return utc_year + 1 if starts and starts[0] < instant else utc_year


_cache: dict[int, _Compiled] = {}


def _compiled(calendar: BusinessCalendar) -> _Compiled:
    """Return the compiled form; kept by identity, with the calendar itself so that no other takes its place."""
    found = _cache.get(id(calendar))
    if found is None or found.calendar is not calendar:
        if len(_cache) >= _KEPT:
            _cache.clear()
        found = _cache[id(calendar)] = _Compiled(calendar)
    return found


def _compile_year(calendar: BusinessCalendar, number: int) -> _Year:
    opened = list(_opened(calendar, number))
    spans = _united(
        (max(opens, begins) - offset, min(closes, ends) - offset)
        for begins, ends, offset in _stretches(zone_of(calendar.time_zone), number)
        for opens, closes in opened
        if max(opens, begins) < min(closes, ends)
    )
    lengths = [closes - opens for opens, closes in spans]
    after = tuple(accumulate(lengths))
    return _Year(
        starts=tuple(opens for opens, _ in spans),
        ends=tuple(closes for _, closes in spans),
        before=tuple(total - length for total, length in zip(after, lengths, strict=True)),
        after=after,
        total=after[-1] if after else 0,
    )


def _opened(calendar: BusinessCalendar, number: int) -> Iterator[tuple[int, int]]:
    """Yield the windows by the clock on the wall, with the last one of the year before, which may reach into this one."""
    first = date(number, 1, 1) - _DAY
    for day in (first + offset * _DAY for offset in range((date(number + 1, 1, 1) - first).days)):
        for window in windows_on(calendar, day):
            closing = day + _DAY if window.over_midnight else day
            yield _on_the_wall(day, window.start), _on_the_wall(closing, window.end)


def _stretches(zone: ZoneInfo, number: int) -> Iterator[tuple[int, int, int]]:
    """Yield a year by the clock on the wall in stretches of one UTC offset: begin, end and the offset."""
    first, last = (_on_the_wall(date(year, 1, 1), _MIDNIGHT) for year in (number, number + 1))
    day = _DAY // _MICROSECOND
    begin, end = first - 2 * day, last + 2 * day
    offset = _offset(zone, begin)
    for noon in range(begin + day, end + day, day):
        later = _offset(zone, noon)
        if later != offset:
            change = _change(zone, noon - day, noon)
            yield max(begin + offset, first), min(change + offset, last), offset
            begin, offset = change, later
    yield max(begin + offset, first), min(end + offset, last), offset


def _change(zone: ZoneInfo, before: int, after: int) -> int:
    """Return the instant between two at which the UTC offset changes."""
    old = _offset(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone, middle) == old:
            before = middle
        else:
            after = middle
    return after


def _offset(zone: ZoneInfo, instant: int) -> int:
    return (_instant(instant).astimezone(zone).utcoffset() or timedelta()) // _MICROSECOND


def _united(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans in order, those that overlap as one: no minute counts twice."""
    united: list[tuple[int, int]] = []
    for opens, closes in sorted(spans):
        if united and opens <= united[-1][1]:
            united[-1] = united[-1][0], max(united[-1][1], closes)
        else:
            united.append((opens, closes))
    return united


def _on_the_wall(day: date, at: time) -> int:
    return _microseconds(datetime.combine(day, at, UTC))


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
