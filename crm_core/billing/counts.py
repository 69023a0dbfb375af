"""What the billing meter of a device showed when: its readings, the day's last counts, and what people read off.

A reading always wins: a statement counts only where the device was silent, and only while no reading contradicts it.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final

from crm_core.billing.plausible import contradicted
from crm_core.domain.billing import MeterPoint, Quality
from crm_core.domain.billing_policy import MeterPolicy
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.meter_statements import MeterStatement
from crm_core.domain.telemetry import DailyMeters, DeviceReading
from crm_core.metering import meter_step
from crm_core.ports import TelemetryStore

_EPOCH: Final = date(1970, 1, 1)
_MIDNIGHT: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_TICK: Final = timedelta(microseconds=1)
_LOOK_BACK_DAYS: Final = 31  # for the day's last count where raw readings are no longer kept


class Counts:
    """Finds points of the meter; `statements` are the accepted ones of one tenant."""

    def __init__(
        self, store: TelemetryStore, policy: MeterPolicy, statements: Iterable[MeterStatement] = ()
    ) -> None:
        self._store = store
        self._policy = policy
        self._stated: dict[DeviceId, list[MeterPoint]] = defaultdict(list)
        for row in sorted(statements, key=lambda each: (each.read_at, each.statement_id)):
            self._stated[row.device_id].append(row.point)
        self._believed: dict[DeviceId, list[MeterPoint]] = {}

    def around(
        self, tenant: TenantId, device: DeviceId, at: datetime
    ) -> tuple[MeterPoint | None, MeterPoint | None]:
        """Return the points before (or at) and after an instant, statements of a silent device among them."""
        before, after = self.read_around(tenant, device, at)
        stated = self._of(tenant, device)
        earlier = max((row for row in stated if row.at <= at), key=lambda row: row.at, default=None)
        later = min((row for row in stated if row.at > at), key=lambda row: row.at, default=None)
        if earlier is not None and (before is None or (self._silent(before, at) and earlier.at > before.at)):
            before = earlier
        if later is not None and (after is None or later.at < after.at):
            after = later
        return before, after

    def read_around(
        self, tenant: TenantId, device: DeviceId, at: datetime
    ) -> tuple[MeterPoint | None, MeterPoint | None]:
        """Return what the device itself said last before (or at) an instant, and first after it."""
        first, second = self._store.neighbours(tenant, device, at + _TICK)  # a reading at `at` ends it
        return point_of(first) or self._daily_point(tenant, device, at), point_of(second)

    def pages_a_day(
        self, tenant: TenantId, device: DeviceId, last: datetime, start: MeterPoint | None = None
    ) -> tuple[float, float] | None:
        """Return the mean mono and colour pages a day before `last`, or None without two counts.

        Where the last days have no two counts, `start` (where the meter stood at first) helps out.
        """
        final = day_number(last.date())
        first = final - self._policy.estimate_days
        rows = self._store.daily_meters(tenant, first, final, device)
        points = [daily_point(row) for row in rows if row.last_count is not None]
        points += [row for row in self._of(tenant, device) if last - self._window <= row.at <= last]
        if len(points) < 2 and start is not None:
            points.append(start)
        points.sort(key=lambda row: row.at)
        if len(points) < 2 or points[-1].at <= points[0].at:
            return None
        total = colour = 0
        for one, other in pairwise(points):
            total += meter_step(one.total, other.total).pages
            colour += meter_step(one.colour, other.colour).pages
        days = (points[-1].at - points[0].at) / _DAY
        return (total - min(colour, total)) / days, min(colour, total) / days

    @property
    def _window(self) -> timedelta:
        return timedelta(days=self._policy.estimate_days)

    def _silent(self, before: MeterPoint, at: datetime) -> bool:
        return at - before.at > self._policy.silent_after

    def _of(self, tenant: TenantId, device: DeviceId) -> list[MeterPoint]:
        """Return the statements that no reading contradicts."""
        if device not in self._stated:
            return []
        if device not in self._believed:
            self._believed[device] = [
                row
                for row in self._stated[device]
                if not contradicted(row, *self.read_around(tenant, device, row.at))
            ]
        return self._believed[device]

    def _daily_point(self, tenant: TenantId, device: DeviceId, at: datetime) -> MeterPoint | None:
        last = day_number((at - _DAY).date())
        rows = list(self._store.daily_meters(tenant, last - _LOOK_BACK_DAYS, last, device))
        rows = [row for row in rows if row.last_count is not None]
        return daily_point(rows[-1]) if rows else None


def point_of(reading: DeviceReading | None) -> MeterPoint | None:
    """Return a reading as a point of the billing meter, None when it does not state it."""
    if reading is None or reading.counters.billing_count is None:
        return None
    counters = reading.counters
    return MeterPoint(
        at=reading.polled_at,
        total=counters.billing_count,
        mono=counters.vendor_count("mono"),
        colour=counters.vendor_count("colour"),
        evidence=f"{reading.source}:{reading.key}",
    )


def daily_point(row: DailyMeters) -> MeterPoint:
    """Return the last count of a UTC day."""
    end = _MIDNIGHT + timedelta(days=row.day + 1, microseconds=-1)
    return MeterPoint(
        at=end,
        total=row.last_count,
        mono=row.last_mono,
        colour=row.last_colour,
        quality=Quality.DAILY,
        evidence=f"day:{end.date()}",
    )


def day_number(day: date) -> int:
    """Return the days since 1970-01-01, as the roll-ups count them."""
    return (day - _EPOCH).days
