"""Recurring work and the life of a process: the only user of APScheduler.

APScheduler is a group timer in memory here: tens of jobs, each at most once at a time, missed runs folded into
one. What is due, who leads and what waits to be delivered stands in tables, so that a killed process loses
nothing. A job that fails is logged and runs again at its next time; it never stops the others.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import FrameType
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from api.recurring_jobs import JobInfo
from crm_core.domain.actors import acting
from crm_core.domain.errors import Conflict, DrumbeatError, NotFound
from crm_core.ports import Changes, Clock, Lease, UnitOfWork, UnitOfWorkFactory

_log = structlog.get_logger("drumbeat.supervision")
_THREADS: Final = 32  # more than there are jobs: those that wait for each other leave threads for the rest
WAKE: Final = "wake:"  # prefix of one-shot wake-ups; they are not listed as jobs

Action = Callable[[], object]


@dataclass(slots=True)
class _Job:
    info: JobInfo
    trigger: BaseTrigger
    action: Action
    first_after: timedelta | None = None
    by_hand: Action | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Supervisor:
    """Runs named jobs on a timer in worker threads; it is the `Jobs` and the `Timer` of a process."""

    def __init__(self, clock: Clock, time_zone: str) -> None:
        self._clock = clock
        self._zone = ZoneInfo(time_zone)
        self._jobs: dict[str, _Job] = {}
        self._on_wake: dict[str, Action] = {}
        self._workers = ThreadPoolExecutor(_THREADS)
        self._scheduler = BackgroundScheduler(
            timezone=self._zone,
            executors={"default": self._workers},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._failed, EVENT_JOB_ERROR)

    def every(
        self,
        name: str,
        seconds: float,
        action: Action,
        *,
        first_after: float = 0.0,
        by_hand: Action | None = None,
    ) -> None:
        """Run `action` every `seconds`, for the first time `first_after` seconds after the start.

        `by_hand` is what `run_now` does instead, where one tick of the timer would be too little.
        """
        trigger = IntervalTrigger(seconds=seconds, timezone=self._zone)
        self._add(name, f"every {seconds:g} s", trigger, action, timedelta(seconds=first_after), by_hand)

    def daily(self, name: str, at: str, action: Action, weekday: str | None = None) -> None:
        """Run `action` at the local time `HH:MM`, each day or only on one weekday (`mon` .. `sun`)."""
        hour, minute = at.split(":")
        trigger = CronTrigger(
            hour=int(hour), minute=int(minute), day_of_week=weekday or "*", timezone=self._zone
        )
        words = f"{'daily' if weekday is None else weekday} at {at} {self._zone.key}"
        self._add(name, words, trigger, action)

    def on_wake(self, name: str, action: Action) -> None:
        """Say what runs when `wake_at` of that name falls due."""
        self._on_wake[name] = action

    def wake_at(self, name: str, at: datetime) -> None:
        """Run the work of `name` at `at`; a later call for the name replaces the earlier one."""
        if name not in self._on_wake:
            raise NotFound(f"nothing is registered to wake up as {name!r}")
        self._scheduler.add_job(
            self._on_wake[name], "date", run_date=at, id=f"{WAKE}{name}", replace_existing=True
        )

    def start(self) -> None:
        """Begin to run jobs; interval jobs run soon, the others at their time."""
        now = self._clock.now()
        for job in self._jobs.values():
            first = {} if job.first_after is None else {"next_run_time": now + job.first_after}
            self._scheduler.add_job(self._run, job.trigger, args=[job], id=job.info.name, **first)
        self._scheduler.start()

    def stop(self) -> None:
        """Start nothing new and wait for what runs."""
        if self._scheduler.running:
            self._scheduler.pause()
            self._scheduler.get_jobs()  # waits for a round in progress: a shutdown within it would break its thread
            # Waiting inside the scheduler would hold its lock against jobs that ask it something before they end.
            self._scheduler.shutdown(wait=False)
            self._workers.shutdown(wait=True)

    def list(self) -> Sequence[JobInfo]:
        """Return all jobs, ordered by name."""
        return [self._with_next(self._jobs[name].info) for name in sorted(self._jobs)]

    def run(self, name: str) -> JobInfo:
        """Ask for one run as soon as possible and return at once; `NotFound` for an unknown name."""
        job = self._find(name)
        try:
            self._scheduler.modify_job(name, next_run_time=self._clock.now())
        except JobLookupError as error:
            raise NotFound(f"job {name!r} has no timer in this process") from error
        return self._with_next(job.info)

    def run_now(self, name: str) -> JobInfo:
        """Run the job in this thread and return how it went; its error is raised."""
        job = self._find(name)
        self._run(job, job.by_hand)
        return job.info

    def _find(self, name: str) -> _Job:
        if name not in self._jobs:
            raise NotFound(f"no job {name!r}; there are: {', '.join(sorted(self._jobs)) or 'none'}")
        return self._jobs[name]

    def _add(
        self,
        name: str,
        words: str,
        trigger: BaseTrigger,
        action: Action,
        first_after: timedelta | None = None,
        by_hand: Action | None = None,
    ) -> None:
        self._jobs[name] = _Job(JobInfo(name=name, schedule=words), trigger, action, first_after, by_hand)

    def _run(self, job: _Job, instead: Action | None = None) -> None:
        with job.lock:
            started, began = self._clock.now(), time.monotonic()
            job.info = replace(job.info, running=True, last_run_at=started)
            error: str | None = "interrupted"
            try:
                with acting(f"job:{job.info.name}"):
                    (instead or job.action)()
                error = None
            finally:
                took = round(time.monotonic() - began, 3)
                job.info = replace(
                    job.info, running=False, last_seconds=took, last_error=error, runs=job.info.runs + 1
                )

    def _failed(self, event: JobExecutionEvent) -> None:
        """Keep what a job died of, for people and for the log."""
        reason = f"{type(event.exception).__name__}: {event.exception}"
        job = self._jobs.get(event.job_id)
        if job is not None:
            job.info = replace(job.info, last_error=reason)
        _log.error("job failed", job=event.job_id, reason=reason, traceback=event.traceback)

    def _with_next(self, info: JobInfo) -> JobInfo:
        timer = self._scheduler.get_job(info.name)
        following: datetime | None = getattr(timer, "next_run_time", None)
        return replace(info, next_run_at=following)


class LeaderLease:
    """The right of this process to act alone (triage, dispatch, billing ...).

    A lease lasts for `duration` after each renewal: asking for it renews it, and `keep` does so beside work that takes
    longer. What begins under a lease (`only_as_leader`) is kept only while that very lease stands (`fence_commits`).
    """

    def __init__(
        self, uow_factory: UnitOfWorkFactory, clock: Clock, *, name: str, holder: str, duration: timedelta
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._name = name
        self._holder = holder
        self._duration = duration
        self._lease: Lease | None = None
        self._acting = threading.local()
        self._released = threading.Event()
        self._keeper: threading.Thread | None = None

    def held(self) -> bool:
        """Take or renew the lease; False while another process leads."""
        return self._taken() is not None

    def _taken(self) -> Lease | None:
        with self._uow_factory() as uow:
            lease = uow.leases.acquire(self._name, self._holder, self._clock.now(), self._duration)
            uow.commit()
        self._lease = lease
        return lease

    def fence(self, uow: UnitOfWork) -> None:
        """Raise `Conflict` unless the lease of this work still stands within the transaction of `uow`."""
        lease = getattr(self._acting, "lease", None) or self._lease
        if lease is None or not uow.leases.confirm(lease):
            raise Conflict(f"{self._name}: another process leads now; this round is not kept")

    def fence_commits(self, uow: UnitOfWork, _changes: Changes) -> None:
        """Fence every commit of work under the lease, whichever service makes it (a `CommitListener`)."""
        if getattr(self._acting, "lease", None) is not None:
            self.fence(uow)

    def keep(self) -> None:
        """Renew the lease in the background while this process leads, until `release`."""
        self._released.clear()
        self._keeper = threading.Thread(target=self._renew_often, name=f"lease {self._name}", daemon=True)
        self._keeper.start()

    @property
    def keeping(self) -> bool:
        """True while a lease of this process is renewed in the background."""
        return self._keeper is not None and self._keeper.is_alive()

    def _renew_often(self) -> None:
        while not self._released.wait(self._duration.total_seconds() / 3):
            if self._lease is not None:
                try:
                    self.held()
                except DrumbeatError as error:
                    _log.warning("the lease was not renewed", lease=self._name, reason=str(error))

    def release(self) -> None:
        """Stop renewing and let another process lead at once."""
        self._released.set()
        if self._keeper is not None:
            self._keeper.join()
            self._keeper = None
        if self._lease is None:
            return
        with self._uow_factory() as uow:
            uow.leases.release(self._lease)
            uow.commit()
        self._lease = None

    def only_as_leader(self, action: Action) -> Action:
        """Return `action` guarded: it does nothing while another process leads."""

        def guarded() -> None:
            lease = self._taken()
            if lease is None:
                return
            self._acting.lease = lease
            try:
                action()
            finally:
                self._acting.lease = None

        return guarded


class Part(Protocol):
    """Something that a process starts and stops."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class NamedPart:
    """A part of a process made of two functions."""

    name: str
    start: Callable[[], object]
    stop: Callable[[], object]


