"""Which devices would send a trap in a span of time: a jam, an open cover, a stop (RFC 3805: critical alerts only)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from simulators.device.arrays import COVER_OPEN, JAM, MINUTES_A_DAY, DayRecord
from simulators.device.device import SimulatedDevice
from simulators.device.fleet import Fleet
from simulators.device.state import CRITICAL, AlertRow, PrinterState
from simulators.snmp_fleet import SnmpFleetServer
from simulators.usm import UsmUser


@dataclass(frozen=True, slots=True)
class DueTrap:
    """A critical alert that began: whose, and when."""

    device: int
    at: datetime


def due_traps(fleet: Fleet, since: datetime, until: datetime) -> list[DueTrap]:
    """Return the critical alerts that begin after `since` and not after `until`, in order of time and device."""
    first, last = fleet.day_of(since)[0], fleet.day_of(until)[0]
    due: list[DueTrap] = []
    for day in range(first, last + 1):
        midnight = fleet.origin + timedelta(days=day)
        due += [
            DueTrap(device, midnight + timedelta(minutes=minute))
            for device, minute in _beginnings(fleet.record(day))
        ]
    return sorted((trap for trap in due if since < trap.at <= until), key=lambda trap: (trap.at, trap.device))


def _beginnings(record: DayRecord) -> list[tuple[int, float]]:
    table = record.events
    rows = np.flatnonzero(table.fresh & np.isin(table.kind, (JAM, COVER_OPEN)))
    begun = [(int(table.device[i]), float(table.start[i])) for i in rows]
    stopped = np.flatnonzero((record.stop_minute > 0) & (record.stop_minute < MINUTES_A_DAY))
    return begun + [(int(i), float(record.stop_minute[i])) for i in stopped]


def newest_critical(state: PrinterState) -> AlertRow | None:
    """Return the critical alert that a trap at this instant would name, the youngest first."""
    critical = [row for row in state.alerts if row.severity == CRITICAL]
    return max(critical, key=lambda row: (row.ticks, row.index)) if critical else None


def alert_columns(alert: AlertRow) -> dict[str, int | bytes | str]:
    """Return the columns of printerV2Alert: index, severity, group, group index, location, code."""
    base = "1.3.6.1.2.1.43.18.1.1"
    at = f"1.{alert.index}"
    return {
        f"{base}.1.{at}": alert.index,
        f"{base}.2.{at}": alert.severity,
        f"{base}.4.{at}": alert.group,
        f"{base}.5.{at}": alert.group_index,
        f"{base}.6.{at}": alert.location,
        f"{base}.7.{at}": alert.code,
    }


def send_due_traps(
    server: SnmpFleetServer,
    fleet: Fleet,
    to: tuple[str, int],
    since: datetime,
    until: datetime,
    *,
    version: int = 1,
    user: UsmUser | None = None,
) -> int:
    """Send a trap for every critical alert that begins in the span, from the device's own address; return how many.

    `version` and `user` as in `SnmpFleetServer.send_trap`: 0 v1, 1 v2c, 3 with a user.
    """
    sent = 0
    for trap in due_traps(fleet, since, until):
        device = SimulatedDevice(fleet, trap.device)
        moment = trap.at + timedelta(seconds=1)
        state = device.state(moment)
        alert = newest_critical(state)
        if alert is not None and device.answers(moment):
            server.send_trap(
                trap.device, to, alert_columns(alert), state.uptime_ticks, version=version, user=user
            )
            sent += 1
    return sent
