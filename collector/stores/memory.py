"""A telemetry store in memory: the plainest form of the port's rules, and the oracle of its contract suite.

It keeps readings as they came and answers everything by looking through them; nothing is rolled up beforehand.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from collector.sequences import SequenceRanges, Settled
from collector.stores.daily import by_index, is_jam, meters_of, order_of, supply_row
from collector.stores.reading_codec import MS_PER_DAY, at_ms, at_us, instant_of
from collector.stores.sqlite_rows import rolled_up
from collector.stores.standing import summed_up, value_of
from crm_core.device_state import device_state
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.service import Signal
from crm_core.domain.standing import ChangedDays, DeviceDimensions, FleetStanding, StandingFilter
from crm_core.domain.telemetry import DailyMeters, DailySupply, DeviceReading, DeviceState, TelemetryEvent
from crm_core.ports import AppendResult, Clock, Landing, StoreStats


class MemoryTelemetryStore:
    """Telemetry for tests and trials; gone with the process. Signals are kept in `signals`, in order.

    Without a clock every day counts as over (`changed_days`).
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock
        self._dimensions: dict[tuple[str, str], DeviceDimensions] = {}
        self._changed: dict[tuple[str, str, int], int] = {}
        self._batches = 0
        self._lock = threading.RLock()
        self._readings: dict[tuple[str, str], dict[str, DeviceReading]] = {}
        self._newest: dict[tuple[str, str], DeviceReading] = {}
        self._dropped: dict[tuple[str, str], list[DeviceReading]] = {}
        self._events: dict[tuple[object, ...], TelemetryEvent] = {}
        self._received: dict[tuple[str, str], dict[str, SequenceRanges]] = {}
        self.signals: list[Signal] = []

    def append(self, landings: Sequence[Landing]) -> AppendResult:
        stored = 0
        with self._lock:
            self._batches += 1
            for landing in landings:
                stored += self._land(landing)
        return AppendResult(stored=stored, duplicates=len(landings) - stored)

    def _land(self, landing: Landing) -> bool:
        reading = landing.reading
        place = (reading.tenant, reading.device_id or "")
        mine = self._readings.setdefault(place, {})
        if reading.boot_id is not None and reading.seq is not None:
            if not self._boot(place, reading.boot_id).add(reading.seq):
                return False
        elif reading.key in mine:
            return False
        mine[reading.key] = reading
        self._note_change(*place, reading.polled_at)
        newest = self._newest.get(place)
        if newest is None or _order(newest) < _order(reading):
            self._newest[place] = reading
        if landing.following_at is not None:
            gone = [
                key
                for key, event in self._events.items()
                if (event.tenant, event.device_id) == place
                and event.at == landing.following_at
                and event.kind != "pushed"
            ]
            for key in gone:
                del self._events[key]
        self.append_events((*landing.events, *landing.following_events))
        self.signals.extend(landing.signals)
        return True

    def append_events(self, events: Sequence[TelemetryEvent]) -> int:
        with self._lock:
            before = len(self._events)
            for event in events:
                key = (event.tenant, event.device_id, event.at, event.kind, event.code, event.began)
                if self._events.setdefault(key, event) is event and is_jam(event):
                    self._note_change(event.tenant, event.device_id, event.at)
            return len(self._events) - before

    def settle(self, numbers: Sequence[Settled]) -> None:
        """Count numbers as accounted for without a reading: dead-lettered, or given up by their sender."""
        with self._lock:
            for tenant, device_id, boot_id, low, high in numbers:
                self._boot((tenant, device_id), boot_id).add_range(low, high)

    def unsettle(self, tenant: str, device_id: str, boot_id: str, seq: int) -> None:
        """Expect a number again: its dead letter is going to be replayed."""
        with self._lock:
            self._boot((tenant, device_id), boot_id).discard(seq)

    def received(self, tenant: str, device_id: str, boots: int = 8) -> Mapping[str, SequenceRanges]:
        """Return the accounted sequence numbers of the device's last boots, the newest boot first."""
        with self._lock:
            mine = self._received.get((tenant, device_id), {})
            return dict(list(reversed(mine.items()))[:boots])

    def received_many(
        self, devices: Sequence[tuple[str, str]]
    ) -> Mapping[tuple[str, str], Mapping[str, SequenceRanges]]:
        return {place: self.received(*place) for place in devices}

    def keep_dimensions(self, devices: Sequence[DeviceDimensions]) -> None:
        self._dimensions |= {(device.tenant, device.device_id): device for device in devices}

    def standing(self, tenant: TenantId, wanted: StandingFilter) -> Sequence[FleetStanding]:
        places: dict[str, list[DeviceReading]] = {}
        for place, reading in self._newest.items():
            known = self._dimensions.get(place)
            site = DeviceDimensions(tenant=place[0], device_id=place[1], site_id=reading.site_id)
            if place[0] == tenant:
                places.setdefault(value_of(known or site, wanted.by), []).append(reading)
        return [summed_up(value, places[value], wanted) for value in sorted(places)]

    def changed_days(self, tenant: TenantId, since: int = 0) -> ChangedDays:
        with self._lock:
            found = sorted((place[1], place[2]) for place, stamp in self._changed.items()
                           if place[0] == tenant and stamp > since)  # fmt: skip
            return ChangedDays(mark=self._batches, days=tuple((DeviceId(name), day) for name, day in found))

    def _note_change(self, tenant: str, device_id: str, at: datetime) -> None:
        day = at_ms(at) // MS_PER_DAY
        if self._clock is None or day < at_ms(self._clock.now()) // MS_PER_DAY:
            self._changed[tenant, device_id, day] = self._batches

    def _boot(self, place: tuple[str, str], boot_id: str) -> SequenceRanges:
        boots = self._received.setdefault(place, {})
        boots[boot_id] = boots.pop(boot_id, SequenceRanges())
        return boots[boot_id]

    def newest(self, tenant: TenantId, device_id: DeviceId) -> DeviceReading | None:
        return self._newest.get((tenant, device_id))

    def newest_many(
        self, tenant: TenantId, device_ids: Sequence[DeviceId]
    ) -> Mapping[DeviceId, DeviceReading]:
        found = ((device_id, self.newest(tenant, device_id)) for device_id in device_ids)
        return {device_id: reading for device_id, reading in found if reading is not None}

    def states(self, tenant: TenantId) -> Sequence[DeviceState]:
        with self._lock:
            places = sorted(place for place in self._newest if place[0] == tenant)
            return [device_state(self._newest[place]) for place in places]

    def last_heard(self, tenant: TenantId) -> Mapping[DeviceId, datetime]:
        return {DeviceId(state.device_id): state.last_seen for state in self.states(tenant)}

    def readings(
        self, tenant: TenantId, device_id: DeviceId, since: datetime, until: datetime, limit: int = 1000
    ) -> Sequence[DeviceReading]:
        mine = self._ordered((tenant, device_id))
        return [reading for reading in mine if since <= reading.polled_at < until][:limit]

    def neighbours(
        self, tenant: TenantId, device_id: DeviceId, at: datetime
    ) -> tuple[DeviceReading | None, DeviceReading | None]:
        mine = self._ordered((tenant, device_id))
        newest = self._newest.get((tenant, device_id))
        if newest is not None and newest.polled_at < at:
            return newest, None
        before = [reading for reading in mine if reading.polled_at < at]
        after = [reading for reading in mine if reading.polled_at > at]
        return (before[-1] if before else None), (after[0] if after else None)

    def events(
        self, tenant: TenantId, since: datetime, until: datetime, device_id: DeviceId | None = None
    ) -> Sequence[TelemetryEvent]:
        with self._lock:
            found = [
                event
                for event in self._events.values()
                if event.tenant == tenant
                and since <= event.at < until
                and device_id in (None, event.device_id)
            ]
        return sorted(found, key=lambda e: (e.at, e.device_id, e.kind, e.code, e.began))

    def daily_meters(
        self, tenant: TenantId, first_day: int, last_day: int, device_id: DeviceId | None = None
    ) -> Iterator[DailyMeters]:
        for place in self._places(tenant, device_id):
            before: tuple[int | None, str] = (None, "")
            for day, readings in self._days(place).items():
                rollup = rolled_up(readings)
                count_before = before[0] if before[1] == rollup.basis else None
                if first_day <= day <= last_day:
                    yield meters_of(place[1], day, rollup, self._jams(place, day), count_before)
                if rollup.last_count is not None:
                    before = (rollup.last_count, rollup.basis)

    def daily_supplies(
        self, tenant: TenantId, first_day: int, last_day: int, device_id: DeviceId | None = None
    ) -> Iterator[DailySupply]:
        for place in self._places(tenant, device_id):
            rows = [
                supply_row(place[1], day, row)
                for day, readings in self._days(place).items()
                if first_day <= day <= last_day
                for row in by_index(rolled_up(readings).supplies)
            ]
            yield from sorted(rows, key=lambda row: (row.supply_index, row.day))

    def drop_before(self, instant: datetime) -> int:
        first_kept = at_ms(instant) // MS_PER_DAY
        dropped: set[int] = set()
        with self._lock:
            for place, mine in self._readings.items():
                for key, reading in list(mine.items()):
                    day = at_ms(reading.polled_at) // MS_PER_DAY
                    if day < first_kept:
                        dropped.add(day)
                        self._dropped.setdefault(place, []).append(mine.pop(key))
        return len(dropped)

    def stats(self, tenant: TenantId) -> StoreStats:
        with self._lock:
            places = self._places(tenant, None)
            every = [r for place in places for day in self._days(place).values() for r in day]
        times = [at_us(reading.polled_at) for reading in every]
        return StoreStats(
            engine="memory",
            devices=len(places),
            readings=len(every),
            first_at=instant_of(min(times)) if times else None,
            last_at=instant_of(max(times)) if times else None,
            size_bytes=None,
            waiting=0,
        )

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _places(self, tenant: str, device_id: str | None) -> list[tuple[str, str]]:
        return sorted(place for place in self._newest if place[0] == tenant and device_id in (None, place[1]))

    def _ordered(self, place: tuple[str, str]) -> list[DeviceReading]:
        with self._lock:
            return sorted(self._readings.get(place, {}).values(), key=_order)

    def _days(self, place: tuple[str, str]) -> dict[int, list[DeviceReading]]:
        """Return the readings of each day that ever had some, dropped ones included, in order."""
        with self._lock:
            every = [*self._dropped.get(place, ()), *self._readings.get(place, {}).values()]
        days: dict[int, list[DeviceReading]] = {}
        for reading in sorted(every, key=_order):
            days.setdefault(at_ms(reading.polled_at) // MS_PER_DAY, []).append(reading)
        return dict(sorted(days.items()))

    def _jams(self, place: tuple[str, str], day: int) -> int:
        with self._lock:
            return sum(
                is_jam(event) and at_ms(event.at) // MS_PER_DAY == day
                for event in self._events.values()
                if (event.tenant, event.device_id) == place
            )


def _order(reading: DeviceReading) -> tuple[int, str]:
    return order_of(reading, at_us(reading.polled_at))
