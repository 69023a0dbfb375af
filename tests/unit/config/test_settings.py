"""Settings: layers, names in the environment, and refusals that name the key."""

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config.settings import EXAMPLE, known_keys, load_settings
from crm_core.domain.errors import InvalidConfiguration


def write(folder: Path, text: str) -> Path:
    path = folder / "drumbeat.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_alone_are_complete_and_frozen() -> None:
    settings = load_settings(environment={})
    assert settings.telemetry.store == "sqlite"
    assert settings.crm_url.startswith("sqlite:///")
    with pytest.raises(ValidationError):
        settings.api.port = 1


def test_environment_wins_over_file_over_defaults(tmp_path: Path) -> None:
    file = write(tmp_path, '[telemetry]\nstore = "influxdb"\nretention_days = 10\n')
    settings = load_settings(file, {"DRUMBEAT_TELEMETRY_RETENTION_DAYS": "11"})
    assert (settings.telemetry.store, settings.telemetry.retention_days) == ("influxdb", 11)
    assert settings.snmp.engine == "datagram"


@pytest.mark.parametrize("separator", ["_", "__"])
def test_both_spellings_of_a_variable(separator: str) -> None:
    variable = f"DRUMBEAT_SNMP{separator}ENGINE"
    assert load_settings(environment={variable: "pysnmp"}).snmp.engine == "pysnmp"


def test_the_file_may_be_named_in_the_environment(tmp_path: Path) -> None:
    file = write(tmp_path, "[api]\nport = 9999\n")
    assert load_settings(environment={"DRUMBEAT_CONFIG": str(file)}).api.port == 9999


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[nonsense]\na = 1\n", "[nonsense]"),
        ("[api]\nprot = 1\n", "api.prot"),
        ("api = 1\n", "[api]"),
        ("[api]\nport = 70000\n", "api.port"),
        ('[snmp]\nengine = "netsnmp"\n', "snmp.engine"),
        ('[general]\ntenant = "../up"\n', "general.tenant"),
        ('[influxdb]\ntoken = "changeme"\n', "influxdb.token"),
        ('[mqtt]\npassword = "your-password"\n', "mqtt.password"),
        ('[influxdb]\nurl = "influx:8086"\n', "influxdb.url"),
        ('[crm]\nurl = "mysql://x"\n', "crm.url"),
        ('[schedule]\nforecast_at = "25:00"\n', "schedule.forecast_at"),
        ('[schedule]\ntime_zone = "Mars/Olympus"\n', "schedule.time_zone"),
        ("[mqtt]\ntls = true\n", "mqtt.tls"),
        ("[api\n", "not TOML"),
    ],
)
def test_wrong_files_are_refused_by_key(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(InvalidConfiguration, match=re.escape(part)) as refusal:
        load_settings(write(tmp_path, text), {})
    assert "\n" not in str(refusal.value)


def test_an_unknown_variable_is_refused_but_the_known_strangers_are_not() -> None:
    with pytest.raises(InvalidConfiguration, match="DRUMBEAT_TELEMETRY_STOER"):
        load_settings(environment={"DRUMBEAT_TELEMETRY_STOER": "sqlite"})
    load_settings(environment={"DRUMBEAT_SHARED": "x", "PATH": "y"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"absent\.toml"):
        load_settings(tmp_path / "absent.toml", {})


def test_refusals_and_repr_never_show_secrets() -> None:
    token = "s3cr3t-tok3n-0001"
    with pytest.raises(InvalidConfiguration) as refusal:
        load_settings(environment={"DRUMBEAT_INFLUXDB_TOKEN": token, "DRUMBEAT_API_PORT": "x"})
    assert token not in str(refusal.value)
    assert token not in repr(load_settings(environment={"DRUMBEAT_INFLUXDB_TOKEN": token}))


def test_the_example_loads_and_stands_in_the_docs(project: Path) -> None:
    load_settings(EXAMPLE, {})
    assert EXAMPLE.read_text(encoding="utf-8").strip() in (project / "docs/settings.md").read_text(
        encoding="utf-8"
    )


def test_the_docs_state_the_defaults(project: Path) -> None:
    text = (project / "docs/settings.md").read_text(encoding="utf-8")
    for section, key, default in known_keys():
        shown = (
            "empty"
            if default == ""
            else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        )
        assert f"| `{section}.{key}` | {shown} |" in text


@given(st.sampled_from([f"{section}_{key}" for section, key, _ in known_keys()]), st.text(max_size=20))
def test_any_value_in_the_environment_loads_or_is_refused(name: str, value: str) -> None:
    with contextlib.suppress(InvalidConfiguration):  # anything else would be a crash
        load_settings(environment={f"DRUMBEAT_{name.upper()}": value})


def test_changed_validates_again() -> None:
    settings = load_settings(environment={})
    assert settings.changed(api={"port": 0}).api.port == 0
    with pytest.raises(InvalidConfiguration, match=r"api\.port"):
        settings.changed(api={"port": -1})
