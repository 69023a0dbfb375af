"""A printer's state as its MIB: RFC 1213, RFC 2790, RFC 3805 rows and the vendor's own, in the vendor's style.

Written from the RFCs and the recordings, without Drumbeat's own reading code, so that it can serve as an oracle.
"""

from collections.abc import Mapping
from typing import Final

from simulators.device.state import PrinterState, SupplyRow
from simulators.models import SimulatedModel, VendorStyle

Value = int | bytes | str

SYSTEM: Final = "1.3.6.1.2.1.1"
HR_DEVICE: Final = "1.3.6.1.2.1.25.3.2.1"
HR_PRINTER: Final = "1.3.6.1.2.1.25.3.5.1"
PRT: Final = "1.3.6.1.2.1.43"
BROTHER: Final = "1.3.6.1.4.1.2435.2.3.9.4.2.1.5.5"
UTF8: Final = 106
COLORANTS: Final = ("black", "cyan", "magenta", "yellow")
SHEETS: Final = 8
IMPRESSIONS: Final = 7


def error_octets(bits: frozenset[int]) -> bytes:
    """Return hrPrinterDetectedErrorState: bit 0 is the top bit of the first octet (RFC 2790)."""
    return bytes([sum(0x80 >> bit for bit in bits if bit < 8)])


def render_varbinds(model: SimulatedModel, state: PrinterState) -> dict[str, Value]:
    """Return OID (no leading dot) -> int, bytes (OCTET STRING) or str (OBJECT IDENTIFIER)."""
    rows: dict[str, Value] = {}
    style = model.vendor
    _system(rows, model, state)
    _host_resources(rows, model, state)
    _general(rows, model, state)
    _trays(rows, style, state)
    _supplies(rows, style, state)
    _alerts(rows, state)
    _vendor(rows, model, state)
    return rows


def _system(rows: dict[str, Value], model: SimulatedModel, state: PrinterState) -> None:
    style = model.vendor
    descr = style.descr.format(name=model.name, serial=state.serial, firmware=state.firmware)
    rows[f"{SYSTEM}.1.0"] = descr.encode()
    rows[f"{SYSTEM}.2.0"] = style.object_id.format(model=1000 + model.number)
    rows[f"{SYSTEM}.3.0"] = state.uptime_ticks
    rows[f"{SYSTEM}.4.0"] = b""
    rows[f"{SYSTEM}.5.0"] = f"{style.key.upper()[:3]}{state.serial[-6:]}".encode()
    rows[f"{SYSTEM}.6.0"] = state.site_id.encode()
    rows["1.3.6.1.2.1.2.2.1.6.1"] = bytes.fromhex("02") + state.serial.encode()[-5:].rjust(5, b"\0")


def _host_resources(rows: dict[str, Value], model: SimulatedModel, state: PrinterState) -> None:
    style = model.vendor
    descr = style.device_descr.format(name=model.name, serial=state.serial)
    rows[f"{HR_DEVICE}.1.1"] = 1
    rows[f"{HR_DEVICE}.2.1"] = "1.3.6.1.2.1.25.3.1.5"
    rows[f"{HR_DEVICE}.3.1"] = descr.encode()
    rows[f"{HR_DEVICE}.5.1"] = state.device_status
    rows[f"{HR_PRINTER}.1.1"] = state.printer_status
    if "error_state" not in style.omit:
        rows[f"{HR_PRINTER}.2.1"] = error_octets(state.errors)


def _general(rows: dict[str, Value], model: SimulatedModel, state: PrinterState) -> None:
    style = model.vendor
    rows[f"{PRT}.5.1.1.16.1"] = model.name.encode()
    rows[f"{PRT}.5.1.1.17.1"] = state.serial.encode()
    rows[f"{PRT}.5.1.1.18.1"] = sum(row.severity == 3 for row in state.alerts)
    rows[f"{PRT}.5.1.1.19.1"] = state.alert_count
    for cover in state.covers:
        rows[f"{PRT}.6.1.1.2.1.{cover.index}"] = cover.name.encode()
        rows[f"{PRT}.6.1.1.3.1.{cover.index}"] = cover.status
    rows[f"{PRT}.7.1.1.4.1.1"] = UTF8
    rows[f"{PRT}.10.2.1.3.1.1"] = SHEETS if style.sheets else IMPRESSIONS
    rows[f"{PRT}.10.2.1.4.1.1"] = state.meters["total"]
    rows[f"{PRT}.10.2.1.5.1.1"] = state.pages_since_boot
    rows[f"{PRT}.10.2.1.15.1.1"] = 0
    for i, line in enumerate(state.console):
        rows[f"{PRT}.16.5.1.2.1.{i + 1}"] = line.encode()


