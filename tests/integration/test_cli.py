"""The command line as people and scripts use it: every command, answers on stdout, one line of error."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from config.cli.app import COMMANDS
from config.clock import SystemClock
from simulators.device import Fleet, make_roster
from simulators.models import default_models
from simulators.snmp_fleet import SnmpFleetServer, fleet_agents
from tests.command_line import Done, Shell

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(240)


def environment(**extra: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DRUMBEAT_")}
    return {**kept, "OMP_NUM_THREADS": "1", **extra}


def in_a_process(*arguments: str, **extra: str) -> Done:
    """Run a command as the shell does."""
    done = subprocess.run(
        [sys.executable, str(PROJECT / "drumbeat.py"), *arguments],
        capture_output=True, text=True, env=environment(**extra), timeout=120, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Shell(capsys, monkeypatch)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def printer() -> Iterator[str]:
    """One simulated printer over real UDP that always answers; yields HOST:PORT."""
    now = SystemClock().now()
    models = {"hp-laserjet-m404dn": default_models()["hp-laserjet-m404dn"]}
    fleet = Fleet(make_roster(1, models, seed=1), seed=1, start=now.date())
    fleet.habits.night_off[:] = False
    fleet.record(0).unreachable[:] = False
    fleet.habits.missed_polls = 0.0
    with SnmpFleetServer(fleet_agents(fleet, now), SystemClock(), first_address="127.46.0.1") as server:
        yield f"127.46.0.1:{server.port}"


def test_help_lists_every_command_and_nothing_else(shell: Shell) -> None:
    done = in_a_process("--help")
    assert done.returncode == 0
    listed = {line.split()[1] for line in done.stdout.splitlines() if re.match(r"^. [a-z]", line)}
    assert listed == set(COMMANDS)
    assert in_a_process().stdout == done.stdout
    assert shell("--version").stdout.startswith("drumbeat ")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str, shell: Shell) -> None:
    done = shell(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"drumbeat {command}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["nonsense"], 2, "nonsense"),
        (["probe"], 2, "HOST"),
        (["probe", "127.0.0.1", "--bad"], 2, "--bad"),
        (["probe", "127.0.0.1", "--timeout", "soon"], 2, "--timeout"),
        (["probe", "a:b:c:d"], 1, "no such host"),
        (["probe", "127.0.0.1:99999"], 1, "HOST:PORT"),
        (["probe", "127.0.0.1", "--version", "3"], 1, "--user"),
        (["probe", "127.0.0.1", "--version", "3", "--user", "u", "--auth", "rot13:x"], 1, "sha256"),
        (["--config", "/nonexistent.toml", "check-config"], 1, "nonexistent.toml"),
        (["--log-level", "loud", "check-config"], 1, "log.level"),
        (["demo", "--json"], 1, "--once"),
        (["demo", "--once", "--until", "someday"], 1, "someday"),
    ],
)
def test_errors_are_one_line_and_stdout_stays_empty(
    arguments: list[str], code: int, part: str, shell: Shell
) -> None:
    done = shell(*arguments)
    assert done.returncode == code
    assert part in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_an_unknown_setting_in_the_environment_is_refused() -> None:
    done = in_a_process("check-config", DRUMBEAT_SNMP_ENGIN="gufo")
    assert (done.returncode, done.stdout) == (1, "")
    assert "DRUMBEAT_SNMP_ENGIN" in done.stderr


def test_probe_reads_a_printer(printer: str, data: Path, shell: Shell) -> None:
    reading = shell.answer("probe", printer, data=data)
    assert reading["schema"] == "drumbeat.reading/1"
    assert reading["device_id"] is None
    assert reading["identity"]["model"]
    assert reading["supplies"]
    assert shell("probe", printer).stdout.count("\n") > 5


@pytest.mark.parametrize("engine", ["datagram", "gufo", "pysnmp"])
def test_every_engine_probes(printer: str, engine: str, shell: Shell) -> None:
    done = shell("probe", printer, "--json", DRUMBEAT_SNMP_ENGINE=engine)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["derived"]["model_id"] == "hp-laserjet-m404dn"


def test_probe_of_nobody_fails_with_one_line() -> None:
    done = in_a_process("probe", "127.46.99.1:9", "--timeout", "1", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_real_printer_joins_and_leaves_the_fleet(printer: str, tmp_path: Path, shell: Shell) -> None:
    added = shell.answer("device", "add", printer, "--customer", "Lujiazui Law", "--id", "p-1", data=tmp_path)
    assert added["device_id"] == "p-1"
    assert added["model_id"] == "hp-laserjet-m404dn"
    assert added["serial"]
    again = shell.answer("device", "add", printer, "--customer", "Lujiazui Law", "--id", "p-1", data=tmp_path)
    assert (again["customer_id"], again["site_id"]) == (added["customer_id"], added["site_id"])
    pushed = shell.answer(
        "device", "add", "edge-7", "--push", "--customer", added["customer_id"], data=tmp_path
    )
    assert pushed["transport"] == "mqtt"
    states = {row["device_id"]: row["state"] for row in shell.answer("device", "list", data=tmp_path)}
    assert states == {"p-1": "installed", "edge-7": "installed"}
    assert shell("device", "retire", "edge-7", data=tmp_path).returncode == 0
    states = {row["device_id"]: row["state"] for row in shell.answer("device", "list", data=tmp_path)}
    assert states["edge-7"] == "retired"
    assert shell("device", "retire", "nobody", data=tmp_path).returncode == 1
    ran = shell.answer("jobs", "run", "poll-1", data=tmp_path)
    assert ran["ok"]


def test_stores_jobs_and_checks(data: Path, shell: Shell) -> None:
    assert shell.answer("migrate", data=data)["ok"]
    assert shell.answer("store", "stats", data=data)["readings"] == 0
    names = {job["name"] for job in shell.answer("jobs", "list", data=data)}
    assert {"poll-1", "outbox", "triage", "forecast", "training", "retention"} <= names
    assert shell("jobs", "run", "nonsense", data=data).returncode == 1
    assert shell.answer("deadletters", "list", data=data) == []
    assert shell("deadletters", "show", "7", data=data).returncode == 1
    assert shell("deadletters", "remove", "7", data=data).returncode == 1
    assert shell.answer("check-config", data=data)["ok"]
    assert shell.answer("policy", "explain", "sla.first_response.core", data=data)[0]["value"] == 30
    assert len(shell.answer("policy", "list", data=data)) > 60
    assert shell("policy", "explain", "sla.nonsense", data=data).returncode == 1


def test_backup_restore_and_doctor(shell: Shell, tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "b.tar.gz"
    assert shell.answer("migrate", data=data)["ok"]
    findings = {row["check"]: row for row in shell.answer("doctor", data=data)}
    assert findings["crm"]["verdict"] == "ok"
    assert findings["backup"]["verdict"] == "warning"
    assert findings["accounts"]["advice"].startswith("drumbeat user add")
    made = shell.answer("backup", str(file), data=data)
    restored = shell.answer("restore", str(file), data=tmp_path / "new")
    assert restored["parts"] == made["parts"]
    assert shell("restore", str(file), data=data).returncode == 1
    findings = {row["check"]: row for row in shell.answer("doctor", data=data)}
    assert findings["backup"]["verdict"] == "ok"
    sick = shell("doctor", data=data, DRUMBEAT_MQTT_BROKER="external", DRUMBEAT_MQTT_PORT="9")
    assert (sick.returncode, "127.0.0.1:9" in sick.stdout) == (1, True)


def test_people_and_tokens(tmp_path: Path, shell: Shell) -> None:
    def user(*arguments: str, password: str = "") -> int:
        return shell("user", *arguments, data=tmp_path, stdin=f"{password}\n").returncode

    assert user("add", "anna", "--role", "admin", "--password-stdin", password="a-long-one") == 0
    assert user("add", "anna", "--role", "admin", "--password-stdin", password="a-long-one") == 1
    assert user("add", "tim", "--role", "technician", "--password-stdin", password="a-long-one") == 1
    assert user("add", "bo", "--role", "boss", "--password-stdin", password="a-long-one") == 2
    assert user("add", "kim", "--role", "manager", "--password-stdin", password="short") == 1
    token = shell.answer("token", "create", "anna", "--name", "cron", data=tmp_path)["token"]
    assert shell("token", "revoke", token, data=tmp_path).returncode == 0
    assert shell("token", "revoke", token, data=tmp_path).returncode == 1
    assert user("password", "anna", "--password-stdin", password="another-one") == 0
    assert user("disable", "anna") == 0
    assert [row["active"] for row in shell.answer("user", "list", data=tmp_path)] == [False]
    assert user("enable", "anna") == 0
    assert user("enable", "nobody") == 1
    assert user("unlock", "anna") == 0
    assert user("unlock", "nobody") == 1


@pytest.fixture
def running() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start long-running commands; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **extra: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(PROJECT / "drumbeat.py"), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**extra),
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def line_with(process: subprocess.Popen[str], part: str, *, error: bool = True) -> str:
    """Return the first line of stderr (or stdout) that holds `part`."""
    stream = process.stderr if error else process.stdout
    assert stream is not None
    for line in stream:
        if part in line:
            return line
    raise AssertionError(f"ended without {part!r}")


@pytest.mark.parametrize(
    ("command", "sign"),
    [
        ("serve", "Drumbeat is at"),
        ("api", "Drumbeat is at"),
        ("collector", "polling every"),
        ("analytics", "data in"),
    ],
)
def test_processes_start_and_stop(
    command: str, sign: str, tmp_path: Path, running: Callable[..., subprocess.Popen[str]]
) -> None:
    process = running("--data", str(tmp_path), command, DRUMBEAT_MQTT_PORT="0", DRUMBEAT_API_PORT="0")
    line = line_with(process, sign)
    if "Drumbeat is at" in line:
        address = line.split()[-1]
        for page in ("/healthz", "/readyz", "/metrics", "/docs"):
            with urllib.request.urlopen(address + page, timeout=60) as reply:
                assert reply.status == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_simulated_printers_are_served(tmp_path: Path, running: Callable[..., subprocess.Popen[str]]) -> None:
    process = running("simulate", "fleet", "--devices", "3", "--json")
    line = line_with(process, "{", error=False)
    addresses = json.loads(line)
    assert len(addresses) == 3
    answers = [
        in_a_process("probe", host, "--json", "--timeout", "5").returncode for host in addresses.values()
    ]
    assert 0 in answers  # some are switched off at night
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0


@pytest.mark.shared
def test_recordings_are_served(shared: Path, running: Callable[..., subprocess.Popen[str]]) -> None:
    process = running("simulate", "recordings", str(shared / "real_printers" / "dumps"), "--json")
    addresses = json.loads(line_with(process, "{", error=False))
    done = in_a_process("probe", addresses["librenms_sharp"], "--json")
    assert json.loads(done.stdout)["identity"]["model"] == "MX-3570N"
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
