"""The pages of a device in a month, traced to the readings at its ends: measured, interpolated or estimated.

The end of a month is the last reading before it; the next month goes on from that very reading, so no page is lost or
billed twice. A device that was silent around the end is split between the readings on both sides when it spoke again,
and estimated from its days before when it did not; the estimate is trued up as soon as a reading comes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final
from zoneinfo import ZoneInfo

from crm_core.billing.counts import Counts, daily_point, day_number, point_of
from crm_core.billing.epochs import JUMP, NEW_EPOCH, ROLL_OVER, Pages, pages_of, without_false
from crm_core.billing.pages_price import month_after
from crm_core.domain.billing import DeviceUsage, MeterPoint, PageSegment, Quality
from crm_core.domain.billing_policy import MeterPolicy
from crm_core.domain.contracts import DeviceStay
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.meter_statements import MeterStatement, source_of
from crm_core.domain.telemetry import DailyMeters
from crm_core.ports import TelemetryStore

ESTIMATED: Final = "estimated"
INTERPOLATED: Final = "interpolated"
NO_HISTORY: Final = "no_history"  # silent from the first day: nothing to estimate from, nothing billed
NO_READING: Final = "no_reading"  # the device has never stated its counter
STATED: Final = "stated"  # the end of a stretch was read off by a person
EXACT_FLAGS: Final = frozenset({INTERPOLATED, ROLL_OVER, STATED})  # said on the invoice; nobody has to look
_DAY: Final = timedelta(days=1)
_NEAR: Final = timedelta(days=1)  # how near a reading must be to a stay's end to speak for it
_RAW_A_DAY: Final = 5000


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a month in which a device served a line: instants, end excluded."""

    month: date
    since: datetime
    until: datetime


