"""Histories of a simulated fleet as files: what a collector would have stored, and the truth beside it.

Two kinds with the columns and types of the development data sets: the drain of the black cartridge of each device,
and codes, usage, parts and failures. The days are walked once; only the columns that the files need are kept, so
1,000 devices over 540 days take seconds. Truth files are for scorers only, never an input of a forecast.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from simulators.device.arrays import CODE, CODE_NAMES, CODE_SEVERITY, METERS, SEVERITIES, Bools, Singles
from simulators.device.fleet import Fleet
from simulators.device.gauges import STICKING_PLATEAU
from simulators.device.habits import GAUGES
from simulators.models import COMPONENTS

TEXT: Final = pa.dictionary(pa.int32(), pa.string())
MISSED_SHARE: Final = 0.012
EXTRA_SHARES: Final = (0.004, 0.006)  # a second poll in the evening, one more at midday
MIDDAY_MINUTE: Final = 600
FIRST_POLL_MINUTE: Final = 960
_JAMS: Final = METERS.index("jams")


@dataclass(slots=True)
class History:
    """[N, D] what the files need of every device and day; the black slot stands for the device."""

    fleet: Fleet
    pages: npt.NDArray[np.int32]
    jams: npt.NDArray[np.int32]
    counter: npt.NDArray[np.int64]
    used_start: Singles
    used_end: Singles
    unit_yield: Singles
    unit_number: npt.NDArray[np.int32]
    changed: Bools
    ran_empty: Bools
    answered: Bools
    events: pa.Table
    parts: tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]  # installed_on and pages of the parts on day 0

    @property
    def days(self) -> int:
        return int(self.pages.shape[1])


def black_slots(fleet: Fleet) -> npt.NDArray[np.intp]:
    """Return the index of each device's black toner or ink."""
    return np.array(
        [
            next(s for s, slot in enumerate(model.slots) if slot.kind == "toner" and slot.colour == "K")
            for model in fleet.model_of
        ]
    )


def record_history(fleet: Fleet, days: int) -> History:
    """Walk `days` days of a fleet that has not started yet; it forgets the days as they pass."""
    if fleet.next_day:
        raise ValueError("the fleet has already lived: record a history from its first day")
    count, rows, black = len(fleet), np.arange(len(fleet)), black_slots(fleet)
    parts = (fleet.parts.installed_on.copy(), fleet.parts.pages.astype(np.int64))
    whole = History(
        fleet=fleet,
        pages=np.empty((count, days), np.int32),
        jams=np.empty((count, days), np.int32),
        counter=np.empty((count, days), np.int64),
        used_start=np.empty((count, days), np.float32),
        used_end=np.empty((count, days), np.float32),
        unit_yield=np.empty((count, days), np.float32),
        unit_number=np.empty((count, days), np.int32),
        changed=np.empty((count, days), bool),
        ran_empty=np.empty((count, days), bool),
        answered=np.empty((count, days), bool),
        events=pa.table({}),
        parts=parts,
    )
    codes: list[tuple[npt.NDArray[np.float64], ...]] = []
    for day in range(days):
        record = fleet.record(day)
        whole.pages[:, day] = record.meters[:, 0]
        whole.jams[:, day] = record.meters[:, _JAMS]
        whole.counter[:, day] = record.meters_at_start[:, 0] + record.meters[:, 0]
        whole.used_start[:, day] = record.used_at_start[rows, black]
        whole.used_end[:, day] = record.used_at_end[rows, black]
        whole.unit_yield[:, day] = fleet.unit_yield[rows, black]
        whole.unit_number[:, day] = record.unit_number[rows, black]
        whole.changed[:, day] = record.changed[rows, black]
        whole.ran_empty[:, day] = record.ran_empty[rows, black]
        off = fleet.habits.night_off & ~record.is_open
        whole.answered[:, day] = ~(record.unreachable | off)
        table = record.events
        keep = table.fresh & (table.kind == CODE)
        minutes = table.start[keep].astype(np.float64) + day * 1440.0
        codes.append((table.device[keep], minutes, table.code[keep], table.hint[keep]))
        del fleet.days[day]
    whole.events = _events(fleet, codes)
    return whole


