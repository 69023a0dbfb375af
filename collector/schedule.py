"""Who is due when: a steady grid with jitter, back-off for the dead with small probes, and silence as its own state.

Pure bookkeeping under the clock that the caller passes in, so that it runs under virtual time. A device's place in the
interval comes from a hash of its key: restarts do not bunch polls, and no two sites beat together. Due times and failures can
be saved and restored. A device that sleeps every night is resting, not silent: each device teaches its own hours.
"""

import heapq
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

DEAD_AFTER: Final = 2
SILENT_AFTER: Final = 3
FIRST_BACKOFF: Final = timedelta(minutes=1)
LONGEST_BACKOFF: Final = timedelta(minutes=15)
_SLOTS: Final = 48  # hours of a working day, then hours of a day of the weekend
_ENOUGH: Final = 6  # looks at an hour before it may excuse silence
_FULL: Final = 200
_SATURDAY: Final = 5


class Action(StrEnum):
    """What to do with a device now."""

    POLL = "poll"
    PROBE = "probe"  # one small question; the full poll follows if it is answered
    WAIT = "wait"


class Reachability(StrEnum):
    """How a device stands with the poller."""

    UNKNOWN = "unknown"
    ANSWERING = "answering"
    MISSED = "missed"  # failed, but fewer than three polls running
    RESTING = "resting"  # does not answer, as on most days at this hour
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Due:
    """A device whose turn it is."""

    key: str
    action: Action


@dataclass(frozen=True, slots=True)
class DueRecord:
    """What survives a restart."""

    key: str
    due_at: datetime
    failures: int
    last_answer: datetime | None
    pattern: bytes


class DueStore(Protocol):
    """Durable home of due records."""

    def load(self) -> Iterable[DueRecord]: ...

    def save(self, records: Iterable[DueRecord]) -> None: ...


class AnswerPattern:
    """At which hours a device answers, in UTC, apart for working days and weekends; old looks fade."""

    __slots__ = ("_counts",)

    def __init__(self, saved: bytes = b"") -> None:
        self._counts = bytearray(saved) if len(saved) == 2 * _SLOTS else bytearray(2 * _SLOTS)

    def note(self, at: datetime, *, answered: bool) -> None:
        """Take one look at the device into account."""
        slot = _slot(at)
        index = 2 * slot + (0 if answered else 1)
        if self._counts[index] >= _FULL:
            self._counts[2 * slot] //= 2
            self._counts[2 * slot + 1] //= 2
        self._counts[index] += 1

    def is_resting_hour(self, at: datetime) -> bool:
        """Tell whether the device usually does not answer at this hour, by enough looks."""
        answered, missed = self._counts[2 * _slot(at)], self._counts[2 * _slot(at) + 1]
        return missed >= _ENOUGH and missed > 2 * answered

    def __bytes__(self) -> bytes:
        return bytes(self._counts)


def _slot(at: datetime) -> int:
    moment = at.astimezone(UTC)
    return moment.hour + (24 if moment.weekday() >= _SATURDAY else 0)


@dataclass(slots=True)
class _Entry:
    due_at: datetime
    site: str | None = None
    failures: int = 0
    last_answer: datetime | None = None
    retry_at: datetime | None = None
    pattern: AnswerPattern | None = None
    in_flight: bool = False
    woken: bool = False  # a trap came while the poll was under way: once more at its end


