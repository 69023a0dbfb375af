"""The remembering form of `conclude` gives the same answers as the plain one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from config.fault_code_files import load_fault_codes
from crm_core.domain.telemetry import DeviceReading
from crm_core.signals import Concluder, conclude
from tests.telemetry_readings import histories

BOOK = load_fault_codes()


@settings(max_examples=40)
@given(histories(), st.data())
def test_remembering_changes_no_answer(history: list[DeviceReading], data: st.DataObject) -> None:
    remembering = Concluder(BOOK, devices=1)
    newest: dict[str | None, DeviceReading] = {}
    for reading in history:
        previous = data.draw(st.sampled_from((newest.get(reading.device_id), None, history[0])))
        assert remembering(reading, previous) == conclude(reading, previous, BOOK)
        newest[reading.device_id] = reading
