"""One walk through the whole history, day by day, with the states of the nightly run: what training and back-tests learn from."""

from dataclasses import dataclass

import numpy as np

from analytics.features import FleetState, calendar_ahead
from analytics.supplies import snapshot
from analytics.training import SupplyRecorder
from crm_core.domain.fleet import Device
from crm_core.ports import TelemetryStore


@dataclass(slots=True)
class HistoryWalk:
    """State at the end, what was known on each day, jams and pages [device, day] and the first day."""

    state: FleetState
    supplies: SupplyRecorder
    jams: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    pages: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    first_day: int


def walk_history(
    store: TelemetryStore, state: FleetState, devices: dict[str, Device], until: int, holidays: frozenset[int]
) -> HistoryWalk:
    """Walk through the whole history and note what was known on each day."""
    supplies = SupplyRecorder()
    state.all_codes = {}
    block, events = state.read(store, devices, until)
    pages: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
    for column in range(block.counts.shape[1]):
        day = block.first_day + column
        before = supplies.before(state.supply)
        pages.append(state.take_day(day, block, column, events.get(day, ())))
        supplies.after(day, state.supply, before)
        supplies.note(snapshot(day, state.usage, state.supply, calendar_ahead(day, holidays)))
    table = np.stack(pages, axis=1) if pages else np.zeros((len(state.device_ids), 0))
    return HistoryWalk(state, supplies, block.jams, table, block.first_day)
