"""The settings of a process: one frozen tree, read once, which refuses what it cannot use.

Later wins: `defaults.toml` beside this file, a TOML file, then the environment (`DRUMBEAT_<SECTION>_<KEY>`;
a doubled underscore between section and key also works). Unknown keys, bad values and placeholder secrets
raise `InvalidConfiguration` with one line for each that names the key. docs/settings.md lists all keys.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.identity import IDENTIFIER_PATTERN

DEFAULTS: Final = Path(__file__).with_name("defaults.toml")
EXAMPLE: Final = Path(__file__).with_name("example.toml")
PREFIX: Final = "DRUMBEAT_"
#: Variables with the prefix that are not settings: the data of the tests, and the file named instead of --config.
NOT_SETTINGS: Final = frozenset({"DRUMBEAT_SHARED", "DRUMBEAT_CONFIG", "DRUMBEAT_REQUIRE_SERVERS"})
EDGE_PREFIX: Final = "DRUMBEAT_EDGE_"  # the settings of `drumbeat edge`, which stand apart (config.edge)
_PLACEHOLDERS: Final = re.compile(
    r"change[-_ ]?(me|this)|your[-_ ].*|<.*>|x{3,}|todo|secret|password|passw0rd|token|example|placeholder|dummy",
    re.IGNORECASE,
)


def _not_a_placeholder(value: str) -> str:
    if _PLACEHOLDERS.fullmatch(value.strip()):
        raise ValueError("is a placeholder: set a real secret, or leave it empty where none is needed")
    return value


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.netloc):
        raise ValueError("must be a URL such as http://host:8086")
    return value.rstrip("/")


def _sql_url(value: str) -> str:
    if value and not value.startswith(("sqlite:///", "postgresql+psycopg://", "postgresql://")):
        raise ValueError("must be empty, sqlite:///FILE or postgresql+psycopg://user:password@host/database")
    return value.replace("postgresql://", "postgresql+psycopg://", 1)


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("is not a time zone such as Asia/Shanghai") from error
    return value


Secret = Annotated[str, AfterValidator(_not_a_placeholder), Field(repr=False)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
SqlUrl = Annotated[str, AfterValidator(_sql_url), Field(repr=False)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400)]
LocalTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
TimeZone = Annotated[str, AfterValidator(_time_zone)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class General(_Section):
    """Where data lives and whose it is."""

    data_dir: Path
    tenant: Annotated[str, Field(pattern=IDENTIFIER_PATTERN)]
    wait_for_disk: bool

    @property
    def folder(self) -> Path:
        """The data folder with `~` resolved."""
        return self.data_dir.expanduser().absolute()


class Log(_Section):
    """How much is logged, and in which form."""

    level: Literal["debug", "info", "warning", "error"]
    format: Literal["console", "json"]


class Snmp(_Section):
    """How devices are polled."""

    engine: Literal["datagram", "gufo", "pysnmp"]
    community: Annotated[str, Field(min_length=1, max_length=255, repr=False)]
    poll_interval_seconds: Annotated[int, Field(ge=5, le=86400)]
    timeout_seconds: Seconds
    retries: Annotated[int, Field(ge=0, le=10)]
    device_deadline_seconds: Seconds
    max_in_flight: Annotated[int, Field(ge=1, le=20000)]
    max_in_flight_per_site: Annotated[int, Field(ge=1, le=1000)]
    trap_port: Port
    credential_keys: Secret


class Discovery(_Section):
    """Where `drumbeat discover` may look for printers, and how fast."""

    allowed_networks: str
    addresses_a_second: Annotated[float, Field(gt=0, le=10_000)]

    @property
    def networks(self) -> tuple[str, ...]:
        """The allowed networks, one text each."""
        return tuple(part.strip() for part in self.allowed_networks.split(",") if part.strip())


class Mqtt(_Section):
    """Where pushed readings come in: a broker inside this process, or one that runs elsewhere."""

    enabled: bool
    broker: Literal["embedded", "external"]
    host: Annotated[str, Field(min_length=1)]
    port: Port
    tls: bool
    ca_file: str
    client_id: Annotated[str, Field(min_length=1, max_length=64)]
    username: str
    password: Secret


class Telemetry(_Section):
    """Which store keeps the readings."""

    store: Literal["sqlite", "influxdb"]
    retention_days: Annotated[int, Field(ge=1, le=36500)]
    outbox_max_records: Annotated[int, Field(ge=1000)]


class Influxdb(_Section):
    """The InfluxDB server; used when `telemetry.store = "influxdb"`."""

    url: HttpUrl
    database: Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9_.-]+$")]
    retention_policy: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*$")]
    org: str
    token: Secret
    ca_file: str
    timeout_seconds: Seconds


class Crm(_Section):
    """The database of customers, tickets and work orders; empty means SQLite in the data folder.

    `personal_keys` seal personal fields, newest first, separated by commas; empty means a key file in the data folder.
    """

    url: SqlUrl
    personal_keys: Secret


class Api(_Section):
    """Where people and programs reach Drumbeat."""

    host: Annotated[str, Field(min_length=1)]
    port: Port
    public_url: HttpUrl
    session_hours: Annotated[int, Field(ge=1, le=744)]
    secure_cookies: bool
    tls_certificate: str
    tls_key: str
    workers: Annotated[int, Field(ge=1, le=64)]
    sign_in_attempts: Annotated[int, Field(ge=3, le=1000)]
    sign_in_window_minutes: Annotated[int, Field(ge=1, le=1440)]
    lock_out_minutes: Annotated[int, Field(ge=1, le=1440)]
    stale_account_days: Annotated[int, Field(ge=1, le=3660)]
    job_link_hours: Annotated[int, Field(ge=0, le=168)]
    requests_per_minute: Annotated[int, Field(ge=0, le=10_000_000)]
    requests_per_minute_anonymous: Annotated[int, Field(ge=0, le=10_000_000)]

    @property
    def tls(self) -> bool:
        """Whether the server itself speaks HTTPS."""
        return bool(self.tls_certificate)


class Oidc(_Section):
    """An identity provider with which people may sign in; none when `issuer` is empty."""

    issuer: HttpUrl
    client_id: str
    client_secret: Secret
    name_claim: Annotated[str, Field(pattern=r"^[A-Za-z0-9_:/.-]{1,128}$")]
    label: Annotated[str, Field(min_length=1, max_length=64)]


class Schedule(_Section):
    """When recurring work runs; times of day are in `time_zone`."""

    poll_groups: Annotated[int, Field(ge=1, le=64)]
    outbox_seconds: Seconds
    triage_seconds: Seconds
    forecast_at: LocalTime
    training_weekday: Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    training_at: LocalTime
    classification_at: LocalTime
    surveys_at: LocalTime
    retention_at: LocalTime
    comparison_at: LocalTime
    billing_at: LocalTime
    silence_seconds: Seconds
    time_zone: TimeZone


class Notices(_Section):
    """How people and programs are told: one apprise service address a channel, with `{to}` for the receiver."""

    mail: Secret
    sms: Secret
    wechat: Secret
    private_webhooks: bool
    seconds: Seconds


class Policy(_Section):
    """Folders that replace the shipped policy and catalogue files; empty means the shipped ones."""

    folder: str
    catalogue_folder: str


class Planning(_Section):
    """Who finds the routes of a day."""

    solver: Literal["insertion", "pyvrp", "ortools"]
    seconds: Annotated[float, Field(gt=0, le=600)]


class Settings(BaseSettings):
    """All settings, by section. Build it with `load_settings`."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    general: General
    log: Log
    snmp: Snmp
    discovery: Discovery
    mqtt: Mqtt
    telemetry: Telemetry
    influxdb: Influxdb
    crm: Crm
    api: Api
    oidc: Oidc
    schedule: Schedule
    notices: Notices
    planning: Planning
    policy: Policy

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what `load_settings` passes: it has already layered files and environment."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.mqtt.tls and self.mqtt.broker == "embedded":
            raise ValueError('mqtt.tls: the embedded broker speaks plain MQTT; set mqtt.broker = "external"')
        if self.oidc.issuer and not (self.oidc.client_id and self.oidc.client_secret):
            raise ValueError("oidc.client_id and oidc.client_secret: the provider at oidc.issuer needs both")
        if bool(self.api.tls_certificate) != bool(self.api.tls_key):
            raise ValueError("api.tls_certificate and api.tls_key belong together: set both or none")
        return self

    @property
    def crm_url(self) -> str:
        """The SQLAlchemy URL of the CRM database."""
        return self.crm.url or f"sqlite:///{self.general.folder / 'crm.sqlite'}"

    @property
    def telemetry_file(self) -> Path:
        """The SQLite file of telemetry and of the outbox."""
        return self.general.folder / "telemetry.sqlite"

    @property
    def personal_key_file(self) -> Path:
        """The keys of personal fields, when the settings name none."""
        return self.general.folder / "personal.key"

    @property
    def attachments_folder(self) -> Path:
        """Where photos and signatures are kept."""
        return self.general.folder / "attachments"

    @property
    def models_folder(self) -> Path:
        """Where trained models are kept."""
        return self.general.folder / "models"

    @property
    def public_url(self) -> str:
        """The address that people use."""
        scheme = "https" if self.api.tls else "http"
        return self.api.public_url or f"{scheme}://{self.api.host}:{self.api.port}"

    def changed(self, **sections: Mapping[str, object]) -> "Settings":
        """Return a copy with some keys of some sections replaced, validated again."""
        tree = self.model_dump()
        for section, entries in sections.items():
            tree[section].update(entries)
        return _validated(tree, "the command line")


