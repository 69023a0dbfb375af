"""What the store keeps of a reading gives the whole reading back."""

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.stores.reading_codec import at_ms, at_us, content_of, instant_of, pack, unpack, whole_reading
from crm_core.domain.telemetry import DeviceReading
from tests.telemetry_readings import histories, reading


@settings(max_examples=40)
@given(histories(size=3))
def test_a_reading_comes_back_to_the_value(history: list[DeviceReading]) -> None:
    frame = content_of(reading(pages=7, errors=("noPaper",)))
    for one in history:
        content = content_of(one)
        for against in (None, frame):
            assert unpack(pack(content, against), against) == content
        back = whole_reading(
            content, tenant=one.tenant, site_id=one.site_id, device_id=one.device_id, polled_at=one.polled_at,
            source=one.source, boot_id=one.boot_id, seq=one.seq,
        )  # fmt: skip
        assert back == one


@given(st.binary(max_size=5000), st.binary(min_size=1, max_size=5000))
def test_any_bytes_survive_packing(content: bytes, frame: bytes) -> None:
    assert unpack(pack(content, frame), frame) == content
    assert unpack(pack(content, None), None) == content


@given(st.integers(-(2**50), 2**50))
def test_instants_are_exact_to_the_microsecond(when: int) -> None:
    assert at_us(instant_of(when)) == when
    assert abs(at_ms(instant_of(when)) * 1000 - when) <= 500


def test_what_changed_little_costs_little() -> None:
    frame, content = content_of(reading()), content_of(reading(pages=1013, toner=79))
    assert len(pack(content, frame)) < len(content) / 15
