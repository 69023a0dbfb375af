"""Telemetry that is read from InfluxDB: loaded only where the settings ask for it, because its client takes a while to load."""

from collections.abc import Callable

import structlog

from collector.outbox import InfluxForwarder, Outbox, SignalForwarder
from collector.stores.influx_gaps import JournalComparison
from collector.stores.influx_store import InfluxTelemetryStore
from collector.stores.influxdb import InfluxEndpoint, InfluxServer
from collector.stores.sqlite import SqliteTelemetryStore
from config.wiring.core import Core
from crm_core.domain.errors import StoreUnavailable

_log = structlog.get_logger("drumbeat.telemetry")


def over_influx(
    core: Core, journal: SqliteTelemetryStore, outbox: Outbox, signals: SignalForwarder
) -> tuple[InfluxTelemetryStore, Callable[[], int], JournalComparison]:
    """Return the store that reads from InfluxDB, the delivery of both signals and lines, and what finds lost points."""
    settings = core.settings.influxdb
    server = InfluxServer(
        InfluxEndpoint(
            url=str(settings.url),
            database=settings.database,
            org=settings.org,
            token=settings.token,
            retention_policy=settings.retention_policy,
            ca_file=settings.ca_file,
            timeout_seconds=settings.timeout_seconds,
        )
    )
    lines = InfluxForwarder(outbox, server, keep_records=core.settings.telemetry.outbox_max_records)

    def deliver() -> int:
        """Signals first: tickets do not wait for InfluxDB."""
        return signals.drain() + lines.drain()

    try:
        server.prepare()
        found = server.capabilities()
        _log.info("InfluxDB", version=found.version, write=found.write)
    except StoreUnavailable as error:  # readings come in all the same; the forwarder prepares it later
        _log.warning("InfluxDB is away", reason=str(error))
    comparison = JournalComparison(journal, outbox, server.queries, lines.drain)
    return InfluxTelemetryStore(server, journal, lines), deliver, comparison
