"""One walk through the whole history, day by day, with the states of the nightly run: what training and back-tests learn from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.features import FleetState, calendar_ahead
from analytics.supplies import snapshot
from analytics.training import SupplyRecorder
from crm_core.domain.fleet import Device
from crm_core.ports import TelemetryStore

Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class HistoryWalk:
    """State at the end, what was known on each day, jams and pages [device, day] and the first day."""

    state: FleetState
    supplies: SupplyRecorder
    jams: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    pages: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    first_day: int


def walk_history(
    store: TelemetryStore, state: FleetState, devices: Mapping[str, Device], until: int, holidays: frozenset[int], *,
    one_by_one: bool = False, each_day: Callable[[int], None] | None = None,
) -> HistoryWalk:  # fmt: skip
    """Walk through the whole history of `devices` and note what was known on each day (`one_by_one`: few of many).

    `each_day` hears of every day that was walked: a long walk shows how far it is.
    """
    supplies = SupplyRecorder()
    state.all_codes = {}
    pages: list[Floats] = []
    jams: list[Floats] = []
    first_day = until
    for day, block, column, events in state.days(store, devices, until, one_by_one=one_by_one):
        first_day = min(first_day, day)
        before = supplies.before(state.supply)
        pages.append(state.take_day(day, block, column, events))
        jams.append(block.jams[:, column])
        supplies.after(day, state.supply, before)
        supplies.note(snapshot(day, state.usage, state.supply, calendar_ahead(day, holidays)))
        if each_day is not None:
            each_day(day)
    n = len(state.device_ids)
    return HistoryWalk(state, supplies, _table(jams, n, 0.0), _table(pages, n, np.nan), first_day)


def _table(
    days: list[Floats], devices: int, unseen: float
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return [device, day]; `unseen` stands for devices on the days before they first answered."""
    table = np.full((devices, len(days)), unseen)
    for at, day in enumerate(days):
        table[: len(day), at] = day
    return table
