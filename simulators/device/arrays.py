"""Shapes and names that the physics shares: array types, kinds of intervals, fault codes of the field histories.

All arrays have one row per device in the order of the roster; [N, S] has one column per supply slot (padded),
[N, 7] one per component of `simulators.models.COMPONENTS`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MINUTES_A_DAY: Final = 1440
NEVER: Final = 1_000_000_000

# kinds of intervals in an `EventTable`
CODE: Final = 0
JAM: Final = 1
COVER_OPEN: Final = 2
PAPER_OUT: Final = 3
CAMPAIGN: Final = 4

#: (code, severity, index of the component or -1): the codes of the failure histories (docs/simulators.md).
FAULT_CODES: Final = (
    ("FUS-01", "warning", 0),
    ("FUS-02", "info", 0),
    ("FUS-03", "warning", 0),
    ("TRF-01", "warning", 1),
    ("TRF-02", "info", 1),
    ("TRF-03", "error", 1),
    ("DRM-01", "warning", 2),
    ("DRM-02", "info", 2),
    ("DRM-03", "error", 2),
    ("FED-01", "warning", 3),
    ("FED-02", "warning", 3),
    ("FED-03", "info", 3),
    ("DEV-01", "info", 4),
    ("DEV-02", "warning", 4),
    ("LSR-01", "warning", 5),
    ("LSR-02", "error", 5),
    ("ELE-01", "info", 6),
    ("ELE-02", "warning", 6),
    ("ELE-03", "error", 6),
    ("NET-01", "info", -1),
    ("NET-02", "info", -1),
    ("USR-01", "info", -1),
    ("USR-02", "info", -1),
    ("USR-03", "info", -1),
    ("USR-04", "info", -1),
    ("STP-90", "critical", -1),
)
CODE_NAMES: Final = tuple(row[0] for row in FAULT_CODES)
FIRST_CODE: Final = np.array([0, 3, 6, 9, 12, 14, 16])  # per component
CODE_COUNT: Final = np.array([3, 3, 3, 3, 2, 2, 3])
NETWORK_CODE: Final = CODE_NAMES.index("NET-01")
USER_CODE: Final = CODE_NAMES.index("USR-01")
STOPPED_CODE: Final = CODE_NAMES.index("STP-90")
SEVERITIES: Final = ("info", "warning", "error", "critical")
CODE_SEVERITY: Final = np.array([SEVERITIES.index(row[1]) for row in FAULT_CODES], dtype=np.int8)

#: Meters of a machine, the columns of `DayRecord.meters` and `meters_at_start`.
METERS: Final = (
    "total",
    "colour",
    "copy",
    "copy_colour",
    "fax",
    "fax_colour",
    "duplex",
    "scan",
    "jams",
    "large",
)


@dataclass(slots=True)
class EventTable:
    """Intervals of one day, sorted by device and start; minutes count from midnight UTC and may pass it."""

    device: npt.NDArray[np.int32]
    start: Singles
    end: Singles
    kind: npt.NDArray[np.int8]
    code: npt.NDArray[np.int16]
    hint: npt.NDArray[np.int8]  # component that the device names, -1 for none
    fresh: Bools  # began on this day (False: carried over from the day before)

    def __len__(self) -> int:
        return len(self.device)

    def of(self, device: int) -> slice:
        """Return the rows of one device."""
        low, high = self.device.searchsorted((device, device + 1)).tolist()
        return slice(low, high)


def empty_events() -> EventTable:
    """Return a table without rows."""
    return EventTable(
        np.empty(0, np.int32),
        np.empty(0, np.float32),
        np.empty(0, np.float32),
        np.empty(0, np.int8),
        np.empty(0, np.int16),
        np.empty(0, np.int8),
        np.empty(0, np.bool_),
    )


def join_events(tables: list[EventTable]) -> EventTable:
    """Return all rows of `tables`, sorted by device and start."""
    device = np.concatenate([t.device for t in tables])
    start = np.concatenate([t.start for t in tables])
    order = np.lexsort((start, device))
    return EventTable(
        device[order],
        start[order],
        np.concatenate([t.end for t in tables])[order],
        np.concatenate([t.kind for t in tables])[order],
        np.concatenate([t.code for t in tables])[order],
        np.concatenate([t.hint for t in tables])[order],
        np.concatenate([t.fresh for t in tables])[order],
    )


@dataclass(slots=True)
class DayRecord:
    """All that happens to the fleet on one UTC day; the state at any minute follows from it."""

    day: int
    meters: npt.NDArray[np.int32]  # [N, len(METERS)] growth within the day
    meters_at_start: npt.NDArray[np.int64]  # [N, len(METERS)]
    used_at_start: Singles  # [N, S] share used, after the changes of the morning
    used_at_end: Singles  # [N, S]
    unit_number: npt.NDArray[np.int32]  # [N, S] which cartridge is in
    changed: Bools  # [N, S] a cartridge or part was put in this morning
    ran_empty: Bools  # [N, S]
    stop_minute: Singles  # [N] the machine stops here; NEVER = it does not
    stop_component: npt.NDArray[
        np.int8
    ]  # [N] component that failed, -1 none (a stop without one is an empty supply)
    open_from: Singles  # [N] minutes
    open_until: Singles  # [N]
    is_open: Bools  # [N]
    unreachable: Bools  # [N] no answer all day
    booted_at: npt.NDArray[np.int64]  # [N] minutes since the start of the fleet
    meter_at_boot: npt.NDArray[np.int64]  # [N]
    campaign: npt.NDArray[np.int16]  # [N] index of the firmware campaign the device is under, -1 none
    events: EventTable
