"""Whether two readings say the same, told without looking: an idle printer's reading is its last one with a new time.

Pollers pass the parts of the last reading on when the device answered as before. Comparing those parts by identity
costs nothing, and lets every later step leave out what it has done already.
"""

from operator import attrgetter, is_
from typing import Final

from crm_core.domain.telemetry import DeviceReading

#: The fields that hold what the device said; the others tell who it is, when it was asked, and how.
CONTENT_FIELDS: Final = (
    "identity", "supplies", "trays", "outputs", "alerts", "covers", "status", "counters", "vendor_status", "derived",
    "incomplete",
)  # fmt: skip
_content = attrgetter(*CONTENT_FIELDS)


def shares_content(reading: DeviceReading, other: DeviceReading) -> bool:
    """Tell whether the readings hold the very same parts; False also for equal parts that are different objects."""
    return all(map(is_, _content(reading), _content(other)))
