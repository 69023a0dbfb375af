"""The SNMP engine of the settings and what needs nothing else: a probe loads no database and no broker."""

import importlib
from typing import Final

from collector.profiles import Profiles
from collector.secrets import EncryptedCredentials, key_from_file
from collector.snmp.engine import SnmpEngine
from collector.snmp.poller import Poller
from config.loaders import load_knowledge
from config.settings import Settings
from crm_core.ports import Clock

#: Engine -> module and class; only the chosen one is loaded, because each brings a library.
ENGINES: Final = {
    "datagram": ("collector.snmp.engine_datagram", "DatagramEngine"),
    "gufo": ("collector.snmp.engine_gufo", "GufoEngine"),
    "pysnmp": ("collector.snmp.engine_pysnmp", "PysnmpEngine"),
}


def make_engine(settings: Settings) -> SnmpEngine:
    """Return the SNMP engine that the settings name; use it in one event loop."""
    module, name = ENGINES[settings.snmp.engine]
    engine: SnmpEngine = getattr(importlib.import_module(module), name)(window=settings.snmp.max_in_flight)
    return engine


def make_reader(
    settings: Settings, engine: SnmpEngine, profiles: Profiles, clock: Clock, *, seconds: float | None = None
) -> Poller:
    """Return a poller for single looks. `seconds` bounds one poll; without it the settings do."""
    knowledge = load_knowledge(settings)
    return Poller(
        engine,
        profiles=profiles,
        catalogue=knowledge.catalogue,
        book=knowledge.fault_codes,
        clock=clock,
        seconds_a_poll=settings.snmp.device_deadline_seconds if seconds is None else seconds,
        repeats=settings.snmp.retries,
        first_timeout_seconds=settings.snmp.timeout_seconds,
    )


def open_credentials(settings: Settings) -> EncryptedCredentials:
    """Return the stored SNMP credentials; their keys come from the settings or from a key file in the data folder."""
    folder = settings.general.folder
    folder.mkdir(parents=True, exist_ok=True)
    keys = [key.strip() for key in settings.snmp.credential_keys.split(",") if key.strip()]
    return EncryptedCredentials(folder / "credentials", keys or [key_from_file(folder / "credentials.key")])
