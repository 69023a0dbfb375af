"""The edge agent's one small file: what may stand in it, and what is said of what may not."""

from pathlib import Path

import pytest

from collector.snmp.engine import Community, UsmUser
from config.edge import load_edge
from crm_core.domain.errors import InvalidConfiguration

FILE = """
site = "site-1"
folder = "ring"
{keys}
[broker]
host = "broker.example"
{broker}
[devices]
lobby = "{address}"
"""


def edge_file(folder: Path, keys: str = "", broker: str = "", address: str = "192.168.1.20") -> Path:
    file = folder / "edge.toml"
    file.write_text(FILE.format(keys=keys, broker=broker, address=address))
    return file


def test_printers_are_asked_as_they_come_out_of_the_box(tmp_path: Path) -> None:
    assert load_edge(edge_file(tmp_path)).credential() == Community("public", "2c")


def test_a_user_of_version_three_stands_in_the_place_of_the_community(tmp_path: Path) -> None:
    keys = 'version = "3"\nuser = "drum"\nauth = "sha256:beat-beat"\npriv = "aes128:beat-beat"'
    settings = load_edge(edge_file(tmp_path, keys))
    assert settings.credential() == UsmUser("drum", "sha256", "beat-beat", "aes128", "beat-beat")
    assert "beat-beat" not in repr(settings)


@pytest.mark.parametrize(
    "address", ["printer.example", "192.168.1.20:1161", "2001:db8::20", "[2001:db8::20]:1161"]
)
def test_every_form_of_address_is_taken(tmp_path: Path, address: str) -> None:
    assert load_edge(edge_file(tmp_path, address=address)).devices == {"lobby": address}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keys": 'comunity = "x"'}, "there is no setting comunity"),
        ({"keys": "interval_seconds = 0"}, "interval_seconds: .* DRUMBEAT_EDGE_INTERVAL_SECONDS"),
        ({"broker": "port = 0"}, "broker.port: .* DRUMBEAT_EDGE_BROKER__PORT"),
        ({"keys": 'version = "3"'}, "needs a user"),
        ({"keys": 'user = "drum"'}, "belong to SNMP version 3"),
        ({"keys": 'version = "3"\nuser = "drum"\nauth = "beat-beat"'}, "auth must be PROTOCOL:PASSWORD"),
        ({"address": "192.168.1.20:99999"}, "is not HOST or HOST:PORT"),
        ({"keys": "no toml"}, "edge.toml"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_without_secrets(
    tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(InvalidConfiguration, match=said) as refused:
        load_edge(edge_file(tmp_path, **changes))
    assert "\n" not in str(refused.value)
    assert "beat-beat" not in str(refused.value)
