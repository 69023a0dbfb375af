"""OIDs by their names in RFC 2790 (Host Resources), RFC 3805 (Printer MIB v2) and SNMPv2-MIB, and helpers for rows.

One place, so that what is asked and what is read cannot drift apart. OIDs are dotted, without leading dot.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

Varbinds = Mapping[str, int | bytes | str]

SYSTEM: Final = "1.3.6.1.2.1.1"
SYS_DESCR: Final = f"{SYSTEM}.1.0"
SYS_OBJECT_ID: Final = f"{SYSTEM}.2.0"
SYS_UP_TIME: Final = f"{SYSTEM}.3.0"
SYS_NAME: Final = f"{SYSTEM}.5.0"
IF_PHYS_ADDRESS: Final = "1.3.6.1.2.1.2.2.1.6"
ENTERPRISES: Final = "1.3.6.1.4.1"

HR_DEVICE: Final = "1.3.6.1.2.1.25.3.2.1"
HR_DEVICE_TYPE: Final = f"{HR_DEVICE}.2"
HR_DEVICE_DESCR: Final = f"{HR_DEVICE}.3"
HR_DEVICE_STATUS: Final = f"{HR_DEVICE}.5"
HR_DEVICE_PRINTER: Final = "1.3.6.1.2.1.25.3.1.5"
HR_PRINTER: Final = "1.3.6.1.2.1.25.3.5.1"
HR_PRINTER_STATUS: Final = f"{HR_PRINTER}.1"
HR_PRINTER_ERRORS: Final = f"{HR_PRINTER}.2"

PRINTER_MIB: Final = "1.3.6.1.2.1.43"
PRT_GENERAL: Final = f"{PRINTER_MIB}.5.1.1"
PRT_CURRENT_LOCALIZATION: Final = f"{PRT_GENERAL}.2"
PRT_SERIAL_NUMBER: Final = f"{PRT_GENERAL}.17"
PRT_CRITICAL_EVENTS: Final = f"{PRT_GENERAL}.18"
PRT_ALL_EVENTS: Final = f"{PRT_GENERAL}.19"
PRT_COVER: Final = f"{PRINTER_MIB}.6.1.1"
PRT_CHARACTER_SET: Final = f"{PRINTER_MIB}.7.1.1.4"
PRT_INPUT: Final = f"{PRINTER_MIB}.8.2.1"
PRT_OUTPUT: Final = f"{PRINTER_MIB}.9.2.1"
PRT_MARKER: Final = f"{PRINTER_MIB}.10.2.1"
PRT_SUPPLIES: Final = f"{PRINTER_MIB}.11.1.1"
PRT_COLORANT_VALUE: Final = f"{PRINTER_MIB}.12.1.1.4"
CONSOLE_TABLE: Final = f"{PRINTER_MIB}.16.5.1"
PRT_CONSOLE: Final = f"{CONSOLE_TABLE}.2"
PRT_ALERT: Final = f"{PRINTER_MIB}.18.1.1"
PRINTER_V2_ALERT: Final = f"{PRINTER_MIB}.18.2.0.1"

_TABLE_ROOTS: Final = ("1.3.6.1.2.1.25.3.", f"{PRINTER_MIB}.")
_COLUMN_ARCS: Final = 11
_MAX_INDEX_PARTS: Final = 6
_MAX_ARC_DIGITS: Final = 10
_MAX_INDEX_VALUE: Final = 9_999_999_999
_EMPTY: Final[Mapping[str, int | bytes | str]] = MappingProxyType({})


@lru_cache(maxsize=16_384)
def index_key(index: str) -> tuple[int, ...]:
    """Order row indexes (or OIDs) as numbers: 1.10 follows 1.9."""
    return tuple(map(int, index.split(".")))


@lru_cache(maxsize=16_384)
def is_row_index(index: str) -> bool:
    """Tell whether the rest of an OID may serve as the index of a row of a reading."""
    parts = index.split(".")
    return 0 < len(parts) <= _MAX_INDEX_PARTS and all(
        part.isascii() and part.isdigit() and int(part) <= _MAX_INDEX_VALUE for part in parts
    )


def enterprise_of(oid: str) -> int | None:
    """Return the enterprise number of an OID under 1.3.6.1.4.1 (a leading dot is forgiven), or None."""
    text = oid.lstrip(".")
    if not text.startswith(f"{ENTERPRISES}."):
        return None
    head = text[len(ENTERPRISES) + 1 :].partition(".")[0]
    return int(head) if head.isascii() and head.isdigit() else None


def column_of(oid: str) -> str:
    """Return the column of an OID of the standard tables (eleven arcs)."""
    return ".".join(oid.split(".")[:_COLUMN_ARCS])


@lru_cache(maxsize=65_536)  # a fleet asks for the same few thousand OIDs at every poll
def _cell(oid: str) -> tuple[str, str] | None:
    """Return column and row index of a table's OID, or None where it is no cell of a table."""
    if not oid.startswith(_TABLE_ROOTS):
        return None
    parts = oid.split(".", _COLUMN_ARCS)
    if len(parts) != _COLUMN_ARCS + 1 or not is_row_index(parts[-1]):
        return None
    if not (parts[-2].isascii() and parts[-2].isdigit() and len(parts[-2]) <= _MAX_ARC_DIGITS):
        return None
    return ".".join(parts[:-1]), parts[-1]


@lru_cache(maxsize=64)
def _names(table: str, columns: range) -> tuple[str, ...]:
    return tuple(f"{table}.{number}" for number in columns)


class Tables:
    """The varbinds by column, split once into index -> value, so that reading a table is cheap.

    In both MIBs table.entry.column is eleven arcs deep (1.3.6.1.2.1.25.3.t.1.c and 1.3.6.1.2.1.43.g.t.1.c).
    """

    def __init__(self, varbinds: Varbinds) -> None:
        self.varbinds = varbinds
        self._columns: dict[str, dict[str, int | bytes | str]] = {}
        columns = self._columns
        for oid, value in varbinds.items():
            cell = _cell(oid)
            if cell is None:
                continue
            column, index = cell
            rows = columns.get(column)
            if rows is None:
                columns[column] = {index: value}
            else:
                rows[index] = value

    def column(self, prefix: str) -> Mapping[str, int | bytes | str]:
        """Return index -> value of one column; empty when the device has none of it."""
        return self._columns.get(prefix, _EMPTY)

    def rows(self, table: str, columns: range) -> list[str]:
        """Return the indexes seen in any of the columns of a table, in numeric order."""
        seen: set[str] = set()
        for name in _names(table, columns):
            if name in self._columns:
                seen.update(self._columns[name])
        return sorted(seen, key=index_key) if seen else []

    def under(self, prefix: str) -> Iterator[tuple[str, int | bytes | str]]:
        """Yield (rest of the OID, value) of everything below a prefix of any kind (vendor tables)."""
        dotted = f"{prefix}."
        for oid, value in self.varbinds.items():
            if oid.startswith(dotted):
                yield oid[len(dotted) :], value


def integer(value: int | bytes | str | None) -> int | None:
    """Return the value if it is an integer; some agents send any of the integer types, none sends text for a number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
