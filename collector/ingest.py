"""The one door of readings: validate, correct the clock, conclude, and land durably. Only then may MQTT acknowledge.

Readings of one batch may come in any order and any number of times; what is stored is the same as if each had come
once and in time. A late reading corrects history (rows, roll-up, events); it raises no signal, because it does not
speak about the present.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec

from collector.dead_letters import DeadLetter, DeadLetterBox
from collector.sequences import SequenceRanges, Settled
from crm_core.domain.content import shares_content
from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.service import Signal
from crm_core.domain.telemetry import DeviceReading, TelemetryEvent
from crm_core.domain.wire import decode_reading, encode_reading
from crm_core.ports import Clock, Landing, TelemetryStore

#: A sender's clock may differ this much from ours; beyond it the reading's time is corrected and flagged.
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
#: In `DeviceReading.incomplete`: the sender's clock was wrong, `polled_at` is ours.
CLOCK_FLAG: Final = "clock"


class Conclusion(Protocol):
    """What follows from a reading; `crm_core.signals.conclude` returns it."""

    @property
    def events(self) -> tuple[TelemetryEvent, ...]: ...

    @property
    def signal(self) -> Signal | None: ...


#: Sources whose readings are made in this process and timed by its clock.
_OURS: Final = frozenset({"snmp", "manual"})

Conclude = Callable[[DeviceReading, DeviceReading | None], Conclusion]


class DeviceDirectory(Protocol):
    """Which devices there are."""

    def site_of(self, tenant: str, device_id: str) -> str | None:
        """Return the site where the device stands, or None when there is no such device."""
        ...


class SequenceLedger(Protocol):
    """Which sequence numbers of a sender are accounted for; every telemetry store keeps one."""

    def settle(self, numbers: Sequence[Settled]) -> None: ...

    def unsettle(self, tenant: str, device_id: str, boot_id: str, seq: int) -> None: ...

    def received(self, tenant: str, device_id: str, boots: int = 8) -> Mapping[str, SequenceRanges]: ...

    def received_many(
        self, devices: Sequence[tuple[str, str]]
    ) -> Mapping[tuple[str, str], Mapping[str, SequenceRanges]]: ...


class CollectorStore(TelemetryStore, SequenceLedger, Protocol):
    """What ingest needs of a store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestResult:
    """How many readings were new, known already, and refused (kept as dead letters)."""

    stored: int
    duplicates: int
    rejected: int


@dataclass(slots=True)
class IngestCounters:
    """Totals since start, for metrics."""

    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    events: int = 0
    late: int = 0
    clock_wrong: int = 0


