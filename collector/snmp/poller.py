"""Polling printers: one reading a poll, at most 64 requests and 10 seconds, and only what changes once a device is known.

The first contact walks the standard tables and asks the vendor's OIDs by profile. What was found is remembered in memory, so
that an ordinary poll is one or two GETs of 45 OIDs and the alert table; names, classes and identity are read again every few
hours, after a reboot, and as soon as anything remembered is gone. Nothing stale is ever passed on as fresh: a value that did
not come with this poll and may change is absent, and its part stands in `incomplete`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from msgspec.structs import replace

from collector.normalise import Look, Normaliser
from collector.profiles import DeviceProfile, Profiles
from collector.schedule import Action, PollSchedule
from collector.snmp import host_resources, oids
from collector.snmp.asking import (
    ALERT_COLUMNS,
    ALERT_MARKS,
    GROUPS,
    HIDDEN_GROUP,
    MAX_OIDS,
    VOLATILE_COLUMNS,
    Asker,
    Group,
)
from collector.snmp.engine import (
    FIRST_TIMEOUT_SECONDS,
    MAX_REQUESTS,
    MAX_SECONDS,
    Allowance,
    RoundTrips,
    SnmpEngine,
    Value,
)
from collector.snmp.oids import Tables, integer
from collector.snmp.targets import PollTarget, SiteQueue
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.errors import DeviceMisbehaved, DeviceUnreachable
from crm_core.domain.fault_codes import FaultCodeBook
from crm_core.domain.telemetry import DeviceReading
from crm_core.ports import Clock

__all__ = ["OnFailure", "OnReading", "PollTarget", "Poller"]

RELEARN_SECONDS: Final = 6 * 3600.0
SITE_CAP: Final = 16
_DEFAULT_INTERVAL: Final = timedelta(minutes=5)
_SUPPLIES: Final = f"{oids.PRT_SUPPLIES}."
_ALERT_MARKS: Final = tuple(f"{column}." for column in ALERT_MARKS)


@dataclass(slots=True)
class _Known:
    """What is remembered of a device between polls; lost at a restart and learnt again."""

    trips: RoundTrips
    printer: str = "1"
    model_key: str = ""
    static: dict[str, Value] = field(default_factory=dict)
    volatile: tuple[str, ...] = ()
    alerts: dict[str, Value] = field(default_factory=dict)
    events: tuple[Value | None, Value | None] = (None, None)
    up_time: int = 0
    learnt_at: float = 0.0
    context: str = ""  # the one in which the supplies show, when they do not show plainly
    look: Look | None = None


OnReading = Callable[[PollTarget, DeviceReading], Awaitable[None]]
OnFailure = Callable[[PollTarget, DeviceUnreachable | DeviceMisbehaved], Awaitable[None]]


class Poller:
    """Polls devices through an engine. Safe for many concurrent polls in one event loop.

    `first_timeout_seconds` is the wait for a first reply while a device's round trips are not known.
    """

    def __init__(
        self,
        engine: SnmpEngine,
        *,
        profiles: Profiles,
        catalogue: Catalogue,
        book: FaultCodeBook,
        clock: Clock,
        requests_a_poll: int = MAX_REQUESTS,
        seconds_a_poll: float = MAX_SECONDS,
        repeats: int = 2,
        first_timeout_seconds: float = FIRST_TIMEOUT_SECONDS,
        relearn_seconds: float = RELEARN_SECONDS,
        schedule: PollSchedule | None = None,
    ) -> None:
        self._engine = engine
        self._profiles = profiles
        self._normaliser = Normaliser(profiles, catalogue, book)
        self._clock = clock
        self._requests_a_poll = requests_a_poll
        self.seconds_a_poll = seconds_a_poll
        self._repeats = repeats
        self._first_timeout_seconds = first_timeout_seconds
        self._relearn_seconds = relearn_seconds
        self.schedule = schedule or PollSchedule(interval=_DEFAULT_INTERVAL)
        self._known: dict[tuple[str, int, str | None], _Known] = {}
        self._sizes: dict[str, int] = {}

    def forget(self, target: PollTarget) -> None:
        """Drop what is remembered of a device, so that the next poll reads everything."""
        self._known.pop(_key(target), None)

    def _known_of(self, target: PollTarget) -> _Known:
        key = _key(target)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Known(RoundTrips(self._first_timeout_seconds))
        return known

    async def probe(self, target: PollTarget) -> int | None:
        """Ask one small question (sysUpTime); return the ticks. Raises `DeviceUnreachable` or `DeviceMisbehaved`."""
        known = self._known_of(target)
        allowance = Allowance(requests=2, seconds=self.seconds_a_poll, repeats=1, trips=known.trips)
        found = await self._engine.get(target.snmp, (oids.SYS_UP_TIME,), allowance)
        return integer(found.get(oids.SYS_UP_TIME))

    async def poll(self, target: PollTarget) -> DeviceReading:
        """Return a fresh reading. Raises `DeviceUnreachable` when nothing answered, `DeviceMisbehaved` when only nonsense did."""
        known = self._known_of(target)
        allowance = Allowance(
            requests=self._requests_a_poll,
            seconds=self.seconds_a_poll,
            repeats=self._repeats,
            trips=known.trips,
        )
        asker = Asker(self._engine, target.snmp, allowance, self._sizes.get(known.model_key, MAX_OIDS))
        polled_at = self._clock.now()
        if not known.static or monotonic() - known.learnt_at >= self._relearn_seconds:
            varbinds = await self._learn(asker, known)
        else:
            varbinds = await self._update(asker, known)
        if not varbinds and asker.missed:
            raise DeviceMisbehaved(f"{target.host}:{target.port} answers, but nothing that can be used")
        if known.model_key and asker.size < MAX_OIDS:
            self._sizes[known.model_key] = asker.size
        return self._reading(target, known, varbinds, polled_at, asker)

    async def sweep(
        self,
        targets: Iterable[PollTarget],
        on_reading: OnReading,
        on_failure: OnFailure,
        *,
        site_cap: int = SITE_CAP,
        in_flight: int = 512,
    ) -> None:
        """Poll every target once, at most `site_cap` of one site and `in_flight` in all at a time.

        Devices in back-off are left out until their time comes, and then asked one small question first.
        """
        queue = SiteQueue(targets, site_cap)

        async def work() -> None:
            while (target := await queue.next()) is not None:
                await self._poll_into(target, on_reading, on_failure)
                await queue.done(target)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(in_flight, max(1, len(queue)))):
                group.create_task(work())

    async def _poll_into(self, target: PollTarget, on_reading: OnReading, on_failure: OnFailure) -> None:
        key = target.key
        action = self.schedule.decide(key, self._clock.now())
        if action is Action.WAIT:
            return
        try:
            if action is Action.PROBE:
                await self.probe(target)
            reading = await self.poll(target)
        except (DeviceUnreachable, DeviceMisbehaved) as error:
            self.schedule.failed(key, self._clock.now())
            await on_failure(target, error)
        else:
            self.schedule.answered(key, self._clock.now())
            await on_reading(target, reading)

    # --- first contact -------------------------------------------------------------------------------------------

    async def _learn(self, asker: Asker, known: _Known) -> dict[str, Value]:
        """Read everything and remember it."""
        await asker.get(host_resources.SCALARS)
        for group in GROUPS:
            await asker.walk(group)
        found = asker.found
        profile = self._profiles.recognise(found)
        if profile is self._profiles.generic and oids.SYS_DESCR not in found:
            await asker.get(self._profiles.probes())
            profile = self._profiles.recognise(found)
        printer = host_resources.printer_index(Tables(found))
        await asker.get((*_localisation(found, printer), *self._vendor_scalars(profile, printer)))
        if columns := profile.table_columns():
            await asker.walk(Group(("vendor",), columns))
        known.context = "" if _has_supplies(found) else await self._find_hidden(asker, profile)
        self._remember(known, profile, printer, asker)
        return dict(found)

    def _vendor_scalars(self, profile: DeviceProfile, printer: str) -> tuple[str, ...]:
        wanted = profile.scalar_oids(printer)
        generic = self._profiles.generic.scalar_oids(printer)
        return tuple(
            oid
            for oid in (*wanted, *generic)
            if not oid.startswith((f"{oids.PRINTER_MIB}.", "1.3.6.1.2.1.25."))
        )

    async def _find_hidden(self, asker: Asker, profile: DeviceProfile) -> str:
        """Ask for supplies in the contexts of the profile: some HP devices show them only there; return the context."""
        plain = asker.target
        try:
            for context in profile.contexts:
                asker.target = plain.in_context(context)
                if await asker.answers(oids.SYS_UP_TIME):
                    await asker.walk(HIDDEN_GROUP)
                    if _has_supplies(asker.found):
                        return context
        finally:
            asker.target = plain
        return ""

    def _remember(self, known: _Known, profile: DeviceProfile, printer: str, asker: Asker) -> None:
        found = asker.found
        known.printer = printer
        known.model_key = f"{found.get(oids.SYS_OBJECT_ID)!r}/{found.get(oids.SYS_DESCR)!r}"
        known.volatile = _changing(found, profile, printer)
        alerts = tuple(f"{column}." for column in ALERT_COLUMNS)
        known.alerts = {oid: value for oid, value in found.items() if oid.startswith(alerts)}
        volatile = set(known.volatile)
        known.static = {
            oid: value for oid, value in found.items() if oid not in volatile and oid not in known.alerts
        }
        known.events = _events(found, printer)
        known.up_time = integer(found.get(oids.SYS_UP_TIME)) or 0
        # an incomplete first contact is repeated at the next poll
        known.learnt_at = monotonic() if not asker.missed else -self._relearn_seconds

    # --- ordinary polls ------------------------------------------------------------------------------------------

    async def _update(self, asker: Asker, known: _Known) -> dict[str, Value]:
        """Read what changes; fall back to reading everything when the device is no longer what it was."""
        await self._ask_again(asker, known)
        up_time = integer(asker.found.get(oids.SYS_UP_TIME))
        rebooted = up_time is not None and up_time < known.up_time
        gone = not asker.missed and len(asker.found) < len(known.volatile)
        if rebooted or gone:
            asker.found = {}
            return await self._learn(asker, known)
        known.up_time = up_time if up_time is not None else known.up_time
        events = _events(asker.found, known.printer)
        if events == known.events and any(events):
            asker.found.update(known.alerts)
        else:
            await self._read_alerts(asker, known, events)
        return {**known.static, **asker.found}

    async def _ask_again(self, asker: Asker, known: _Known) -> None:
        """Read the changing values, those of a context in it."""
        plain = asker.target
        hidden = [oid for oid in known.volatile if oid.startswith(_SUPPLIES)] if known.context else []
        await asker.get([oid for oid in known.volatile if oid not in hidden] if hidden else known.volatile)
        if hidden:
            asker.target = plain.in_context(known.context)
            await asker.get(hidden)
            asker.target = plain

    async def _read_alerts(
        self, asker: Asker, known: _Known, events: tuple[Value | None, Value | None]
    ) -> None:
        """Look at severity and code of the alert rows; read the whole table only when they are not as before."""
        fresh = asker.found
        asker.found = {}
        rows_before = sum(oid.startswith(_ALERT_MARKS[0]) for oid in known.alerts)
        await asker.walk(Group(("alerts",), ALERT_MARKS), per_reply=len(ALERT_MARKS) * (rows_before + 2))
        if "alerts" not in asker.missed:
            marks = {oid: value for oid, value in known.alerts.items() if oid.startswith(_ALERT_MARKS)}
            if asker.found == marks:
                asker.found = known.alerts
            else:
                asker.found = {}
                await asker.walk(Group(("alerts",), ALERT_COLUMNS))
        if "alerts" not in asker.missed:
            known.alerts, known.events = asker.found, events
        asker.found = {**fresh, **asker.found}

    def _reading(
        self, target: PollTarget, known: _Known, varbinds: dict[str, Value], polled_at: datetime, asker: Asker
    ) -> DeviceReading:
        """Return the reading; one whose varbinds are the last ones, but for the device's clock, is not read again.

        Of another one the parts that say the same as before are the same objects, which spares every later step work.
        """
        varbinds.pop(oids.SYS_UP_TIME, None)
        incomplete, before = tuple(sorted(asker.missed)), known.look
        place = {"polled_at": polled_at, "tenant": target.tenant, "site_id": target.site_id}
        if before is not None and varbinds == before.varbinds and incomplete == before.reading.incomplete:
            return replace(before.reading, **place)
        look = self._normaliser.look(
            varbinds, before, **place, device_id=target.device_id, source="snmp", incomplete=incomplete
        )
        known.look = look if before is None else look.sharing(before)
        return known.look.reading


def _key(target: PollTarget) -> tuple[str, int, str | None]:
    return target.host, target.port, target.device_id


def _changing(found: dict[str, Value], profile: DeviceProfile, printer: str) -> tuple[str, ...]:
    """Return the OIDs among those found that an ordinary poll reads again."""
    vendor = {oids.SYS_UP_TIME, *profile.changing_oids(printer)}
    values = tuple(f"{table.value_oid}." for table in profile.counter_tables)
    return tuple(
        oid
        for oid in found
        if oid in vendor or oids.column_of(oid) in VOLATILE_COLUMNS or (values and oid.startswith(values))
    )


def _localisation(found: dict[str, Value], printer: str) -> tuple[str, ...]:
    """Return the OIDs of the character set in use."""
    current = integer(found.get(f"{oids.PRT_CURRENT_LOCALIZATION}.{printer}"))
    rows = dict.fromkeys((f"{printer}.{current}" if current else f"{printer}.1", f"{printer}.1"))
    return tuple(f"{oids.PRT_CHARACTER_SET}.{row}" for row in rows)


def _has_supplies(found: dict[str, Value]) -> bool:
    return any(oid.startswith(_SUPPLIES) for oid in found)


def _events(found: dict[str, Value], printer: str) -> tuple[Value | None, Value | None]:
    return found.get(f"{oids.PRT_CRITICAL_EVENTS}.{printer}"), found.get(f"{oids.PRT_ALL_EVENTS}.{printer}")
