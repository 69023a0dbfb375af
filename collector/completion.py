"""Completes pushed readings with what Drumbeat concludes, and does not conclude again from what a device repeats."""

from collections.abc import Callable
from operator import attrgetter, is_
from typing import Final

from msgspec.structs import replace

from crm_core.domain.telemetry import Derived, DeviceReading

Complete = Callable[[DeviceReading], DeviceReading]
#: Everything that `collector.derived.complete_derived` looks at.
_grounds: Final = attrgetter("identity", "supplies", "alerts", "status", "vendor_status", "derived")


class RememberedCompletion:
    """`complete` for a stream of readings: the same answers; a device's last one is given again on the same parts.

    Remembers at most `devices` devices. For one thread.
    """

    def __init__(self, complete: Complete, *, devices: int = 20_000) -> None:
        self._complete = complete
        self._devices = devices
        self._last: dict[tuple[str, str | None], tuple[tuple[object, ...], Derived]] = {}

    def __call__(self, reading: DeviceReading) -> DeviceReading:
        """Return the reading with its conclusions."""
        place, grounds = (reading.tenant, reading.device_id), _grounds(reading)
        last = self._last.get(place)
        if last is not None and all(map(is_, last[0], grounds)):
            return replace(reading, derived=last[1])
        completed = self._complete(reading)
        if len(self._last) >= self._devices:
            self._last.clear()
        self._last[place] = (grounds, completed.derived)
        return completed
