"""Supply histories as dense arrays: what a collector would have stored, by [device, day]."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from analytics.supply_state import KNOWN, SILENT, SOME_REMAINING
from crm_core.domain.errors import InvalidValue
from crm_core.domain.wire import SUPPLY_HISTORY_COLUMNS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_KNOWN_COLUMNS = {"known": KNOWN, "some_remaining": SOME_REMAINING}


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
    table = pd.read_csv(path, parse_dates=["polled_at"]) if path.suffix == ".csv" else pd.read_parquet(path)
    missing = [name for name in SUPPLY_HISTORY_COLUMNS if name not in table]
    if missing or table.empty:
        raise InvalidValue(
            f"{path}: a supply history needs rows with {', '.join(SUPPLY_HISTORY_COLUMNS)}; missing: {missing}"
        )
    polled = pd.to_datetime(table["polled_at"], utc=True).dt.tz_localize(None)
    day = polled.to_numpy().astype("datetime64[D]").astype(np.int64)
    first, length = int(day.min()), int(day.max() - day.min()) + 1
    device = table["device_id"].astype(str)
    ids = sorted(device.unique())
    row = pd.Index(ids).get_indexer(device)
    answered = table["page_count"].notna().to_numpy()
    order = np.flatnonzero(answered)[np.argsort(polled.to_numpy()[answered], kind="stable")]
    at = row[order], day[order] - first
    counts = np.full((len(ids), length), np.nan)
    percents = np.full((len(ids), length), np.nan)
    states = np.full((len(ids), length), SILENT, np.int64)
    counts[at] = table["page_count"].to_numpy(float)[order]
    percent = table["level_percent"].to_numpy(float)[order]
    state = table["level_state"].astype(object).map(_KNOWN_COLUMNS).fillna(SILENT).to_numpy(np.int64)[order]
    state = np.where((state == KNOWN) & np.isnan(percent), SILENT, state)
    states[at] = state
    percents[at] = np.where(state == KNOWN, np.clip(percent, 0.0, 100.0), np.nan)
    facts = table.assign(device_id=device).drop_duplicates("device_id").set_index("device_id").reindex(ids)
    return SupplyHistory(
        device_ids=ids, first_day=first, model=pd.factorize(facts["model_id"].astype(str), sort=True)[0].astype(np.int64),
        site=pd.factorize(facts["site_id"].astype(str), sort=True)[0].astype(np.int64),
        nominal=facts["nominal_yield_pages"].fillna(5000).clip(lower=1).to_numpy(float),
        counts=counts, states=states, percents=percents,
    )  # fmt: skip


def read_holidays(path: Path | None) -> frozenset[int]:
    """Return the days (since 1970) of a file with a column `day`; no file, no holidays."""
    if path is None:
        return frozenset()
    table = pd.read_csv(path)
    if "day" not in table:
        raise InvalidValue(f"{path}: a holiday file has one column named day")
    days = pd.to_datetime(table["day"]).to_numpy().astype("datetime64[D]").astype(np.int64)
    return frozenset(int(day) for day in days)


def as_dates(days: Iterable[int] | Ints) -> npt.NDArray[np.datetime64]:
    """Return day numbers as dates."""
    return np.asarray(np.datetime64("1970-01-01") + np.asarray(days))