class Ingest:
    """Lands readings in `store`. Safe to call from several threads; batches land one after the other.

    `directory` None accepts every device (a trial without a CRM). `oldest` is how far back a sender may speak:
    anything older means that its clock is wrong. Raises `StoreUnavailable` when nothing could be landed: try again.
    """

    def __init__(
        self,
        store: CollectorStore,
        conclude: Conclude,
        dead_letters: DeadLetterBox,
        clock: Clock,
        *,
        directory: DeviceDirectory | None = None,
        oldest: timedelta = timedelta(days=400),
        newest_in_mind: int = 5000,
    ) -> None:
        self._store = store
        self._conclude = conclude
        self._dead_letters = dead_letters
        self._clock = clock
        self._directory = directory
        self._oldest = oldest
        self._newest: OrderedDict[tuple[str, str], DeviceReading] = OrderedDict()
        self._in_mind = newest_in_mind
        self._lock = threading.Lock()
        self.counters = IngestCounters()

    def land(self, readings: Sequence[DeviceReading]) -> IngestResult:
        """Land readings; refused ones become dead letters. All is durable when this returns."""
        with self._lock:
            good: list[DeviceReading] = []
            refused: list[tuple[DeviceReading, str]] = []
            for reading in readings:
                reason = self.objection(reading)
                if reason is None:
                    good.append(self._timed(reading))
                else:
                    refused.append((reading, reason))
            good.sort(key=_order)
            newest = self._newest_of(good)
            late: dict[tuple[str, str], DeviceReading] = {}
            known: dict[tuple[str, str], Mapping[str, SequenceRanges]] = {}
            landings = [self._landing(reading, newest, late, known) for reading in good]
            try:
                result = self._store.append(landings)
            except BaseException:
                self._newest.clear()
                raise
            self.refuse(refused)
            self._remember(newest)
        self.counters.stored += result.stored
        self.counters.duplicates += result.duplicates
        return IngestResult(stored=result.stored, duplicates=result.duplicates, rejected=len(refused))

    def land_events(self, events: Sequence[TelemetryEvent], origin: str = "event") -> IngestResult:
        """Land events that devices sent by themselves; those of unknown devices become dead letters."""
        known: list[TelemetryEvent] = []
        letters: list[DeadLetter] = []
        now = self._clock.now()
        for event in events:
            if self._directory is None or self._directory.site_of(event.tenant, event.device_id) is not None:
                known.append(event)
            else:
                reason = f"device {event.device_id} of tenant {event.tenant} is not registered: `drumbeat device add`"
                letters.append(
                    DeadLetter(at=now, origin=origin, reason=reason, body=msgspec.json.encode(event))
                )
        stored = self._store.append_events(known) if known else 0
        self.counters.events += len(known)
        self.bury(letters)
        return IngestResult(stored=stored, duplicates=len(known) - stored, rejected=len(letters))

    def bury(self, letters: Sequence[DeadLetter], settled: Sequence[Settled] = ()) -> None:
        """Keep refused messages and settle the numbers that they bore, or that will never come; durable on return."""
        if letters:
            self._dead_letters.add(letters)
        if settled:
            self._store.settle(settled)
        self.counters.rejected += len(letters)

    def objection(self, reading: DeviceReading) -> str | None:
        """Return why the reading cannot be taken, or None."""
        if reading.device_id is None:
            return "the reading names no device"
        if (reading.boot_id is None) != (reading.seq is None):
            return "boot_id and seq go together"
        if reading.source in _OURS and not self._checked_before(reading):
            try:
                decode_reading(encode_reading(reading))
            except InvalidValue as error:  # made here, not decoded: the limits were not checked yet
                return str(error)
        return self._misplaced(reading.tenant, reading.device_id, reading.site_id)

    def _checked_before(self, reading: DeviceReading) -> bool:
        """Tell whether all but the time of the reading is in the newest one, which was checked when it came."""
        known = self._newest.get(_place(reading))
        return known is not None and known.site_id == reading.site_id and shares_content(reading, known)

    def _misplaced(self, tenant: str, device_id: str, stated_site: str | None) -> str | None:
        if self._directory is None:
            return None
        site = self._directory.site_of(tenant, device_id)
        if site is None:
            return f"device {device_id} of tenant {tenant} is not registered: `drumbeat device add`"
        if stated_site is not None and stated_site != site:
            return f"device {device_id} stands at site {site}, not at {stated_site}: move it first"
        return None

    def _timed(self, reading: DeviceReading) -> DeviceReading:
        """Return the reading with a time that can be true; ours, and flagged, where the sender's cannot."""
        if reading.source in _OURS:
            return reading  # timed by our own clock
        now = self._clock.now()
        if now - self._oldest <= reading.polled_at <= now + CLOCK_TOLERANCE:
            return reading
        self.counters.clock_wrong += 1
        return flag_clock(msgspec.structs.replace(reading, polled_at=now))

    def _newest_of(self, readings: Sequence[DeviceReading]) -> dict[tuple[str, str], DeviceReading]:
        """Return the newest stored reading of each device in the batch."""
        newest: dict[tuple[str, str], DeviceReading] = {}
        unknown: dict[str, set[DeviceId]] = {}
        for key in {_place(reading) for reading in readings}:
            known = self._newest.get(key)
            if known is None:
                unknown.setdefault(key[0], set()).add(DeviceId(key[1]))
            else:
                newest[key] = known
        for tenant, device_ids in unknown.items():
            for device_id, reading in self._store.newest_many(TenantId(tenant), sorted(device_ids)).items():
                newest[tenant, device_id] = reading
        return newest

    def _landing(
        self,
        reading: DeviceReading,
        newest: dict[tuple[str, str], DeviceReading],
        late: dict[tuple[str, str], DeviceReading],
        known: dict[tuple[str, str], Mapping[str, SequenceRanges]],
    ) -> Landing:
        """Conclude from one reading; `newest` and `late` (the last late one) move on with the batch."""
        place = _place(reading)
        before = newest.get(place)
        if before is None or _follows(reading, before):
            newest[place] = reading
            found = self._conclude(reading, before)
            signals = () if found.signal is None else (found.signal,)
            return Landing(reading=reading, events=found.events, signals=signals)
        if before.key == reading.key:
            return Landing(reading=reading)
        if self._known(reading, place, known):
            return Landing(reading=reading)  # a repeat: the store drops it whatever follows from it
        landing = self._late(reading, late.get(place))
        late[place] = reading
        return landing

    def _known(
        self,
        reading: DeviceReading,
        place: tuple[str, str],
        known: dict[tuple[str, str], Mapping[str, SequenceRanges]],
    ) -> bool:
        """Tell whether a pushed reading came before; `known` remembers the answers of one batch."""
        if reading.boot_id is None or reading.seq is None:
            return False
        if place not in known:
            known[place] = self._store.received(*place)
        return reading.seq in known[place].get(reading.boot_id, ())

    def _late(self, reading: DeviceReading, late_before: DeviceReading | None) -> Landing:
        """Put a late reading between its neighbours; `late_before` is one of the same batch, not yet stored."""
        self.counters.late += 1
        tenant, device_id = _place(reading)
        previous, following = self._store.neighbours(TenantId(tenant), DeviceId(device_id), reading.polled_at)
        if late_before is not None and (previous is None or _follows(late_before, previous)):
            previous = late_before
        events = self._conclude(reading, previous).events
        if following is None:
            return Landing(reading=reading, events=events)
        return Landing(
            reading=reading,
            events=events,
            following_at=following.polled_at,
            following_events=self._conclude(following, reading).events,
        )

    def refuse(self, refused: Sequence[tuple[DeviceReading, str]]) -> None:
        """Keep readings as dead letters with their reasons, and settle their numbers."""
        now = self._clock.now()
        letters = [
            DeadLetter(at=now, origin=origin_of(reading), reason=reason, body=encode_reading(reading))
            for reading, reason in refused
        ]
        settled = [
            (reading.tenant, reading.device_id, reading.boot_id, reading.seq, reading.seq)
            for reading, _ in refused
            if reading.device_id is not None and reading.boot_id is not None and reading.seq is not None
        ]
        self.bury(letters, settled)

    def _remember(self, newest: Mapping[tuple[str, str], DeviceReading]) -> None:
        for place, reading in newest.items():
            self._newest[place] = reading
            self._newest.move_to_end(place)
        while len(self._newest) > self._in_mind:
            self._newest.popitem(last=False)


