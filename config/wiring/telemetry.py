"""The telemetry side of a process: the store, the outbox, ingest, and what carries signals on."""

from collections.abc import Callable
from dataclasses import dataclass

from collector.agents import SqliteAgentBook
from collector.dead_letters import SqliteDeadLetters
from collector.ingest import CollectorStore, Ingest
from collector.outbox import Outbox, SignalForwarder
from collector.stores.sqlite import SqliteTelemetryStore
from config.bridges import CrmDirectory, CrmInbox
from config.wiring.core import Core


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Store and ingest of a process. `deliver` carries waiting records on and returns how many."""

    store: CollectorStore
    outbox: Outbox
    dead_letters: SqliteDeadLetters
    agents: SqliteAgentBook
    directory: CrmDirectory
    ingest: Ingest
    deliver: Callable[[], int]
    close: Callable[[], None]


def open_telemetry(core: Core) -> Telemetry:
    """Open the store that the settings name and build ingest over it."""
    store = SqliteTelemetryStore(core.settings.telemetry_file, core.clock)
    outbox = Outbox(store, core.clock)
    dead_letters = SqliteDeadLetters(store)
    directory = CrmDirectory(core.uow_factory, core.clock)
    forwarder = SignalForwarder(outbox, CrmInbox(core.uow_factory))
    return Telemetry(
        store=store,
        outbox=outbox,
        dead_letters=dead_letters,
        agents=SqliteAgentBook(store),
        directory=directory,
        ingest=Ingest(store, core.conclude, dead_letters, core.clock, directory=directory),
        deliver=forwarder.drain,
        close=store.close,
    )