class Lifecycle:
    """Starts parts in order, waits for a signal, stops them in reverse order, also when a start fails.

    From `start` (or `wait`) until `stop`, SIGINT and SIGTERM ask to stop instead of killing; only the main thread may
    take signals, elsewhere `ask_to_stop` does it.
    """

    def __init__(self, parts: Iterable[NamedPart]) -> None:
        self.parts = tuple(parts)
        self._running: list[NamedPart] = []
        self._stop_asked = threading.Event()
        self._handlers: dict[signal.Signals, Any] = {}

    def start(self) -> None:
        """Start all parts; when one fails the started ones are stopped and the error is raised."""
        self._take_signals()
        complete = False
        try:
            for part in self.parts:
                part.start()
                self._running.append(part)
            complete = True
        finally:
            if not complete:
                self.stop()

    def stop(self) -> None:
        """Stop what runs, last started first, and give the signals back."""
        while self._running:
            part = self._running.pop()
            _log.debug("stopping", part=part.name)
            part.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def ask_to_stop(self) -> None:
        """Let `wait` return."""
        self._stop_asked.set()

    def wait(self, beat: Callable[[], object] | None = None, seconds: float = 0.5) -> None:
        """Block until SIGINT, SIGTERM or `ask_to_stop`; call `beat` in between."""
        self._take_signals()
        while not self._stop_asked.wait(seconds):
            if beat is not None:
                beat()

    def _take_signals(self) -> None:
        if self._handlers or threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._signalled)

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        _log.debug("stopping on signal", signal=signal.Signals(number).name)
        self._stop_asked.set()
