"""One device at one minute of its day: what is active, how far the day's printing has come, in which words it speaks.

Pages come in evenly over the working hours. While a jam, an open cover or an empty tray holds the machine, its
counters stand; the waiting jobs print when it is free again, so the day's total is kept.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulators.device.arrays import CODE, COVER_OPEN, JAM, PAPER_OUT, STOPPED_CODE, DayRecord
from simulators.models import SimulatedModel

if TYPE_CHECKING:
    from simulators.device.fleet import Fleet

TEXTS: Final = {
    "en": {
        "jam": "Paper jam",
        "cover": "Cover open",
        "paper": "Tray empty",
        "low": "Low: {name}",
        "empty": "Replace: {name}",
        "fault": "Call service",
        "ready": "Ready",
        "sleep": "Sleep",
        "printing": "Printing",
    },
    "zh": {
        "jam": "卡纸",
        "cover": "盖板打开",
        "paper": "纸盘无纸",
        "low": "{name}不足",
        "empty": "请更换{name}",
        "fault": "请联系维修",
        "ready": "就绪",
        "sleep": "睡眠",
        "printing": "正在打印",
    },
}


@dataclass(slots=True)
class Moment:
    """The day's record seen by one device at one minute."""

    fleet: "Fleet"
    device: int
    record: DayRecord
    minute: float
    held_since: float  # counters stand since this minute (= minute when nothing holds)
    active: list[tuple[int, int, int, float]]  # kind, code, hint, start
    progress: float
    gauge: int  # index in GAUGES
    gauge_bias: float
    begun: int  # events of the day that have begun
    low_percent: float  # the machine calls a toner low at this reading of its gauge

    @property
    def model(self) -> SimulatedModel:
        return self.fleet.model_of[self.device]


def progress_of(record: DayRecord, device: int, minute: float) -> float:
    """Return which share of the day's printing is done at `minute`: 0 before opening, 1 after closing or a stop."""
    begin, end = float(record.open_from[device]), float(record.open_until[device])
    end = max(min(end, float(record.stop_minute[device])), begin + 1e-6)
    return min(max((minute - begin) / (end - begin), 0.0), 1.0)


def moment_of(fleet: "Fleet", device: int, record: DayRecord, minute: float) -> Moment:
    """Return what is active at `minute` and how far the printing is; whatever holds the machine holds its counters."""
    rows = record.events.of(device)
    table = record.events
    active = []
    begun = 0
    held = minute
    for kind, code, hint, start, end in zip(
        table.kind[rows], table.code[rows], table.hint[rows], table.start[rows], table.end[rows], strict=True
    ):
        begun += int(start <= minute)
        if start <= minute < end and not (kind == CODE and code == STOPPED_CODE):
            active.append((int(kind), int(code), int(hint), float(start)))
            if kind in {JAM, COVER_OPEN, PAPER_OUT}:
                held = min(held, float(start))
    habits = fleet.habits
    return Moment(
        fleet,
        device,
        record,
        minute,
        held,
        active,
        progress_of(record, device, held),
        int(habits.gauge[device]),
        float(habits.gauge_bias[device]),
        begun,
        100.0 * float(habits.low_flag[device]),
    )
