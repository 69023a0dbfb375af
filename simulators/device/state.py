"""What a printer would say about itself at one instant, before any protocol gives it a form.

`snapshot` turns a day's record into a `PrinterState`; `varbinds` and `payload` render it. Numbers are those of
RFC 3805 and RFC 2790 (row types, alert codes, groups).
"""

from dataclasses import dataclass, field
from datetime import datetime

# Codes of alerts, from the IANA printer MIB.
COVER_IS_OPEN = 3
JAMMED = 8
UNIT_BROKEN = 30
POWER_UP = 503
TRAY_EMPTY = 808
TONER_EMPTY = 1101
INK_EMPTY = 1102
TONER_LOW = 1104
INK_LOW = 1105
WASTE_NEARLY_FULL = 1107
WASTE_FULL = 1109
# Groups of alerts.
GROUP_GENERAL = 5
GROUP_COVER = 6
GROUP_INPUT = 8
GROUP_MARKER = 10
GROUP_SUPPLIES = 11
GROUP_PATH = 13
# Severities, then training levels.
CRITICAL, WARNING, BINARY_CHANGE = 3, 4, 5
UNTRAINED, TRAINED, FIELD_SERVICE, MANAGEMENT = 3, 4, 5, 6


@dataclass(slots=True, kw_only=True)
class SupplyRow:
    """One row of prtMarkerSuppliesTable. `share` is the true share left (for truth, never rendered)."""

    index: int
    kind: str
    colour: str | None  # letter of KCMY
    name: str
    type: int
    cls: int
    colorant: int
    unit: int
    capacity: int
    level: int
    share: float
    percent: int  # what a vendor string would show


@dataclass(slots=True, kw_only=True)
class TrayRow:
    """One row of prtInputTable."""

    index: int
    name: str
    capacity: int
    level: int
    status: int


@dataclass(slots=True, kw_only=True)
class AlertRow:
    """One row of prtAlertTable; `ticks` is prtAlertTime in hundredths of a second of sysUpTime."""

    index: int
    severity: int
    training: int
    group: int
    group_index: int
    code: int
    text: str
    ticks: int
    location: int = 0


@dataclass(slots=True, kw_only=True)
class CoverRow:
    """One row of prtCoverTable; status 3 open, 4 closed."""

    index: int
    name: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrinterState:
    """Everything a printer states at `at`."""

    at: datetime
    device_id: str
    site_id: str
    model_id: str
    serial: str
    firmware: str
    uptime_ticks: int
    device_status: int  # hrDeviceStatus: 2 running, 3 warning, 5 down
    printer_status: int  # hrPrinterStatus: 3 idle, 4 printing
    errors: frozenset[int]  # bits of hrPrinterDetectedErrorState, 0 = lowPaper
    asleep: bool
    console: tuple[str, ...]
    meters: dict[str, int]
    pages_since_boot: int
    alert_count: int  # grows with every alert: prtGeneralPrinter AllEvents
    supplies: tuple[SupplyRow, ...] = ()
    trays: tuple[TrayRow, ...] = ()
    covers: tuple[CoverRow, ...] = ()
    alerts: tuple[AlertRow, ...] = field(default=())
