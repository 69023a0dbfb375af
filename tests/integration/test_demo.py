"""The demonstration: the same seed gives the same firm, every open ticket can be explained, a stop costs nothing."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.cli.demo import demo_settings, is_taken
from config.clock import VirtualClock
from config.demo.apart import TENANT_FILE, kept_apart
from config.demo.firm import new_note, read_note
from config.demo.history import POLL_MINUTES
from config.demo.run import DemoCounts, Wanted, make_history
from config.settings import load_settings
from config.wiring.core import Core, open_core
from config.wiring.telemetry import open_telemetry
from crm_core.domain.errors import Conflict
from crm_core.domain.identity import TenantId
from crm_core.domain.service import OPEN_STATES, ClockKind, Ticket, TicketLevel, TicketState
from crm_core.ports import TicketFilter
from tests.conftest import requires_server
from tests.telemetry_servers import influxd, running

PROJECT = Path(__file__).resolve().parents[2]
UNTIL = datetime(2026, 1, 5, tzinfo=UTC)  # after New Year: nobody worked for days, so tickets are open
SMALL = Wanted(seed=11, devices=10, days=8, until=UNTIL)
pytestmark = pytest.mark.timeout(300)


def live(folder: Path, wanted: Wanted = SMALL, **environment: str) -> DemoCounts:
    settings = load_settings(environment=environment).changed(general={"data_dir": folder})
    return make_history(kept_apart(settings), wanted, lambda day, days: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def counts(folder: Path) -> DemoCounts:
    """Return the figures of one small history, shared by the tests that only look."""
    return live(folder)


@pytest.fixture(scope="module")
def core(folder: Path, counts: DemoCounts) -> Core:
    assert counts.devices
    settings = load_settings(environment={}).changed(general={"data_dir": folder})
    return open_core(settings, VirtualClock(UNTIL))


def test_something_of_everything_happened(counts: DemoCounts) -> None:
    assert (counts.devices, counts.seed) == (10, 11)
    assert counts.readings > 10 * 8 * len(POLL_MINUTES) * 0.5
    assert counts.forecasts > 10
    assert counts.tickets["L2"] > 0
    assert counts.work_orders > 0


def test_the_month_that_ended_is_billed_and_every_page_is_traced(core: Core) -> None:
    with core.uow_factory() as uow:
        invoices = uow.billing.invoices.where(core.tenant)
        agreements = uow.agreements.contracts.where(core.tenant)
    rents = [invoice for invoice in invoices if invoice.run_key.startswith("rent:")]
    assert len(rents) == len(agreements) > 0
    assert all(invoice.total == sum(line.amount for line in invoice.lines) > 0 for invoice in invoices)
    traced = [used for invoice in invoices for used in invoice.usage if used.segments]
    assert len(traced) > 5
    assert sum(used.mono for used in traced) > 0


def test_the_same_seed_gives_the_same_figures(counts: DemoCounts, tmp_path: Path) -> None:
    assert live(tmp_path) == counts


def courses(folder: Path, tenant: str) -> list[tuple[str, str, list[tuple[datetime, str, str]]]]:
    """Return what became of each ticket, step by step."""
    settings = load_settings(environment={}).changed(general={"data_dir": folder})
    with open_core(settings, VirtualClock(UNTIL)).uow_factory() as uow:
        tickets = uow.tickets.list(TenantId(tenant), TicketFilter(limit=10_000))
    return sorted(
        (ticket.device_id, ticket.cause, [(step.at, step.event, step.to_state) for step in ticket.events])
        for ticket in tickets
    )


@pytest.mark.heavy
def test_a_firm_of_another_name_has_the_same_history(tmp_path: Path) -> None:
    wanted = Wanted(seed=1, devices=12, days=40, until=UNTIL)
    live(tmp_path / "default", wanted)
    live(tmp_path / "other", wanted, DRUMBEAT_GENERAL_TENANT="other")
    assert courses(tmp_path / "default", "default") == courses(tmp_path / "other", "other") != []


@pytest.mark.server
def test_influxdb_gives_the_same_figures_twice_on_one_server(
    counts: DemoCounts, folder: Path, tmp_path: Path
) -> None:
    with running(influxd(requires_server("influxd"), tmp_path / "influx")) as daemon:
        for name in ("first", "second"):  # what the first one left on the server is not the second one's
            made = tmp_path / name
            assert live(made, **daemon.settings()) == counts
            tenant = (made / TENANT_FILE).read_text(encoding="utf-8")
            assert courses(made, tenant) == courses(folder, "default")


def test_every_open_ticket_can_be_explained(core: Core) -> None:
    with core.uow_factory() as uow:
        tickets = uow.tickets.list(core.tenant, TicketFilter(states=OPEN_STATES, limit=10_000))
    assert tickets
    assert len({ticket.dedup_key for ticket in tickets}) == len(tickets)
    store = open_telemetry(core)
    try:
        for ticket in tickets:
            assert ticket.cause
            assert ticket.level in TicketLevel
            assert ticket.evidence, ticket
            assert all(evidence.key and evidence.at <= UNTIL for evidence in ticket.evidence)
            if ticket.state is not TicketState.HELD:
                check_clocks(ticket)
    finally:
        store.close()


def check_clocks(ticket: Ticket) -> None:
    respond, restore = ticket.clock(ClockKind.RESPOND), ticket.clock(ClockKind.RESTORE)
    assert respond is not None
    assert restore is not None
    assert ticket.raised_at <= respond.due_at
    assert ticket.raised_at < restore.due_at
    assert respond.explanation
    assert restore.explanation


def test_people_did_their_work_and_machines_followed(core: Core) -> None:
    """Most supply tickets of the past end because telemetry shows the new cartridge."""
    with core.uow_factory() as uow:
        tickets = uow.tickets.list(core.tenant, TicketFilter(level=TicketLevel.L2, limit=10_000))
    old = [ticket for ticket in tickets if ticket.raised_at < UNTIL - timedelta(days=5)]
    ended = [ticket for ticket in old if not ticket.is_open]
    assert old
    assert len(ended) >= 0.6 * len(old)


def test_a_history_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Half the days, then a second start that goes on: no reading twice, no ticket doubled, sequences rise."""
    first = live(tmp_path, Wanted(seed=5, devices=6, days=6, until=UNTIL))
    later = Wanted(seed=5, devices=6, days=6, until=UNTIL + timedelta(days=3, hours=7))
    second = live(tmp_path, later)
    assert first.readings < second.readings <= first.readings + 6 * 4 * len(POLL_MINUTES)
    assert live(tmp_path, later) == second


