"""What the store keeps of a reading gives the whole reading back."""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.stores.reading_codec import (
    at_ms,
    at_us,
    content_of,
    instant_of,
    pack,
    pack_difference,
    parts_in,
    parts_of,
    unpack,
    unpack_difference,
    whole_reading,
)
from crm_core.domain.errors import InvalidValue
from crm_core.domain.telemetry import DeviceReading
from crm_core.domain.wire import encode_reading
from tests.telemetry_readings import histories, reading


@settings(max_examples=40)
@given(histories(size=3))
def test_a_reading_comes_back_to_the_value(history: list[DeviceReading]) -> None:
    other = reading(pages=7, errors=("noPaper",))
    frame = parts_of(other)
    for one in history:
        parts = parts_of(one, other, frame)
        assert parts == parts_of(one)
        content = content_of(parts)
        assert encode_reading(one).endswith(content)
        assert parts_in(unpack(pack(content))) == parts
        assert unpack_difference(pack_difference(parts, frame), frame) == parts
        back = whole_reading(
            content, tenant=one.tenant, site_id=one.site_id, device_id=one.device_id, polled_at=one.polled_at,
            source=one.source, boot_id=one.boot_id, seq=one.seq,
        )  # fmt: skip
        assert back == one


@given(st.binary(max_size=5000), st.binary(min_size=1, max_size=5000))
def test_any_bytes_survive_packing(content: bytes, other: bytes) -> None:
    assert unpack(pack(content)) == content
    parts, frame = tuple(content.split(b"\n"))[:16], tuple(other.split(b"\n"))[:16]
    if len(parts) == len(frame):
        assert unpack_difference(pack_difference(parts, frame), frame) == parts


@given(st.integers(-(2**50), 2**50))
def test_instants_are_exact_to_the_microsecond(when: int) -> None:
    assert at_us(instant_of(when)) == when
    assert abs(at_ms(instant_of(when)) * 1000 - when) <= 500


def test_what_changed_little_costs_little() -> None:
    frame, parts = parts_of(reading()), parts_of(reading(pages=1013, toner=79))
    assert len(pack_difference(parts, frame)) < len(content_of(parts)) / 15


def test_a_torn_difference_is_told() -> None:
    frame, parts = parts_of(reading()), parts_of(reading(pages=1013))
    packed = pack_difference(parts, frame)
    with pytest.raises((InvalidValue, zlib.error)):
        unpack_difference(b"\xff\x07" + packed[2:], frame)
