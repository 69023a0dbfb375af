"""What an operator should know before something fails: looked at from outside, each finding with what to do."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from collector.disk_guard import READINGS_SHED
from collector.mqtt.connection import MqttConnection
from collector.outbox import SHED_TALLY as LINES_SHED
from collector.stores.maintenance import status
from config.backup import LOG
from config.health_accounts import examine_accounts
from config.health_findings import Finding, Verdict
from config.health_planning import examine_planning
from config.health_security import (
    examine_certificate,
    examine_clock,
    examine_libraries,
    installed_libraries,
)
from config.health_trust import examine_trust
from config.settings import Settings
from config.wiring.collecting import mqtt_endpoint
from config.wiring.core import Core
from config.wiring.telemetry import Telemetry
from crm_core.domain.errors import DrumbeatError
from crm_core.domain.fleet import OwnerState, Transport

BACKUP_AGE: Final = timedelta(days=2)
SILENCE: Final = timedelta(hours=24)
LOW_DISK_SHARE: Final = 0.1
_BROKER_SECONDS: Final = 5.0
_FIVE: Final = "MQTT 5, with receive maximum as back-pressure and shared subscriptions"
_THREE: Final = "MQTT 3.1.1, with withheld acknowledgements as back-pressure and one collector"
_LOOPBACK: Final = ("127.", "localhost", "::1")


def examine(
    settings: Settings, open_core: Callable[[], Core], open_telemetry: Callable[[Core], Telemetry]
) -> Iterator[Finding]:
    """Yield a finding for each thing; what does not open is a finding, too."""
    yield from _secrets(settings)
    yield from _folder(settings)
    yield from examine_planning(settings.planning)
    try:
        core = open_core()
    except DrumbeatError as error:
        yield Finding(
            "crm", Verdict.FAILED, str(error), "mend what the message names; nothing works without it"
        )
        return
    now = core.clock.now()
    yield from examine_libraries(installed_libraries(), now.date())
    yield from examine_certificate(settings.api, now)
    yield Finding("crm", Verdict.OK, "the CRM database answers and has the newest schema")
    yield from examine_accounts(core, now)
    yield from _calendar(core, now)
    yield _backup_age(settings, now)
    yield from examine_trust(core, now)
    yield from _broker(settings)
    try:
        telemetry = open_telemetry(core)
    except DrumbeatError as error:
        yield Finding(
            "telemetry",
            Verdict.FAILED,
            str(error),
            "start the server that the settings name, or mend the file",
        )
        return
    try:
        yield from _telemetry(core, telemetry, now)
    finally:
        telemetry.close()


def _secrets(settings: Settings) -> Iterator[Finding]:
    exposed = not settings.api.host.startswith(_LOOPBACK)
    if exposed and not settings.api.secure_cookies:
        yield Finding(
            "https", Verdict.WARNING, f"the API listens on {settings.api.host} and sessions may travel in clear",
            "put HTTPS in front of it (docs/operations.md) and set api.secure_cookies = true",
        )  # fmt: skip
    else:
        yield Finding(
            "https", Verdict.OK, "only this machine reaches the API" if not exposed else "sessions need HTTPS"
        )
    if settings.snmp.community in {"public", "private"}:
        yield Finding(
            "community", Verdict.WARNING, f"the SNMP community is the factory's ({settings.snmp.community})",
            "set another one on the printers and as DRUMBEAT_SNMP_COMMUNITY",
        )  # fmt: skip
    else:
        yield Finding("community", Verdict.OK, "the SNMP community is not a factory's")
    if (
        settings.mqtt.enabled
        and settings.mqtt.broker == "embedded"
        and not settings.mqtt.host.startswith(_LOOPBACK)
    ):
        yield Finding(
            "mqtt access", Verdict.WARNING, f"the embedded broker takes anybody on {settings.mqtt.host}",
            "use an external broker with accounts (docs/mqtt.md), or bind it to 127.0.0.1",
        )  # fmt: skip


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.general.folder
    if not folder.is_dir():
        yield Finding(
            "data folder", Verdict.WARNING, f"{folder} does not exist yet", "it is made at the first start"
        )
        return
    if folder.stat().st_mode & 0o077:
        yield Finding(
            "data folder",
            Verdict.WARNING,
            f"others on this machine may look into {folder}",
            f"chmod 700 {folder}",
        )
    else:
        yield Finding("data folder", Verdict.OK, f"{folder} belongs to its owner alone")
    disk = shutil.disk_usage(folder)
    share = disk.free / disk.total
    verdict = Verdict.OK if share >= LOW_DISK_SHARE else Verdict.WARNING
    advice = "" if verdict is Verdict.OK else "free space, or lower telemetry.retention_days"
    yield Finding("disk", verdict, f"{share:.0%} of the disk is free", advice)


def _calendar(core: Core, now: datetime) -> Iterator[Finding]:
    calendar = core.policy.sla.calendar
    soon = (now + timedelta(days=31)).year
    if calendar.provisional_from is not None and soon >= calendar.provisional_from:
        yield Finding(
            "calendar", Verdict.WARNING, f"the holidays of {soon} in calendar {calendar.name} are provisional",
            "add the published year to policy/calendars; due times are computed again then",
        )  # fmt: skip
    else:
        yield Finding("calendar", Verdict.OK, f"calendar {calendar.name} knows the coming month")


def _backup_age(settings: Settings, now: datetime) -> Finding:
    log = settings.general.folder / LOG
    try:
        made_at = datetime.fromisoformat(json.loads(log.read_text(encoding="utf-8"))["made_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return Finding(
            "backup", Verdict.WARNING, "no backup was ever made", "drumbeat backup FILE, every day"
        )
    age = now - made_at
    if age > BACKUP_AGE:
        return Finding(
            "backup", Verdict.WARNING, f"the last backup is {age.days} days old", "drumbeat backup FILE"
        )
    return Finding("backup", Verdict.OK, f"the last backup is {age.total_seconds() / 3600:.0f} hours old")


def _broker(settings: Settings) -> Iterator[Finding]:
    if not settings.mqtt.enabled:
        return
    if settings.mqtt.broker != "external":
        yield Finding("broker", Verdict.OK, f"embedded: {_THREE}")
        return
    where = f"{settings.mqtt.host}:{settings.mqtt.port}"
    asking = MqttConnection(
        replace(mqtt_endpoint(settings), client_id=f"{settings.mqtt.client_id}-doctor"),
        filters=(),
        on_messages=lambda _: None,
    )
    asking.start()
    try:
        asking.wait_connected(_BROKER_SECONDS)
        speaks = _FIVE if asking.protocol == "5" else _THREE
        yield Finding("broker", Verdict.OK, f"{where} lets us in: {speaks}")
    except DrumbeatError as error:
        yield Finding(
            "broker", Verdict.FAILED, str(error), "start it, or mend mqtt.host, mqtt.port, the account or the CA file"
        )  # fmt: skip
    finally:
        asking.stop()


def _agents(core: Core, telemetry: Telemetry, now: datetime) -> Iterator[Finding]:
    agents = telemetry.agents.agents(core.tenant)
    away = [state for state in agents if not state.online]
    if away:
        longest = min(away, key=lambda state: state.since)
        hours = (now - longest.since).total_seconds() / 3600
        yield Finding(
            "agents", Verdict.WARNING,
            f"{len(away)} of {len(agents)} edge agents are off-line, {longest.site_id} for {hours:.0f} h: "
            "their devices are out of reach, not silent",
            "look at the agent's machine and network; its ring keeps the readings",
        )  # fmt: skip
    elif agents:
        yield Finding("agents", Verdict.OK, f"all {len(agents)} edge agents are on-line")


def _shed(settings: Settings) -> Iterator[Finding]:
    tallies = status(settings.telemetry_file).tallies
    shed = {name: tallies[name] for name in (READINGS_SHED, LINES_SHED) if tallies.get(name)}
    if shed:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(shed.items()))
        yield Finding(
            "telemetry shed", Verdict.WARNING, f"room was made once: {counts}",
            "give the data folder more room, or lower telemetry.retention_days",
        )  # fmt: skip


def _telemetry(core: Core, telemetry: Telemetry, now: datetime) -> Iterator[Finding]:
    try:
        stats = telemetry.store.stats(core.tenant)
        states = {state.device_id: state.last_seen for state in telemetry.store.states(core.tenant)}
    except DrumbeatError as error:
        yield Finding("telemetry", Verdict.FAILED, str(error), "start the server that the settings name")
        return
    yield Finding("telemetry", Verdict.OK, f"{stats.readings} readings in {stats.engine}")
    yield examine_clock(now, max(states.values(), default=None))
    with core.uow_factory() as uow:
        devices = uow.devices.all(core.tenant)
    served = [device for device in devices if device.owner_state in {OwnerState.INSTALLED, OwnerState.LOAN}]
    silent = [
        device.device_id
        for device in served
        if now - states.get(device.device_id, now - 2 * SILENCE) > SILENCE
    ]
    if silent:
        some = ", ".join(sorted(silent)[:3]) + (" ..." if len(silent) > 3 else "")
        polled = sum(device.transport is Transport.SNMP for device in served if device.device_id in silent)
        yield Finding(
            "devices", Verdict.WARNING, f"{len(silent)} of {len(served)} devices gave no reading for a day: {some}",
            f"is the collector running? {polled} of them are polled: drumbeat probe HOST",
        )  # fmt: skip
    else:
        yield Finding("devices", Verdict.OK, f"all {len(served)} devices gave a reading within a day")
    yield from _agents(core, telemetry, now)
    yield from _shed(core.settings)
    waiting, letters = telemetry.outbox.waiting(), telemetry.dead_letters.count()
    late = waiting > 10_000
    yield Finding(
        "outbox", Verdict.WARNING if late else Verdict.OK, f"{waiting} records wait for delivery",
        "is InfluxDB reachable, is the collector running?" if late else "",
    )  # fmt: skip
    yield Finding(
        "dead letters", Verdict.WARNING if letters else Verdict.OK, f"{letters} messages could not be understood",
        "drumbeat deadletters list" if letters else "",
    )  # fmt: skip
