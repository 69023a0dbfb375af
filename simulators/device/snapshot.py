"""From a day's record to what a device states at a minute of that day: meters, supplies, trays, covers."""

from datetime import datetime
from typing import TYPE_CHECKING, Final

from simulators.device.alerts import (
    DOOR_OPEN,
    JAM_BIT,
    NO_PAPER,
    NO_TONER,
    SERVICE,
    alert_rows,
    console_line,
    error_bits,
)
from simulators.device.arrays import COVER_OPEN, METERS, MINUTES_A_DAY, PAPER_OUT
from simulators.device.gauges import SOME_REMAINING, percent_shown
from simulators.device.habits import GAUGES
from simulators.device.mishaps import unit_owner
from simulators.device.moment import Moment, moment_of
from simulators.device.state import CoverRow, PrinterState, SupplyRow, TrayRow
from simulators.models import SupplySlot, VendorStyle

MOST_EVENTS_A_DAY: Final = 64  # the counter of alerts grows by this much a day at least, and never falls

if TYPE_CHECKING:
    from simulators.device.fleet import Fleet


def snapshot(fleet: "Fleet", device: int, at: datetime) -> PrinterState:
    """Return the state of one device at `at`."""
    day, minute = fleet.day_of(at)
    moment = moment_of(fleet, device, fleet.record(day), minute)
    record = moment.record
    spec = fleet.roster.devices[device]
    uptime = _uptime_minutes(moment)
    stopped = minute >= float(record.stop_minute[device])
    component = int(record.stop_component[device]) if stopped else -1
    at_work = float(record.open_from[device]) <= minute < float(record.open_until[device])
    asleep = not at_work or not bool(record.is_open[device])
    supplies = _supplies(moment, unknown=asleep and bool(fleet.habits.sleep_unknown[device]))
    alerts = alert_rows(moment, supplies, component, int(uptime * 6000))
    errors = error_bits(moment, supplies, component)
    blocked = bool(errors & {NO_PAPER, NO_TONER, DOOR_OPEN, JAM_BIT, SERVICE})
    printing = at_work and not blocked and int(minute * 7 + device) % 10 == 0
    meters = _meters(moment)
    return PrinterState(
        at=at,
        device_id=spec.device_id,
        site_id=spec.site_id,
        model_id=spec.model_id,
        serial=fleet.serial_on(device, day),
        firmware=_firmware(moment),
        uptime_ticks=int(uptime * 6000) % 2**32,
        device_status=5 if blocked else 3 if errors else 2,
        printer_status=1 if blocked else 4 if printing else 3,
        errors=errors,
        asleep=asleep,
        console=(console_line(moment, alerts, asleep=asleep and not blocked, printing=printing),),
        meters=meters,
        pages_since_boot=max(meters["total"] - int(record.meter_at_boot[device]), 0),
        alert_count=1 + day * MOST_EVENTS_A_DAY + min(moment.begun, MOST_EVENTS_A_DAY),
        supplies=supplies,
        trays=_trays(moment),
        covers=_covers(moment),
        alerts=alerts,
    )


def _uptime_minutes(moment: Moment) -> float:
    """Return minutes since power-on; a scripted power cut counts."""
    now = moment.record.day * MINUTES_A_DAY + moment.minute
    site = int(moment.fleet.habits.site[moment.device])
    back = moment.fleet.orders.last_power_return(site, now)
    return float(max(now - max(float(moment.record.booted_at[moment.device]), back), 0.0))


def _firmware(moment: Moment) -> str:
    number = int(moment.record.campaign[moment.device])
    if number >= 0:
        order = moment.fleet.orders.campaigns[number]
        if moment.record.day * MINUTES_A_DAY + moment.minute >= order.begins[moment.device]:
            return order.firmware
    return moment.model.vendor.firmware


def _meters(moment: Moment) -> dict[str, int]:
    """Return every meter at the moment, whole pages; sums hold (print = total - copy - fax)."""
    row = moment.record.meters[moment.device].tolist()
    base = moment.record.meters_at_start[moment.device].tolist()
    done = {name: base[i] + int(row[i] * moment.progress) for i, name in enumerate(METERS)}
    total = done["total"]
    colour = min(done["colour"], total)
    copy, fax = done["copy"], done["fax"]
    copy_colour = min(done["copy_colour"], copy)
    print_all = max(total - copy - fax, 0)
    print_colour = min(max(colour - copy_colour, 0), print_all)
    return {
        "total": total,
        "colour": colour,
        "mono": total - colour,
        "copy": copy,
        "copy_colour": copy_colour,
        "copy_mono": copy - copy_colour,
        "fax": fax,
        "print": print_all,
        "print_colour": print_colour,
        "print_mono": print_all - print_colour,
        "duplex": done["duplex"],
        "scan": done["scan"],
        "jams": done["jams"],
        "large": done["large"],
    }


# --- supplies ------------------------------------------------------------------------------------------------------