def test_a_folder_keeps_its_own_demonstration(folder: Path, counts: DemoCounts, tmp_path: Path) -> None:
    assert counts
    with pytest.raises(Conflict, match="seed 11"):
        live(folder, Wanted(seed=12, devices=10, days=8, until=UNTIL))
    settings = load_settings(environment={}).changed(general={"data_dir": tmp_path})
    open_core(settings, VirtualClock(UNTIL))
    live(tmp_path, Wanted(seed=1, devices=1, days=1, until=UNTIL))
    (tmp_path / "demo.json").unlink()
    with pytest.raises(Conflict, match="real firm"):
        live(tmp_path, Wanted(seed=1, devices=1, days=1, until=UNTIL))


def test_passwords_belong_to_the_folder(core: Core, folder: Path) -> None:
    mine = read_note(folder)
    other = new_note(core, seed=11, devices=10, days=8, until=UNTIL)
    assert mine is not None
    assert mine.passwords.keys() == other.passwords.keys() == {
        "admin", "manager", "supervisor", "dispatcher", "specialist", "customer", "zhang", "li", "wang", "chen"
    }  # fmt: skip
    assert all(mine.passwords[name] != other.passwords[name] for name in mine.passwords)
    assert (folder / "demo.json").stat().st_mode & 0o077 == 0


def test_only_defaults_give_way_to_the_demo(tmp_path: Path) -> None:
    plain = demo_settings(load_settings(environment={}), tmp_path, None)
    assert (plain.snmp.poll_interval_seconds, plain.mqtt.port) == (60, 0)
    told = load_settings(
        environment={"DRUMBEAT_MQTT_PORT": "1999", "DRUMBEAT_SNMP_POLL_INTERVAL_SECONDS": "30"}
    )
    kept = demo_settings(told, tmp_path, 8123)
    assert (kept.snmp.poll_interval_seconds, kept.mqtt.port, kept.api.port) == (30, 1999, 8123)


def test_a_taken_port_is_left_alone() -> None:
    api = load_settings(environment={}).api
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert is_taken(api.model_copy(update={"port": other.getsockname()[1]}))
    assert not is_taken(api.model_copy(update={"port": 0}))


def test_the_demo_serves_polls_and_takes_pushes(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DRUMBEAT_")}
    process = subprocess.Popen(
        [sys.executable, str(PROJECT / "drumbeat.py"), "demo", "--data", str(tmp_path), "--devices", "8", "--days", "2",
         "--port", "0", "--no-browser"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**environment, "DRUMBEAT_SNMP_POLL_INTERVAL_SECONDS": "5"},
    )  # fmt: skip
    try:
        assert process.stderr is not None
        address = next(line.split()[-1] for line in process.stderr if "Drumbeat is at" in line)
        wait_for(lambda: outcome(address, "drumbeat_readings_total", "stored") >= 3)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
    note = json.loads((tmp_path / "demo.json").read_text(encoding="utf-8"))
    assert note["runs"] == 1


def outcome(address: str, metric: str, label: str) -> float:
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as reply:
        lines = reply.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(metric) and f'"{label}"' in line)


def wait_for(sign: Callable[[], bool]) -> None:
    """Look again and again until real processes have done it; the test's timeout bounds the wait."""
    pause = threading.Event()
    while not sign():
        pause.wait(0.2)
