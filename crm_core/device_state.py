"""A device's newest state in brief, as every store keeps it for lists and as the API answers it for one device."""

from typing import Final

from crm_core.domain.telemetry import DeviceReading, DeviceState

_JUDGED_SEVERITIES: Final = (3, 4)  # critical, warning (RFC 3805); the others state no trouble


def state_columns(
    reading: DeviceReading,
) -> tuple[int | None, float | None, str | None, str, int | None, str]:
    """Return life count, lowest percent and its index, errors joined by commas, worst severity, source."""
    percent, index = _lowest(reading)
    worst = min((a.severity for a in reading.alerts if a.severity in _JUDGED_SEVERITIES), default=None)
    errors = ",".join(sorted(reading.error_names)) if reading.status.errors else ""
    return reading.counters.life_count, percent, index, errors, worst, reading.source


def device_state(reading: DeviceReading) -> DeviceState:
    """Return the state of the device that the reading is the newest of."""
    life_count, percent, index, errors, worst, source = state_columns(reading)
    return DeviceState(
        device_id=reading.device_id or "",
        last_seen=reading.polled_at,
        life_count=life_count,
        lowest_supply_percent=percent,
        lowest_supply_index=index,
        error_names=tuple(errors.split(",")) if errors else (),
        worst_alert_severity=worst,
        source=source,
    )


def _lowest(reading: DeviceReading) -> tuple[float | None, str | None]:
    """Return the lowest known percent over consumables, and the index of that supply (the first of equals)."""
    derived = {
        row.index: row.level_percent for row in reading.derived.supplies if row.level_percent is not None
    }
    lowest: tuple[float | None, str | None] = (None, None)
    for supply in reading.supplies:
        if supply.is_receptacle:
            continue
        percent = supply.percent if supply.percent is not None else derived.get(supply.index)
        if percent is not None and (lowest[0] is None or percent < lowest[0]):
            lowest = (percent, supply.index)
    return lowest
