"""Two ways to the same reading: the collector's reading of a simulated MIB, and the JSON that the simulator writes itself.

The simulator speaks BER and JSON on its own, so an error of either side cannot hide behind the other.
"""

from datetime import UTC, date, datetime, timedelta

import pytest

from collector.normalise import reading_from_varbinds
from collector.profiles import load_profiles
from config.catalogue_files import load_catalogue
from config.fault_code_files import load_fault_codes
from crm_core.domain.wire import decode_reading
from simulators.device import Fleet, devices_of, make_roster
from simulators.models import default_models

PROFILES, CATALOGUE, BOOK = load_profiles(), load_catalogue(), load_fault_codes()
MODELS = sorted(default_models())


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return Fleet(make_roster(120, default_models(), seed=8), seed=8, start=date(2025, 3, 3))


@pytest.mark.parametrize("model", MODELS)
def test_what_is_read_over_snmp_is_what_is_pushed(fleet: Fleet, model: str):
    mine = [device for device in devices_of(fleet) if device.model.id == model][:4]
    assert mine
    for device in mine:
        for k in range(5):
            at = datetime(2025, 4, 1, 2, tzinfo=UTC) + timedelta(days=9 * k, hours=3 * k)
            read = reading_from_varbinds(
                device.varbinds(at), polled_at=at, profiles=PROFILES, catalogue=CATALOGUE, book=BOOK,
                site_id=device.site_id, device_id=device.device_id,
            )  # fmt: skip
            pushed = decode_reading(device.mqtt_payload(at, boot_id="b", seq=1))
            assert read.derived.model_id == model
            assert read.identity.serial == pushed.identity.serial == device.state(at).serial
            for part in ("supplies", "trays", "alerts", "covers", "status"):
                assert getattr(read, part) == getattr(pushed, part), part
            assert read.counters.life_count == pushed.counters.life_count
            for name, count in pushed.counters.vendor.items():
                if name in read.counters.vendor:
                    assert read.counters.vendor[name] == count, name
            assert read.identity.model.lower() in pushed.identity.model.lower()
