"""The telemetry side of a process: the store, the outbox, ingest, and what carries signals on."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from collector.agents import SqliteAgentBook
from collector.dead_letters import SqliteDeadLetters
from collector.disk_guard import DiskGuard, DiskState
from collector.ingest import CollectorStore, Ingest
from collector.outbox import InfluxForwarder, Outbox, SignalForwarder
from collector.stores.influx_store import InfluxTelemetryStore
from collector.stores.influxdb import InfluxEndpoint, InfluxServer
from collector.stores.sqlite import SqliteTelemetryStore
from config.bridges import CrmDirectory, CrmInbox
from config.wiring.core import Core
from crm_core.domain.errors import StoreUnavailable

_log = structlog.get_logger("drumbeat.telemetry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Store and ingest of a process. `deliver` carries waiting records on and returns how many."""

    store: CollectorStore
    outbox: Outbox
    dead_letters: SqliteDeadLetters
    agents: SqliteAgentBook
    directory: CrmDirectory
    ingest: Ingest
    disk: DiskState
    deliver: Callable[[], int]
    close: Callable[[], None]


def open_telemetry(core: Core) -> Telemetry:
    """Open the store that the settings name and build ingest over it."""
    with_influx = core.settings.telemetry.store == "influxdb"
    embedded = SqliteTelemetryStore(
        core.settings.telemetry_file,
        core.clock,
        lines=with_influx,
        wait_for_disk=core.settings.general.wait_for_disk,
    )
    outbox = Outbox(embedded, core.clock)
    dead_letters = SqliteDeadLetters(embedded)
    directory = CrmDirectory(core.uow_factory, core.clock, embedded.keep_dimensions)
    core.registry.watch(directory.changed)  # a device that was moved counts where it stands now
    signals = SignalForwarder(outbox, CrmInbox(core.uow_factory))
    store, deliver = (
        _over_influx(core, embedded, outbox, signals) if with_influx else (embedded, signals.drain)
    )
    guard = DiskGuard(embedded, outbox)
    return Telemetry(
        store=store,
        outbox=outbox,
        dead_letters=dead_letters,
        agents=SqliteAgentBook(embedded),
        directory=directory,
        # ingest lands in the journal, so that readings come in while InfluxDB is away
        ingest=Ingest(embedded, core.conclude, dead_letters, core.clock, directory=directory),
        disk=guard.state,
        deliver=_guarded(guard, deliver),
        close=store.close,
    )


def _guarded(guard: DiskGuard, deliver: Callable[[], int]) -> Callable[[], int]:
    """Return the delivery with a look at the disk before it."""

    def look_and_deliver() -> int:
        guard.check()
        return deliver()

    return look_and_deliver


def _over_influx(
    core: Core, journal: SqliteTelemetryStore, outbox: Outbox, signals: SignalForwarder
) -> tuple[InfluxTelemetryStore, Callable[[], int]]:
    """Return the store that reads from InfluxDB, and the delivery of both signals and lines."""
    settings = core.settings.influxdb
    server = InfluxServer(
        InfluxEndpoint(
            url=str(settings.url),
            database=settings.database,
            org=settings.org,
            token=settings.token,
            timeout_seconds=settings.timeout_seconds,
        )
    )
    lines = InfluxForwarder(outbox, server, keep_records=core.settings.telemetry.outbox_max_records)

    def deliver() -> int:
        """Signals first: tickets do not wait for InfluxDB."""
        return signals.drain() + lines.drain()

    try:
        server.prepare()
    except StoreUnavailable as error:  # readings come in all the same; the forwarder prepares it later
        _log.warning("InfluxDB is away", reason=str(error))
    return InfluxTelemetryStore(server, journal, lines), deliver
