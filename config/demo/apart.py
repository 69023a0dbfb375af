"""A demonstration on a shared InfluxDB keeps to itself: its data folder is new, but the server may hold others."""

import secrets
from typing import Final

from config.settings import Settings, known_keys

TENANT_FILE: Final = "tenant"


def kept_apart(settings: Settings) -> Settings:
    """Return the settings with a tenant of this data folder alone, where telemetry goes to InfluxDB.

    Without it a second demonstration on the same server would find the readings of the first one. A tenant that was
    set on purpose stays.
    """
    default = next(value for section, key, value in known_keys() if (section, key) == ("general", "tenant"))
    if settings.telemetry.store != "influxdb" or settings.general.tenant != default:
        return settings
    folder = settings.general.folder
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / TENANT_FILE
    if not file.exists():
        file.write_text(f"demo-{secrets.token_hex(8)}", encoding="utf-8")
    return settings.changed(general={"tenant": file.read_text(encoding="utf-8").strip()})
