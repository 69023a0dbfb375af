"""The physics is deterministic, conserves pages and toner, and speaks readings that Drumbeat accepts."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_core.domain.wire import decode_reading
from simulators.device import Fleet, devices_of, make_roster, poll_times
from simulators.device.mishaps import CALM
from simulators.models import default_models

START = date(2025, 3, 3)
NOON = datetime(2025, 3, 3, 4, 0, tzinfo=UTC)


def fleet(seed: int = 5, count: int = 40) -> Fleet:
    return Fleet(make_roster(count, default_models(), seed=seed), seed=seed, start=START, mishaps=CALM)


@pytest.fixture(scope="module")
def lived() -> Fleet:
    made = fleet()
    made.record(120)
    return made


def test_same_seed_gives_the_same_bytes_in_any_order_of_questions():
    times = [NOON + timedelta(hours=7 * k) for k in range(60)]
    one, two = devices_of(fleet()), devices_of(fleet())
    forward = [[d.mqtt_payload(t, boot_id="b", seq=1) for t in times] for d in one[:8]]
    backward = [[d.mqtt_payload(t, boot_id="b", seq=1) for t in reversed(times)][::-1] for d in two[:8]]
    assert forward == backward


def test_other_seed_gives_another_fleet():
    assert fleet(1).record(3).meters.tolist() != fleet(2).record(3).meters.tolist()


def test_a_longer_run_only_adds_days(lived: Fleet):
    short = fleet()
    for day in (0, 30, 60):
        assert np.array_equal(short.record(day).meters, lived.record(day).meters)
        assert np.array_equal(short.record(day).used_at_end, lived.record(day).used_at_end)


@settings(max_examples=60, deadline=None)
@given(number=st.integers(0, 39), minutes=st.integers(0, 119 * 1440), later=st.integers(1, 3000))
def test_meters_never_fall_and_sums_hold(lived: Fleet, number: int, minutes: int, later: int):
    device = devices_of(lived)[number]
    first = NOON.replace(hour=0) + timedelta(minutes=minutes)
    before, after = device.state(first).meters, device.state(first + timedelta(minutes=later)).meters
    assert all(after[name] >= before[name] for name in ("total", "colour", "copy", "scan", "jams", "duplex"))
    assert before["mono"] + before["colour"] == before["total"]
    assert before["print"] + before["copy"] + before["fax"] == before["total"]
    assert before["print_mono"] + before["print_colour"] == before["print"]


def test_toner_drains_only_by_printing_and_rises_only_by_a_change(lived: Fleet):
    for day in range(1, 121):
        yesterday, today = lived.record(day - 1), lived.record(day)
        rises = today.used_at_start < yesterday.used_at_end - 1e-6
        assert not (rises & ~today.changed).any()
        idle = today.meters[:, 0] == 0
        drained = today.used_at_end[idle] - today.used_at_start[idle]
        assert drained.max(initial=0.0) < 0.02  # a fraction of a page may be lost at a stop


def test_nothing_is_printed_while_a_cartridge_is_empty_or_a_part_is_broken(lived: Fleet):
    for day in range(1, 121):
        record = lived.record(day)
        waiting = record.stop_minute == 0
        assert record.meters[waiting, 0].sum() == 0


def test_supplies_run_empty_and_are_replaced(lived: Fleet):
    empties = sum(int(lived.record(day).ran_empty.sum()) for day in range(121))
    changes = sum(int(lived.record(day).changed.sum()) for day in range(121))
    assert empties > 40
    assert changes > empties * 0.8


def test_every_model_speaks_both_languages(lived: Fleet):
    at = NOON + timedelta(days=50)
    seen = set()
    for device in devices_of(lived):
        seen.add(device.model.id)
        reading = decode_reading(device.mqtt_payload(at, boot_id="boot-1", seq=7, tenant="default"))
        assert reading.device_id == device.device_id
        assert reading.counters.life_count == device.state(at).meters["total"]
        rows = device.varbinds(at)
        assert rows["1.3.6.1.2.1.43.10.2.1.4.1.1"] == reading.counters.life_count
        assert all(isinstance(value, (int, bytes, str)) for value in rows.values())
    assert len(seen) > 10


def test_all_shipped_models_are_three_named_ones_and_a_dozen_more():
    ids = set(default_models())
    assert {"hp-laserjet-m126nw", "canon-ir-adv-c3525i", "fujixerox-apeosport-vii-c7773"} <= ids
    assert len(ids) >= 15


def test_some_devices_are_silent_at_times(lived: Fleet):
    times = poll_times(NOON, NOON + timedelta(days=100), timedelta(hours=11))
    answers = np.array([[d.answers(t) for t in times] for d in devices_of(lived)])
    assert 0.80 < answers.mean() < 0.995


def test_an_instant_before_the_start_is_refused(lived: Fleet):
    with pytest.raises(ValueError, match="before the fleet's start"):
        devices_of(lived)[0].state(datetime(2025, 3, 2, tzinfo=UTC))
