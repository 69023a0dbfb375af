"""A printer's state as the JSON that an agent pushes over MQTT (docs/mqtt.md, docs/reading.schema.json).

Written with the standard library and from the schema alone: an independent oracle for Drumbeat's own decoder.
"""

import json
from datetime import UTC, datetime
from typing import Any, Final

from simulators.device.state import PrinterState, SupplyRow, TrayRow
from simulators.device.varbinds import COLORANTS, IMPRESSIONS, SHEETS, error_octets
from simulators.models import SimulatedModel, VendorStyle

TYPES: Final = {
    1: "other",
    3: "toner",
    4: "wasteToner",
    5: "ink",
    8: "wasteInk",
    9: "opc",
    10: "developer",
    15: "fuser",
    20: "transferUnit",
    32: "staples",
}
UNITS: Final = {
    1: "other",
    7: "impressions",
    8: "sheets",
    13: "tenthsOfGrams",
    15: "tenthsOfMilliliters",
    18: "items",
    19: "percent",
}
CLASSES: Final = {3: "supplyThatIsConsumed", 4: "receptacleThatIsFilled"}
ERROR_NAMES: Final = (
    "lowPaper",
    "noPaper",
    "lowToner",
    "noToner",
    "doorOpen",
    "jammed",
    "offline",
    "serviceRequested",
)
STATES: Final = {-1: "no_restriction", -2: "unknown", -3: "some_remaining"}
VENDOR_METERS: Final = {
    "total": "total_printed",
    "mono": "mono",
    "colour": "colour",
    "print": "print_total",
    "print_mono": "print_mono",
    "print_colour": "print_colour",
    "copy": "copy_total",
    "copy_mono": "copy_mono",
    "copy_colour": "copy_colour",
    "fax": "fax_total",
    "scan": "scan_total",
    "duplex": "duplex_total",
}


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def _level_state(level: int) -> str:
    return STATES.get(level, "known")


def _percent(level: int, capacity: int, unit: str | None) -> float | None:
    if level < 0:
        return None
    if capacity > 0:
        return round(100.0 * level / capacity, 1)
    return float(level) if unit == "percent" else None


def _supply(style: VendorStyle, row: SupplyRow) -> dict[str, Any]:
    """Return one supply; a column that the machine does not have is null, except what its type says for certain."""
    unit = None if "unit" in style.omit else UNITS[row.unit]
    receptacle = row.type in {4, 8}
    stated = None if "class" in style.omit else CLASSES[row.cls]
    colorant = None if "colorant" in style.omit or not row.colorant else COLORANTS[row.colorant - 1]
    return {
        "index": f"1.{row.index}",
        "name": row.name,
        "type": TYPES[row.type],
        "cls": stated or ("receptacleThatIsFilled" if receptacle else None),
        "colorant": colorant,
        "unit": unit,
        "capacity": row.capacity,
        "level": row.level,
        "level_state": _level_state(row.level),
        "percent": _percent(row.level, row.capacity, unit),
    }


def _tray(style: VendorStyle, row: TrayRow) -> dict[str, Any]:
    nameless = {"tray_name", "tray_description"} <= style.omit or not row.name
    return {
        "index": f"1.{row.index}",
        "name": None if nameless else row.name,
        "capacity": row.capacity,
        "level": row.level,
        "level_state": _level_state(row.level),
        "percent": _percent(row.level, row.capacity, None),
        "status": row.status,
    }


def instant_text(at: datetime) -> str:
    """Return an aware instant as RFC 3339 in UTC, with milliseconds only where there are any."""
    text = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return text.replace(".000Z", "Z")


def json_reading(
    model: SimulatedModel, state: PrinterState, *, boot_id: str, seq: int, tenant: str = "default"
) -> bytes:
    """Return the reading as compact UTF-8 JSON."""
    return _ENCODER.encode(reading_dict(model, state, boot_id=boot_id, seq=seq, tenant=tenant)).encode()


def reading_dict(
    model: SimulatedModel, state: PrinterState, *, boot_id: str, seq: int, tenant: str
) -> dict[str, Any]:
    """Return the reading as the object of docs/reading.schema.json."""
    style = model.vendor
    meters = {
        VENDOR_METERS[meter]: state.meters[meter]
        for meter in style.counters.values()
        if meter in VENDOR_METERS and (model.colour or "colour" not in meter)
    }
    return {
        "schema": "drumbeat.reading/1",
        "tenant": tenant,
        "site_id": state.site_id,
        "device_id": state.device_id,
        "polled_at": instant_text(state.at),
        "source": "mqtt",
        "boot_id": boot_id,
        "seq": seq,
        "identity": {
            "vendor": style.title,
            "model": model.name,
            "serial": state.serial,
            "firmware": state.firmware,
        },
        "supplies": [_supply(style, row) for row in state.supplies],
        "trays": [_tray(style, row) for row in state.trays],
        "outputs": [],
        "alerts": _alerts(state),
        "covers": {f"1.{row.index}": {"name": row.name, "status": row.status} for row in state.covers},
        "status": _status(style, state),
        "counters": {
            "prtMarkerLifeCount": {"1.1": state.meters["total"]},
            "prtMarkerCounterUnit": {"1.1": UNITS[SHEETS if style.sheets else IMPRESSIONS]},
            "prtMarkerPowerOnCount": {"1.1": state.pages_since_boot},
            "vendor": meters,
        },
        "vendor_status": {},
        "derived": {},
    }


def _alerts(state: PrinterState) -> list[dict[str, Any]]:
    return [
        {
            "index": f"1.{row.index}",
            "severity": row.severity,
            "training": row.training,
            "group": row.group,
            "gindex": row.group_index,
            "location": row.location,
            "code": row.code,
            "desc": row.text,
            "time": row.ticks,
        }
        for row in state.alerts
    ]


def _status(style: VendorStyle, state: PrinterState) -> dict[str, Any]:
    silent = "error_state" in style.omit
    names = [name for bit, name in enumerate(ERROR_NAMES) if bit in state.errors]
    return {
        "hrDeviceStatus": {"1": state.device_status},
        "hrPrinterStatus": {"1": state.printer_status},
        "hrPrinterDetectedErrorState": {} if silent else {"1": error_octets(state.errors).hex()},
        "errors": {} if silent else {"1": names},
        "console": list(state.console),
    }