def load_settings(file: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings, or raise `InvalidConfiguration` naming each wrong key."""
    environment = os.environ if environment is None else environment
    tree = _table(DEFAULTS)
    if file is None and environment.get("DRUMBEAT_CONFIG"):
        file = Path(environment["DRUMBEAT_CONFIG"])
    names = ["the defaults"]
    if file is not None:
        _merge(tree, _table(file), str(file))
        names.append(str(file))
    _merge(tree, _from_environment(environment), "the environment")
    return _validated(tree, " + ".join([*names, "the environment"]))


def known_keys() -> Iterator[tuple[str, str, object]]:
    """Yield section, key and default of every setting, in the order of `defaults.toml`."""
    for section, entries in _table(DEFAULTS).items():
        for key, default in entries.items():
            yield section, key, default


def _table(path: Path) -> dict[str, dict[str, Any]]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfiguration(f"settings file {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"settings file {path} is not TOML: {error}") from error


def _merge(tree: dict[str, dict[str, Any]], over: Mapping[str, Any], origin: str) -> None:
    for section, entries in over.items():
        if section not in tree:
            known = ", ".join(tree)
            raise InvalidConfiguration(f"{origin}: unknown section [{section}]; there are: {known}")
        if not isinstance(entries, dict):
            raise InvalidConfiguration(f"{origin}: {section} must be a section [{section}]")
        for key, value in entries.items():
            if key not in tree[section]:
                known = ", ".join(tree[section])
                raise InvalidConfiguration(f"{origin}: unknown key {section}.{key}; [{section}] has: {known}")
            tree[section][key] = value


def _from_environment(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the settings among the variables; a variable with our prefix that names none is refused."""
    names = {f"{PREFIX}{section}_{key}".upper(): (section, key) for section, key, _ in known_keys()}
    found: dict[str, dict[str, str]] = {}
    for variable, value in environment.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS or variable.startswith(EDGE_PREFIX):
            continue
        place = names.get(variable.replace("__", "_"))
        if place is None:
            raise InvalidConfiguration(
                f"environment: {variable} is no setting; names are {PREFIX}<SECTION>_<KEY>, see docs/settings.md"
            )
        found.setdefault(place[0], {})[place[1]] = value
    return found


def _validated(tree: Mapping[str, Any], origin: str) -> Settings:
    try:
        return Settings(**tree)
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in entry['loc']) or 'settings'}: {_plain(entry['msg'])}"
            for entry in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise InvalidConfiguration(f"settings from {origin}: " + "; ".join(lines)) from None


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")
