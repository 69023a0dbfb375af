"""Supply histories as dense arrays: what a collector would have stored, by [device, day]."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from analytics.backtest.tables import days_of, instants, names, numbers, read_table, span_of
from analytics.supply_state import KNOWN, SILENT, SOME_REMAINING
from crm_core.domain.errors import InvalidValue
from crm_core.domain.wire import SUPPLY_HISTORY_COLUMNS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_USUAL_YIELD: Final = 5000.0  # pages, where the file names none
_MOST_PAGES: Final = 1e7  # of a cartridge
_STATES: Final = {"known": KNOWN, "some_remaining": SOME_REMAINING}


@dataclass(frozen=True, slots=True)
class SupplyHistory:
    """One supply a device over T days from `first_day` (days since 1970): the last answered poll of each day."""

    device_ids: list[str]
    first_day: int
    model: Ints
    site: Ints
    nominal: Floats
    counts: Floats  # [n, T] life counter, NaN: no answer
    states: Ints  # [n, T] SILENT, KNOWN or SOME_REMAINING
    percents: Floats  # [n, T]

    @property
    def days(self) -> int:
        """Number of days."""
        return int(self.counts.shape[1])


def read_supply_history(path: Path) -> SupplyHistory:
    """Read a history file (docs/analytics.md); raise `InvalidValue` when it lacks columns or rows."""
    table = read_table(path, SUPPLY_HISTORY_COLUMNS)
    polled = instants(path, table, "polled_at").dt.tz_localize(None)
    placed = polled.notna() & table["device_id"].notna()
    table, polled = table[placed], polled[placed]
    if table.empty:
        raise InvalidValue(f"{path}: no row says when it was polled, and of which device_id")
    day = polled.to_numpy().astype("datetime64[D]").astype(np.int64)
    first, length = span_of(path, day)
    device = table["device_id"].astype(str)
    ids = sorted(device.unique())
    row = pd.Index(ids).get_indexer(device)
    count = numbers(path, table, "page_count")
    answered = count >= 0
    if not answered.any():
        raise InvalidValue(f"{path}: no row has a page_count, so no device ever answered")
    order = np.flatnonzero(answered)[np.argsort(polled.to_numpy()[answered], kind="stable")]
    at = row[order], day[order] - first
    counts = np.full((len(ids), length), np.nan)
    percents = np.full((len(ids), length), np.nan)
    states = np.full((len(ids), length), SILENT, np.int64)
    counts[at] = count[order]
    percent = numbers(path, table, "level_percent")[order]
    state = _states(path, table)[order]
    state = np.where((state == KNOWN) & np.isnan(percent), SILENT, state)
    states[at] = state
    percents[at] = np.where(state == KNOWN, np.clip(percent, 0.0, 100.0), np.nan)
    facts = table.assign(device_id=device).drop_duplicates("device_id").set_index("device_id").reindex(ids)
    nominal = np.nan_to_num(numbers(path, facts, "nominal_yield_pages"), nan=_USUAL_YIELD)
    return SupplyHistory(
        device_ids=ids, first_day=first, model=pd.factorize(names(facts, "model_id"), sort=True)[0].astype(np.int64),
        site=pd.factorize(names(facts, "site_id"), sort=True)[0].astype(np.int64),
        nominal=np.clip(np.where(nominal > 0, nominal, _USUAL_YIELD), 1.0, _MOST_PAGES),
        counts=counts, states=states, percents=percents,
    )  # fmt: skip


def _states(path: Path, table: pd.DataFrame) -> Ints:
    """Return the state of each row; raise `InvalidValue` where none is of a kind that is known."""
    said = names(table, "level_state").str.strip().str.lower()
    state = np.asarray(said.map(_STATES).fillna(SILENT), dtype=np.int64)
    if (state == SILENT).all() and (said != "").any():
        raise InvalidValue(
            f"{path}: level_state must be {', '.join(_STATES)} or empty; found {said[said != ''].iloc[0]!r}"
        )
    return state


def read_holidays(path: Path | None) -> frozenset[int]:
    """Return the days (since 1970) of a file with a column `day`; no file, no holidays."""
    if path is None:
        return frozenset()
    days = days_of(path, read_table(path, ("day",), may_be_empty=True), "day")
    return frozenset(int(day) for day in days if not np.isnan(day))


def as_dates(days: Iterable[int] | Ints) -> npt.NDArray[np.datetime64]:
    """Return day numbers as dates."""
    return np.asarray(days, dtype="int64").astype("datetime64[D]")
