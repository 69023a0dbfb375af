"""An operator sees which protocol the broker speaks, which agents are off-line and whether the disk is full."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from collector.agents import AgentState, SqliteAgentBook
from collector.disk_guard import DiskState
from collector.mqtt.broker import EmbeddedBroker
from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import SystemClock
from config.health import Verdict, examine
from config.link_figures import LinkFigures, Links
from config.settings import Settings, load_settings
from config.wiring.core import open_core
from config.wiring.telemetry import open_telemetry
from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.identity import DEFAULT_TENANT
from tests.conftest import requires_server
from tests.integration.test_mqtt_listener import MoodyStore, make_listener
from tests.telemetry_readings import START
from tests.telemetry_servers import free_port, mosquitto, running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MoodyStore]:
    opened = MoodyStore(tmp_path / "t.sqlite", SystemClock())
    yield opened
    opened.close()


def _note_agents(store: SqliteTelemetryStore) -> SqliteAgentBook:
    book = SqliteAgentBook(store)
    for site, online in (("north", False), ("south", True), ("west", False)):
        book.note(AgentState(tenant=DEFAULT_TENANT, site_id=site, online=online, since=START))
    return book


def test_links_are_told_in_words_and_figures(store: MoodyStore) -> None:
    broker = EmbeddedBroker(port=0)
    broker.start()
    listener = make_listener(broker.port, store)
    links = Links(DEFAULT_TENANT, DiskState(free_bytes=2**30), _note_agents(store), listener)
    registry = CollectorRegistry()
    registry.register(LinkFigures(links))
    assert links.notes()["mqtt"].startswith("not connected")
    listener.start()
    try:
        listener.connection.wait_connected(20)
        assert links.notes() == {
            "mqtt": "connected by MQTT 3.1.1", "agents": "2 of 3 off-line: north, west", "disk": "1.0 GiB free",
        }  # fmt: skip
        links.check_disk()
        links.disk.full = True
        with pytest.raises(StoreUnavailable, match="make room"):
            links.check_disk()
        lines = generate_latest(registry).decode().splitlines()
        assert 'drumbeat_mqtt_connected{protocol="3.1.1"} 1.0' in lines
        assert 'drumbeat_mqtt_connected{protocol="5"} 0.0' in lines
        assert 'drumbeat_agents{state="offline"} 2.0' in lines
        assert "drumbeat_disk_full 1.0" in lines
    finally:
        listener.stop()
        broker.stop()


def _findings(settings: Settings) -> dict[str, tuple[Verdict, str]]:
    def core():  # type: ignore[no-untyped-def]  # handed on as it is
        return open_core(settings, SystemClock())

    return {found.check: (found.verdict, found.what) for found in examine(settings, core, open_telemetry)}


def _settings(folder: Path, **mqtt: object) -> Settings:
    return load_settings(environment={}).changed(general={"data_dir": str(folder)}, mqtt=mqtt)


def test_doctor_names_agents_that_are_away_and_what_was_shed(tmp_path: Path) -> None:
    settings = _settings(tmp_path / "data")
    telemetry = open_telemetry(open_core(settings, SystemClock()))
    assert isinstance(telemetry.store, SqliteTelemetryStore)
    _note_agents(telemetry.store)
    telemetry.store.transaction(lambda db: db.execute("INSERT INTO tally VALUES ('readings_shed', 12)"))
    telemetry.close()
    found = _findings(settings)
    assert found["broker"][1].startswith("embedded: MQTT 3.1.1")
    assert found["agents"][0] is Verdict.WARNING
    assert "2 of 3" in found["agents"][1]
    assert "readings_shed 12" in found["telemetry shed"][1]


@pytest.mark.server
def test_doctor_says_which_protocol_an_external_broker_speaks(tmp_path: Path) -> None:
    port = free_port()
    settings = _settings(tmp_path / "data", broker="external", port=port)
    with running(mosquitto(requires_server("mosquitto"), tmp_path / "broker", port=port)):
        verdict, what = _findings(settings)["broker"]
        assert verdict is Verdict.OK
        assert "MQTT 5" in what
    with running(mosquitto(requires_server("mosquitto"), tmp_path / "locked", port=port, anonymous=False)):
        verdict, what = _findings(settings)["broker"]
        assert verdict is Verdict.FAILED
        assert "Not authorized" in what
