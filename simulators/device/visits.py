"""A technician at a simulated device: what is changed or repaired now shows at the next look at it.

The physics moves day by day and has its own people; this is for a demo or a scenario whose service desk acts. The day's
record of the device is amended, so answers for instants before the visit may change: ask only forwards in time.
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from simulators.device.arrays import NEVER
from simulators.device.fleet import Fleet
from simulators.device.moment import progress_of
from simulators.device.wear import fit_new
from simulators.models import COMPONENTS


def help_now(
    fleet: Fleet,
    number: int,
    at: datetime,
    *,
    slots: Sequence[int] = (),
    components: Sequence[str] = (),
    repair: bool = False,
) -> None:
    """Put new units into `slots` (positions of the model's slots), fit new `components`, and with `repair` end what is wrong.

    What had stopped the machine stays the end of the day's printing, so that no counter falls.
    """
    day, minute = fleet.day_of(at)
    record = fleet.record(day)
    fresh = {COMPONENTS.index(name) for name in components}
    if repair and int(record.stop_component[number]) >= 0:
        fresh.add(int(record.stop_component[number]))
    if repair:
        _end_troubles(fleet, number, day, minute)
    renewed = set(slots)
    for slot in np.flatnonzero(fleet.slots.is_part[number]).tolist():
        component = int(fleet.slots.component[number, slot])
        if slot in renewed:
            fresh.add(component)
        elif component in fresh:
            renewed.add(slot)
    _put_in(fleet, number, day, minute, sorted(renewed))
    _fit(fleet, number, day, fresh)


def _end_troubles(fleet: Fleet, number: int, day: int, minute: float) -> None:
    """End jams, open covers and codes of today, and what has failed."""
    record = fleet.record(day)
    rows = record.events.of(number)
    record.events.end[rows] = np.minimum(record.events.end[rows], np.float32(minute))
    record.stop_component[number] = -1
    fleet.failed[number] = -1
    fleet.repair_due[number] = NEVER


def _put_in(fleet: Fleet, number: int, day: int, minute: float, slots: Sequence[int]) -> None:
    record = fleet.record(day)
    done = progress_of(record, number, minute)
    for slot in slots:
        rest = float(record.used_at_end[number, slot] - record.used_at_start[number, slot]) * (1.0 - done)
        record.used_at_start[number, slot] = 0.0
        record.used_at_end[number, slot] = max(rest, 0.0)
        fleet.newest_unit[number, slot] += 1
        record.unit_number[number, slot] = fleet.newest_unit[number, slot]
        record.changed[number, slot] = True
        record.ran_empty[number, slot] = False
        fleet.used[number, slot] = max(rest, 0.0)
        fleet.due[number, slot] = NEVER
        fleet.unit[number, slot] = fleet.newest_unit[number, slot]


def _fit(fleet: Fleet, number: int, day: int, fresh: set[int]) -> None:
    if not fresh:
        return
    mask = np.zeros(fleet.parts.pages.shape, bool)
    mask[number, sorted(fresh)] = True
    rng = np.random.default_rng([fleet.seed, 977, day, number])
    fit_new(fleet.parts, mask, day, rng, fleet.habits)
    fleet.repairs += [(number, day, component) for component in sorted(fresh)]