def _ids(fleet: Fleet) -> pa.Array:
    return pa.array([spec.device_id for spec in fleet.roster.devices])


def _named(index: npt.NDArray[np.integer], names: pa.Array, mask: Bools | None = None) -> pa.DictionaryArray:
    """Return a dictionary column; null where `mask`."""
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32), mask=mask), names)


def _of_device(fleet: Fleet, device: npt.NDArray[np.integer]) -> dict[str, pa.Array]:
    """Return the columns device_id, model_id and site_id of rows that belong to `device`."""
    models = sorted(fleet.models)
    model = np.array([models.index(spec.model_id) for spec in fleet.roster.devices])
    sites = pa.array([site.site_id for site in fleet.roster.sites])
    return {
        "device_id": _named(device, _ids(fleet)),
        "model_id": _named(model[device], pa.array(models)),
        "site_id": _named(fleet.habits.site[device], sites),
    }


def _events(fleet: Fleet, codes: list[tuple[npt.NDArray[np.float64], ...]]) -> pa.Table:
    device, minutes, code, hint = (np.concatenate([part[i] for part in codes]) for i in range(4))
    order = np.lexsort((minutes, device))
    device, code, hint = device[order].astype(np.int32), code[order].astype(np.int64), hint[order]
    at = np.datetime64(fleet.start, "ms") + (minutes[order] * 60_000).astype("timedelta64[ms]")
    columns = _of_device(fleet, device)
    columns["at"] = pa.array(at, pa.timestamp("ms", tz="UTC"))
    columns["code"] = _named(code, pa.array(CODE_NAMES))
    columns["severity"] = _named(CODE_SEVERITY[code], pa.array(SEVERITIES))
    columns["component_hint"] = _named(np.maximum(hint, 0), pa.array(COMPONENTS), mask=hint < 0)
    return pa.table(columns)


# --- supply history --------------------------------------------------------------------------------------------------


def gauge_percent(
    kind: npt.NDArray[np.int8],
    share: npt.NDArray[np.floating],
    bias: npt.NDArray[np.float64],
    unit_number: npt.NDArray[np.int32],
) -> Singles:
    """Return what the gauges show in percent, [N, D]; `simulators.device.gauges` for whole arrays."""
    seen = np.clip(1.0 - (1.0 - share) * (1.0 + bias[:, None]), 0.0, 1.0)
    step = np.array([{"pct5": 5, "pct10": 10}.get(name, 1) for name in GAUGES])[kind][:, None]
    shown = np.minimum(step * np.ceil(100.0 * seen / step - 1e-6), 100.0)
    offset = unit_number * 7 % STICKING_PLATEAU
    plateau = STICKING_PLATEAU * np.ceil((100.0 * seen + offset) / STICKING_PLATEAU) - offset
    sticks = (kind == GAUGES.index("sticking"))[:, None]
    shown = np.where(sticks, np.where(seen > 0, np.clip(plateau, 0, 100), 0.0), shown)
    fine = (
        np.round(np.where(seen > 0, seen, 0.0) * 2500.0) / 25.0
    )  # ml: steps of a hundredth of a percent point x 4
    return np.where((kind == GAUGES.index("ml"))[:, None], fine, shown).astype(np.float32)


