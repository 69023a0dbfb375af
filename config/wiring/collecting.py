"""The collecting side of a process: the SNMP engine of the settings, the poller, the broker and the MQTT listener."""

import socket
from dataclasses import replace
from functools import partial
from pathlib import Path

from collector.completion import RememberedCompletion
from collector.due_times import SqliteDueTimes
from collector.mqtt.broker import EmbeddedBroker
from collector.mqtt.connection import MqttEndpoint
from collector.mqtt.listener import MqttListener
from collector.normalise import complete_derived
from collector.profiles import Profiles
from collector.snmp.poller import Poller
from config.polling import PollGroups
from config.settings import Settings
from config.trap_watch import TrapWatch
from config.wiring.core import Core
from config.wiring.snmp import make_engine, open_credentials
from config.wiring.telemetry import Telemetry


def build_polling(core: Core, telemetry: Telemetry, profiles: Profiles) -> PollGroups:
    """Return the poll groups of this process."""
    engine = make_engine(core.settings)
    poller = Poller(
        engine,
        profiles=profiles,
        catalogue=core.catalogue,
        book=core.fault_codes,
        clock=core.clock,
        seconds_a_poll=core.settings.snmp.device_deadline_seconds,
        repeats=core.settings.snmp.retries,
        first_timeout_seconds=core.settings.snmp.timeout_seconds,
    )
    return PollGroups(
        poller,
        engine,
        telemetry.ingest,
        core.uow_factory,
        core.clock,
        tenant=core.tenant,
        settings=core.settings.snmp,
        groups=core.settings.schedule.poll_groups,
        credentials=open_credentials(core.settings),
        due_times=SqliteDueTimes(core.settings.general.folder / "due_times.sqlite"),
    )


def build_trap_watch(core: Core, polling: PollGroups) -> TrapWatch | None:
    """Return the receiver of traps, or None when the settings name no port."""
    if not core.settings.snmp.trap_port:
        return None
    return TrapWatch(
        polling.wake, core.uow_factory, core.tenant, core.settings.snmp, open_credentials(core.settings)
    )


def build_broker(settings: Settings) -> EmbeddedBroker | None:
    """Return the broker of this process, or None when one elsewhere is used."""
    if not settings.mqtt.enabled or settings.mqtt.broker != "embedded":
        return None
    port = settings.mqtt.port or _free_port(settings.mqtt.host)
    return EmbeddedBroker(settings.mqtt.host, port)


def _free_port(host: str) -> int:
    """Return a port that is free now, so that the listener knows it before the broker listens."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def mqtt_endpoint(settings: Settings) -> MqttEndpoint:
    """Return the broker of the settings, and who we are there."""
    mqtt = settings.mqtt
    return MqttEndpoint(
        host=mqtt.host,
        port=mqtt.port,
        client_id=mqtt.client_id,
        username=mqtt.username or None,
        password=mqtt.password or None,
        tls=mqtt.tls,
        ca_file=Path(mqtt.ca_file) if mqtt.ca_file else None,
    )


def build_listener(
    core: Core, telemetry: Telemetry, profiles: Profiles, *, port: int | None = None
) -> MqttListener | None:
    """Return the listener at the broker of the settings (`port` of an embedded one that chose it), or None."""
    if not core.settings.mqtt.enabled:
        return None
    endpoint = mqtt_endpoint(core.settings)
    if port is not None:
        endpoint = replace(endpoint, port=port)
    complete = partial(complete_derived, profiles=profiles, catalogue=core.catalogue, book=core.fault_codes)
    return MqttListener(
        endpoint,
        telemetry.ingest,
        telemetry.store,
        core.clock,
        agents=telemetry.agents,
        complete=RememberedCompletion(complete),
    )
