"""The ports of time and telemetry: the clock, wake-ups, the store of readings and the inbox that it feeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.service import (
    Signal,
)
from crm_core.domain.standing import ChangedDays, DeviceDimensions, FleetStanding, StandingFilter
from crm_core.domain.telemetry import DailyMeters, DailySupply, DeviceReading, DeviceState, TelemetryEvent


class Clock(Protocol):
    """The only source of the present time."""

    def now(self) -> datetime:
        """Return the present instant, aware UTC."""
        ...


class Timer(Protocol):
    """Wakes named work at an instant; a later call for the same name replaces the earlier one."""

    def wake_at(self, name: str, at: datetime) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """What lands in one transaction: a reading with the events and signals concluded from it.

    A late reading stands between two others: the events between it and the `following` one replace those that were
    concluded at `following_at` without it. None: nothing follows it.
    """

    reading: DeviceReading
    events: tuple[TelemetryEvent, ...] = ()
    signals: tuple[Signal, ...] = ()
    following_at: datetime | None = None
    following_events: tuple[TelemetryEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendResult:
    """How many readings were new, and how many the store already had (same natural key)."""

    stored: int
    duplicates: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStats:
    """Figures for operators. `waiting` counts outbox records not yet delivered."""

    engine: str
    devices: int
    readings: int
    first_at: datetime | None
    last_at: datetime | None
    size_bytes: int | None
    waiting: int


class TelemetryStore(Protocol):
    """Durable home of readings. What `append` returned for is never lost; repeats are harmless.

    A late reading never replaces a newer one in `newest`, but corrects the daily roll-up of its day.
    Reads raise `StoreUnavailable` when the store cannot answer now.
    """

    def append(self, landings: Sequence[Landing]) -> AppendResult:
        """Store all landings in one durable transaction; each is new or a duplicate by tenant, device and key."""
        ...

    def append_events(self, events: Sequence[TelemetryEvent]) -> int:
        """Store events that a device sent by themselves; return how many were new."""
        ...

    def newest(self, tenant: TenantId, device_id: DeviceId) -> DeviceReading | None: ...

    def newest_many(
        self, tenant: TenantId, device_ids: Sequence[DeviceId]
    ) -> Mapping[DeviceId, DeviceReading]: ...

    def neighbours(
        self, tenant: TenantId, device_id: DeviceId, at: datetime
    ) -> tuple[DeviceReading | None, DeviceReading | None]:
        """Return the last reading before `at` and the first one after it, as far as raw readings are kept."""
        ...

    def states(self, tenant: TenantId) -> Sequence[DeviceState]:
        """Return the newest state of every device, for fleet lists."""
        ...

    def last_heard(self, tenant: TenantId) -> Mapping[DeviceId, datetime]:
        """Return when every device was last heard: the least of `states`, for figures of whole fleets."""
        ...

    def readings(
        self, tenant: TenantId, device_id: DeviceId, since: datetime, until: datetime, limit: int = 1000
    ) -> Sequence[DeviceReading]:
        """Return readings with since <= polled_at < until, oldest first, at most `limit`."""
        ...

    def events(
        self, tenant: TenantId, since: datetime, until: datetime, device_id: DeviceId | None = None
    ) -> Sequence[TelemetryEvent]:
        """Return events with since <= at < until, oldest first."""
        ...

    def daily_meters(
        self, tenant: TenantId, first_day: int, last_day: int, device_id: DeviceId | None = None
    ) -> Iterator[DailyMeters]:
        """Yield one row a device and day, both ends included, ordered by device and day."""
        ...

    def daily_supplies(
        self, tenant: TenantId, first_day: int, last_day: int, device_id: DeviceId | None = None
    ) -> Iterator[DailySupply]:
        """Yield one row a device, supply and day, both ends included, ordered by device, supply and day."""
        ...

    def keep_dimensions(self, devices: Sequence[DeviceDimensions]) -> None:
        """Take over where devices belong, before or after their first reading."""
        ...

    def standing(self, tenant: TenantId, wanted: StandingFilter) -> Sequence[FleetStanding]:
        """Return figures over the newest states, one row or one a value of the dimension; a look-up at any size."""
        ...

    def changed_days(self, tenant: TenantId, since: int = 0) -> ChangedDays:
        """Return which days changed after they were over (late readings), since the mark of an earlier answer."""
        ...

    def drop_before(self, instant: datetime) -> int:
        """Drop raw readings of whole UTC days before `instant` (roll-ups, newest and events stay).

        Return the number of days dropped.
        """
        ...

    def stats(self, tenant: TenantId) -> StoreStats: ...

    def close(self) -> None: ...


class SignalInbox(Protocol):
    """Where collector and analytics leave what they conclude; triage takes it from there in order."""

    def append(self, signals: Sequence[Signal]) -> int:
        """Add signals; return how many were new (unique by tenant, device, origin, evidence)."""
        ...
