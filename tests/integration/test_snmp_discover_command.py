"""`drumbeat discover` from a shell: finds exactly the simulated printers, registers them, knows them again."""

import json
import os
import subprocess
import sys

import pytest

from config.clock import SystemClock
from simulators.snmp_fleet import SnmpFleetServer
from tests.integration.test_snmp_discovery import agents

NETWORK = "127.0.0.0/24"
NEAR = "127.0.0.0/28"


def drumbeat(data, *arguments):
    return subprocess.run(
        [sys.executable, "drumbeat.py", "--data", str(data), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "DRUMBEAT_DISCOVERY_ADDRESSES_A_SECOND": "1000",
            "DRUMBEAT_SNMP_COMMUNITY": "site",
        },
    )


@pytest.fixture(scope="module")
def server():
    with SnmpFleetServer(agents(), SystemClock(), port=0, first_address="127.0.0.1") as serving:
        yield serving


def test_printers_are_found_registered_and_known_again(server, tmp_path):
    options = ("--port", str(server.port), "--json")
    first = json.loads(
        drumbeat(tmp_path, "discover", NETWORK, *options, "--customer", "Acme", "--yes").stdout
    )
    assert [row["host"] for row in first["printers"]] == [f"127.0.0.{number}" for number in range(1, 6)]
    assert (first["searched"], first["silent"]) == (254, 248)
    assert [row["change"] for row in first["printers"]] == ["new"] * 5
    assert [row["host"] for row in first["skipped"]] == ["127.0.0.6"]
    assert first["registered"] == [f"S{number:05}" for number in range(5)]
    again = json.loads(drumbeat(tmp_path, "discover", NEAR, *options).stdout)
    assert [(row["change"], row["device_id"]) for row in again["printers"]] == [
        ("known", f"S{number:05}") for number in range(5)
    ]
    assert again["registered"] == []
