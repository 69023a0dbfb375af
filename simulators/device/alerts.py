"""What a machine complains about: error bits, alert rows and the panel's line (RFC 2790, RFC 3805, IANA codes)."""

from simulators.device import state as rfc
from simulators.device.arrays import (
    CAMPAIGN,
    CODE,
    COVER_OPEN,
    FAULT_CODES,
    JAM,
    MINUTES_A_DAY,
    NEVER,
    PAPER_OUT,
)
from simulators.device.moment import TEXTS, Moment
from simulators.device.state import AlertRow, SupplyRow
from simulators.models import COMPONENTS

LOW_PAPER, NO_PAPER, LOW_TONER, NO_TONER, DOOR_OPEN, JAM_BIT, OFFLINE, SERVICE = range(8)


def is_low(moment: Moment, row: SupplyRow) -> bool:
    """Return True if the machine itself calls this supply low."""
    if row.kind == "toner":
        return row.percent <= moment.low_percent
    return row.kind == "waste" and row.share <= 0.05


def error_bits(moment: Moment, supplies: tuple[SupplyRow, ...], component: int) -> frozenset[int]:
    """Return the bits of hrPrinterDetectedErrorState."""
    bits = set()
    for row in supplies:
        if row.kind == "toner" and row.share <= 0:
            bits.add(NO_TONER)
        elif row.kind == "toner" and is_low(moment, row):
            bits.add(LOW_TONER)
    kinds = {kind for kind, _, _, _ in moment.active}
    bits |= {
        bit for kind, bit in ((JAM, JAM_BIT), (COVER_OPEN, DOOR_OPEN), (PAPER_OUT, NO_PAPER)) if kind in kinds
    }
    if component >= 0:
        bits.add(SERVICE)
    return frozenset(bits)


def alert_rows(
    moment: Moment, supplies: tuple[SupplyRow, ...], component: int, uptime_ticks: int
) -> tuple[AlertRow, ...]:
    """Return the rows of prtAlertTable, by index; the index of a passing alert grows with the machine's time."""
    rows = _standing_alerts(moment) + _supply_alerts(moment, supplies)
    texts = TEXTS[moment.model.vendor.language]
    for kind, code, _, start in moment.active:
        rows.append(_passing_alert(moment, kind, code, start, uptime_ticks, texts))
    if component >= 0:
        vendor_code = moment.model.code_of(COMPONENTS[component], moment.record.day)
        rows.append(
            AlertRow(
                index=900,
                severity=rfc.CRITICAL,
                training=rfc.FIELD_SERVICE,
                group=rfc.GROUP_MARKER,
                group_index=1,
                code=rfc.UNIT_BROKEN,
                text=_text(moment, vendor_code, texts["fault"]),
                ticks=max(uptime_ticks - int((moment.minute - _stop(moment)) * 6000), 0),
            )
        )
    return tuple(sorted(rows, key=lambda row: row.index))


def _stop(moment: Moment) -> float:
    return min(float(moment.record.stop_minute[moment.device]), float(NEVER))


def _text(moment: Moment, code: str, text: str) -> str:
    return moment.model.vendor.alert_text.format(code=code, text=text)


def _standing_alerts(moment: Moment) -> list[AlertRow]:
    style = moment.model.vendor
    rows = []
    if style.power_up_alert:
        rows.append(
            AlertRow(
                index=2,
                severity=rfc.WARNING,
                training=rfc.MANAGEMENT,
                group=rfc.GROUP_GENERAL,
                group_index=1,
                code=rfc.POWER_UP,
                text="",
                ticks=2675,
            )
        )
    if style.idle_alert:
        rows.append(
            AlertRow(
                index=276,
                severity=1,
                training=1,
                group=1,
                group_index=-1,
                code=1,
                text="Idle",
                ticks=0,
                location=-2,
            )
        )
    return rows


