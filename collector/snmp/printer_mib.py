"""Printer MIB v2 (RFC 3805): raw columns -> the rows of a reading, exactly as the device states them.

Nothing is concluded here except what the MIB itself says (a receptacle type without a class column is a receptacle).
Rows are keyed by their table index; an absent column is None; -1, -2 and -3 stay raw beside their level state.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from collector.snmp import oids
from collector.snmp.oids import Tables, integer
from collector.snmp.text import decode_text
from crm_core.domain.telemetry import (
    Counters,
    Cover,
    InputTray,
    MarkerSupply,
    OutputBin,
    PrinterAlert,
    level_state,
    percent_of,
)

SUPPLY_CLASSES: Final = {1: "other", 3: "supplyThatIsConsumed", 4: "receptacleThatIsFilled"}
SUPPLY_TYPES: Final = {
    1: "other", 2: "unknown", 3: "toner", 4: "wasteToner", 5: "ink", 6: "inkCartridge", 7: "inkRibbon", 8: "wasteInk",
    9: "opc", 10: "developer", 11: "fuserOil", 12: "solidWax", 13: "ribbonWax", 14: "wasteWax", 15: "fuser",
    16: "coronaWire", 17: "fuserOilWick", 18: "cleanerUnit", 19: "fuserCleaningPad", 20: "transferUnit",
    21: "tonerCartridge", 22: "fuserOiler", 23: "water", 24: "wasteWater", 25: "glueWaterAdditive", 26: "wastePaper",
    27: "bindingSupply", 28: "bandingSupply", 29: "stitchingWire", 30: "shrinkWrap", 31: "paperWrap", 32: "staples",
    33: "inserts", 34: "covers",
}  # fmt: skip
RECEPTACLE_TYPES: Final = frozenset({4, 8, 14, 24, 26})
SUPPLY_UNITS: Final = {
    1: "other", 2: "unknown", 3: "tenThousandthsOfInches", 4: "micrometers", 7: "impressions", 8: "sheets",
    11: "hours", 12: "thousandthsOfOunces", 13: "tenthsOfGrams", 14: "hundredthsOfFluidOunces",
    15: "tenthsOfMilliliters", 16: "feet", 17: "meters", 18: "items", 19: "percent",
}  # fmt: skip
COUNTER_UNITS: Final = {
    3: "tenThousandthsOfInches", 4: "micrometers", 5: "characters", 6: "lines", 7: "impressions", 8: "sheets",
    9: "dotRow", 11: "hours", 16: "feet", 17: "meters",
}  # fmt: skip

#: Every column that is asked, by table: (table, columns). The order of the tables is the order of asking.
COLUMNS: Final[tuple[tuple[str, tuple[int, ...]], ...]] = (
    (oids.PRT_GENERAL, (2, 16, 17, 18, 19)),
    (oids.PRT_SUPPLIES, (3, 4, 5, 6, 7, 8, 9)),
    (oids.PRT_MARKER, (3, 4, 5)),
    (oids.PRT_INPUT, (9, 10, 11, 13, 18)),
    (oids.PRT_ALERT, (2, 3, 4, 5, 6, 7, 8, 9)),
    (oids.PRT_COVER, (2, 3)),
    (oids.PRT_OUTPUT, (4, 5, 6, 7, 12)),
    (f"{oids.PRINTER_MIB}.12.1.1", (4,)),
    (oids.CONSOLE_TABLE, (2,)),
)

Raw = int | bytes | str | None
_LONG: Final = 128

MAX_SUPPLIES: Final = 256
MAX_TRAYS: Final = 128
MAX_ALERTS: Final = 256
MAX_COVERS: Final = 64
MAX_CONSOLE_LINES: Final = 16


def character_set(tables: Tables, printer: str, default: int | None) -> int | None:
    """Return the IANA number of the character set in use, or `default` when the device names none."""
    rows = tables.column(oids.PRT_CHARACTER_SET)
    if not rows:
        return default
    current = integer(tables.column(oids.PRT_CURRENT_LOCALIZATION).get(printer))
    for index in (f"{printer}.{current}", f"{printer}.1", *sorted(rows)):
        number = integer(rows.get(index))
        if number is not None and number > 2:  # other(1) and unknown(2) say nothing
            return number
    return default


def read_supplies(tables: Tables, charset: int | None) -> tuple[MarkerSupply, ...]:
    """Return prtMarkerSuppliesTable, one row an index, in numeric order."""
    table = oids.PRT_SUPPLIES
    indexes = tables.rows(table, range(2, 10))[:MAX_SUPPLIES]
    if not indexes:
        return ()
    colorants = tables.column(oids.PRT_COLORANT_VALUE)
    pointers = tables.column(f"{table}.3") if colorants else {}
    names, classes, kinds, units, capacities, levels = (
        tables.column(f"{table}.{column}").get for column in (6, 4, 5, 7, 8, 9)
    )
    return tuple(
        [
            _supply_row(
                index,
                charset,
                _short(names(index), charset),
                _short(_colorant(colorants, index, pointers.get(index)), charset) if colorants else None,
                classes(index),
                kinds(index),
                units(index),
                capacities(index),
                levels(index),
            )
            for index in indexes
        ]
    )


@lru_cache(maxsize=32_768)
def _supply_row(
    index: str,
    charset: int | None,
    name: Raw,
    colorant: Raw,
    cls: Raw,
    kind: Raw,
    unit_number: Raw,
    capacity: Raw,
    level: Raw,
) -> MarkerSupply:
    """Return the row of raw cells. Rows repeat from poll to poll and over a fleet."""
    unit = SUPPLY_UNITS.get(_in_range(unit_number) or 0)
    type_number, level_number, size = _in_range(kind), _in_range(level), _in_range(capacity)
    return MarkerSupply(
        index=index,
        name=_text_of(name, charset),
        type=SUPPLY_TYPES.get(type_number or 0),
        cls=_supply_class(_in_range(cls), type_number),
        colorant=decode_text(colorant, charset)[:128] or None if isinstance(colorant, bytes | str) else None,
        unit=unit,
        capacity=size,
        level=level_number,
        level_state=level_state(level_number),
        percent=percent_of(level_number, size, unit),
    )


def _supply_class(cls: int | None, kind: int | None) -> str | None:
    """Return the stated class; without one, waste types are receptacles by definition (RFC 3805)."""
    stated = SUPPLY_CLASSES.get(cls or 0)
    if stated is None and kind in RECEPTACLE_TYPES:
        return SUPPLY_CLASSES[4]
    return stated


def _colorant(colorants: Mapping[str, Raw], index: str, pointer: Raw) -> Raw:
    """Return the colorant that the row points to; index 0 means none (waste box, fuser, belt)."""
    number = integer(pointer)
    return colorants.get(f"{index.partition('.')[0]}.{number}") if number and number > 0 else None


def read_trays(tables: Tables, charset: int | None) -> tuple[InputTray, ...]:
    """Return prtInputTable; the name is prtInputName, else prtInputDescription, else None."""
    table = oids.PRT_INPUT
    rows = []
    for index in tables.rows(table, range(2, 19))[:MAX_TRAYS]:
        capacity, level = (_number(tables, f"{table}.{column}", index) for column in (9, 10))
        rows.append(
            InputTray(
                index=index,
                name=_text(tables, f"{table}.13", index, charset)
                or _text(tables, f"{table}.18", index, charset),
                capacity=capacity,
                level=level,
                level_state=level_state(level),
                percent=percent_of(level, capacity, None),
                status=_number(tables, f"{table}.11", index),
            )
        )
    return tuple(rows)


def read_outputs(tables: Tables, charset: int | None) -> tuple[OutputBin, ...]:
    """Return prtOutputTable; `remaining` is the space left."""
    table = oids.PRT_OUTPUT
    return tuple(
        OutputBin(
            index=index,
            name=_text(tables, f"{table}.7", index, charset) or _text(tables, f"{table}.12", index, charset),
            capacity=_number(tables, f"{table}.4", index),
            remaining=_number(tables, f"{table}.5", index),
            status=_number(tables, f"{table}.6", index),
        )
        for index in tables.rows(table, range(4, 13))[:MAX_TRAYS]
    )


def read_alerts(tables: Tables, charset: int | None) -> tuple[PrinterAlert, ...]:
    """Return prtAlertTable; an empty description stays an empty text, an absent one None."""
    table = oids.PRT_ALERT
    rows = []
    for index in tables.rows(table, range(2, 10))[:MAX_ALERTS]:
        number = {column: _number(tables, f"{table}.{column}", index) for column in (2, 3, 4, 5, 6, 7, 9)}
        text = tables.column(f"{table}.8").get(index)
        rows.append(
            PrinterAlert(
                index=index,
                severity=number[2],
                training=number[3],
                group=number[4],
                gindex=number[5],
                location=number[6],
                code=number[7],
                desc=decode_text(text, charset) if isinstance(text, bytes | str) else None,
                time=number[9],
            )
        )
    return tuple(rows)


def read_covers(tables: Tables, charset: int | None) -> dict[str, Cover]:
    """Return prtCoverTable by index."""
    return {
        index: Cover(
            name=_text(tables, f"{oids.PRT_COVER}.2", index, charset),
            status=_number(tables, f"{oids.PRT_COVER}.3", index),
        )
        for index in tables.rows(oids.PRT_COVER, range(2, 4))[:MAX_COVERS]
    }


def read_console(tables: Tables, charset: int | None) -> tuple[str, ...]:
    """Return the lines of the panel that are not empty, in order."""
    lines = tables.column(oids.PRT_CONSOLE)
    texts = (_text(tables, oids.PRT_CONSOLE, index, charset) for index in sorted(lines, key=oids.index_key))
    return tuple(text for text in texts if text)[:MAX_CONSOLE_LINES]


def read_counters(tables: Tables) -> Counters:
    """Return the standard marker counters; a counter that is negative (unknown) is left out."""
    life, unit, power_on = (tables.column(f"{oids.PRT_MARKER}.{column}") for column in (4, 3, 5))
    return Counters(
        prt_marker_life_count=_counts(life),
        prt_marker_counter_unit={
            index: name
            for index, raw in unit.items()
            if (name := COUNTER_UNITS.get(integer(raw) or 0)) is not None
        },
        prt_marker_power_on_count=_counts(power_on),
    )


def _counts(column: Mapping[str, int | bytes | str]) -> dict[str, int]:
    found = ((index, integer(raw)) for index, raw in column.items())
    return {index: value for index, value in found if value is not None and 0 <= value < 2**63}


def _number(tables: Tables, column: str, index: str) -> int | None:
    return _in_range(tables.column(column).get(index))


def _short(value: Raw, charset: int | None) -> Raw:
    """Return a cell as it may be remembered: long octets as their text, which is cut."""
    return decode_text(value, charset) if isinstance(value, bytes) and len(value) > _LONG else value


def _in_range(value: Raw) -> int | None:
    """Return the value if it is an integer that a reading can hold."""
    return value if isinstance(value, int) and -(2**31) <= value < 2**63 else None


def _text(tables: Tables, column: str, index: str, charset: int | None) -> str | None:
    """Return the text of a cell; None when it is absent or blank."""
    return _text_of(tables.column(column).get(index), charset)


def _text_of(value: Raw, charset: int | None) -> str | None:
    return decode_text(value, charset) or None if isinstance(value, bytes | str) else None