def month_start(month: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a calendar month begins in the firm's time zone."""
    return datetime.combine(month.replace(day=1), time(), zone).astimezone(UTC)


def window_of(stay: DeviceStay, month: date, zone: ZoneInfo, first: date, last: date) -> Window | None:
    """Return when the stay served in `month` between the days `first` and `last` of the contract, or None."""
    begin = datetime.combine(first, time(), zone).astimezone(UTC)
    end = datetime.combine(last + _DAY, time(), zone).astimezone(UTC)
    since = max(stay.from_at, month_start(month, zone), begin)
    until = min(stay.to_at or end, month_start(month_after(month), zone), end)
    return Window(month, since, until) if since < until else None


class MeterReader:
    """Reads usage from the telemetry store; one pass over the month's roll-ups serves a whole run."""

    def __init__(
        self,
        store: TelemetryStore,
        policy: MeterPolicy,
        zone: ZoneInfo,
        statements: Iterable[MeterStatement] = (),
    ) -> None:
        self._store = store
        self._counts = Counts(store, policy, statements)
        self._policy = policy
        self.zone = zone
        self._epoch_days: dict[tuple[TenantId, date], dict[str, list[DailyMeters]]] = {}

    def usage(
        self,
        tenant: TenantId,
        stay: DeviceStay,
        window: Window,
        opening: MeterPoint | None,
    ) -> DeviceUsage:
        """Return the pages in `window`; `opening` is where the month before ended on this line, None at the beginning."""
        used = self._usage(tenant, stay, window, opening)
        return replace(used, flags=(*used.flags, STATED)) if rests_on_statement(used) else used

    def _usage(
        self,
        tenant: TenantId,
        stay: DeviceStay,
        window: Window,
        opening: MeterPoint | None,
    ) -> DeviceUsage:
        device = stay.device_id
        before, after = self._counts.around(tenant, device, window.until)
        start = opening or self._first_point(tenant, stay, window)
        blank = DeviceUsage(
            line_id=stay.line_id, device_id=device, month=window.month, mono=0, colour=0, segments=()
        )
        ended = stay.to_at is not None and stay.to_at <= window.until
        if before is None and ended and stay.end_count is not None:
            before = _stated(stay.to_at or window.until, stay.end_count)
        if start is None:
            return replace(blank, flags=(NO_READING,), estimated=not ended)
        if before is not None and before.at <= start.at:
            before = None
        if before is not None and (ended or window.until - before.at <= self._policy.silent_after):
            return self._measured(tenant, blank, start, before, after)
        if after is not None and not ended:
            return self._interpolated(tenant, blank, start, before, after, window.until)
        return self._estimated(tenant, blank, start, before, window.until)

    def _first_point(self, tenant: TenantId, stay: DeviceStay, window: Window) -> MeterPoint | None:
        """Return the statement at the beginning of a stay: a reading near it, what was read off, or the first reading."""
        before, after = self._counts.around(tenant, stay.device_id, window.since)
        if before is not None and window.since - before.at <= _NEAR:
            return before
        if stay.start_count is not None:
            return _stated(stay.from_at, stay.start_count)
        return before or after

    def _measured(
        self,
        tenant: TenantId,
        blank: DeviceUsage,
        start: MeterPoint,
        end: MeterPoint,
        after: MeterPoint | None,
    ) -> DeviceUsage:
        points = self._points(tenant, blank.device_id, start, end)
        limit = self._policy.most_pages_a_day
        if after is not None:  # the next look shows whether the last one can be true
            kept, false = without_false([*points, after], limit)
            if false and kept[-2].at < end.at:
                pages = pages_of(kept[:-1], limit)
                return _used(blank, replace(pages, flags=tuple(dict.fromkeys([*false, *pages.flags]))))
        return _used(blank, pages_of(points, limit))

    def _points(
        self, tenant: TenantId, device: DeviceId, start: MeterPoint, end: MeterPoint
    ) -> list[MeterPoint]:
        """Return the statements from `start` to `end`: all readings of days on which the counter fell, else the ends."""
        found: list[MeterPoint] = []
        suspicious = (end.total or 0) < (start.total or 0)
        for row in self._rows(tenant, device, start.at, end.at):
            if row.epoch_changes or suspicious:
                found.extend(self._of_day(tenant, device, row))
        between = sorted((row for row in found if start.at < row.at < end.at), key=lambda row: row.at)
        return [start, *between, end]

    def _rows(
        self, tenant: TenantId, device: DeviceId, since: datetime, until: datetime
    ) -> list[DailyMeters]:
        """Return the device's roll-ups between two instants; the run's months are read once for the whole fleet."""
        rows: list[DailyMeters] = []
        month = since.date().replace(day=1)
        while month <= until.date():
            key = (tenant, month)
            if key not in self._epoch_days:
                self._epoch_days[key] = self._month_rows(tenant, month)
            rows.extend(self._epoch_days[key].get(device, ()))
            month = month_after(month)
        first, last = day_number(since.date()), day_number(until.date())
        return [row for row in rows if first <= row.day <= last]

    def _month_rows(self, tenant: TenantId, month: date) -> dict[str, list[DailyMeters]]:
        rows: dict[str, list[DailyMeters]] = {}
        for row in self._store.daily_meters(tenant, day_number(month), day_number(month_after(month)) - 1):
            if row.last_count is not None:
                rows.setdefault(row.device_id, []).append(row)
        return rows

    def _of_day(self, tenant: TenantId, device: DeviceId, row: DailyMeters) -> list[MeterPoint]:
        """Return all statements of one UTC day, or its last one when its readings are no longer kept."""
        since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=row.day)
        readings = self._store.readings(tenant, device, since, since + _DAY, _RAW_A_DAY)
        points = [point for reading in readings if (point := point_of(reading)) is not None]
        return points or [daily_point(row)]

    def _interpolated(
        self,
        tenant: TenantId,
        blank: DeviceUsage,
        start: MeterPoint,
        before: MeterPoint | None,
        after: MeterPoint,
        at: datetime,
    ) -> DeviceUsage:
        """Split the pages between the last statement before and the first one after `at` by time."""
        last = before or start
        bridge = pages_of(self._points(tenant, blank.device_id, last, after), self._policy.most_pages_a_day)
        used = _used(blank, self._until(tenant, blank, start, before))
        if NEW_EPOCH in bridge.flags or JUMP in bridge.flags:
            return replace(used, flags=(*used.flags, *bridge.flags))
        share = (at - last.at) / (after.at - last.at)
        pages, colour = _part(bridge.mono + bridge.colour, share), _part(bridge.colour, share)
        segment = _extended(last, at, pages - colour, colour, Quality.INTERPOLATED, after.evidence)
        return _with_segment(used, segment, INTERPOLATED)

    def _estimated(
        self,
        tenant: TenantId,
        blank: DeviceUsage,
        start: MeterPoint,
        before: MeterPoint | None,
        until: datetime,
    ) -> DeviceUsage:
        last = before or start
        used = _used(blank, self._until(tenant, blank, start, before))
        rate = self._counts.pages_a_day(tenant, blank.device_id, last.at, start)
        if rate is None:
            return replace(used, flags=(*used.flags, NO_HISTORY), estimated=True)
        mono_a_day, colour_a_day = rate
        days = (until - last.at) / _DAY
        segment = _extended(
            last,
            until,
            _part(mono_a_day, days),
            _part(colour_a_day, days),
            Quality.ESTIMATED,
            "mean of the days before",
        )
        return replace(_with_segment(used, segment, ESTIMATED), estimated=True)

    def _until(
        self, tenant: TenantId, blank: DeviceUsage, start: MeterPoint, before: MeterPoint | None
    ) -> Pages:
        if before is None:
            return Pages(mono=0, colour=0, segments=(), flags=())
        points = self._points(tenant, blank.device_id, start, before)
        return pages_of(points, self._policy.most_pages_a_day)


def rests_on_statement(used: DeviceUsage) -> bool:
    """Return True if what somebody stated of the meter ends a stretch of the usage, or splits it by time."""
    return any(source_of(row.closing) is not None for row in used.segments)


def _used(blank: DeviceUsage, pages: Pages) -> DeviceUsage:
    return replace(blank, mono=pages.mono, colour=pages.colour, segments=pages.segments, flags=pages.flags)


def _with_segment(used: DeviceUsage, segment: PageSegment, flag: str) -> DeviceUsage:
    return replace(
        used,
        mono=used.mono + segment.mono,
        colour=used.colour + segment.colour,
        segments=(*used.segments, segment),
        flags=(*used.flags, flag),
    )


def _extended(
    last: MeterPoint, at: datetime, mono: int, colour: int, quality: Quality, evidence: str
) -> PageSegment:
    """Return a segment that ends at a concluded statement."""
    closing = MeterPoint(
        at=at,
        total=(last.total or 0) + mono + colour,
        mono=None if last.mono is None else last.mono + mono,
        colour=None if last.colour is None else last.colour + colour,
        quality=quality,
        evidence=evidence,
    )
    return PageSegment(opening=last, closing=closing, mono=mono, colour=colour, flag=quality.value)


def _part(pages: float, factor: float) -> int:
    return int(Decimal(pages * factor).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _stated(at: datetime, count: int) -> MeterPoint:
    return MeterPoint(at=at, total=count, quality=Quality.STATED, evidence="read off by a person")
