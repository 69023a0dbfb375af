"""Readings that came late change days that were taken already: the state of their devices is worked out again.

A state never looks back, so a day cannot be taken out of it. Instead the few devices whose past changed walk through their
own history anew, and their rows replace the old ones; the rest of the fleet stays as it is. So do devices that were moved
to another site or turned out to be of another model: what they are pooled with and measured by is another. What devices teach one another
is pooled among the corrected devices while they walk: their own history soon outweighs it.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Final

import numpy as np

from analytics.features import FleetState
from analytics.recent import DayCodes
from crm_core.domain.fleet import Device
from crm_core.ports import TelemetryStore

#: Beyond this share of the fleet a walk of everything is cheaper, and pools as always.
WHOLE_FLEET_SHARE: Final = 0.05
_FEW: Final = 500


def is_cheaper_whole(changed: int, devices: int) -> bool:
    """Return True if the whole fleet should walk again rather than the changed devices alone."""
    return devices <= _FEW or changed > WHOLE_FLEET_SHARE * devices


def correct(
    state: FleetState, store: TelemetryStore, devices: Mapping[str, Device], changed: frozenset[str]
) -> int:
    """Work out the rows of `changed` devices again up to the state's last day; return how many were corrected."""
    wanted = {
        name: devices[name] for name in changed if name in devices and state.device_row(name) is not None
    }
    if not wanted or state.last_day is None:
        return 0
    fresh = FleetState(state.tenant, state.priors, holidays=state.holidays)
    fresh.recent.book = state.recent.book  # codes keep their numbers
    for day, block, column, events in fresh.days(store, wanted, state.last_day, one_by_one=True):
        fresh.take_day(day, block, column, events)
    _replace_devices(state, fresh)
    _replace_supplies(state, fresh)
    _belong_again(state, fresh, wanted)
    return len(fresh.device_ids)


def _replace_devices(state: FleetState, fresh: FleetState) -> None:
    target = np.array([state.device_row(name) for name in fresh.device_ids], np.int64)
    for name in ("usage", "failures"):
        old, new = getattr(state, name), getattr(fresh, name)
        for item in fields(old):
            table = getattr(old, item.name)
            if item.name not in {"site", "holiday_pages", "advised_day"}:
                table[..., target] = getattr(new, item.name)
    for ring in ("pages", "jams"):
        getattr(state.recent, ring)[target] = getattr(fresh.recent, ring)
    corrected = np.zeros(len(state.device_ids), bool)
    corrected[target] = True
    for day in sorted({*state.recent.codes, *fresh.recent.codes}):
        state.recent.codes[day] = _merged(
            state.recent.codes.get(day), fresh.recent.codes.get(day), corrected, target
        )
    kept = [fall for fall in state.falls if not corrected[fall.row]]
    state.falls = kept + [replace(fall, row=int(target[fall.row])) for fall in fresh.falls]


def _belong_again(state: FleetState, fresh: FleetState, devices: Mapping[str, Device]) -> None:
    """Let the corrected rows be pooled where their devices belong now."""
    for name, described in zip(fresh.device_ids, fresh.described, strict=True):
        row = state.device_rows[name]
        state.described[row] = described
        state.usage.site[row] = state.site_number(devices[name])
    for key in fresh.keys:
        name = fresh.device_ids[key.device_row]
        row = state.supply_row(name, key.index)
        if row >= 0:
            state.supply.model[row] = state.model_number(devices[name], key.kind, key.colour)


def _merged(
    old: DayCodes | None, new: DayCodes | None, corrected: np.ndarray[tuple[int], np.dtype[np.bool_]],
    target: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> DayCodes:  # fmt: skip
    """Return the codes of a day: old ones of devices that stay, new ones of those that were corrected."""
    none = DayCodes(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, bool))
    old, new = old or none, new or none
    stay = ~corrected[old.row]
    return DayCodes(
        np.concatenate([old.row[stay], target[new.row].astype(np.int32)]),
        np.concatenate([old.code[stay], new.code]),
        np.concatenate([old.severe[stay], new.severe]),
    )


def _replace_supplies(state: FleetState, fresh: FleetState) -> None:
    pairs = [
        (state.supply_row(fresh.device_ids[key.device_row], key.index), row)
        for row, key in enumerate(fresh.keys)
    ]
    known = [(old, new) for old, new in pairs if old >= 0]
    old_rows, new_rows = (
        (np.array(rows, np.int64) for rows in zip(*known, strict=True)) if known else (None, None)
    )
    if old_rows is None or new_rows is None:
        return
    for item in fields(state.supply):
        if item.name not in {"usage_row", "model"}:
            getattr(state.supply, item.name)[old_rows] = getattr(fresh.supply, item.name)[new_rows]
    place = dict(zip(new_rows.tolist(), old_rows.tolist(), strict=True))
    replaced = set(old_rows.tolist())
    kept = [life for life in state.ended if life.row not in replaced]
    state.ended = kept + [replace(life, row=place[life.row]) for life in fresh.ended if life.row in place]
    for new, old in place.items():
        state.last_statement[old] = fresh.last_statement.get(new)
