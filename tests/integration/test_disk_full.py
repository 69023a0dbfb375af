"""A disk of 24 MB that fills up while readings come in: an alarm, old telemetry goes, everything goes on without a restart."""

import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from collector.disk_guard import READINGS_SHED, DiskGuard
from collector.outbox import Outbox
from collector.stores import maintenance
from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import VirtualClock
from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.identity import TenantId
from crm_core.domain.service import Condition, Signal, SignalOrigin
from crm_core.ports import Landing
from tests.telemetry_readings import START, reading

TENANT = TenantId("default")
MB = 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("by design: a small disk can only be mounted by root")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def landings(day: int, hour: int) -> list[Landing]:
    """Return readings that differ much, so that they take room; each with a signal."""
    found = []
    for device in range(60):
        number = (day * 24 + hour) * 60 + device
        one = reading(
            f"d{device}", minutes=day * 1440 + hour * 60, seq=day * 24 + hour + 1, pages=number * 7919
        )
        signal = Signal(
            tenant=TENANT, device_id=one.device_id, observed_at=one.polled_at, origin=SignalOrigin.TELEMETRY,  # type: ignore[arg-type]  # plain text ids
            evidence=one.key, conditions=(Condition(cause="jam.any", level=None, category="jam"),),
        ) if hour == 0 else None  # fmt: skip
        found.append(Landing(reading=one, signals=() if signal is None else (signal,)))
    return found


def test_a_full_disk_sheds_the_oldest_days_and_goes_on(small_disk: Path) -> None:
    store = SqliteTelemetryStore(small_disk / "t.sqlite", VirtualClock(START + timedelta(days=365)))
    outbox = Outbox(store, VirtualClock(START))
    guard = DiskGuard(store, outbox, ballast_bytes=2 * MB, low_bytes=4 * MB)
    assert not guard.check().full
    assert (small_disk / "ballast").stat().st_size == 2 * MB
    junk = small_disk / "somebody else's file"
    signals = alarms = refused = 0
    for day in range(12):
        if day == 6:
            junk.write_bytes(bytes(max(0, guard.check().free_bytes - 1 * MB)))
        for hour in range(24):
            for attempt in range(5):
                try:
                    store.append(landings(day, hour))
                    break
                except StoreUnavailable:
                    refused += 1
                    assert attempt < 4
                    guard.check()
            signals += 60 if hour == 0 else 0
            alarms += guard.check().full
    assert alarms > 0
    found = maintenance.status(store.path)
    assert guard.state.days_shed > 0
    assert found.tallies[READINGS_SHED] == 12 * 24 * 60 - found.rows
    assert outbox.waiting("signal") == signals
    assert store.stats(TENANT).readings == 12 * 24 * 60
    assert maintenance.verify(store.path).faults == ()
    junk.unlink()
    assert not guard.check().full
    assert (small_disk / "ballast").exists()
    store.close()
