"""What a printer says about itself: the reading, as it travels, is stored and is judged.

One definition serves the domain, the JSON on the wire (`docs/reading.schema.json`) and strict decoding:
the types are `msgspec.Struct`s (see docs/decisions/0002). Names follow RFC 3805 (Printer MIB v2) and
RFC 2790 (Host Resources MIB). Raw MIB values stay as the device states them; what Drumbeat concludes
from names or vendor knowledge stands apart in `Derived`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec

from crm_core.domain.identity import DEFAULT_TENANT, IDENTIFIER_PATTERN

SCHEMA: Final = "drumbeat.reading/1"

Text = Annotated[str, msgspec.Meta(max_length=512)]
ShortText = Annotated[str, msgspec.Meta(max_length=128)]
RowIndex = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,10}(\.[0-9]{1,10}){0,5}$")]
MibInteger = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**63 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Identifier = Annotated[str, msgspec.Meta(pattern=IDENTIFIER_PATTERN)]
BootId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class LevelState(StrEnum):
    """What kind of statement a level is (RFC 3805: -1, -2 and -3 are not numbers)."""

    KNOWN = "known"
    SOME_REMAINING = "some_remaining"
    UNKNOWN = "unknown"
    NO_RESTRICTION = "no_restriction"


@dataclass(frozen=True, slots=True)
class Measured:
    """A level in the supply's own unit; for receptacles the space left."""

    amount: int


@dataclass(frozen=True, slots=True)
class SomeRemaining:
    """The device knows only that something is left (raw -3)."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The device does not know (raw -2), or gave no number."""


@dataclass(frozen=True, slots=True)
class Unlimited:
    """The device places no restriction (raw -1)."""


SupplyLevel = Measured | SomeRemaining | Unknown | Unlimited


@lru_cache(maxsize=4096)  # a fleet's levels are few numbers, asked for at every reading
def supply_level(raw: int | None) -> SupplyLevel:
    """Return the meaning of a raw Printer-MIB level; -1, -2 and -3 never become numbers."""
    match raw:
        case -1:
            return Unlimited()
        case -3:
            return SomeRemaining()
        case int() if raw >= 0:
            return Measured(raw)
        case _:
            return Unknown()


def level_state(raw: int | None) -> LevelState | None:
    """Return the name of the level's kind as it stands on the wire; None when the device gave no value."""
    if raw is None:
        return None
    match supply_level(raw):
        case Measured():
            return LevelState.KNOWN
        case SomeRemaining():
            return LevelState.SOME_REMAINING
        case Unlimited():
            return LevelState.NO_RESTRICTION
        case Unknown():
            return LevelState.UNKNOWN


def percent_of(level: int | None, capacity: int | None, unit: str | None) -> float | None:
    """Return level over capacity in percent (one decimal), or None where nothing may be concluded.

    A capacity that is not positive gives None, unless the unit is percent (RFC 3805, prtMarkerSuppliesSupplyUnit 19).
    Values over 100 are returned as they are: judging them is the reader's affair.
    """
    if level is None or level < 0:
        return None
    if capacity is not None and capacity > 0:
        return round(100.0 * level / capacity, 1)
    return float(level) if unit == "percent" else None


