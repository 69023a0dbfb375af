"""Nothing that was acknowledged is lost when agent, broker, collector and store are killed; and the checker can fail."""

import os
from pathlib import Path

import pytest

from tests.conftest import requires_server
from tests.kill_nine import harness
from tests.telemetry_servers import influxd, mosquitto

SEED = 20261122


def _check(folder: Path, kills: int) -> None:
    broker = mosquitto(requires_server("mosquitto"), folder / "broker")
    influx = influxd(requires_server("influxd"), folder / "influx")
    found = harness.run(folder, broker, influx, kills=kills, seed=SEED)
    print(f"\nkills {found.kills}, generated {found.generated}, stored {found.stored}, in InfluxDB {found.in_influx}, "
          f"lost {found.lost}, doubled {found.doubled}, forgotten by InfluxDB and sent again {found.forgotten_by_influx}, "
          f"slowest recovery {max(found.recoveries, default=0):.2f} s of {len(found.recoveries)}")  # fmt: skip
    assert found.generated > 0
    assert (found.waiting, found.lost, found.doubled, found.missing) == (0, 0, 0, {})
    assert found.rolled_up == found.rows
    assert found.in_influx == found.stored
    shared_by = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # 1 on a machine that nobody else uses
    assert max(found.recoveries) < 5.0 * shared_by


@pytest.mark.server
@pytest.mark.heavy
def test_ten_kills(tmp_path: Path) -> None:
    _check(tmp_path, 10)


@pytest.mark.server
@pytest.mark.soak
def test_two_hundred_kills(tmp_path: Path) -> None:
    _check(tmp_path, 200)


@pytest.mark.server
@pytest.mark.heavy
def test_the_checker_finds_what_acknowledging_too_early_loses(tmp_path: Path) -> None:
    broker = mosquitto(requires_server("mosquitto"), tmp_path / "broker")
    found = harness.run(tmp_path, broker, None, kills=8, seed=SEED, planted=True, patience_seconds=15)
    print(
        f"\nplanted: generated {found.generated}, stored {found.stored}, lost {found.lost}, gaps {found.missing}"
    )
    assert found.lost > 0
