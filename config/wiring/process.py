"""Whole processes: collector, analytics and API, each alone or all in one, from the same parts."""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Flag, auto
from functools import partial

from prometheus_client import CollectorRegistry

from collector.mqtt.broker import EmbeddedBroker
from config.clock import SystemClock
from config.link_figures import Links
from config.settings import Settings
from config.supervision import Lifecycle, NamedPart, Supervisor
from config.wiring.analysing import (
    CARE_SECONDS,
    LOANS_SECONDS,
    MISSED_NIGHT_SECONDS,
    PLANNING_SECONDS,
    SWAPS_SECONDS,
    Desk,
    build_desk,
    care_round,
    escalation_round,
    forecast_round,
    leader_lease,
    loan_round,
    missed_night_round,
    planning_round,
    silence_round,
    swap_round,
    triage_round,
)
from config.wiring.billing import money_of, schedule_billing
from config.wiring.collector_process import TIMERS, collecting_side
from config.wiring.core import Core, open_core
from config.wiring.customers import customers_of, schedule_customers
from config.wiring.serving import HttpServer, build_api
from config.wiring.shared_figures import SharedFigures
from config.wiring.telemetry import Telemetry, open_telemetry
from config.wiring.telling import telling_figures
from config.wiring.trusting import schedule_trust, watch_policy
from config.wiring.workers import WorkerPool
from crm_core.escalation import WAKE
from crm_core.ports import Clock


class Shape(Flag):
    """Which sides of the product a process runs."""

    COLLECTOR = auto()
    ANALYTICS = auto()
    API = auto()
    ALL = COLLECTOR | ANALYTICS | API


@dataclass(slots=True)
class Process:
    """A process ready to start. `address` is where people reach it, once it has an API."""

    core: Core
    telemetry: Telemetry
    desk: Desk
    supervisor: Supervisor
    life: Lifecycle
    http: HttpServer | None = None
    broker: EmbeddedBroker | None = None
    links: Links | None = None
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)

    @property
    def address(self) -> str:
        """The address of the API, with the port that is really used."""
        if self.http is None:
            return ""
        api = self.core.settings.api
        host = "127.0.0.1" if api.host in {"0.0.0.0", "::"} else api.host  # noqa: S104 - compared, not bound
        return api.public_url or f"{'https' if api.tls else 'http'}://{host}:{self.http.port}"


def build_process(
    settings: Settings,
    clock: Clock,
    shape: Shape = Shape.ALL,
    *,
    sign_in_hint: tuple[tuple[str, str], ...] = (),
    listener: socket.socket | None = None,
) -> Process:
    """Open databases and put the parts of `shape` together; nothing runs before `life.start()`.

    With `listener` the API serves this bound socket, as one worker of several.
    """
    core = open_core(settings, clock)
    telemetry = open_telemetry(core)
    supervisor = Supervisor(clock, settings.schedule.time_zone)
    timer = supervisor if Shape.ANALYTICS in shape else None
    desk = build_desk(core, telemetry.store, timer)
    process = Process(core, telemetry, desk, supervisor, Lifecycle([]))
    parts: list[NamedPart] = [NamedPart("telemetry store", lambda: None, telemetry.close)]
    watch_policy(core, supervisor)
    if Shape.COLLECTOR in shape:
        parts += _collecting(process)
    if Shape.ANALYTICS in shape:
        parts += _analysing(process)
    several = shape is Shape.API and listener is None and settings.api.workers > 1
    if several:
        parts.append(NamedPart("shared figures", lambda: None, SharedFigures().close))
    if Shape.API in shape:
        parts += _serving(process, sign_in_hint, listener)
    if several and process.http is not None:
        pool = WorkerPool(settings.api.workers - 1, settings, process.http.listener, serve_worker)
        parts.append(NamedPart("API workers", pool.start, pool.stop))
    parts.append(NamedPart(TIMERS, supervisor.start, supervisor.stop))
    process.life = Lifecycle(parts)
    return process


