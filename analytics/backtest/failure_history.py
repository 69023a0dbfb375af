"""Failure histories as dense counts: codes, pages, jams, parts and repairs of a fleet by [device, day].

All features of a row (device, day, component) are taken from sums up to the end of that day, so that a file cut after
the day gives the same row to the bit. Codes are assigned to components by the hints that devices gave in the training
days, and by their common prefix where a device names no component.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from analytics.backtest.tables import days_of, names, numbers, read_table, span_of
from crm_core.domain.errors import InvalidValue

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

COMPONENTS: Final = ("fuser", "transfer", "drum", "feed_rollers", "developer", "laser", "electronics")
_USUAL_LIFE: Final = 100_000.0  # pages of a part, where no file names any of its kind
_MOST_PAGES: Final = 1e6  # or jams, of a device and day
_MOST_OF_PART: Final = 1e8  # pages
STOPPED: Final = "STP-90"
_NEEDED: Final = {
    "events": ("device_id", "model_id", "site_id", "at", "code", "severity", "component_hint"),
    "usage": ("device_id", "day", "pages", "jams"),
    "parts": ("device_id", "component", "installed_on", "pages_at_start", "design_life_pages"),
    "repairs": ("device_id", "on", "component"),
    "known_failures": ("device_id", "failed_on", "component", "repaired_on"),
}
#: Columns that hold dates or instants; the first one places the row.
_DAYS: Final = {
    "events": ("at",), "usage": ("day",), "parts": ("installed_on",), "repairs": ("on",),
    "known_failures": ("failed_on", "repaired_on"),
}  # fmt: skip
_TEXTS: Final = ("device_id", "model_id", "site_id", "code", "severity", "component_hint")
_NUMBERS: Final = {
    "events": (), "usage": ("pages", "jams"), "parts": ("pages_at_start", "design_life_pages"), "repairs": (),
    "known_failures": (),
}  # fmt: skip


def read_kind(path: Path, kind: str) -> pd.DataFrame:
    """Return a history file of a kind; raise `InvalidValue` when it cannot serve. Only usage must have rows.

    Instants become days since 1970 (UTC), names text; rows without device or without the day that places them are left out.
    """
    table = read_table(path, _NEEDED[kind], may_be_empty=kind != "usage")
    texts = {name: names(table, name) for name in {*_TEXTS, "component"} & set(table.columns)}
    table = table.assign(
        **texts,
        **{name: days_of(path, table, name) for name in _DAYS[kind]},
        **{name: numbers(path, table, name) for name in _NUMBERS[kind]},
    )
    return table[table[_DAYS[kind][0]].notna() & (table["device_id"] != "")]


@dataclass(frozen=True, slots=True)
class FailureHistory:
    """One fleet: n devices, T days from `first_day`. Sums are exclusive prefix sums over days, [.., n, T + 1]."""

    device_ids: list[str]
    first_day: int
    days: int
    model: Ints
    site: Ints
    codes: list[str]
    code_component: Ints  # [codes], -1: not hardware
    count: npt.NDArray[np.int32]  # [codes, n, T + 1] events
    severe: npt.NDArray[np.int32]  # [7, n, T + 1] events of severity error or worse, by the code's component
    hinted: npt.NDArray[np.int32]  # [7, n, T + 1] events hinted at the component
    active: npt.NDArray[np.int32]  # [7, n, T + 1] days with a code of the component
    pages: Floats  # [n, T + 1]
    jams: Floats
    worked: Floats  # [n, T + 1] days with pages
    stop_day: Ints  # [n, T] last day with a stop up to and including the day, -999: none
    part_pages: Floats  # [7, n, T] pages on the part at the end of the day
    part_days: Floats  # [7, n, T] days since it was fitted
    repairs: npt.NDArray[np.int32]  # [7, n, T + 1]
    design: Floats  # [7, n]

    def window(
        self, sums: npt.NDArray[np.generic], rows: Ints, day: Ints, length: int, lag: int = 0
    ) -> Floats:
        """Return sums over the `length` days that end `lag` days before the end of `day`; `sums` is [n, T + 1]."""
        end = np.maximum(day + 1 - lag, 0)
        return np.asarray(sums[rows, end] - sums[rows, np.maximum(end - length, 0)], dtype=float)


def prefix_sums(table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return exclusive sums over the last axis, one longer than `table`."""
    shape = (*table.shape[:-1], table.shape[-1] + 1)
    sums = np.zeros(shape, table.dtype)
    np.cumsum(table, axis=-1, out=sums[..., 1:])
    return sums


def load_history(files: Mapping[str, Path], train_days: int) -> FailureHistory:
    """Read the files of a fleet (events, usage, parts, repairs) into dense sums."""
    usage = read_kind(files["usage"], "usage")
    if usage.empty:
        raise InvalidValue(f"{files['usage']}: no row says on which day and of which device_id it is")
    events, parts = read_kind(files["events"], "events"), read_kind(files["parts"], "parts")
    repairs = read_kind(files["repairs"], "repairs")
    ids = sorted(usage["device_id"].unique())
    index = pd.Index(ids)
    usage_day = usage["day"].to_numpy().astype(np.int64)
    first, length = span_of(files["usage"], usage_day)
    n = len(ids)
    rows = index.get_indexer(usage["device_id"])
    pages, jams = np.zeros((n, length)), np.zeros((n, length))
    for table, column in ((pages, "pages"), (jams, "jams")):
        table[rows, usage_day - first] = usage[column].fillna(0).clip(0, _MOST_PAGES).to_numpy(float)
    code_facts = _code_sums(events, index, first, length, train_days)
    part_facts = _part_ages(parts, repairs, index, first, length, pages)
    places = pd.concat([parts, events]).reindex(columns=["device_id", "model_id", "site_id"])
    places = places.replace("", None).groupby("device_id").first().reindex(ids).fillna("")
    return FailureHistory(
        device_ids=ids, first_day=first, days=length,
        model=pd.factorize(places["model_id"], sort=True)[0].astype(np.int64),
        site=pd.factorize(places["site_id"], sort=True)[0].astype(np.int64),
        pages=np.asarray(prefix_sums(pages), float), jams=np.asarray(prefix_sums(jams), float),
        worked=np.asarray(prefix_sums((pages > 0).astype(float)), float), **code_facts, **part_facts,
    )  # fmt: skip


