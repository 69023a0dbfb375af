"""The edge agent as a process: one small file or environment variables, a poller, a ring, a connection.

It needs no database and no registry: the devices stand in its own file. The file is TOML; every key may also come from
the environment, for example `DRUMBEAT_EDGE_BROKER__PASSWORD`.
"""

import asyncio
import contextlib
import signal
import tomllib
from pathlib import Path
from typing import Annotated, Final, Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from collector.mqtt.connection import MqttEndpoint
from collector.mqtt.edge import EdgeAgent
from collector.mqtt.ring import EdgeRing
from collector.profiles import load_profiles
from collector.snmp.engine import Credential
from collector.snmp.poller import Poller, PollTarget
from config.settings import EDGE_PREFIX, Settings
from config.targets import credential_of, resolve, split_host
from config.wiring.snmp import make_engine, make_reader
from crm_core.domain.errors import DeviceMisbehaved, DeviceUnreachable, InvalidConfiguration, StoreUnavailable
from crm_core.domain.identity import DEFAULT_TENANT, checked_identifier
from crm_core.domain.telemetry import DeviceReading
from crm_core.ports import Clock

_log = structlog.get_logger("drumbeat.edge")
#: What printers answer to as they come out of the box.
USUAL_COMMUNITY: Final = "public"


class EdgeBroker(BaseModel):
    """The broker that the collector listens at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    username: str = ""
    password: Annotated[str, Field(repr=False)] = ""
    tls: bool = False
    ca_file: str = ""


class EdgeSettings(BaseSettings):
    """What one site's agent has to know. `devices` maps device ids to HOST, HOST:PORT, IPv6 or [IPv6]:PORT.

    For SNMP version 3 `user`, `auth` and `priv` (`PROTOCOL:PASSWORD`) stand in the place of the community.
    """

    model_config = SettingsConfigDict(
        env_prefix=EDGE_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    site: str
    tenant: str = DEFAULT_TENANT
    folder: str
    broker: EdgeBroker
    devices: dict[str, str]
    community: Annotated[str | None, Field(min_length=1, repr=False)] = None
    version: Annotated[str, Field(pattern="^(1|2c|3)$")] = "2c"
    user: str | None = None
    auth: Annotated[str | None, Field(repr=False)] = None
    priv: Annotated[str | None, Field(repr=False)] = None
    interval_seconds: Annotated[float, Field(ge=1, le=86400)] = 300.0
    ring_readings: Annotated[int, Field(ge=1000)] = 1_000_000

    @model_validator(mode="after")
    def _names(self) -> Self:
        for name in (self.site, self.tenant, *self.devices):
            checked_identifier(name, "name")
        for address in self.devices.values():
            split_host(address)
        self.credential()
        return self

    def credential(self) -> Credential:
        """Return what the printers are asked with; raises `InvalidValue` for what does not fit together."""
        return credential_of(
            self.version, self.community, self.user, self.auth, self.priv, usual=USUAL_COMMUNITY
        )


class _FileFirst(EdgeSettings):
    """Reads the environment over what the file gave."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def load_edge(path: Path | None) -> EdgeSettings:
    """Return the settings of file and environment (the environment wins); raise `InvalidConfiguration`."""
    try:
        given = {} if path is None else tomllib.loads(path.read_text(encoding="utf-8"))
        return _FileFirst(**given)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidConfiguration(f"edge agent: {path}: {error}") from error
    except ValidationError as error:
        raise InvalidConfiguration(f"edge agent: {_in_words(error.errors()[0])}") from error


def _in_words(fault: ErrorDetails) -> str:
    """Return one fault of the settings, and what to do, in a line."""
    where = ".".join(str(part) for part in fault["loc"])
    said = fault["msg"].removeprefix("Value error, ")
    if not where:  # several keys together
        return f"{said}; mend the file or the variables"
    if fault["type"] == "extra_forbidden":
        return f"there is no setting {where}; correct its name or remove it"
    return f"{where}: {said}; set it in the file or as {EDGE_PREFIX}{where.upper().replace('.', '__')}"


class EdgeProcess:
    """Polls the devices of the file until it is stopped; every reading goes into the ring first."""

    def __init__(self, edge: EdgeSettings, settings: Settings, clock: Clock, version: str) -> None:
        self._edge = edge
        self._settings = settings
        self._clock = clock
        broker = edge.broker
        self.ring = EdgeRing(Path(edge.folder) / "ring.sqlite", capacity=edge.ring_readings)
        self.agent = EdgeAgent(
            MqttEndpoint(
                host=broker.host,
                port=broker.port,
                client_id=f"edge.{edge.tenant}.{edge.site}",
                username=broker.username or None,
                password=broker.password or None,
                tls=broker.tls,
                ca_file=Path(broker.ca_file) if broker.ca_file else None,
            ),
            self.ring,
            clock,
            tenant=edge.tenant,
            site_id=edge.site,
            version=version,
        )

    def run(self) -> None:
        """Work until SIGINT or SIGTERM; what is not covered stays in the ring."""
        self.agent.start()
        try:
            asyncio.run(self._poll_until_stopped())
        finally:
            self.agent.stop()
            self.ring.close()

    async def _poll_until_stopped(self) -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        engine = make_engine(self._settings)
        try:
            poller = make_reader(self._settings, engine, load_profiles(), self._clock)
            while not stopped.is_set():
                await self._sweep(poller)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), self._edge.interval_seconds)
        finally:
            await engine.close()

    async def _sweep(self, poller: Poller) -> None:
        await poller.sweep(self._targets(), self._keep, self._note)
        shed, torn = self.ring.losses()
        _log.info(
            "swept", devices=len(self._edge.devices), waiting=len(self.ring), held=self.agent.held,
            losses=(shed, torn, self.agent.counters.lost),
        )  # fmt: skip

    def _targets(self) -> list[PollTarget]:
        """Resolve the names at every sweep, because printers get new addresses."""
        targets: list[PollTarget] = []
        for device_id, address in self._edge.devices.items():
            host, port = split_host(address)
            try:
                resolved = resolve(host)
            except DeviceUnreachable as error:
                _log.warning("unreachable", device=device_id, reason=str(error))
                continue
            targets.append(
                PollTarget(
                    host=resolved,
                    port=port,
                    credential=self._edge.credential(),
                    tenant=self._edge.tenant,
                    site_id=self._edge.site,
                    device_id=device_id,
                )
            )
        return targets

    async def _keep(self, _: PollTarget, reading: DeviceReading) -> None:
        try:
            await asyncio.to_thread(self.agent.offer, [reading])
        except StoreUnavailable as error:
            _log.error("a reading could not be kept", device=reading.device_id, reason=str(error))

    async def _note(self, target: PollTarget, error: DeviceUnreachable | DeviceMisbehaved) -> None:
        _log.warning("unreachable", device=target.device_id, reason=str(error))
