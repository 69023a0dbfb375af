"""What happens within a day and passes: codes, jams, open covers, empty trays, firmware that reports a code.

Each is an interval in minutes; what lasts beyond midnight is carried into the next day's table, so that a day's
table alone tells what is active at any of its minutes.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from simulators.device.arrays import (
    CAMPAIGN,
    COVER_OPEN,
    JAM,
    MINUTES_A_DAY,
    NEVER,
    PAPER_OUT,
    Bools,
    EventTable,
    Floats,
    empty_events,
    join_events,
)
from simulators.device.wear import code_events, stop_events

if TYPE_CHECKING:
    from simulators.device.fleet import Fleet

LEFT_ALONE_SHARE: Final = 0.05  # jams and empty trays that nobody sees to for hours
DEFECT_JAM_FACTOR: Final = 6.0
COVER_LEFT_OPEN: Final = 1 / 500  # per device and open day
LONGEST_MINUTES: Final = 3 * MINUTES_A_DAY


@dataclass(slots=True)
class Carried:
    """Intervals that reach into the next day."""

    table: EventTable = field(default_factory=empty_events)


@dataclass(slots=True)
class DayEvents:
    """The events of one day with the jam count per device and the campaign each device is under."""

    table: EventTable
    jams: npt.NDArray[np.int64]
    campaign: npt.NDArray[np.int16]


def events_of_day(
    fleet: "Fleet",
    day: int,
    meters: npt.NDArray[np.int64],
    stop_minute: Floats,
    failed: Bools,
    carried: Carried,
    rng: np.random.Generator,
) -> DayEvents:
    """Return everything that begins or goes on today, and carry what lasts beyond midnight."""
    pages = meters[:, 0]
    damp = fleet.mishaps.damp(fleet, day)
    rates = fleet.mishaps.rates
    jam_rate = _jam_rate(fleet, day) * np.where(damp, rates.damp_jam_factor, 1.0)
    harmless = np.where(damp, rates.damp_codes, 0.0)
    jam_count = np.minimum(rng.poisson(pages * jam_rate), 9)
    jams, covers = _jams(fleet, jam_count, stop_minute, rng)
    campaign, campaign_events = _campaigns(fleet, day)
    table = join_events(
        [
            carried.table,
            code_events(fleet.parts, fleet.habits, day, pages, harmless, stop_minute, rng),
            stop_events(np.asarray(failed.any(axis=1)), stop_minute),
            jams,
            covers,
            _paper(fleet, pages, stop_minute, rng),
            campaign_events,
        ]
    )
    carried.table = _beyond_midnight(table)
    return DayEvents(table, jam_count, campaign)


def _jam_rate(fleet: "Fleet", day: int) -> Floats:
    """Return jams per page: the machine's own, more with worn rollers, much more with a defect in the paper path."""
    parts = fleet.parts
    path = [0, 1, 3]  # fuser, transfer, feed rollers
    defect = (parts.onset[:, path] <= day).any(axis=1)
    rate: Floats = (
        fleet.habits.jam_rate * (0.6 + 1.2 * parts.wear[:, 3]) * np.where(defect, DEFECT_JAM_FACTOR, 1.0)
    )
    return rate


def _table(
    device: npt.NDArray[np.intp], start: Floats, lasts: Floats, kind: int, code: npt.NDArray[np.int64]
) -> EventTable:
    """Return intervals of one kind; `code` is the tray or cover number."""
    rows = len(device)
    return EventTable(
        device.astype(np.int32),
        start.astype(np.float32),
        (start + np.minimum(lasts, LONGEST_MINUTES)).astype(np.float32),
        np.full(rows, kind, np.int8),
        code.astype(np.int16),
        np.full(rows, -1, np.int8),
        np.ones(rows, bool),
    )