class PollSchedule:
    """Due times of all devices. `interval` is the time between two polls of a living device.

    With a `site_cap` no more devices of one site are under way at a time, so that a site whose line is down does not take the
    poller's whole window; the others of that site wait aside and come when a place is free.
    """

    def __init__(
        self,
        *,
        interval: timedelta,
        dead_after: int = DEAD_AFTER,
        first_backoff: timedelta = FIRST_BACKOFF,
        longest_backoff: timedelta = LONGEST_BACKOFF,
        site_cap: int | None = None,
    ) -> None:
        self._site_cap = site_cap
        self._busy: Counter[str] = Counter()
        self._aside: dict[str, deque[str]] = {}
        self._interval = interval
        self._dead_after = dead_after
        self._first_backoff = first_backoff
        self._longest_backoff = longest_backoff
        self._entries: dict[str, _Entry] = {}
        self._heap: list[tuple[datetime, str]] = []

    def __len__(self) -> int:
        return len(self._entries)

    # --- who -----------------------------------------------------------------------------------------------------

    def add(self, key: str, now: datetime, site: str | None = None) -> None:
        """Take a device in; its first turn comes within one interval, at its own place."""
        if key not in self._entries:
            self._entries[key] = _Entry(self._next_turn(key, now), site)
            self._push(key)

    def remove(self, key: str) -> None:
        """Forget a device."""
        entry = self._entries.pop(key, None)
        if entry is not None and entry.in_flight:
            self._release(entry)

    def keep_only(
        self, keys: Iterable[str], now: datetime, sites: Mapping[str, str | None] | None = None
    ) -> None:
        """Add new devices and drop those that are gone; `sites` tells where each one stands."""
        wanted = set(keys)
        for key in self._entries.keys() - wanted:
            self.remove(key)
        for key in sorted(wanted - self._entries.keys()):
            self.add(key, now)
        for key, site in (sites or {}).items():
            if key in self._entries and not self._entries[key].in_flight:
                self._entries[key].site = site

    # --- when ----------------------------------------------------------------------------------------------------

    def due(self, now: datetime, limit: int) -> list[Due]:
        """Return at most `limit` devices whose turn it is and mark them as under way."""
        turns: list[Due] = []
        while self._heap and len(turns) < limit and self._heap[0][0] <= now:
            at, key = heapq.heappop(self._heap)
            entry = self._entries.get(key)
            if entry is None or entry.in_flight or entry.due_at != at:
                continue  # removed, under way, or moved meanwhile
            if not self._admit(key, entry):
                continue
            turns.append(Due(key, self._action(entry)))
        return turns

    def decide(self, key: str, now: datetime) -> Action:
        """Return what a sweep that comes to the device now should do; an unknown device is taken in."""
        self.add(key, now)
        entry = self._entries[key]
        if entry.retry_at is not None and now < entry.retry_at:
            return Action.WAIT
        return self._action(entry)

    def answered(self, key: str, now: datetime) -> None:
        """Note an answer: back-off ends, the device takes its place in the grid again."""
        entry = self._entry(key, now)
        entry.failures, entry.retry_at, entry.last_answer = 0, None, now
        self._note(entry, now, answered=True)
        self._reschedule(key, entry, now if entry.woken else self._next_turn(key, now))

    def failed(self, key: str, now: datetime) -> None:
        """Note a poll without answer: after the second, wait twice as long each time."""
        entry = self._entry(key, now)
        entry.failures += 1
        self._note(entry, now, answered=False)
        if entry.failures < self._dead_after:
            self._reschedule(key, entry, self._next_turn(key, now))
            return
        doublings = min(entry.failures - self._dead_after, 16)
        wait = min(self._first_backoff * 2**doublings, self._longest_backoff)
        entry.retry_at = now + wait
        self._reschedule(key, entry, entry.retry_at)

    def wake(self, key: str, now: datetime) -> bool:
        """Make a device due at once (a trap came), or once more when it is being polled; False for an unknown one."""
        entry = self._entries.get(key)
        if entry is None:
            return False
        if entry.in_flight:
            entry.woken = True
            return True
        entry.retry_at = None
        entry.failures = min(entry.failures, self._dead_after - 1)
        self._reschedule(key, entry, now)
        return True

    # --- how they stand ------------------------------------------------------------------------------------------

    def reachability(self, key: str, now: datetime) -> Reachability:
        """Return how a device stands: silent is three failed polls running, unless it rests at this hour."""
        entry = self._entries.get(key)
        if entry is None or (entry.last_answer is None and entry.failures == 0):
            return Reachability.UNKNOWN
        if entry.failures == 0:
            return Reachability.ANSWERING
        if entry.failures < SILENT_AFTER:
            return Reachability.MISSED
        if entry.pattern is not None and entry.pattern.is_resting_hour(now):
            return Reachability.RESTING
        return Reachability.SILENT

    def records(self) -> list[DueRecord]:
        """Return everything that should survive a restart."""
        return [
            DueRecord(key, entry.due_at, entry.failures, entry.last_answer, bytes(entry.pattern or b""))
            for key, entry in self._entries.items()
        ]

    def restore(self, records: Iterable[DueRecord]) -> None:
        """Take saved records in; turns that were missed meanwhile are due now, each once."""
        for record in records:
            pattern = AnswerPattern(record.pattern) if record.pattern else None
            retry = record.due_at if record.failures >= self._dead_after else None
            self._entries[record.key] = _Entry(
                record.due_at,
                failures=record.failures,
                last_answer=record.last_answer,
                retry_at=retry,
                pattern=pattern,
            )
            self._push(record.key)

    # --- inside --------------------------------------------------------------------------------------------------

    def _entry(self, key: str, now: datetime) -> _Entry:
        self.add(key, now)
        return self._entries[key]

    def _action(self, entry: _Entry) -> Action:
        return Action.POLL if entry.failures < self._dead_after else Action.PROBE

    def _next_turn(self, key: str, now: datetime) -> datetime:
        """Return the next instant of the device's own place in the interval, after now."""
        step = max(self._interval.total_seconds(), 0.001)
        phase = zlib.crc32(key.encode()) / 2**32 * step
        turn = (now.timestamp() - phase) // step + 1
        return datetime.fromtimestamp(turn * step + phase, UTC)

    def _note(self, entry: _Entry, now: datetime, *, answered: bool) -> None:
        if entry.pattern is None:
            if answered:
                return  # most devices always answer: no pattern is kept for them
            entry.pattern = AnswerPattern()
        entry.pattern.note(now, answered=answered)

    def _admit(self, key: str, entry: _Entry) -> bool:
        """Mark a device as under way, or put it aside while its site is full."""
        if entry.site is not None and self._site_cap is not None:
            if self._busy[entry.site] >= self._site_cap:
                self._aside.setdefault(entry.site, deque()).append(key)
                return False
            self._busy[entry.site] += 1
        entry.in_flight = True
        return True

    def _release(self, entry: _Entry) -> None:
        """Free the place of a device at its site and let the next one of that site come."""
        entry.in_flight = False
        if entry.site is None or self._site_cap is None:
            return
        self._busy[entry.site] = max(0, self._busy[entry.site] - 1)
        waiting = self._aside.get(entry.site)
        while waiting:
            key = waiting.popleft()
            if key in self._entries and not self._entries[key].in_flight:
                self._push(key)
                return

    def _reschedule(self, key: str, entry: _Entry, at: datetime) -> None:
        if entry.in_flight:
            self._release(entry)
        entry.woken = False
        entry.due_at = at
        self._push(key)

    def _push(self, key: str) -> None:
        heapq.heappush(self._heap, (self._entries[key].due_at, key))
