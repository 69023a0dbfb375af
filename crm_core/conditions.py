"""What is wrong by a reading's own words: alerts, error bits and fault codes become conditions, one cause each.

Pure. This module owns the cause convention:

    supply.<index>     a consumable or receptacle, by its row in prtMarkerSuppliesTable (supply.any: the device
                       does not say which); a forecast of the same supply uses the same cause
    jam.<slot>  cover.<slot>  paper.<slot>      what a person at the device can put right
    fault.<component or code>                   what needs a technician
    failure_risk.<component>  life.<component>  silence      concluded elsewhere (forecasts, schedule)

No level in percent decides here; only what the device itself states as wrong. Levels only tell to which supply a
statement belongs that names none. Sources: RFC 3805 (alerts), RFC 2790 (error bits); quirks seen on real printers.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from crm_core.domain.catalogue import FaultCode
from crm_core.domain.service import Condition, TicketLevel
from crm_core.domain.telemetry import (
    DeviceReading,
    MarkerSupply,
    Measured,
    PrinterAlert,
    SomeRemaining,
)

#: prtAlertSeverityLevel
_OTHER, _CRITICAL, _WARNING, _BINARY_CHANGE = 1, 3, 4, 5
_FIELD_SERVICE: Final = 5  # prtAlertTrainingLevel
#: prtAlertGroup
_COVER, _INPUT, _OUTPUT, _SUPPLIES = 6, 8, 9, 11
#: other, unknown, powerUp, powerDown, printerReadyToPrint: the device talks about itself, nothing is wrong
_TALK: Final = frozenset({1, 2, 503, 504, 507})
_OPEN_COVER: Final = frozenset({3, 5})
_SLEEP: Final = re.compile(r"^\s*(sleep(ing)?|sleep mode|休眠|睡眠)\b[ .…]*$", re.IGNORECASE)
_CONSUMED: Final = frozenset(
    {"toner", "ink", "inkCartridge", "inkRibbon", "tonerCartridge", "solidWax", "ribbonWax"}
)
_LEVELS: Final = {None: 0, TicketLevel.L1: 1, TicketLevel.L2: 2, TicketLevel.L3: 3}
_SEVERITIES: Final = {"info": 0, "warning": 1, "critical": 2}

#: Which causes a part of the reading speaks about; when it did not answer, they are unknown.
_SPEAKS_OF: Final = {
    "alerts": ("supply.", "jam.", "cover.", "paper.", "fault."),
    "status": ("supply.", "jam.", "cover.", "paper.", "fault."),
    "supplies": ("supply.",),
    "covers": ("cover.",),
    "trays": ("paper.",),
}
_EVERYTHING: Final = ("",)


class FaultCodes(Protocol):
    """What this module needs of the fault code book (`domain.fault_codes`)."""

    def find(self, scheme: str, code: str, vendor: str | None = None) -> FaultCode | None: ...

    def for_alert(
        self, code: int | None, *, severity: int | None, group: int | None = None
    ) -> FaultCode | None: ...


@dataclass(frozen=True, slots=True)
class Observation:
    """The conditions of one reading by cause, and the prefixes of causes about which it says nothing."""

    conditions: Mapping[str, Condition]
    unknown: tuple[str, ...]


def is_asleep(reading: DeviceReading) -> bool:
    """Return True if the device says that it sleeps: then it reports neither faults nor their end."""
    if not reading.alerts and not reading.status.console:
        return False
    rows = (alert.desc for alert in reading.alerts if alert.severity in (0, None, _OTHER))
    return any(text and _SLEEP.match(text) for text in (*rows, *reading.status.console))


def consumables(reading: DeviceReading) -> tuple[MarkerSupply, ...]:
    """Return the supplies that are used up by printing (toner, ink): the ones that `lowToner` speaks about."""
    return tuple(supply for supply in reading.supplies if _is_consumable(reading, supply))


def _is_consumable(reading: DeviceReading, supply: MarkerSupply) -> bool:
    if supply.is_receptacle:
        return False
    derived = reading.derived_supply(supply.index)
    if derived is not None and derived.kind is not None:
        return derived.kind in ("toner", "ink")
    return supply.type in _CONSUMED


def observe(reading: DeviceReading, book: FaultCodes) -> Observation:
    """Return what the reading says is wrong, and what it says nothing about."""
    if is_asleep(reading):
        return Observation({}, _EVERYTHING)
    found: dict[str, Condition] = {}
    for condition in (*_from_alerts(reading, book), *_from_vendor_codes(reading, book)):
        _keep_worst(found, condition)
    for condition in _from_error_bits(reading, book, frozenset(found)):
        _keep_worst(found, condition)
    for condition in _from_covers(reading, frozenset(found)):
        _keep_worst(found, condition)
    unknown = tuple(prefix for prefix in _unknown(reading) if not any(cause == prefix for cause in found))
    return Observation(found, unknown)


def _keep_worst(found: dict[str, Condition], condition: Condition) -> None:
    present = found.get(condition.cause)
    if present is None or _weight(condition) > _weight(present):
        found[condition.cause] = condition


def _weight(condition: Condition) -> tuple[int, int]:
    return _LEVELS[condition.level], _SEVERITIES.get(condition.severity, 0)


def _unknown(reading: DeviceReading) -> Iterator[str]:
    """Yield prefixes of causes that this reading can neither raise nor clear."""
    for part in dict.fromkeys(reading.incomplete):
        yield from _SPEAKS_OF.get(part.split(":")[0], ())
    if "supplies" in reading.incomplete:
        return
    for supply in reading.supplies:
        level = supply.reading
        # "some space left" is all that a waste box ever says when it is well
        says_well = isinstance(level, Measured) or (supply.is_receptacle and isinstance(level, SomeRemaining))
        if not says_well:
            yield f"supply.{supply.index}"


# --- alerts --------------------------------------------------------------------------------------------------------


def _from_alerts(reading: DeviceReading, book: FaultCodes) -> Iterator[Condition]:
    for alert in reading.alerts:
        if not _says_something_wrong(alert):
            continue
        row = book.for_alert(alert.code, severity=alert.severity, group=alert.group)
        if row is None or row.level is None:
            continue
        category = row.category
        level: TicketLevel | None = row.level
        if alert.severity == _BINARY_CHANGE and category != "consumable":
            continue  # a binary change outside supplies reports a state, not trouble
        if alert.severity == _WARNING and level is TicketLevel.L1:
            level = None
        if alert.training == _FIELD_SERVICE and level is TicketLevel.L1:
            level = TicketLevel.L3
        cause = _alert_cause(reading, alert, category, row)
        yield Condition(
            cause=cause,
            level=level,
            category=category,
            code=f"prtAlertCode:{alert.code}",
            severity="critical" if alert.severity == _CRITICAL else "warning",
            text=alert.desc or None,
            detail=_detail(reading, cause) | {"name": row.name},
        )


def _says_something_wrong(alert: PrinterAlert) -> bool:
    return alert.code is not None and alert.code not in _TALK and alert.severity not in (0, _OTHER)


def _alert_cause(reading: DeviceReading, alert: PrinterAlert, category: str, row: FaultCode) -> str:
    match category:
        case "consumable":
            if row.level is TicketLevel.L1:
                return f"fault.{_slug(row.name)}"  # missing, not low
            rows = [supply.index for supply in reading.supplies]
            slot = _row_of(rows, alert.gindex) if alert.group == _SUPPLIES else None
            return f"supply.{slot or _lowest_consumable(reading) or 'any'}"
        case "cover":
            slot = _row_of(reading.covers, alert.gindex) if alert.group == _COVER else None
            return f"cover.{slot or _place(alert)}"
        case "paper":
            slot = (
                _row_of([tray.index for tray in reading.trays], alert.gindex)
                if alert.group == _INPUT
                else None
            )
            return f"paper.{slot or _place(alert)}"
        case "jam":
            return f"jam.{_place(alert)}"
        case _:
            return f"fault.{_slug(row.component or row.name)}"


def _row_of(indexes: Iterable[str], gindex: int | None) -> str | None:
    """Return the table row whose last index part is `gindex`: prtAlertGroupIndex leaves the device out."""
    return next((index for index in indexes if index.rsplit(".", 1)[-1] == str(gindex)), None)


def _place(alert: PrinterAlert) -> str:
    if alert.gindex is None or alert.gindex < 0:
        return "any"
    return f"{alert.group}.{alert.gindex}"


# --- vendor codes, error bits, covers ------------------------------------------------------------------------------


def _from_vendor_codes(reading: DeviceReading, book: FaultCodes) -> Iterator[Condition]:
    for fault in reading.derived.faults:
        if fault.scheme in ("prtAlertCode", "hrPrinterDetectedErrorState"):
            continue  # judged above from the rows themselves, which carry severity and place
        row = book.find(fault.scheme, fault.code, _vendor(reading))
        if row is None or row.level is None:
            continue
        prefix = {"jam": "jam", "cover": "cover", "paper": "paper"}.get(row.category, "fault")
        slot = "any" if prefix != "fault" else _slug(row.component or fault.code)
        if row.category == "consumable":
            prefix, slot = "supply", _lowest_consumable(reading) or "any"
        cause = f"{prefix}.{slot}"
        yield Condition(
            cause=cause,
            level=row.level if row.may_raise_alone else None,
            category=row.category,
            code=f"{fault.scheme}:{fault.code}",
            severity="critical" if row.level is TicketLevel.L3 else "warning",
            text=fault.name or row.name,
            detail=_detail(reading, cause) | {"name": row.name, "component": row.component},
        )


#: Error bits that only repeat what a more exact condition of these prefixes already says.
_EXPLAINED_BY: Final = {
    "lowToner": ("supply.",),
    "noToner": ("supply.",),
    "doorOpen": ("cover.",),
    "jammed": ("jam.",),
    "lowPaper": ("paper.",),
    "noPaper": ("paper.",),
    "inputTrayEmpty": ("paper.",),
    "outputNearFull": ("paper.",),
    "outputFull": ("paper.",),
    "inputTrayMissing": ("paper.",),
    "outputTrayMissing": ("paper.",),
    "markerSupplyMissing": ("fault.markertonercartridgemissing",),
    "serviceRequested": ("fault.", "supply."),
    "offline": ("",),
}
#: Worst first, so that `noPaper` speaks before `lowPaper` and the vague ones come last.
_BIT_ORDER: Final = (
    "noToner", "lowToner", "jammed", "doorOpen", "noPaper", "inputTrayEmpty", "inputTrayMissing", "outputTrayMissing",
    "outputFull", "lowPaper", "markerSupplyMissing", "overduePreventMaint", "serviceRequested", "offline",
)  # fmt: skip
#: hrPrinterDetectedErrorState: the number of each bit, the most significant of the first octet being 0.
_BIT_NUMBERS: Final = {
    "lowPaper": 0, "noPaper": 1, "lowToner": 2, "noToner": 3, "doorOpen": 4, "jammed": 5, "offline": 6,
    "serviceRequested": 7, "inputTrayMissing": 8, "outputTrayMissing": 9, "markerSupplyMissing": 10,
    "outputNearFull": 11, "outputFull": 12, "inputTrayEmpty": 13, "overduePreventMaint": 14,
}  # fmt: skip
_WARNING_BITS: Final = frozenset({"lowToner", "lowPaper", "overduePreventMaint"})


def _from_error_bits(reading: DeviceReading, book: FaultCodes, seen: frozenset[str]) -> Iterator[Condition]:
    causes, set_bits = set(seen), reading.error_names
    for name in _BIT_ORDER if set_bits else ():
        if name not in set_bits:
            continue
        explained = any(cause.startswith(_EXPLAINED_BY.get(name, ("-",))) for cause in causes)
        row = _bit_row(book, name, _vendor(reading))
        if explained or row is None or row.level is None:
            continue
        for cause in _bit_causes(reading, name):
            causes.add(cause)
            warning = name in _WARNING_BITS
            yield Condition(
                cause=cause,
                level=None if warning and row.level is TicketLevel.L1 else row.level,
                category=row.category,
                code=f"hrPrinterDetectedErrorState:{name}",
                severity="warning" if warning else "critical",
                detail=_detail(reading, cause) | {"name": name},
            )


def _bit_row(book: FaultCodes, name: str, vendor: str | None) -> FaultCode | None:
    """Return the book's row of an error bit, which may be listed by name or by number."""
    scheme = "hrPrinterDetectedErrorState"
    return book.find(scheme, name, vendor) or book.find(scheme, str(_BIT_NUMBERS[name]), vendor)