class _Part(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Common settings of everything inside a reading: immutable, named fields, unknown keys ignored.

    A reading is a tree and can hold no cycle, so the garbage collector need not look at it: a batch decodes in half.
    """


class DeviceIdentity(_Part, frozen=True, kw_only=True):
    """Who the device says it is; None where it does not say."""

    vendor: ShortText | None = None
    model: Text | None = None
    serial: ShortText | None = None
    firmware: Text | None = None


class MarkerSupply(_Part, frozen=True, kw_only=True):
    """One row of prtMarkerSuppliesTable; `index` is hrDeviceIndex.suppliesIndex and is the key.

    For `receptacleThatIsFilled`, level and percent are the space left. `unit`, `type`, `cls` and `colorant`
    are what the MIB states, by their names in RFC 3805; None where it states nothing.
    """

    index: RowIndex
    name: Text | None = None
    type: ShortText | None = None
    cls: ShortText | None = None
    colorant: ShortText | None = None
    unit: ShortText | None = None
    capacity: MibInteger | None = None
    level: MibInteger | None = None
    level_state: LevelState | None = None
    percent: Annotated[float, msgspec.Meta(ge=0)] | None = None

    @property
    def reading(self) -> SupplyLevel:
        """The level as a union; use this wherever a rule depends on the level."""
        return supply_level(self.level)

    @property
    def is_receptacle(self) -> bool:
        """True if the level is space left for waste, as stated by the class."""
        return self.cls == "receptacleThatIsFilled"


class InputTray(_Part, frozen=True, kw_only=True):
    """One row of prtInputTable; unit sheets unless the device says otherwise."""

    index: RowIndex
    name: Text | None = None
    capacity: MibInteger | None = None
    level: MibInteger | None = None
    level_state: LevelState | None = None
    percent: Annotated[float, msgspec.Meta(ge=0)] | None = None
    status: MibInteger | None = None


class OutputBin(_Part, frozen=True, kw_only=True):
    """One row of prtOutputTable; `remaining` is the space left."""

    index: RowIndex
    name: Text | None = None
    capacity: MibInteger | None = None
    remaining: MibInteger | None = None
    status: MibInteger | None = None


class PrinterAlert(_Part, frozen=True, kw_only=True):
    """One row of prtAlertTable. Severity: 1 other, 3 critical, 4 warning, 5 binary change; 0 is not legal."""

    index: RowIndex
    severity: MibInteger | None = None
    training: MibInteger | None = None
    group: MibInteger | None = None
    gindex: MibInteger | None = None
    location: MibInteger | None = None
    code: MibInteger | None = None
    desc: Text | None = None
    time: MibInteger | None = None


class Cover(_Part, frozen=True, kw_only=True):
    """One row of prtCoverTable. Status: 3 open, 4 closed, 5 interlock open, 6 interlock closed."""

    name: Text | None = None
    status: MibInteger | None = None


class DeviceStatus(_Part, frozen=True, kw_only=True):
    """Host Resources status by hrDeviceIndex; error bits by their names in RFC 2790; console lines."""

    hr_device_status: dict[str, MibInteger] = msgspec.field(name="hrDeviceStatus", default_factory=dict)
    hr_printer_status: dict[str, MibInteger] = msgspec.field(name="hrPrinterStatus", default_factory=dict)
    hr_printer_detected_error_state: dict[str, ShortText] = msgspec.field(
        name="hrPrinterDetectedErrorState", default_factory=dict
    )
    errors: dict[str, tuple[ShortText, ...]] = msgspec.field(default_factory=dict)
    console: tuple[Text, ...] = ()


class Counters(_Part, frozen=True, kw_only=True):
    """Meters: the standard marker counters by hrDeviceIndex.markerIndex, and the vendor's own by meaning.

    `vendor` uses the names total_printed, mono, colour, print_total, print_mono, print_colour, copy_total,
    copy_mono, copy_colour, fax_total, scan_total, duplex_total, life_impressions and by_size.
    """

    prt_marker_life_count: dict[RowIndex, Count] = msgspec.field(
        name="prtMarkerLifeCount", default_factory=dict
    )
    prt_marker_counter_unit: dict[str, ShortText] = msgspec.field(
        name="prtMarkerCounterUnit", default_factory=dict
    )
    prt_marker_power_on_count: dict[str, Count] = msgspec.field(
        name="prtMarkerPowerOnCount", default_factory=dict
    )
    vendor: dict[str, Count | dict[str, Count]] = msgspec.field(default_factory=dict)

    def vendor_count(self, name: str) -> int | None:
        """Return one vendor counter, or None when the device does not have it."""
        value = self.vendor.get(name)
        return value if isinstance(value, int) else None

    @property
    def life_count(self) -> int | None:
        """The first marker's life count in its own unit; None when unknown."""
        if not self.prt_marker_life_count:
            return self.vendor_count("life_impressions")
        if len(self.prt_marker_life_count) == 1:
            return next(iter(self.prt_marker_life_count.values()))
        return self.prt_marker_life_count[min(self.prt_marker_life_count, key=_index_key)]

    @property
    def billing_count(self) -> int | None:
        """Pages to bill: the vendor's total where there is one, else the life count."""
        total = self.vendor_count("total_printed")
        return total if total is not None else self.life_count


class DerivedSupply(_Part, frozen=True, kw_only=True):
    """What Drumbeat concludes about the supply of the same index, with the source of each conclusion."""

    index: RowIndex
    kind: ShortText | None = (
        None  # toner, ink, drum, developer, fuser, transfer, waste, staples, maintenance, rollers, other
    )
    colour: ShortText | None = None  # black, cyan, magenta, yellow, ...
    part_number: ShortText | None = None
    serial: ShortText | None = None
    level_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = (
        None  # from vendor data where the MIB is silent
    )
    source: dict[str, ShortText] = msgspec.field(default_factory=dict)


class DerivedFault(_Part, frozen=True, kw_only=True):
    """A fault code found in alerts, error bits, console text or a vendor status, as the fault code book knows it."""

    scheme: ShortText  # prtAlertCode, hrPrinterDetectedErrorState, vendor
    code: ShortText
    name: Text | None = None
    source: ShortText | None = None  # where in the reading: alert:1.5, error_state, console


class Derived(_Part, frozen=True, kw_only=True):
    """Conclusions beside the device's own statements."""

    vendor: ShortText | None = None
    model_id: ShortText | None = None  # of the catalogue
    supplies: tuple[DerivedSupply, ...] = ()
    faults: tuple[DerivedFault, ...] = ()


Source = Literal["snmp", "mqtt", "edge", "manual"]


class DeviceReading(_Part, frozen=True, kw_only=True):
    """One look at one device at one time. Arrays are always present; ids are None only in a probe.

    `polled_at` is an aware UTC instant. A pushed reading is unique by (device, boot_id, seq), a polled one by
    (device, polled_at in ms). `incomplete` names the parts that did not answer.
    """

    schema: Literal["drumbeat.reading/1"] = SCHEMA
    tenant: Identifier = DEFAULT_TENANT
    site_id: Identifier | None = None
    device_id: Identifier | None = None
    polled_at: Annotated[datetime, msgspec.Meta(tz=True)]
    source: Source = "snmp"
    boot_id: BootId | None = None
    seq: Count | None = None
    identity: DeviceIdentity = DeviceIdentity()
    supplies: Annotated[tuple[MarkerSupply, ...], msgspec.Meta(max_length=256)] = ()
    trays: Annotated[tuple[InputTray, ...], msgspec.Meta(max_length=128)] = ()
    outputs: Annotated[tuple[OutputBin, ...], msgspec.Meta(max_length=128)] = ()
    alerts: Annotated[tuple[PrinterAlert, ...], msgspec.Meta(max_length=256)] = ()
    covers: dict[str, Cover] = msgspec.field(default_factory=dict)
    status: DeviceStatus = msgspec.field(default_factory=DeviceStatus)
    counters: Counters = msgspec.field(default_factory=Counters)
    vendor_status: dict[str, MibInteger | ShortText] = msgspec.field(default_factory=dict)
    derived: Derived = Derived()
    incomplete: tuple[ShortText, ...] = ()

    @property
    def key(self) -> str:
        """The natural key of the reading within its tenant and device; equal keys are the same reading."""
        if self.boot_id is not None and self.seq is not None:
            return f"{self.boot_id}:{self.seq}"
        return f"t:{round(self.polled_at.timestamp() * 1000)}"

    @property
    def error_names(self) -> frozenset[str]:
        """Every detected error bit set on any printer of the device."""
        return frozenset(name for names in self.status.errors.values() for name in names)

    def derived_supply(self, index: str) -> DerivedSupply | None:
        """Return the conclusions about one supply, or None."""
        return next((row for row in self.derived.supplies if row.index == index), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryEvent:
    """Something that began or ended at a device: an alert row, an error bit, a fault code, a pushed event."""

    tenant: str
    device_id: str
    at: datetime
    kind: Literal["alert", "error_state", "fault_code", "pushed"]
    code: str
    began: bool
    severity: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """The newest state of one device in brief, for lists over the whole fleet: no full reading is decoded for it.

    `lowest_supply_percent` is over consumables with a known percent; `worst_alert_severity` is 3 critical, 4 warning.
    """

    device_id: str
    last_seen: datetime
    life_count: int | None
    lowest_supply_percent: float | None
    lowest_supply_index: str | None
    error_names: tuple[str, ...]
    worst_alert_severity: int | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyMeters:
    """The counters of one device over one UTC day; None when it did not answer that day.

    `pages` is the usage inside the day over all meter epochs, never negative; `epoch_changes` counts falls of the
    counter (board swap, roll-over) that began on this day, at midnight too. `polls` counts readings.
    """

    device_id: str
    day: int  # days since 1970-01-01 (UTC)
    first_count: int | None
    last_count: int | None
    last_mono: int | None
    last_colour: int | None
    polls: int
    jams: int
    epoch_changes: int
    pages: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DailySupply:
    """The last statement of one supply on one UTC day, with the first one for steps inside the day."""

    device_id: str
    day: int  # days since 1970-01-01 (UTC)
    supply_index: str
    kind: str | None
    colour: str | None
    unit: str | None
    capacity: int | None
    level_state: str | None
    first_percent: float | None
    last_percent: float | None
    page_count: int | None


def _index_key(index: str) -> tuple[int, ...]:
    """Order row indexes as numbers, so that 1.10 follows 1.9."""
    return tuple(int(part) for part in index.split("."))