def _trays(rows: dict[str, Value], style: VendorStyle, state: PrinterState) -> None:
    for tray in state.trays:
        at = f"1.{tray.index}"
        rows[f"{PRT}.8.2.1.2.{at}"] = 3
        rows[f"{PRT}.8.2.1.8.{at}"] = SHEETS
        rows[f"{PRT}.8.2.1.9.{at}"] = tray.capacity
        rows[f"{PRT}.8.2.1.10.{at}"] = tray.level
        rows[f"{PRT}.8.2.1.11.{at}"] = tray.status
        rows[f"{PRT}.8.2.1.12.{at}"] = b"iso_a4_210x297mm"
        if "tray_name" not in style.omit:
            rows[f"{PRT}.8.2.1.13.{at}"] = tray.name.encode()
        if "tray_description" not in style.omit:
            rows[f"{PRT}.8.2.1.18.{at}"] = tray.name.encode()


def _supplies(rows: dict[str, Value], style: VendorStyle, state: PrinterState) -> None:
    for supply in state.supplies:
        at = f"1.{supply.index}"
        rows[f"{PRT}.11.1.1.2.{at}"] = 1
        if "colorant" not in style.omit:
            rows[f"{PRT}.11.1.1.3.{at}"] = supply.colorant
        if "class" not in style.omit:
            rows[f"{PRT}.11.1.1.4.{at}"] = supply.cls
        rows[f"{PRT}.11.1.1.5.{at}"] = supply.type
        rows[f"{PRT}.11.1.1.6.{at}"] = supply.name.encode()
        if "unit" not in style.omit:
            rows[f"{PRT}.11.1.1.7.{at}"] = supply.unit
        rows[f"{PRT}.11.1.1.8.{at}"] = supply.capacity
        rows[f"{PRT}.11.1.1.9.{at}"] = supply.level
    if "colorant" not in style.omit:
        for number in sorted({row.colorant for row in state.supplies if row.colorant}):
            rows[f"{PRT}.12.1.1.3.1.{number}"] = 3
            rows[f"{PRT}.12.1.1.4.1.{number}"] = COLORANTS[number - 1].encode()


def _alerts(rows: dict[str, Value], state: PrinterState) -> None:
    for alert in state.alerts:
        at = f"1.{alert.index}"
        rows[f"{PRT}.18.1.1.2.{at}"] = alert.severity
        rows[f"{PRT}.18.1.1.3.{at}"] = alert.training
        rows[f"{PRT}.18.1.1.4.{at}"] = alert.group
        rows[f"{PRT}.18.1.1.5.{at}"] = alert.group_index
        rows[f"{PRT}.18.1.1.6.{at}"] = alert.location
        rows[f"{PRT}.18.1.1.7.{at}"] = alert.code
        rows[f"{PRT}.18.1.1.8.{at}"] = alert.text.encode()
        rows[f"{PRT}.18.1.1.9.{at}"] = alert.ticks


def _vendor(rows: dict[str, Value], model: SimulatedModel, state: PrinterState) -> None:
    style = model.vendor
    for oid, meter in style.counters.items():
        if model.colour or "colour" not in meter:
            rows[oid] = state.meters[meter]
    rows.update(style.counter_types)
    facts: Mapping[str, str] = {"serial": state.serial, "model": model.name, "firmware": state.firmware}
    for oid, fact in style.facts.items():
        rows[oid] = facts[fact].encode()
    if style.size_table:
        rows.update(_by_size(style.size_table, state))
    if style.packed_status:
        rows[f"{BROTHER}.8.0"] = _packed(_brother_life(state))
        rows[f"{BROTHER}.10.0"] = _packed([(0x00, state.meters["total"])])


def _by_size(table: str, state: PrinterState) -> dict[str, Value]:
    """Return pages by paper size, A3 and A4; the sizes add up to the total, mono and colour likewise."""
    meters = state.meters
    large_colour = meters["large"] * meters["colour"] // max(meters["total"], 1)
    sizes = {
        "A3": (meters["large"], meters["large"] - large_colour, large_colour),
        "A4": (
            meters["total"] - meters["large"],
            meters["mono"] - (meters["large"] - large_colour),
            meters["colour"] - large_colour,
        ),
    }
    rows: dict[str, Value] = {}
    for number, (name, (total, mono, colour)) in enumerate(sizes.items(), 1):
        rows[f"{table}.2.1.{number}"] = name.encode()
        rows[f"{table}.6.1.{number}"] = total
        rows[f"{table}.7.1.{number}"] = max(mono, 0)
        rows[f"{table}.8.1.{number}"] = colour
    return rows


def _packed(records: list[tuple[int, int]]) -> bytes:
    """Return Brother's octet string: tag, 01, length 4, big-endian value; ended by 0xFF."""
    return (
        b"".join(bytes([tag, 1, 4]) + (value % 2**32).to_bytes(4, "big") for tag, value in records) + b"\xff"
    )


def _brother_life(state: PrinterState) -> list[tuple[int, int]]:
    """Return toner left in hundredths of a percent (tags 0x6f to 0x72, K C M Y) and the drum's life (0x41)."""
    records: list[tuple[int, int]] = []
    for supply in state.supplies:
        if supply.kind == "drum":
            records += [(0x41, round(supply.share * 10_000)), (0x11, _pages_done(supply))]
        elif supply.kind == "toner":
            records.append((0x6E + supply.colorant, supply.percent * 100))
    return records


def _pages_done(supply: SupplyRow) -> int:
    return max(supply.capacity - supply.level, 0)