#: Bits that speak of a place which the reading does not number.
_BIT_PLACES: Final = {
    "outputFull": "paper.output",
    "inputTrayMissing": "paper.tray_missing",
    "outputTrayMissing": "paper.output_missing",
    "jammed": "jam.any",
}


def _bit_causes(reading: DeviceReading, name: str) -> list[str]:
    """Return the causes that a bit means; several covers or trays can be open or empty at once."""
    match name:
        case "lowToner" | "noToner":
            return [f"supply.{_lowest_consumable(reading) or 'any'}"]
        case "doorOpen":
            return [f"cover.{slot}" for slot in _open_covers(reading)] or ["cover.any"]
        case "noPaper" | "inputTrayEmpty" | "lowPaper":
            empty = [f"paper.{tray.index}" for tray in reading.trays if tray.level == 0]
            return empty or ["paper.any"]
        case _:
            return [_BIT_PLACES.get(name, f"fault.{_slug(name)}")]


def _from_covers(reading: DeviceReading, seen: frozenset[str]) -> Iterator[Condition]:
    if any(cause.startswith("cover.") for cause in seen):
        return
    for slot in _open_covers(reading):
        yield Condition(
            cause=f"cover.{slot}",
            level=TicketLevel.L1,
            category="cover",
            severity="critical",
            text=reading.covers[slot].name,
            detail={"name": "coverOpen", "slot": slot},
        )