def _supply_alerts(moment: Moment, supplies: tuple[SupplyRow, ...]) -> list[AlertRow]:
    """Return alerts of low and empty supplies; they stand as long as their cause."""
    texts = TEXTS[moment.model.vendor.language]
    rows = []
    ink = moment.model.technology == "ink"
    for row in supplies:
        empty = row.share <= 0 and row.kind in {"toner", "waste"}
        if not empty and not is_low(moment, row):
            continue
        if row.kind == "waste":
            code = rfc.WASTE_FULL if empty else rfc.WASTE_NEARLY_FULL
        elif ink:
            code = rfc.INK_EMPTY if empty else rfc.INK_LOW
        else:
            code = rfc.TONER_EMPTY if empty else rfc.TONER_LOW
        rows.append(
            AlertRow(
                index=10 + row.index,
                severity=rfc.CRITICAL if empty else rfc.WARNING,
                training=rfc.UNTRAINED,
                group=rfc.GROUP_SUPPLIES,
                group_index=row.index,
                code=code,
                text=texts["empty" if empty else "low"].format(name=row.name)
                if moment.model.vendor.alert_text
                else "",
                ticks=0,
            )
        )
    return rows


def _passing_alert(
    moment: Moment, kind: int, code: int, start: float, uptime_ticks: int, texts: dict[str, str]
) -> AlertRow:
    """Return the row of a jam, an open cover, an empty tray or a code; its index grows with the machine's time."""
    begun = int(moment.record.day * MINUTES_A_DAY + start)
    index = 1000 + (begun * 4 + kind) % 90_000
    ticks = max(uptime_ticks - int((moment.minute - start) * 6000), 0)
    silent = not moment.model.vendor.alert_text
    if kind == CODE:
        name, severity, component = FAULT_CODES[code]
        vendor_code = moment.model.code_of(COMPONENTS[component], code) if component >= 0 else name
        text = _text(moment, vendor_code, texts["fault"]) if severity != "info" else name
        return AlertRow(
            index=index,
            severity=rfc.WARNING if severity != "info" else 1,
            training=rfc.FIELD_SERVICE if component >= 0 else rfc.TRAINED,
            group=rfc.GROUP_MARKER if component >= 0 else rfc.GROUP_GENERAL,
            group_index=1,
            code=29 if component >= 0 else 1,
            text=text,
            ticks=ticks,
        )
    if kind == CAMPAIGN:
        return AlertRow(
            index=index,
            severity=rfc.WARNING,
            training=rfc.FIELD_SERVICE,
            group=rfc.GROUP_GENERAL,
            group_index=1,
            code=29,
            text=moment.fleet.orders.campaigns[code].code,
            ticks=ticks,
        )
    group, alert_code, word = {
        JAM: (rfc.GROUP_PATH, rfc.JAMMED, "jam"),
        COVER_OPEN: (rfc.GROUP_COVER, rfc.COVER_IS_OPEN, "cover"),
        PAPER_OUT: (rfc.GROUP_INPUT, rfc.TRAY_EMPTY, "paper"),
    }[kind]
    tray_shift = 2 if moment.model.vendor.bypass and kind == PAPER_OUT else 1
    return AlertRow(
        index=index,
        severity=rfc.CRITICAL if kind != PAPER_OUT else rfc.WARNING,
        training=rfc.UNTRAINED,
        group=group,
        group_index=code + tray_shift,
        code=alert_code,
        text="" if silent else texts[word],
        ticks=ticks,
    )


def console_line(moment: Moment, alerts: tuple[AlertRow, ...], *, asleep: bool, printing: bool) -> str:
    """Return the panel's line: the worst alert, else what the machine is doing."""
    texts = TEXTS[moment.model.vendor.language]
    worst = [row for row in alerts if row.severity == rfc.CRITICAL]
    if worst:
        first = worst[-1]
        if first.code == rfc.UNIT_BROKEN:
            code = moment.model.code_of(
                COMPONENTS[int(moment.record.stop_component[moment.device])], moment.record.day
            )
            return f"{texts['fault']} {code}"
        return first.text or {8: texts["jam"], 3: texts["cover"]}.get(
            first.code, texts["empty"].format(name="toner")
        )
    return texts["sleep"] if asleep else texts["printing"] if printing else texts["ready"]
