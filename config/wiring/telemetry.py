"""The telemetry side of a process: the store, the outbox, ingest, and what carries signals on."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from collector.agents import SqliteAgentBook
from collector.dead_letters import SqliteDeadLetters
from collector.disk_guard import DiskGuard, DiskState
from collector.ingest import CollectorStore, Ingest
from collector.outbox import Outbox, SignalForwarder
from collector.stores.influx_gaps import JournalComparison
from collector.stores.sqlite import SqliteTelemetryStore
from config.bridges import CrmDirectory, CrmInbox
from config.wiring.core import Core

#: Builds the store over InfluxDB; loaded only where the settings ask for it, because it brings a library.
_OVER_INFLUX: Final = "config.wiring.over_influx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Store and ingest of a process. `deliver` carries waiting records on and returns how many.

    `comparison` finds what InfluxDB lost; None where the embedded store is read.
    """

    store: CollectorStore
    outbox: Outbox
    dead_letters: SqliteDeadLetters
    agents: SqliteAgentBook
    directory: CrmDirectory
    ingest: Ingest
    disk: DiskState
    deliver: Callable[[], int]
    comparison: JournalComparison | None
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
    store: CollectorStore = embedded
    deliver: Callable[[], int] = signals.drain
    comparison: JournalComparison | None = None
    if with_influx:
        store, deliver, comparison = importlib.import_module(_OVER_INFLUX).over_influx(
            core, embedded, outbox, signals
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
        comparison=comparison,
        close=store.close,
    )


def _guarded(guard: DiskGuard, deliver: Callable[[], int]) -> Callable[[], int]:
    """Return the delivery with a look at the disk before it."""

    def look_and_deliver() -> int:
        guard.check()
        return deliver()

    return look_and_deliver