def _open_covers(reading: DeviceReading) -> list[str]:
    return [slot for slot, cover in sorted(reading.covers.items()) if cover.status in _OPEN_COVER]


def _lowest_consumable(reading: DeviceReading) -> str | None:
    """Return the index of the toner or ink with the lowest known share; None when none is known."""
    known = [
        (supply.percent, supply.index)
        for supply in consumables(reading)
        if supply.percent is not None and isinstance(supply.reading, Measured)
    ]
    return min(known)[1] if known else None


def _detail(reading: DeviceReading, cause: str) -> dict[str, str | int | float | None]:
    """Return the figures that people want beside the cause; for a supply its colour, kind and stated share."""
    subsystem, _, slot = cause.partition(".")
    if subsystem != "supply":
        return {"slot": slot}
    supply = next((row for row in reading.supplies if row.index == slot), None)
    if supply is None:
        return {"supply_index": None, "label": "?"}
    derived = reading.derived_supply(slot)
    kind = (derived.kind if derived else None) or supply.type
    colour = (derived.colour if derived else None) or supply.colorant
    return {
        "supply_index": slot,
        "supply_name": supply.name,
        "label": supply.name or supply_label(kind, colour, slot),
        "kind": kind,
        "colour": colour,
        "percent": supply.percent,
        "part_number": derived.part_number if derived else None,
    }


def supply_label(kind: str | None, colour: str | None, index: str) -> str:
    """Return how people call a supply that has no name of its own."""
    return " ".join(part for part in (colour, kind) if part) or index


def _vendor(reading: DeviceReading) -> str | None:
    return reading.derived.vendor or reading.identity.vendor


def _slug(text: str) -> str:
    """Return `text` fit for a cause: lower case, without signs that keys and addresses use."""
    return re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_")[:64] or "unknown"
