"""How the telemetry side is linked to the world: broker, edge agents, disk; as metrics and as words for `/readyz`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.agents import SqliteAgentBook
from collector.disk_guard import DiskState
from collector.mqtt.listener import MqttListener
from crm_core.domain.errors import DrumbeatError, StoreUnavailable
from crm_core.domain.identity import TenantId

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Links:
    """What a process with a collector can say; `listener` is None where MQTT is switched off."""

    tenant: TenantId
    disk: DiskState
    agents: SqliteAgentBook
    listener: MqttListener | None = None

    def check_disk(self) -> None:
        """Raise `StoreUnavailable` while the disk is full: the oldest telemetry is being shed."""
        if self.disk.full:
            raise StoreUnavailable(f"the disk is full ({self.disk.free_bytes} bytes free): make room")

    def notes(self) -> Mapping[str, str]:
        """Return what an operator wants to know beside whether the process can serve."""
        found = {"disk": f"{self.disk.free_bytes / 2**30:.1f} GiB free"} if self.disk.free_bytes else {}
        if self.listener is not None:
            found["mqtt"] = mqtt_words(self.listener)
        try:
            agents = self.agents.agents(self.tenant)
        except DrumbeatError as error:
            return found | {"agents": str(error)[:200]}
        away = [state.site_id for state in agents if not state.online]
        if agents:
            named = f": {', '.join(away[:_NAMED])}{' ...' if len(away) > _NAMED else ''}" if away else ""
            found["agents"] = f"{len(away)} of {len(agents)} off-line{named}"
        return found


def mqtt_words(listener: MqttListener) -> str:
    """Return whether the broker is there, and which protocol it speaks."""
    connection = listener.connection
    if not connection.is_connected:
        return f"not connected: {connection.refusal or 'no answer yet'}"
    return f"connected by MQTT {connection.protocol}"


class LinkFigures(Collector):
    """The same as figures."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def collect(self) -> Iterable[Metric]:
        """Yield the figures as they are now."""
        links = self._links
        yield GaugeMetricFamily(
            "drumbeat_disk_full", "1 while the disk of the telemetry is full", value=float(links.disk.full)
        )
        yield GaugeMetricFamily(
            "drumbeat_disk_free_bytes",
            "Free bytes on that disk, as last looked at",
            value=links.disk.free_bytes,
        )
        try:
            online = [state.online for state in links.agents.agents(links.tenant)]
        except DrumbeatError:  # the store is away: no figure is better than a wrong one
            online = []
        agents = GaugeMetricFamily("drumbeat_agents", "Edge agents by state", labels=["state"])
        agents.add_metric(["online"], sum(online))
        agents.add_metric(["offline"], len(online) - sum(online))
        yield agents
        if links.listener is not None:
            yield from _mqtt_figures(links.listener)


def _mqtt_figures(listener: MqttListener) -> Iterable[Metric]:
    connection, counters = listener.connection, listener.counters
    connected = GaugeMetricFamily(
        "drumbeat_mqtt_connected", "1 while the broker is there, by protocol", labels=["protocol"]
    )
    for protocol in ("5", "3.1.1"):
        here = connection.is_connected and connection.protocol == protocol
        connected.add_metric([protocol], float(here))
    yield connected
    messages = CounterMetricFamily(
        "drumbeat_mqtt_messages", "MQTT messages by what became of them", labels=["outcome"]
    )
    for outcome in ("received", "acknowledged", "dead_lettered", "statuses", "store_failures"):
        messages.add_metric([outcome], getattr(counters, outcome))
    yield messages
