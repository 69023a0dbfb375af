"""What InfluxDB lacks of what it had: found day by day against the journal, and sent again.

A server that was killed, moved or restored from a backup may lack points whose arrival it had confirmed. The journal has
every reading and event as long as `telemetry.retention_days`, and a point that is written twice is one point. Supplies
and daily figures are not counted; they are sent again with the readings of their device and day.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any, Final, Protocol

from collector.outbox import Outbox
from collector.stores.influx_lines import EVENT, READING, US_PER_DAY, event_line, reading_lines
from collector.stores.reading_codec import instant_of
from collector.stores.sqlite import SqliteTelemetryStore
from collector.stores.sqlite_schema import day_table, days_present
from crm_core.domain.identity import DeviceId, TenantId

_EPOCH: Final = date(1970, 1, 1).toordinal()
#: How a measurement's points are counted: by a field that each of them has. Events that were taken back are still points.
_COUNTED: Final = {READING: ("source", ""), EVENT: ("void", " AND void = false")}
_EVERY_READING: Final = 2**31

#: A device: tenant and device id.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DayGap:
    """A device's UTC day of which InfluxDB has fewer points than the journal."""

    tenant: str
    device_id: str
    day: date
    measurement: str
    kept: int
    found: int

    @property
    def missing(self) -> int:
        """Return how many points InfluxDB lacks."""
        return self.kept - self.found


class Counted(Protocol):
    """One row of an answer: the tags that it was grouped by, and its columns, time first."""

    @property
    def tags(self) -> Mapping[str, str]: ...
    @property
    def values(self) -> list[Any]: ...


class Queries(Protocol):
    """Who answers InfluxQL; `collector.stores.influxql.InfluxQueries` does, whose library takes a while to load."""

    def rows(self, query: str) -> Iterator[Counted]:
        """Yield the rows of one SELECT; times are microseconds. Raise `StoreUnavailable` if nobody answers."""
        ...


class JournalComparison:
    """Compares a server with `journal`; `drain` sends what waits, so that nothing on its way is taken for lost."""

    def __init__(
        self, journal: SqliteTelemetryStore, outbox: Outbox, queries: Queries, drain: Callable[[], int]
    ) -> None:
        self._journal = journal
        self._outbox = outbox
        self._queries = queries
        self._drain = drain

    def days(self) -> list[date]:
        """Return the UTC days that the journal has readings of, in order."""
        with self._journal.reading() as db:
            return [date.fromordinal(_EPOCH + day) for day in days_present(db)]

    def gaps(self, day: date) -> list[DayGap]:
        """Return what InfluxDB lacks of one day. Raise `StoreUnavailable` while it does not answer."""
        kept = {READING: self._kept_readings(day), EVENT: self._kept_events(day)}
        self._drain()  # after the journal was counted: what comes in meanwhile is more in InfluxDB, never less
        return [
            gap for measurement, points in kept.items() for gap in self._lacking(measurement, day, points)
        ]

    def send_again(self, gaps: Sequence[DayGap]) -> int:
        """Put the lines of the devices and days with gaps into the outbox once more; return how many lines."""
        places = sorted({(gap.tenant, gap.device_id, _number(gap.day)) for gap in gaps})
        self._outbox.put_days(places)
        return self._outbox.put_lines(chain.from_iterable(self._lines(*place) for place in places))

    def mend(self, day: date) -> int:
        """Send again what InfluxDB lacks of one day; return how many points were missing."""
        gaps = self.gaps(day)
        if gaps:
            self.send_again(gaps)
            self._drain()
        return sum(gap.missing for gap in gaps)

    def _lacking(self, measurement: str, day: date, kept: Counter[Place]) -> Iterator[DayGap]:
        if not kept:
            return
        found = self._found(measurement, day)
        for place, number in sorted(kept.items()):
            if found[place] < number:
                yield DayGap(*place, day, measurement, number, found[place])

    def _kept_readings(self, day: date) -> Counter[Place]:
        """Count the journal's readings as InfluxDB does: those of one device in one microsecond are one point."""
        with self._journal.reading() as db:
            if _number(day) not in days_present(db):
                return Counter()
            rows = db.execute(
                "SELECT d.tenant, d.device_id, count(DISTINCT r.at_ms * 1000 + r.sub_us) "
                f"FROM {day_table(_number(day))} r JOIN device d ON d.id = r.device GROUP BY r.device"
            ).fetchall()
        return Counter({(tenant, device): number for tenant, device, number in rows})

    def _kept_events(self, day: date) -> Counter[Place]:
        first_us = _number(day) * US_PER_DAY
        with self._journal.reading() as db:
            rows = db.execute(
                "SELECT d.tenant, d.device_id, count(*) FROM event e JOIN device d ON d.id = e.device "
                "WHERE e.at_us >= ? AND e.at_us < ? GROUP BY e.device",
                (first_us, first_us + US_PER_DAY),
            ).fetchall()
        return Counter({(tenant, device): number for tenant, device, number in rows})

    def _found(self, measurement: str, day: date) -> Counter[Place]:
        field, condition = _COUNTED[measurement]
        first_us = _number(day) * US_PER_DAY
        rows = self._queries.rows(
            f"SELECT count({field}) FROM {measurement} WHERE time >= {first_us}u AND time < {first_us + US_PER_DAY}u"
            f"{condition} GROUP BY tenant, device"
        )
        return Counter({(row.tags["tenant"], row.tags["device"]): row.values[1] for row in rows})

    def _lines(self, tenant: str, device_id: str, day: int) -> Iterator[str]:
        """Yield the lines of a device's day as the journal has them now."""
        since, until = instant_of(day * US_PER_DAY), instant_of((day + 1) * US_PER_DAY)
        place = TenantId(tenant), DeviceId(device_id)
        for reading in self._journal.readings(*place, since, until, limit=_EVERY_READING):
            yield from reading_lines(reading)
        for event in self._journal.events(place[0], since, until, place[1]):
            yield event_line(event, void=False)


def _number(day: date) -> int:
    return day.toordinal() - _EPOCH