def _supplies(moment: Moment, *, unknown: bool) -> tuple[SupplyRow, ...]:
    """Return the visible slots as rows; index counts all slots, so hidden ones leave gaps as in the field.

    `unknown`: the machine sleeps and does not know its toner levels (-2).
    """
    record, device = moment.record, moment.device
    first = record.used_at_start[device].tolist()
    last = record.used_at_end[device].tolist()
    rows = []
    for s, slot in enumerate(moment.model.slots):
        if slot.hidden:
            continue
        used = first[s] + (last[s] - first[s]) * moment.progress
        row = _supply_row(moment, s, slot, max(1.0 - used, 0.0), int(record.unit_number[device, s]))
        if unknown and slot.kind == "toner":
            row.level = -2
        rows.append(row)
    return tuple(rows)


def _supply_row(moment: Moment, s: int, slot: SupplySlot, share: float, unit_number: int) -> SupplyRow:
    """Return one row: what the gauge shows of the true share left."""
    consumed = slot.kind == "toner"
    percent = percent_shown(
        moment.gauge if consumed else 0,
        share,
        bias=moment.gauge_bias if consumed else 0.0,
        unit_number=unit_number,
        vendor_step=moment.model.vendor.step if consumed else 1,
    )
    unit, capacity, level = _scale(moment, slot, percent, share, GAUGES[moment.gauge] if consumed else "pct1")
    name = slot.label
    if "{" in name:
        owner, number = unit_owner(moment.device, unit_number)
        name = name.format(unit_serial=f"{owner % 65536:04X}{s:X}{number:05X}")
    return SupplyRow(
        index=s + 1,
        kind=slot.kind,
        colour=slot.colour,
        name=name,
        type=slot.marker_type,
        cls=4 if slot.kind == "waste" else 3,
        colorant=slot.colorant,
        unit=unit,
        capacity=capacity,
        level=level,
        share=share,
        percent=percent,
    )


def _scale(moment: Moment, slot: SupplySlot, percent: int, share: float, gauge: str) -> tuple[int, int, int]:
    """Return unit, capacity and level in the vendor's way of stating them."""
    style = moment.model.vendor
    toner = slot.kind == "toner"
    flag = 100.0 * float(moment.fleet.habits.low_flag[moment.device])
    until_low = (
        gauge == "some_remaining" and percent > flag
    )  # this gauge measures only what is nearly used up
    only_some = (toner and (style.toner_some_remaining or until_low)) or (
        slot.kind == "waste" and style.waste_unknown
    )
    if only_some:
        return style.unit, -2, SOME_REMAINING if share > 0 else 0
    if slot.kind == "staples":
        return 18, slot.yield_pages, SOME_REMAINING
    if toner and gauge == "ml":
        capacity = slot.yield_pages // 4
        return 15, capacity, round(capacity * share)
    if toner and style.unit == 7:
        return 7, slot.yield_pages, slot.yield_pages * percent // 100
    return _part_scale(style, slot, percent, share)


def _part_scale(style: VendorStyle, slot: SupplySlot, percent: int, share: float) -> tuple[int, int, int]:
    """Return unit, capacity and level of a part, or of a toner in percent."""
    if slot.kind != "toner" and style.part_unit:
        return style.part_unit, slot.yield_pages, int(slot.yield_pages * share)
    if slot.kind in style.level_unknown:
        return style.unit, -2, -2
    if slot.kind in style.capacity_unknown:
        return style.unit, -2, percent
    return style.unit if style.unit != 7 else 19, 100, percent


# --- trays and covers -----------------------------------------------------------------------------------------


def _trays(moment: Moment) -> tuple[TrayRow, ...]:
    """Return cassettes that fall with the sheets printed and are refilled; an empty one shows 0, broken (19)."""
    style, model = moment.model.vendor, moment.model
    empty = {code for kind, code, _, _ in moment.active if kind == PAPER_OUT}
    total = int(moment.record.meters_at_start[moment.device, 0]) + int(
        int(moment.record.meters[moment.device, 0]) * moment.progress
    )
    rows = []
    if style.bypass:
        rows.append(TrayRow(index=1, name=style.bypass, capacity=100, level=0, status=19))
    for number, capacity in enumerate(model.trays):
        index = len(rows) + 1
        name = style.tray_names[number] if number < len(style.tray_names) else ""
        span = int(capacity * 0.85)
        level = capacity - (total // (number + 1) + moment.device * 37) % span
        if number in empty:
            rows.append(TrayRow(index=index, name=name, capacity=capacity, level=0, status=19))
        elif style.tray_level_unknown:
            rows.append(TrayRow(index=index, name=name, capacity=capacity, level=SOME_REMAINING, status=0))
        else:
            shown = max(level // 10 * 10, 10)
            rows.append(TrayRow(index=index, name=name, capacity=capacity, level=shown, status=0))
    return tuple(rows)


def _covers(moment: Moment) -> tuple[CoverRow, ...]:
    open_now = {code for kind, code, _, _ in moment.active if kind == COVER_OPEN}
    return tuple(
        CoverRow(index=i + 1, name=name, status=3 if i in open_now else 4)
        for i, name in enumerate(moment.model.vendor.covers)
    )
