"""Timers and the life of a process: jobs run, fail alone, wake up, and parts stop in reverse order."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from config.clock import SystemClock
from config.supervision import Lifecycle, NamedPart, Supervisor
from crm_core.domain.errors import NotFound

LONG = 10.0  # seconds to wait at most for something that is due at once


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    made = Supervisor(SystemClock(), "Asia/Shanghai")
    yield made
    made.stop()


def test_an_interval_job_runs_at_once_and_is_listed(supervisor: Supervisor) -> None:
    done = threading.Event()
    supervisor.every("poll-1", 3600, done.set)
    supervisor.daily("forecast", "02:30", done.clear)
    supervisor.start()
    assert done.wait(LONG)
    forecast, poll = supervisor.list()
    assert (poll.name, poll.schedule, forecast.schedule) == (
        "poll-1",
        "every 3600 s",
        "daily at 02:30 Asia/Shanghai",
    )
    assert poll.next_run_at is not None
    assert forecast.next_run_at is not None
    assert (forecast.next_run_at.hour, forecast.next_run_at.minute) == (2, 30)
    assert forecast.runs == 0


def test_run_asks_for_a_run_now(supervisor: Supervisor) -> None:
    done = threading.Event()
    supervisor.daily("forecast", "02:30", done.set, weekday="sun")
    supervisor.start()
    assert supervisor.run("forecast").name == "forecast"
    assert done.wait(LONG)
    with pytest.raises(NotFound, match="forecast"):
        supervisor.run("forcast")


def test_a_failing_job_says_why_and_the_others_go_on(supervisor: Supervisor) -> None:
    failed, done = threading.Event(), threading.Event()

    def fail() -> None:
        failed.set()
        raise OSError("the disk is gone")

    supervisor.every("bad", 3600, fail)
    supervisor.every("good", 0.05, lambda: failed.is_set() and done.set())
    supervisor.start()
    assert failed.wait(LONG)
    assert done.wait(LONG)
    bad = next(job for job in supervisor.list() if job.name == "bad")
    assert bad.runs == 1
    assert bad.last_error in {"OSError: the disk is gone", "interrupted"}  # the reason follows the run


def test_run_now_raises_what_the_job_raises(supervisor: Supervisor) -> None:
    supervisor.every("bad", 3600, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        supervisor.run_now("bad")


def test_a_job_never_runs_twice_at_once(supervisor: Supervisor) -> None:
    inside, most, seen = [0], [0], threading.Event()

    def slow() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        threading.Event().wait(0.05)
        inside[0] -= 1
        if supervisor.list()[0].runs >= 3:
            seen.set()

    supervisor.every("slow", 0.01, slow)
    supervisor.start()
    assert seen.wait(LONG)
    assert most == [1]


def test_stopping_waits_for_a_job_that_asks_about_jobs(supervisor: Supervisor) -> None:
    begun, ended = threading.Event(), threading.Event()

    def curious() -> None:
        begun.set()
        time.sleep(0.2)  # long enough that the stop waits for this job
        supervisor.list()
        ended.set()

    supervisor.every("curious", 3600, curious)
    supervisor.start()
    assert begun.wait(LONG)
    supervisor.stop()
    assert ended.is_set()


def test_wake_at_replaces_the_earlier_call(supervisor: Supervisor) -> None:
    woken = threading.Semaphore(0)
    supervisor.on_wake("sla", woken.release)
    supervisor.start()
    now = SystemClock().now()
    supervisor.wake_at("sla", now + timedelta(hours=5))
    supervisor.wake_at("sla", now)
    assert woken.acquire(timeout=LONG)
    assert not woken.acquire(blocking=False)
    with pytest.raises(NotFound):
        supervisor.wake_at("unknown", now)


def part(name: str, log: list[str], *, fails: bool = False) -> NamedPart:
    def start() -> None:
        if fails:
            raise OSError(name)
        log.append(f"+{name}")

    return NamedPart(name, start, lambda: log.append(f"-{name}"))


def test_parts_stop_in_reverse_order() -> None:
    log: list[str] = []
    life = Lifecycle([part("store", log), part("broker", log)])
    life.start()
    life.stop()
    life.stop()
    assert log == ["+store", "+broker", "-broker", "-store"]


def test_a_failed_start_stops_what_runs() -> None:
    log: list[str] = []
    with pytest.raises(OSError, match="broker"):
        Lifecycle([part("store", log), part("broker", log, fails=True), part("api", log)]).start()
    assert log == ["+store", "-store"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_and_the_handlers_return(number: int) -> None:
    before = signal.getsignal(number)
    life = Lifecycle([])
    life.wait(beat=lambda: os.kill(os.getpid(), number), seconds=0.01)
    life.stop()
    assert signal.getsignal(number) is before
