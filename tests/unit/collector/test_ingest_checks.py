"""A polled reading whose parts were checked when they came is not checked again; anything else is, always."""

from datetime import UTC, datetime, timedelta

import msgspec

from collector.dead_letters import MemoryDeadLetters
from collector.ingest import Ingest
from collector.stores.memory import MemoryTelemetryStore
from config.clock import SystemClock
from config.fault_code_files import load_fault_codes
from crm_core.domain.telemetry import DeviceReading, MarkerSupply
from crm_core.signals import Concluder

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
GOOD = DeviceReading(
    device_id="d1", site_id="s1", polled_at=START, supplies=(MarkerSupply(index="1.1", level=5),)
)


def minutes_later(reading, minutes, **changes):
    return msgspec.structs.replace(reading, polled_at=START + timedelta(minutes=minutes), **changes)


def test_what_changed_since_the_checked_reading_is_checked():
    letters = MemoryDeadLetters()
    ingest = Ingest(MemoryTelemetryStore(), Concluder(load_fault_codes()), letters, SystemClock())
    assert ingest.land([GOOD]).stored == 1
    assert ingest.land([minutes_later(GOOD, 5)]).stored == 1
    too_long = (MarkerSupply(index="1.1", name="x" * 600),)
    refused = [
        minutes_later(GOOD, 10, supplies=too_long),
        minutes_later(GOOD, 11, site_id="no place"),
        minutes_later(GOOD, 12, device_id="no device"),
    ]
    assert ingest.land(refused).rejected == 3
    assert ingest.land([minutes_later(GOOD, 15)]).stored == 1