def _moments(fleet: "Fleet", device: npt.NDArray[np.intp], stop: Floats, draw: Floats) -> Floats:
    """Return minutes at which the devices were working."""
    begin = fleet.habits.open_from[device]
    end = np.minimum(fleet.habits.open_until, np.maximum(stop, fleet.habits.open_from + 1.0))[device]
    moments: Floats = begin + draw * (end - begin)
    return moments


def _jams(
    fleet: "Fleet", count: npt.NDArray[np.int64], stop: Floats, rng: np.random.Generator
) -> tuple[EventTable, EventTable]:
    """Return jams with the opening of the door that clears each."""
    device = np.repeat(np.arange(len(count)), count)
    draw = rng.random((4, len(device)))
    start = _moments(fleet, device, stop, draw[0])
    lasts = np.exp(np.log(8.0) + rng.standard_normal(len(device)))
    lasts = np.where(draw[1] < LEFT_ALONE_SHARE, 90 + 600 * draw[2], lasts)
    place = np.floor(draw[3] * 3).astype(np.int64)
    jams = _table(device, start, lasts, JAM, place)
    opened = np.minimum(2.0, lasts * 0.3)
    covers = _table(device, start + lasts - opened, opened, COVER_OPEN, np.minimum(place, 1))
    forgets = np.flatnonzero(rng.random(len(fleet)) < COVER_LEFT_OPEN)
    again = rng.random((2, len(forgets)))
    left = _table(
        forgets,
        _moments(fleet, forgets, np.full(len(fleet), float(NEVER)), again[0]),
        30 + 700 * again[1],
        COVER_OPEN,
        np.zeros(len(forgets), np.int64),
    )
    return jams, join_events([covers, left])


def _paper(
    fleet: "Fleet", pages: npt.NDArray[np.int64], stop: Floats, rng: np.random.Generator
) -> EventTable:
    """Return empty trays: people refill most in time, about one filling in three runs out."""
    trays = np.array([len(m.trays) for m in fleet.model_of])
    sheets = np.array([sum(m.trays) for m in fleet.model_of])
    count = np.minimum(rng.poisson(pages / sheets / 3.0), 4)
    device = np.repeat(np.arange(len(count)), count)
    draw = rng.random((4, len(device)))
    lasts = np.exp(np.log(12.0) + 1.1 * rng.standard_normal(len(device)))
    lasts = np.where(draw[1] < LEFT_ALONE_SHARE, 120 + 600 * draw[2], lasts)
    tray = np.floor(draw[3] * trays[device]).astype(np.int64)
    return _table(device, _moments(fleet, device, stop, draw[0]), lasts, PAPER_OUT, tray)


def _campaigns(fleet: "Fleet", day: int) -> tuple[npt.NDArray[np.int16], EventTable]:
    """Return who is under a firmware campaign today, and the code that it makes them report."""
    under = np.full(len(fleet), -1, np.int16)
    tables = [empty_events()]
    for number, order in enumerate(fleet.orders.campaigns):
        begin = order.begins - day * MINUTES_A_DAY
        end = min(order.fixed_at - day * MINUTES_A_DAY, float(MINUTES_A_DAY))
        device = np.flatnonzero((begin < MINUTES_A_DAY) & (end > 0))
        under[device] = number
        start = np.maximum(begin[device], 0.0)
        table = _table(device, start, end - start, CAMPAIGN, np.full(len(device), number))
        table.fresh = begin[device] >= 0
        tables.append(table)
    return under, join_events(tables)


def _beyond_midnight(table: EventTable) -> EventTable:
    """Return the intervals that go on tomorrow, counted from tomorrow's midnight."""
    on = (table.end > MINUTES_A_DAY) & (table.kind != CAMPAIGN)
    return EventTable(
        table.device[on],
        table.start[on] - MINUTES_A_DAY,
        table.end[on] - MINUTES_A_DAY,
        table.kind[on],
        table.code[on],
        table.hint[on],
        np.zeros(int(on.sum()), bool),
    )
