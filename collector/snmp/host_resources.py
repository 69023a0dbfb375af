"""System group and Host Resources MIB (RFC 2790): which row is the printer, its status, its detected errors.

The printer is the hrDevice row of type hrDevicePrinter: scanners, fax units and disks of the same machine have rows too
and repeat the model name. All Printer-MIB tables use that row's index first.
"""

from typing import Final

from collector.snmp import oids
from collector.snmp.oids import Tables, integer
from crm_core.domain.telemetry import DeviceStatus

#: Columns that are asked of hrDeviceTable and hrPrinterTable.
COLUMNS: Final[tuple[tuple[str, tuple[int, ...]], ...]] = (
    (oids.HR_DEVICE, (2, 3, 5)),
    (oids.HR_PRINTER, (1, 2)),
)
SCALARS: Final = (oids.SYS_DESCR, oids.SYS_OBJECT_ID, oids.SYS_UP_TIME, oids.SYS_NAME)

#: hrPrinterDetectedErrorState, from the top bit of the first octet on (RFC 2790, RFC 3805).
ERROR_BITS: Final = (
    "lowPaper", "noPaper", "lowToner", "noToner", "doorOpen", "jammed", "offline", "serviceRequested",
    "inputTrayMissing", "outputTrayMissing", "markerSupplyMissing", "outputNearFull", "outputFull", "inputTrayEmpty",
    "overduePreventMaint",
)  # fmt: skip
_MAX_ERROR_OCTETS: Final = 8


def printer_index(tables: Tables) -> str:
    """Return the hrDeviceIndex of the printer: by type, else the first row of the Printer MIB, else 1."""
    types = tables.column(oids.HR_DEVICE_TYPE)
    printers = [index for index, kind in types.items() if str(kind).lstrip(".") == oids.HR_DEVICE_PRINTER]
    if printers:
        return min(printers, key=oids.index_key)
    for column in (oids.HR_PRINTER_STATUS, oids.HR_PRINTER_ERRORS, oids.PRT_SERIAL_NUMBER):
        if rows := tables.column(column):
            return min(rows, key=oids.index_key)
    return "1"


def detected_errors(octets: bytes) -> tuple[str, ...]:
    """Return the names of the bits that are set; an empty string has none, bits beyond the standard are unnamed."""
    return tuple(
        name
        for bit, name in enumerate(ERROR_BITS)
        if bit // 8 < len(octets) and octets[bit // 8] & (0x80 >> (bit % 8))
    )


def read_status(tables: Tables, console: tuple[str, ...]) -> DeviceStatus:
    """Return device and printer status by hrDeviceIndex and the error octets, raw (hex) and by name."""
    octets = {
        index: value[:_MAX_ERROR_OCTETS]
        for index, value in tables.column(oids.HR_PRINTER_ERRORS).items()
        if isinstance(value, bytes)
    }
    return DeviceStatus(
        hr_device_status=_statuses(tables, oids.HR_DEVICE_STATUS),
        hr_printer_status=_statuses(tables, oids.HR_PRINTER_STATUS),
        hr_printer_detected_error_state={index: value.hex() for index, value in octets.items()},
        errors={index: detected_errors(value) for index, value in octets.items()},
        console=console,
    )


def _statuses(tables: Tables, column: str) -> dict[str, int]:
    found = ((index, integer(value)) for index, value in tables.column(column).items())
    return {index: value for index, value in found if value is not None and 0 <= value < 2**31}
