"""One simulated printer: a light handle on its row of the fleet, able to speak at any virtual instant."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from simulators.device.arrays import MINUTES_A_DAY
from simulators.device.fleet import Fleet
from simulators.device.payload import json_reading
from simulators.device.snapshot import snapshot
from simulators.device.state import PrinterState
from simulators.device.varbinds import render_varbinds
from simulators.models import SimulatedModel


class SimulatedDevice:
    """A printer of a fleet. Equal (seed, roster, script, instant) give equal answers, in whatever order asked."""

    __slots__ = ("fleet", "number")

    def __init__(self, fleet: Fleet, number: int) -> None:
        self.fleet = fleet
        self.number = number

    @property
    def device_id(self) -> str:
        return self.fleet.roster.devices[self.number].device_id

    @property
    def site_id(self) -> str:
        return self.fleet.roster.devices[self.number].site_id

    @property
    def model(self) -> SimulatedModel:
        return self.fleet.model_of[self.number]

    @property
    def serial(self) -> str:
        return self.fleet.serials[self.number]

    def answers(self, at: datetime) -> bool:
        """Return True if the device would answer a poll at `at`: powered, connected, not in one of its bad moments."""
        fleet, number = self.fleet, self.number
        day, minute = fleet.day_of(at)
        record = fleet.record(day)
        if record.unreachable[number]:
            return False
        if fleet.habits.night_off[number]:
            begin, end = float(record.open_from[number]), float(record.open_until[number])
            if not record.is_open[number] or not begin - 5 <= minute < end + 30:
                return False
        now = day * MINUTES_A_DAY + minute
        site = int(fleet.habits.site[number])
        if fleet.orders.in_power_cut(site, now) or fleet.orders.silenced(number, now):
            return False
        return _hash_share(fleet.seed, number, int(now // 5)) >= fleet.habits.missed_polls

    def state(self, at: datetime) -> PrinterState:
        """Return everything the printer states at `at`, whether or not it would answer."""
        return snapshot(self.fleet, self.number, at)

    def varbinds(self, at: datetime) -> Mapping[str, int | bytes | str]:
        """Return the printer's MIB at `at`: OID without leading dot -> int, bytes (OCTET STRING) or str (OID)."""
        return render_varbinds(self.model, self.state(at))

    def mqtt_payload(
        self,
        at: datetime,
        *,
        boot_id: str,
        seq: int,
        tenant: str = "default",
        stamped: datetime | None = None,
    ) -> bytes:
        """Return the reading at `at` as JSON of docs/reading.schema.json, written without Drumbeat's own encoder.

        `stamped` is the time that the reading bears where a story is shown at another time than its own.
        """
        state = self.state(at)
        if stamped is not None:
            state = replace(state, at=stamped)
        return json_reading(self.model, state, boot_id=boot_id, seq=seq, tenant=tenant)


def devices_of(fleet: Fleet) -> tuple[SimulatedDevice, ...]:
    """Return handles of all devices of a fleet, in the order of the roster."""
    return tuple(SimulatedDevice(fleet, number) for number in range(len(fleet)))


def poll_times(start: datetime, end: datetime, every: timedelta) -> list[datetime]:
    """Return the instants from `start` (included) to `end` (excluded) at `every`."""
    count = int((end - start) / every)
    return [start + i * every for i in range(count)]


def _hash_share(*numbers: int) -> float:
    """Return a number in 0..1 that depends on `numbers` only (a 64-bit mix, not for secrets)."""
    mixed = 0x9E3779B97F4A7C15
    for number in numbers:
        mixed = (mixed ^ (number & 0xFFFFFFFFFFFFFFFF)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 31
    return mixed / 2.0**64