def build_jobs(settings: Settings, clock: Clock) -> Process:
    """Return a process that has all jobs but no timers, no broker and no server: for running one job by hand."""
    quiet = settings.changed(mqtt={"enabled": False})
    process = build_process(quiet, clock, Shape.COLLECTOR | Shape.ANALYTICS)
    process.life = Lifecycle(part for part in process.life.parts if part.name != TIMERS)
    return process


def _collecting(process: Process) -> list[NamedPart]:
    side = collecting_side(process.core, process.telemetry, process.supervisor, process.metrics)
    process.broker, process.links = side.broker, side.links
    return side.parts


def _analysing(process: Process) -> list[NamedPart]:
    core, telemetry, desk, supervisor = process.core, process.telemetry, process.desk, process.supervisor
    schedule = core.settings.schedule
    lease = leader_lease(core)
    core.uow_factory.on_commit(lease.fence_commits)
    at_the_desk = threading.Lock()
    foreseeing = threading.Lock()  # one of its own: signals become tickets while a large fleet is forecast

    def job(action: Callable[[], object]) -> Callable[[], object]:
        return lease.only_as_leader(partial(_within, at_the_desk, action))

    def foresight(action: Callable[[], object]) -> Callable[[], object]:
        return lease.only_as_leader(partial(_within, foreseeing, action))

    supervisor.every("triage", schedule.triage_seconds, job(partial(triage_round, core, desk)))
    supervisor.on_wake(WAKE, job(partial(escalation_round, core, desk)))
    supervisor.every("notices", core.settings.notices.seconds, desk.telling.deliverer.run)
    process.metrics.register(telling_figures(core.settings, core.clock))
    supervisor.every("care", CARE_SECONDS, job(partial(care_round, core, desk)), first_after=60.0)
    supervisor.every("planning", PLANNING_SECONDS, job(partial(planning_round, core, desk)), first_after=20.0)
    supervisor.every("silence", schedule.silence_seconds, job(partial(silence_round, core, telemetry, desk)))
    supervisor.every("swaps", SWAPS_SECONDS, job(partial(swap_round, core, desk)), first_after=15.0)
    supervisor.every("loans", LOANS_SECONDS, job(partial(loan_round, core, desk)), first_after=30.0)
    night = partial(forecast_round, core, desk, at_the_desk)
    supervisor.daily("forecast", schedule.forecast_at, foresight(night))
    missed = foresight(partial(missed_night_round, core, desk, at_the_desk))
    supervisor.every("missed forecast", MISSED_NIGHT_SECONDS, missed, first_after=120.0)
    training = foresight(partial(_train, core, desk))
    supervisor.daily("training", schedule.training_at, training, schedule.training_weekday)
    schedule_customers(core, customers_of(core, telemetry.store), supervisor, job)
    schedule_billing(core, money_of(core, telemetry.store), telemetry.store, supervisor, job)
    schedule_trust(core, supervisor, job)
    return [NamedPart("leader lease", lease.keep, lease.release)]


def serve_worker(settings: Settings, listener: socket.socket) -> None:
    """Serve the API on a socket that another process has bound, until SIGTERM."""
    process = build_process(settings, SystemClock(), Shape.API, listener=listener)
    process.life.start()
    try:
        process.life.wait()
    finally:
        process.life.stop()


def _serving(
    process: Process, sign_in_hint: tuple[tuple[str, str], ...], listener: socket.socket | None
) -> list[NamedPart]:
    api = process.core.settings.api
    http = process.http = HttpServer(api.host, api.port, api.tls_certificate, api.tls_key, listener)

    def start() -> None:
        app = build_api(
            process.core,
            process.telemetry,
            process.desk,
            process.supervisor,
            process.metrics,
            links=process.links,
            public_url=process.address,
            sign_in_hint=sign_in_hint,
        )
        http.start(app)
        app.state.overviews.prepare(process.core.tenant)
        app.state.renderer.warm()

    return [NamedPart("HTTP server", start, http.stop)]


def _within(lock: threading.Lock, action: Callable[[], object]) -> None:
    with lock:
        action()


def _train(core: Core, desk: Desk) -> None:
    desk.forecaster.train(core.tenant, core.clock.now().date() - timedelta(days=1))
