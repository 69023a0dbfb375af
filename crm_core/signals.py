"""The step from readings to triage: what began, what ended, and the signal that carries all present conditions.

Pure: the same readings always give the same conclusion. What counts as a condition, and the names of causes, stand in
`conditions`. Collectors call `conclude` for each reading before they land it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from crm_core.conditions import FaultCodes, Observation, is_asleep, observe
from crm_core.domain.content import shares_grounds
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.service import Signal, SignalOrigin
from crm_core.domain.telemetry import DeviceReading, TelemetryEvent

_NOTHING: Final = Observation({}, ())
_SEVERITIES: Final = {3: "critical", 4: "warning"}  # prtAlertSeverityLevel


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What began and ended since the previous reading, and the signal for triage (None: nothing to say)."""

    events: tuple[TelemetryEvent, ...]
    signal: Signal | None


def conclude(reading: DeviceReading, previous: DeviceReading | None, book: FaultCodes) -> Conclusion:
    """Return the events and the signal of `reading`; `previous` is the newest earlier reading of the device.

    A signal exists when something is wrong now, or was wrong in `previous`, or is known again: a healthy device is
    silent. A reading without a device id (a probe) gives events but no signal.
    """
    before = observe(previous, book) if previous is not None else _NOTHING
    repeated = previous is not None and shares_grounds(reading, previous)
    return _concluded(reading, previous, (before, observe(reading, book)), repeated=repeated)


class Concluder:
    """`conclude` with its book, for a stream of readings: what a device's last reading said is not worked out again.

    Remembers at most `devices` devices; gives the same answers as `conclude`.
    """

    def __init__(self, book: FaultCodes, *, devices: int = 20_000) -> None:
        self._book = book
        self._devices = devices
        self._last: dict[tuple[str, str | None], tuple[DeviceReading, Observation]] = {}

    def __call__(self, reading: DeviceReading, previous: DeviceReading | None) -> Conclusion:
        """Return the events and the signal of `reading`."""
        place = (reading.tenant, reading.device_id)
        last = self._last.get(place)
        if previous is None:
            before = _NOTHING
        else:
            before = last[1] if last is not None and last[0] is previous else observe(previous, self._book)
        repeated = previous is not None and shares_grounds(reading, previous)
        now = before if repeated else observe(reading, self._book)
        if len(self._last) >= self._devices:
            self._last.clear()
        self._last[place] = (reading, now)
        return _concluded(reading, previous, (before, now), repeated=repeated)


def _concluded(
    reading: DeviceReading,
    previous: DeviceReading | None,
    observed: tuple[Observation, Observation],
    *,
    repeated: bool,
) -> Conclusion:
    """Return the conclusion of what was `observed` before and now; `repeated`: the readings share their grounds."""
    before, now = observed
    known_again = any(prefix not in now.unknown for prefix in before.unknown)
    signal = None
    if reading.device_id is not None and (now.conditions or before.conditions or known_again):
        signal = Signal(
            tenant=TenantId(reading.tenant),
            device_id=DeviceId(reading.device_id),
            observed_at=reading.polled_at,
            origin=SignalOrigin.TELEMETRY,
            evidence=reading.key,
            conditions=tuple(now.conditions[cause] for cause in sorted(now.conditions)),
            unknown=now.unknown,
        )
    return Conclusion(() if repeated else tuple(_events(reading, previous)), signal)


def _events(reading: DeviceReading, previous: DeviceReading | None) -> Iterator[TelemetryEvent]:
    """Yield what began and what ended between two readings; a part that did not answer says neither."""
    if previous is not None and previous.polled_at > reading.polled_at:
        return  # a late reading cannot say what changed last
    now = _marks(reading)
    before = _marks(previous) if previous is not None else {}
    for key in sorted(now.keys() - before.keys()):
        yield replace(now[key], began=True, at=reading.polled_at)
    for key in sorted(before.keys() - now.keys()):
        if not _unanswered(reading, key[0]):
            yield replace(before[key], began=False, at=reading.polled_at)


def _unanswered(reading: DeviceReading, kind: str) -> bool:
    part = {"alert": "alerts", "error_state": "status"}.get(kind)
    return is_asleep(reading) or part in reading.incomplete


def _marks(reading: DeviceReading) -> dict[tuple[str, str], TelemetryEvent]:
    """Return everything that is on in a reading, keyed so that it can be compared with another."""
    marks: dict[tuple[str, str], TelemetryEvent] = {}
    for alert in reading.alerts:
        if alert.code is not None and alert.severity not in (0, None):
            key = ("alert", f"{alert.code}/{alert.group}/{alert.gindex}")
            severity = _SEVERITIES.get(alert.severity or 0, "info")
            marks[key] = _event(reading, "alert", str(alert.code), severity, alert.desc)
    for name in reading.error_names:
        marks["error_state", name] = _event(reading, "error_state", name, None, None)
    for fault in reading.derived.faults:
        if fault.scheme not in ("prtAlertCode", "hrPrinterDetectedErrorState"):
            key = ("fault_code", f"{fault.scheme}:{fault.code}")
            marks[key] = _event(reading, "fault_code", f"{fault.scheme}:{fault.code}", None, fault.name)
    return marks


def _event(
    reading: DeviceReading,
    kind: Literal["alert", "error_state", "fault_code"],
    code: str,
    severity: str | None,
    text: str | None,
) -> TelemetryEvent:
    return TelemetryEvent(
        tenant=reading.tenant,
        device_id=reading.device_id or "",
        at=reading.polled_at,
        kind=kind,
        code=code,
        began=True,
        severity=severity,
        text=text,
    )