def _code_sums(
    events: pd.DataFrame, index: pd.Index, first: int, length: int, train_days: int
) -> dict[str, Any]:
    day = events["at"].to_numpy().astype(np.int64) - first
    row = index.get_indexer(events["device_id"])
    keep = (row >= 0) & (day >= 0) & (day < length)
    code, hint = events["code"].to_numpy(object), events["component_hint"].to_numpy(object)
    known = keep & (day < train_days)
    codes = sorted(set(code[known]) - {STOPPED}) or [""]
    component = _component_of_codes(codes, code[known], hint[known])
    at = pd.Index(codes).get_indexer(code)
    n = len(index)
    count = np.zeros((len(codes), n, length), np.int32)
    use = keep & (at >= 0)
    np.add.at(count, (at[use], row[use], day[use]), 1)
    of_component = np.where(at >= 0, component[np.maximum(at, 0)], -1)
    severity = events["severity"].to_numpy(object)
    severe = np.zeros((len(COMPONENTS), n, length), np.int32)
    bad = use & (of_component >= 0) & np.isin(severity, ("error", "critical"))
    np.add.at(severe, (of_component[bad], row[bad], day[bad]), 1)
    hinted = np.zeros_like(severe)
    named = pd.Index(COMPONENTS).get_indexer(hint)
    hit = use & (named >= 0)
    np.add.at(hinted, (named[hit], row[hit], day[hit]), 1)
    active = np.stack([(count[component == c].sum(0) > 0).astype(np.int32) for c in range(len(COMPONENTS))])
    stops = np.full((n, length), -999, np.int64)
    stopped = keep & (code == STOPPED)
    stops[row[stopped], day[stopped]] = day[stopped]
    return {
        "codes": codes, "code_component": component, "count": prefix_sums(count), "severe": prefix_sums(severe),
        "hinted": prefix_sums(hinted), "active": prefix_sums(active), "stop_day": np.maximum.accumulate(stops, axis=1),
    }  # fmt: skip


def _component_of_codes(
    codes: list[str], seen: npt.NDArray[np.object_], hints: npt.NDArray[np.object_]
) -> Ints:
    """Return the component of each code: what devices hinted most often for it or for codes of the same prefix."""
    table = pd.DataFrame({"code": seen, "hint": hints})
    table["prefix"] = table["code"].str.split("-").str[0]
    table = table[table["hint"] != ""]
    by_prefix = table.groupby("prefix")["hint"].agg(lambda column: column.value_counts().index[0])
    names = [by_prefix.get(code.split("-")[0], "") for code in codes]
    return np.asarray(pd.Index(COMPONENTS).get_indexer(names), dtype=np.int64)


def _part_ages(
    parts: pd.DataFrame, repairs: pd.DataFrame, index: pd.Index, first: int, length: int, pages: Floats
) -> dict[str, Any]:
    """Return pages and days on every part by day; a repair on a day starts the part anew on that day."""
    n, kinds = len(index), len(COMPONENTS)
    start_pages, start_day = np.zeros((kinds, n)), np.full((kinds, n), -400.0)
    design = np.full((kinds, n), np.nan)
    row = index.get_indexer(parts["device_id"])
    kind = pd.Index(COMPONENTS).get_indexer(parts["component"])
    ok = (row >= 0) & (kind >= 0)
    start_pages[kind[ok], row[ok]] = (
        parts["pages_at_start"].fillna(0).clip(0, _MOST_OF_PART).to_numpy(float)[ok]
    )
    start_day[kind[ok], row[ok]] = np.minimum(parts["installed_on"].to_numpy()[ok] - first, 0)
    life = parts["design_life_pages"].clip(upper=_MOST_OF_PART).to_numpy(float)[ok]
    design[kind[ok], row[ok]] = np.where(life > 0, life, np.nan)
    known = [row[~np.isnan(row)] for row in design]
    usual = np.array([np.median(row) if len(row) else _USUAL_LIFE for row in known])
    design = np.where(np.isnan(design), usual[:, None], design)
    fitted = np.zeros((kinds, n, length), np.int32)
    row = index.get_indexer(repairs["device_id"])
    kind = pd.Index(COMPONENTS).get_indexer(repairs["component"])
    day = repairs["on"].to_numpy().astype(np.int64) - first
    ok = (row >= 0) & (kind >= 0) & (day >= 0) & (day < length)
    fitted[kind[ok], row[ok], day[ok]] = 1
    steps = np.arange(length)
    last = np.maximum.accumulate(np.where(fitted > 0, steps, -1), axis=2)
    sums = np.concatenate([np.zeros((n, 1)), np.cumsum(pages, axis=1)], axis=1)
    since = sums[:, 1:][None] - np.take_along_axis(sums[None].repeat(kinds, 0), np.maximum(last, 0), axis=2)
    part_pages = np.where(last >= 0, since, start_pages[:, :, None] + sums[:, 1:][None])
    part_days = np.where(last >= 0, steps - last, steps - start_day[:, :, None])
    return {
        "part_pages": part_pages,
        "part_days": part_days,
        "repairs": prefix_sums(fitted),
        "design": design,
    }