def supply_history(history: History, seed: int = 0) -> pa.Table:
    """Return the polls: about one a day in the evening, some missed, some doubled, some at midday as well."""
    fleet, days = history.fleet, history.days
    count = len(fleet)
    habits = fleet.habits
    rng = np.random.default_rng([fleet.seed, 307, seed])
    answered = history.answered & (rng.random((count, days)) >= MISSED_SHARE)
    usual = FIRST_POLL_MINUTE + rng.integers(0, 300, count)
    minute = np.clip(usual[:, None] + rng.integers(-15, 16, (count, days)), 900, 1430)
    device, day = np.nonzero(np.ones((count, days), bool))
    draw = rng.random((2, count * days))
    again, midday = (np.flatnonzero(draw[i] < share) for i, share in enumerate(EXTRA_SHARES))
    picked = np.concatenate([np.arange(count * days), again, midday])
    device, day = device[picked], day[picked]
    late = np.concatenate(
        [np.zeros(count * days, np.int64), np.full(len(again), 7), np.zeros(len(midday), np.int64)]
    )
    half = np.concatenate([np.zeros(count * days + len(again), bool), np.ones(len(midday), bool)])
    at_minute = np.where(half, MIDDAY_MINUTE + device % 120, minute[device, day] + late)
    order = np.lexsort((at_minute, day, device))
    device, day, half, at_minute = device[order], day[order], half[order], at_minute[order]
    ok = answered[device, day]
    seen = [
        gauge_percent(habits.gauge, 1.0 - used, habits.gauge_bias, history.unit_number)[device, day]
        for used in (history.used_end, (history.used_start + history.used_end) / 2)
    ]
    percent = np.where(half, seen[1], seen[0])
    pages = history.counter[device, day] - np.where(half, history.pages[device, day] // 2, 0)
    silent_gauge = habits.gauge[device] == GAUGES.index("some_remaining")
    some = ok & silent_gauge & (percent > 100.0 * habits.low_flag[device])
    state = np.where(some, 1, 0)
    yields = np.array(
        [model.slots[s].yield_pages for model, s in zip(fleet.model_of, black_slots(fleet), strict=True)]
    )
    at = (
        np.datetime64(fleet.start, "ms")
        + day * np.timedelta64(86_400_000, "ms")
        + at_minute * np.timedelta64(60_000, "ms")
    )
    columns = _of_device(fleet, device)
    columns["nominal_yield_pages"] = pa.array(yields[device], pa.int32())
    columns["polled_at"] = pa.array(at, pa.timestamp("ms", tz="UTC"))
    columns["level_state"] = _named(state, pa.array(["known", "some_remaining"]), mask=~ok)
    columns["level_percent"] = pa.array(percent, pa.float32(), mask=~ok | some)
    columns["page_count"] = pa.array(pages, pa.int64(), mask=~ok)
    return pa.table(columns)


def days_to_empty(history: History) -> npt.NDArray[np.float32]:
    """Return [N, D] the days from the end of each day until the cartridge then installed would be empty.

    The drain after an early change is what the machine went on to take; NaN beyond the file's end.
    """
    drain = (history.used_end.astype(np.float64) - history.used_start).clip(0) * history.unit_yield
    total = np.cumsum(drain, axis=1)
    left = (1.0 - history.used_end.astype(np.float64)).clip(0) * history.unit_yield
    result = np.full(history.pages.shape, np.nan, np.float32)
    for i in range(len(total)):
        goal = total[i] + left[i]
        at = np.searchsorted(total[i], goal - 1e-9)
        found = at < history.days
        end = np.minimum(at, history.days - 1)
        before = np.where(end > 0, total[i][end - 1], 0.0)
        within = ((goal - before) / np.maximum(drain[i][end], 1e-12)).clip(0, 1)
        value = np.where(left[i] <= 1e-7, 0.0, end - np.arange(history.days) - 1 + within)
        result[i] = np.where(found, np.maximum(value, 0.0), np.nan)
    return result


def supply_truth(history: History) -> pa.Table:
    """Return the truth of the black cartridges: a row per device and day."""
    fleet, days = history.fleet, history.days
    device = np.repeat(np.arange(len(fleet)), days)
    until = days_to_empty(history).ravel()
    return pa.table(
        {
            "device_id": _named(device, _ids(fleet)),
            "day": _dates(fleet, np.tile(np.arange(days), len(fleet))),
            "true_days_to_empty": pa.array(until, pa.float32(), mask=np.isnan(until)),
            "ran_empty": history.ran_empty.ravel(),
            "replaced": history.changed.ravel(),
            "level_true": pa.array((1.0 - history.used_end).clip(0, 1).ravel(), pa.float32()),
        }
    )


# --- failure history -------------------------------------------------------------------------------------------------


def _dates(fleet: Fleet, day: npt.NDArray[np.integer], mask: Bools | None = None) -> pa.Array:
    return pa.array(np.datetime64(fleet.start, "D") + day.astype("timedelta64[D]"), pa.date32(), mask=mask)


def usage_table(history: History) -> pa.Table:
    """Return pages and jams per device and day."""
    count = len(history.fleet)
    return pa.table(
        {
            "device_id": _named(np.repeat(np.arange(count), history.days), _ids(history.fleet)),
            "day": _dates(history.fleet, np.tile(np.arange(history.days), count)),
            "pages": history.pages.ravel(),
            "jams": history.jams.ravel(),
        }
    )


def parts_table(history: History) -> pa.Table:
    """Return the parts fitted on day 0, with the pages already on them."""
    fleet = history.fleet
    installed, pages = history.parts
    device, component = np.nonzero(fleet.parts.design > 0)
    columns = _of_device(fleet, device)
    columns["component"] = _named(component, pa.array(COMPONENTS))
    columns["installed_on"] = _dates(fleet, installed[device, component])
    columns["pages_at_start"] = pa.array(pages[device, component], pa.int32())
    columns["design_life_pages"] = pa.array(
        fleet.parts.design[device, component].astype(np.int64), pa.int32()
    )
    return pa.table(columns)


def repairs_table(history: History) -> pa.Table:
    """Return every part fitted later: after a failure or at a visit."""
    fleet = history.fleet
    rows = np.array(sorted(fleet.repairs), np.int64).reshape(-1, 3)
    return pa.table(
        {
            "device_id": _named(rows[:, 0], _ids(fleet)),
            "on": _dates(fleet, rows[:, 1]),
            "component": _named(rows[:, 2], pa.array(COMPONENTS)),
        }
    )


def failures_table(history: History, *, before_day: int | None = None) -> pa.Table:
    """Return failures with their repair; with `before_day` only what the company knew at the start of that day."""
    fleet = history.fleet
    repaired: dict[tuple[int, int], list[int]] = {}
    for device, day, component in fleet.repairs:
        repaired.setdefault((device, component), []).append(day)
    known = history.days if before_day is None else before_day
    rows = []
    for device, day, component in sorted(fleet.failures):
        later = [d for d in repaired.get((device, component), ()) if day < d < known]
        if day < known:
            rows.append((device, day, component, min(later) if later else -1))
    table = np.array(rows, np.int64).reshape(-1, 4)
    return pa.table(
        {
            "device_id": _named(table[:, 0], _ids(fleet)),
            "failed_on": _dates(fleet, table[:, 1]),
            "component": _named(table[:, 2], pa.array(COMPONENTS)),
            "repaired_on": _dates(fleet, table[:, 3], mask=table[:, 3] < 0),
        }
    )


def failure_truth(history: History) -> pa.Table:
    """Return all failures; one not repaired within the file counts as repaired on the day after its end."""
    table = failures_table(history)
    last = history.fleet.start + timedelta(days=history.days)
    filled = table["repaired_on"].combine_chunks().fill_null(pa.scalar(last, pa.date32()))
    return table.set_column(3, "repaired_on", filled)


def write_histories(
    history: History, folder: Path, name: str = "s", known_before_day: int = 300
) -> list[Path]:
    """Write both histories with their truth as `<table>_<name>.parquet` into `folder`; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "supply_history/history": supply_history(history),
        "supply_history/truth": supply_truth(history),
        "failure_history/events": history.events,
        "failure_history/usage": usage_table(history),
        "failure_history/parts": parts_table(history),
        "failure_history/repairs": repairs_table(history),
        "failure_history/known_failures": failures_table(history, before_day=known_before_day),
        "failure_history/truth": failure_truth(history),
    }
    paths = []
    for place, table in tables.items():
        path = folder / f"{place}_{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        paths.append(path)
    return paths
