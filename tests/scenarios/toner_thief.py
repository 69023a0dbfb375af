"""Story 4's customer under simulation: 1 % gauges, nine cartridges changed long before they are empty.

Five machines change once; two change twice, and the second time the cartridge that came out first is put back. The
truth is the simulator's own; readings are what its printers say every hour for a quarter.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from crm_core.domain.telemetry import DeviceReading
from crm_core.domain.wire import decode_reading
from simulators.device.device import devices_of
from simulators.device.fleet import Fleet
from simulators.device.mishaps import MishapRates
from simulators.device.roster import DeviceSpec, Roster, Script, ScriptedSwap, SiteSpec

START = date(2025, 7, 1)
DAYS = 91
SITE, MODEL = "studio", "canon-lbp214dw"
EVERY = timedelta(hours=1)
#: Seeds with which nothing but the nine orders changes a cartridge with more than a tenth left.
SEEDS = (9, 11, 24, 29, 36, 50, 52, 107, 112, 123, 132, 165, 176, 187, 194, 247, 252, 273, 289, 303)
_ONCE = {1: 0.35, 2: 0.31, 3: 0.27, 4: 0.24, 5: 0.33}
_TWICE = {6: (0.35, 0.23), 7: (0.34, 0.22)}


@dataclass(frozen=True)
class TrueSwap:
    """One change of a cartridge as the simulator knows it; percents of a full one."""

    device_id: str
    day: int
    residual: float
    first: float

    @property
    def early(self) -> bool:
        return self.residual > 10

    @property
    def put_back(self) -> bool:
        return self.first < 90


def device_ids() -> list[str]:
    return [f"{SITE}-{number}" for number in range(1, 8)]


def thief_fleet(seed: int) -> Fleet:
    """Return the customer's machines before their first day."""
    day = START + timedelta(days=5)
    later = START + timedelta(days=40)
    swaps = [
        ScriptedSwap(device_id=f"{SITE}-{number}", slot=0, day=day, when_left=left)
        for number, left in _ONCE.items()
    ]
    for number, (first, second) in _TWICE.items():
        device_id = f"{SITE}-{number}"
        swaps.append(ScriptedSwap(device_id=device_id, slot=0, day=day, when_left=first))
        swaps.append(ScriptedSwap(device_id=device_id, slot=0, day=later, when_left=second, reinsert=True))
    roster = Roster(
        sites=(SiteSpec(site_id=SITE, profile="office"),),
        devices=tuple(
            DeviceSpec(device_id=each, site_id=SITE, model_id=MODEL, gauge="pct1", pages_a_day=110)
            for each in device_ids()
        ),
    )
    fleet = Fleet(roster, seed=seed, start=START, script=Script(swaps=tuple(swaps)), mishaps=MishapRates())
    fleet.habits.gauge_bias[:] = 0
    fleet.record(DAYS)
    return fleet


def true_swaps(fleet: Fleet) -> list[TrueSwap]:
    """Return every change of a toner cartridge within the quarter."""
    return [
        TrueSwap(
            f"{SITE}-{number + 1}",
            day,
            100 * (1 - float(fleet.record(day - 1).used_at_end[number, 0])),
            100 * (1 - float(fleet.record(day).used_at_start[number, 0])),
        )
        for day in range(1, DAYS)
        for number in range(len(device_ids()))
        if fleet.record(day).changed[number, 0]
    ]


def rounds(fleet: Fleet) -> Iterator[tuple[datetime, list[DeviceReading]]]:
    """Yield what the machines say at each look."""
    at = datetime(START.year, START.month, START.day, tzinfo=UTC)
    end = at + timedelta(days=DAYS)
    handles, number = devices_of(fleet), 0
    while at < end:
        number += 1
        yield (
            at,
            [
                decode_reading(device.mqtt_payload(at, boot_id="b1", seq=number))
                for device in handles
                if device.answers(at)
            ],
        )
        at += EVERY
