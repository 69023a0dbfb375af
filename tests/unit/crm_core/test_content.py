"""Readings that share their parts are passed through without work, and only those; an answer must not depend on it."""

from datetime import UTC, datetime, timedelta

import msgspec

from config.fault_code_files import load_fault_codes
from crm_core.domain.content import CONTENT_FIELDS, shares_content
from crm_core.domain.telemetry import DeviceReading, DeviceStatus, PrinterAlert
from crm_core.domain.wire import decode_reading, encode_reading
from crm_core.signals import Concluder, conclude

BOOK = load_fault_codes()
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
JAMMED = DeviceReading(
    device_id="d1",
    polled_at=START,
    alerts=(PrinterAlert(index="1.1", severity=3, group=13, gindex=1, code=8, desc="Jam"),),
    status=DeviceStatus(errors={"1": ("jammed",)}),
)


def later(reading, **changes):
    return msgspec.structs.replace(reading, polled_at=reading.polled_at + timedelta(minutes=5), **changes)


def test_every_field_is_either_content_or_about_the_poll():
    about = {"schema", "tenant", "site_id", "device_id", "polled_at", "source", "boot_id", "seq"}
    assert set(CONTENT_FIELDS) | about == set(DeviceReading.__struct_fields__)


def test_only_the_very_same_parts_are_shared():
    again = later(JAMMED)
    assert shares_content(again, JAMMED)
    assert not shares_content(later(JAMMED, incomplete=("alerts",)), JAMMED)
    assert not shares_content(decode_reading(encode_reading(JAMMED)), JAMMED)


def test_a_reading_as_before_is_concluded_as_an_equal_one_that_was_read_anew():
    again = later(JAMMED)
    anew = decode_reading(encode_reading(again))
    assert anew == again
    found = Concluder(BOOK)(again, JAMMED)
    assert found == conclude(anew, JAMMED, BOOK)
    assert found.events == ()
    assert found.signal is not None  # a device that still complains says so at every poll
