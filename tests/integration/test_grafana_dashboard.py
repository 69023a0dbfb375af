"""The dashboard that we ship asks questions that a real InfluxDB answers with what is in it."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from collector.outbox import InfluxForwarder, Outbox
from collector.stores.influxdb import InfluxServer
from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import SystemClock
from crm_core.domain.telemetry import TelemetryEvent
from crm_core.ports import Landing
from tests.conftest import PROJECT, requires_server
from tests.telemetry_readings import JAM, START, reading
from tests.telemetry_servers import influxd, running

BOARD = PROJECT / "config/deploy/grafana/provisioning/dashboards/drumbeat-fleet.json"
VARIABLES = {
    "$tenant": "default",
    "^$device$": "d1",
    "$timeFilter": "time > now() - 60d",
    "$__interval": "1h",
}


@pytest.mark.server
def test_every_panel_finds_something(tmp_path: Path) -> None:
    board = json.loads(BOARD.read_text())
    clock = SystemClock()
    early = (clock.now() - START).total_seconds() / 60 - 60
    with running(influxd(requires_server("influxd"), tmp_path / "influx")) as daemon:
        server = InfluxServer(daemon.endpoint("drumbeat"))
        server.prepare()
        store = SqliteTelemetryStore(tmp_path / "t.sqlite", clock, lines=True)
        jam = TelemetryEvent(
            tenant="default", device_id="d1", at=clock.now() - timedelta(hours=1), kind="error_state", code="jammed", began=True
        )  # fmt: skip
        landings = [reading(minutes=early + n, pages=100 + n, toner=5, alerts=(JAM,)) for n in range(3)]
        store.append([Landing(reading=one, events=(jam,)) for one in landings])
        InfluxForwarder(Outbox(store, clock), server).drain()
        for panel in board["panels"]:
            query = panel["targets"][0]["query"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            assert not re.search(r"\$\w", query), query
            rows = [row.values for row in server.queries.rows(query)]
            assert any(any(value is not None for value in values[1:]) for values in rows), panel["title"]
        server.close()
        store.close()
