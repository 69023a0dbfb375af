"""The collecting side: as parts of a whole process, and as a process of its own that loads nothing of analytics or HTTP.

A collector that was killed has to land readings again within seconds; the scientific libraries alone take longer to load.
"""

from dataclasses import dataclass, field
from datetime import UTC, timedelta
from functools import partial
from typing import Final

import structlog
from prometheus_client import CollectorRegistry

from collector.mqtt.broker import EmbeddedBroker
from collector.profiles import load_profiles
from collector.stores.influx_gaps import JournalComparison
from config.link_figures import LinkFigures, Links
from config.metrics import register_collecting
from config.settings import Settings
from config.supervision import Lifecycle, NamedPart, Supervisor
from config.wiring.collecting import build_broker, build_listener, build_polling, build_trap_watch
from config.wiring.core import Core, open_core
from config.wiring.telemetry import Telemetry, open_telemetry
from crm_core.ports import Clock

TIMERS: Final = "timers"
POLL_TICK_SECONDS: Final = (
    1.0  # each tick polls only what is due: devices keep their own place in the interval
)
COMPARED_DAYS: Final = 7  # for a restored backup of InfluxDB; older days by `drumbeat store compare`
DIMENSIONS_SECONDS: Final = 30.0  # devices of other processes: `drumbeat device add`, an API apart

_log = structlog.get_logger("drumbeat.collector")


@dataclass(frozen=True, slots=True)
class CollectingSide:
    """What collects: its parts in the order of starting, the broker of this process, and its links to the world."""

    parts: list[NamedPart]
    broker: EmbeddedBroker | None
    links: Links


@dataclass(slots=True)
class CollectorProcess:
    """A collector ready to start."""

    core: Core
    side: CollectingSide
    life: Lifecycle
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)


def build_collector(settings: Settings, clock: Clock) -> CollectorProcess:
    """Open the databases and put a collector together; nothing runs before `life.start()`."""
    core = open_core(settings, clock)
    telemetry = open_telemetry(core)
    supervisor = Supervisor(clock, settings.schedule.time_zone)
    metrics = CollectorRegistry()
    side = collecting_side(core, telemetry, supervisor, metrics)
    parts = [
        NamedPart("telemetry store", lambda: None, telemetry.close),
        *side.parts,
        NamedPart(TIMERS, supervisor.start, supervisor.stop),
    ]
    return CollectorProcess(core, side, Lifecycle(parts), metrics)


def collecting_side(
    core: Core, telemetry: Telemetry, supervisor: Supervisor, metrics: CollectorRegistry
) -> CollectingSide:
    """Return broker, listener, poller and traps of the settings; their jobs and figures are registered."""
    schedule = core.settings.schedule
    profiles = load_profiles()
    parts: list[NamedPart] = []
    broker = build_broker(core.settings)
    if broker is not None:
        parts.append(NamedPart("MQTT broker", broker.start, broker.stop))
    listener = build_listener(core, telemetry, profiles, port=None if broker is None else broker.port)
    if listener is not None:
        parts.append(NamedPart("MQTT listener", listener.start, listener.stop))
    links = Links(core.tenant, telemetry.disk, telemetry.agents, listener)
    metrics.register(LinkFigures(links))
    polling = build_polling(core, telemetry, profiles)
    parts.append(NamedPart("SNMP poller", polling.start, polling.stop))
    traps = build_trap_watch(core, polling)
    if traps is not None:
        parts.append(NamedPart("SNMP traps", traps.start, traps.stop))
    for group in range(schedule.poll_groups):
        name = f"poll-{group + 1}"
        supervisor.every(
            name, POLL_TICK_SECONDS, partial(polling.tick, group), by_hand=partial(polling.sweep, group)
        )
    supervisor.every("outbox", schedule.outbox_seconds, telemetry.deliver)
    supervisor.every("dimensions", DIMENSIONS_SECONDS, partial(telemetry.directory.refresh, core.tenant))
    supervisor.daily("retention", schedule.retention_at, partial(_drop_old, core, telemetry))
    if telemetry.comparison is not None:
        look = partial(_send_lost_again, core, telemetry.comparison)
        supervisor.daily("influxdb-comparison", schedule.comparison_at, look)
    register_collecting(
        metrics,
        ingest=telemetry.ingest.counters,
        outbox=telemetry.outbox,
        dead_letters=telemetry.dead_letters.count,
        polls=polling.counters,
        snmp=polling.statistics,
        traps=None if traps is None else lambda: traps.statistics,
    )
    return CollectingSide(parts, broker, links)


def _drop_old(core: Core, telemetry: Telemetry) -> None:
    telemetry.store.drop_before(core.clock.now() - timedelta(days=core.settings.telemetry.retention_days))


def _send_lost_again(core: Core, comparison: JournalComparison) -> None:
    """Look at the last days: a killed or restored InfluxDB may lack what it had confirmed."""
    today = core.clock.now().astimezone(UTC).date()
    lost = {day: comparison.mend(day) for day in comparison.days() if (today - day).days <= COMPARED_DAYS}
    if any(lost.values()):
        _log.warning(
            "InfluxDB lacked points; sent again",
            points=sum(lost.values()),
            days=sum(map(bool, lost.values())),
        )
