"""Whether two readings say the same, told without looking: an idle printer's reading is its last one with a new time.

Pollers pass the parts of the last reading on when the device answered as before. Comparing those parts by identity
costs nothing, and lets every later step leave out what it has done already.
"""

from operator import attrgetter, is_
from typing import Final

from msgspec.structs import replace

from crm_core.domain.telemetry import DeviceReading, InputTray

#: The fields that hold what the device said; the others tell who it is, when it was asked, and how.
CONTENT_FIELDS: Final = (
    "identity", "supplies", "trays", "outputs", "alerts", "covers", "status", "counters", "vendor_status", "derived",
    "incomplete",
)  # fmt: skip
_content = attrgetter(*CONTENT_FIELDS)
#: What says that something is wrong (`crm_core.conditions.observe`), beside trays that are there or empty.
_grounds = attrgetter("identity", "supplies", "alerts", "covers", "status", "derived", "incomplete")
#: What `crm_core.device_state.state_columns` looks at, beside counters and source.
_state = attrgetter("supplies", "alerts", "status", "derived")


def shares_content(reading: DeviceReading, other: DeviceReading) -> bool:
    """Tell whether the readings hold the very same parts; False also for equal parts that are different objects."""
    return all(map(is_, _content(reading), _content(other)))


def sharing_content(reading: DeviceReading, other: DeviceReading) -> DeviceReading:
    """Return the reading with the very parts of the other one wherever they are equal."""
    parts = zip(CONTENT_FIELDS, _content(reading), _content(other), strict=True)
    equal = {name: old for name, new, old in parts if new is not old and new == old}
    return replace(reading, **equal) if equal else reading


def shares_state(reading: DeviceReading, other: DeviceReading) -> bool:
    """Tell whether the device's state in brief has to be the same but for its counters and where it came from."""
    return all(map(is_, _state(reading), _state(other)))


def shares_grounds(reading: DeviceReading, other: DeviceReading) -> bool:
    """Tell whether what the readings say to be wrong has to be the same, however counters and paper moved."""
    if not all(map(is_, _grounds(reading), _grounds(other))):
        return False
    trays, others = reading.trays, other.trays
    if trays is others:
        return True
    return len(trays) == len(others) and all(map(_same_paper, trays, others))


def _same_paper(tray: InputTray, other: InputTray) -> bool:
    return tray.index == other.index and (tray.level == 0) == (other.level == 0)
