"""InfluxDB away for an hour: readings come in, memory stays flat, then everything arrives and live data do not wait for it."""

import os
import resource
import time
from pathlib import Path

import pytest

from collector.outbox import InfluxForwarder, Outbox
from collector.stores.influxdb import InfluxServer
from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import SystemClock
from crm_core.domain.errors import StoreUnavailable
from crm_core.ports import Landing
from tests.benchmarks.telemetry_parts import bench_reading
from tests.conftest import requires_server
from tests.telemetry_servers import influxd, running

HOUR = 12  # polls, one every 5 minutes


def resident_mb() -> float:
    return int(Path(f"/proc/{os.getpid()}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def poll(store: SqliteTelemetryStore, devices: int, number: int) -> None:
    for at in range(0, devices, 500):
        store.append(
            [Landing(reading=bench_reading(f"d{n}", number)) for n in range(at, min(at + 500, devices))]
        )


def outage(folder: Path, devices: int) -> None:
    clock = SystemClock()
    store = SqliteTelemetryStore(folder / "t.sqlite", clock, lines=True)
    daemon = influxd(requires_server("influxd"), folder / "influx")
    server = InfluxServer(daemon.endpoint("bench"))
    forwarder = InfluxForwarder(Outbox(store, clock), server, retry_seconds=0.01, longest_seconds=0.05)
    poll(store, devices, 0)
    before = resident_mb()
    for number in range(1, HOUR + 1):
        poll(store, devices, number)
        with pytest.raises(StoreUnavailable):
            forwarder.drain()
    grown = resident_mb() - before
    kept = forwarder.waiting()
    with running(daemon):
        time.sleep(0.1)
        began = time.monotonic()
        lateness = []
        number = HOUR
        while forwarder.waiting():
            number += 1
            store.append([Landing(reading=bench_reading("live", number))])
            forwarder.drain(limit=4)
            rows = list(server.queries.rows("SELECT last(seq) FROM printer_reading WHERE device = 'live'"))
            lateness.append(number + 1 - rows[0].values[1])
        seconds = time.monotonic() - began
        (row,) = server.queries.rows("SELECT count(source) FROM printer_reading")
        (polls,) = server.queries.rows("SELECT sum(polls) FROM printer_daily")
    expected = devices * (HOUR + 1) + number - HOUR
    speed = HOUR * 300 / seconds
    print(f"\nan hour of {devices} devices in {kept} records: memory +{grown:.0f} MB, replayed in {seconds:.1f} s = {speed:.0f}x real "
          f"time, live readings late by at most {max(lateness)} of their own")  # fmt: skip
    assert row.values[1] == polls.values[1] == expected
    assert max(lateness) == 0
    assert grown < 50
    assert speed > 5
    server.close()
    store.close()


@pytest.mark.server
@pytest.mark.heavy
def test_an_hour_without_influxdb_at_five_hundred_devices(tmp_path: Path) -> None:
    outage(tmp_path, 500)


@pytest.mark.server
@pytest.mark.soak
def test_an_hour_without_influxdb_at_ten_thousand_devices(tmp_path: Path) -> None:
    outage(tmp_path, 10_000)
