"""How long a night takes from the stores: new days read, everything forecast, saved, looked back at and ahead.

`make bench` runs 5,000 devices; `make soak` 100,000, the figure of docs/benchmarks.md (bar: 60 s end to end on one core).
"""

import resource
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from threadpoolctl import threadpool_limits

from analytics.forecasting import Forecaster
from collector.stores.sqlite import SqliteTelemetryStore
from config.catalogue_files import load_catalogue
from config.clock import VirtualClock
from config.policy_files import load_policies, policy_on
from config.wiring.garbage import settle_garbage_collection
from crm_core.domain.fleet import Device
from crm_core.domain.identity import DEFAULT_TENANT, DeviceId
from crm_core.domain.telemetry import (
    Counters,
    Derived,
    DerivedSupply,
    DeviceReading,
    LevelState,
    MarkerSupply,
)
from crm_core.ports import Landing
from crm_core.storage.sqlalchemy_uow import make_uow_factory, migrate

_SINCE: Final = datetime(2026, 1, 5, tzinfo=UTC)
_DAYS: Final = 4
_AT_ONCE: Final = 5000
_BAR_SECONDS: Final = 60.0  # for 100,000 devices


def _reading(number: int, day: int) -> Landing:
    level = max(1, (97 - 3 * day - number) % 100)
    return Landing(
        reading=DeviceReading(
            device_id=f"d{number:06}", site_id=f"s{number // 6}", polled_at=_SINCE + timedelta(days=day, hours=18),
            supplies=(
                MarkerSupply(
                    index="1.1", name="Black", type="toner", capacity=100, level=level, level_state=LevelState.KNOWN,
                    percent=float(level),
                ),
            ),
            counters=Counters(prt_marker_life_count={"1.1": 10_000 + 7 * number + 80 * day}),
            derived=Derived(supplies=(DerivedSupply(index="1.1", kind="toner", colour="black"),)),
        )
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Night:
    """Seconds by the clock and of CPU of a night with one new day, what it saved, and the night after a restart."""

    wall: float
    processor: float
    forecasts: int
    restart_processor: float
    kept_bytes: int


def _night(folder: Path, devices: int) -> _Night:
    """Measure a night with one new day, and the same night by a process that has just started."""
    clock = VirtualClock(_SINCE + timedelta(days=_DAYS))
    store = SqliteTelemetryStore(folder / "telemetry.db", clock, devices_in_mind=devices)
    for day in range(_DAYS):
        for first in range(0, devices, _AT_ONCE):
            store.append([_reading(number, day) for number in range(first, min(first + _AT_ONCE, devices))])
    url = f"sqlite:///{folder / 'crm.db'}"
    migrate(url)
    uow_factory, catalogue = make_uow_factory(url), load_catalogue()
    model = next(one.model_id for one in catalogue.models if one.technology == "laser" and len(one.parts) > 2)
    with uow_factory() as uow:
        for number in range(devices):
            uow.devices.save(
                Device(tenant=DEFAULT_TENANT, device_id=DeviceId(f"d{number:06}"), model_id=model)
            )
        uow.commit()
    policy = policy_on(load_policies(), _SINCE.date()).book
    settle_garbage_collection()  # as in every process that forecasts
    last = _SINCE.date() + timedelta(days=_DAYS - 1)

    def process() -> Forecaster:
        return Forecaster(store, uow_factory, catalogue, policy, clock, folder / "models")

    with threadpool_limits(1):
        forecaster = process()
        forecaster.run(DEFAULT_TENANT, last - timedelta(days=1))
        wall, processor = time.monotonic(), time.process_time()
        report = forecaster.run(DEFAULT_TENANT, last)
        wall, processor = time.monotonic() - wall, time.process_time() - processor
        restarted = time.process_time()
        again = process().run(DEFAULT_TENANT, last)
        restarted = time.process_time() - restarted
    store.close()
    assert report.new_days == 1
    assert (again.new_days, again.walked_because) == (0, None)  # the kept state fits
    kept = (folder / "models" / DEFAULT_TENANT / "state.bin").stat().st_size
    return _Night(wall, processor, report.forecasts, restarted, kept)


@pytest.mark.parametrize("devices", [
    pytest.param(5_000, marks=pytest.mark.heavy), pytest.param(100_000, marks=pytest.mark.soak),
])  # fmt: skip
def test_a_night_takes_new_days_only(
    tmp_path: Path, devices: int, capsys: pytest.CaptureFixture[str]
) -> None:
    night = _night(tmp_path, devices)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with capsys.disabled():
        print(
            f"\na night of {devices} devices: {night.processor:.1f} s of CPU, {night.wall:.1f} s by the clock, "
            f"{night.forecasts} forecasts saved, {memory:.2f} GB at most; after a restart {night.restart_processor:.1f} s of "
            f"CPU, {night.kept_bytes / 1e6:.0f} MB kept"
        )
    assert night.forecasts >= 3 * devices
    assert night.processor < _BAR_SECONDS * max(devices / 100_000, 0.2)
    assert memory < 4.0