def flag_clock(reading: DeviceReading) -> DeviceReading:
    """Return the reading with the remark that its sender's clock is wrong."""
    if CLOCK_FLAG in reading.incomplete:
        return reading
    return msgspec.structs.replace(reading, incomplete=(*reading.incomplete, CLOCK_FLAG))


def origin_of(reading: DeviceReading) -> str:
    """Return where a refused reading came from, as the dead letter names it: its MQTT topic, or its source."""
    if reading.boot_id is None or reading.device_id is None or reading.site_id is None:
        return reading.source
    return f"drumbeat/v1/{reading.tenant}/{reading.site_id}/{reading.device_id}/reading"


def _place(reading: DeviceReading) -> tuple[str, str]:
    return reading.tenant, reading.device_id or ""


def _follows(reading: DeviceReading, other: DeviceReading) -> bool:
    """Tell whether the reading comes after the other: by time, then by boot and sequence."""
    if reading.polled_at != other.polled_at:
        return reading.polled_at > other.polled_at
    return _order(reading) > _order(other)


def _order(reading: DeviceReading) -> tuple[datetime, str]:
    if reading.boot_id is None or reading.seq is None:
        return reading.polled_at, ""
    return reading.polled_at, f"{reading.boot_id}:{reading.seq:020d}"
