"""Tables of other people: read what is right in any usual type, and say in one line what is wrong with the rest."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from crm_core.domain.errors import InvalidValue

Floats = npt.NDArray[np.float64]

_LONGEST_DAYS: Final = 7320  # twenty years
_EARLIEST, _LATEST = pd.Timestamp("1900-01-01", tz="UTC"), pd.Timestamp("2200-01-01", tz="UTC")


def read_table(path: Path, columns: Collection[str], *, may_be_empty: bool = False) -> pd.DataFrame:
    """Return a table of parquet or csv (also .csv.gz) with these columns at least; raise `InvalidValue` otherwise."""
    try:
        table = pd.read_csv(path) if ".csv" in path.suffixes else pd.read_parquet(path)
    except (
        pa.ArrowException,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        OSError,
        UnicodeDecodeError,
    ) as error:
        raise InvalidValue(
            f"{path}: neither parquet nor csv that can be read ({_first_line(error)})"
        ) from error
    missing = [name for name in columns if name not in table]
    if missing:
        raise InvalidValue(
            f"{path}: columns {', '.join(missing)} are missing; it needs {', '.join(columns)} (docs/analytics.md)"
        )
    if table.empty and not may_be_empty:
        raise InvalidValue(f"{path}: there are no rows")
    return table


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def span_of(path: Path, days: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Return the first day and the number of days of a history; raise `InvalidValue` for one that a stray row makes endless."""
    first, length = int(days.min()), int(days.max() - days.min()) + 1
    if length > _LONGEST_DAYS:
        raise InvalidValue(
            f"{path}: {length} days from the first row to the last; at most {_LONGEST_DAYS} are read"
        )
    return first, length


def numbers(path: Path, table: pd.DataFrame, column: str) -> Floats:
    """Return a column as floats, NaN where it is empty; raise `InvalidValue` where it holds text."""
    try:
        values = pd.to_numeric(table[column], errors="raise").to_numpy(dtype=float, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise InvalidValue(f"{path}: column {column} must hold numbers ({_first_line(error)})") from error
    return np.where(np.isinf(values), np.nan, values)


def names(table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column as text, "" where it is empty; a whole number is the same name in every type (7, 7.0, "7")."""
    values = table[column].astype(object)
    if table[column].dtype.kind == "f":
        whole = values.map(lambda value: isinstance(value, float) and value.is_integer())
        values = values.where(~whole, values.where(whole, 0).astype("int64").astype(object))
    return values.where(table[column].notna(), "").astype(str).astype(object)


def instants(path: Path, table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column of dates or instants (any unit or zone, or text) in UTC, NaT where it is empty."""
    values = table[column]
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    try:
        found = pd.to_datetime(values, utc=True, format=None if values.dtype.kind == "M" else "ISO8601")
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidValue(
            f"{path}: column {column} must hold dates or instants ({_first_line(error)})"
        ) from error
    odd = found.notna() & ~found.between(_EARLIEST, _LATEST)
    if odd.any():
        raise InvalidValue(
            f"{path}: column {column} has the instant {found[odd].iloc[0]}, outside 1900 to 2200"
        )
    return found


def days_of(path: Path, table: pd.DataFrame, column: str) -> Floats:
    """Return a column as days since 1970 (UTC), NaN where it is empty."""
    days = instants(path, table, column).dt.tz_localize(None).to_numpy().astype("datetime64[D]")
    return np.where(np.isnat(days), np.nan, days.astype(np.int64).astype(float))


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as csv or parquet, by the name of the file."""
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path, index=False)


def days_to_walk(days: int, train_days: int) -> None:
    """Raise `InvalidValue` unless days are left to walk through after the training days."""
    if not train_days < days:
        raise InvalidValue(
            f"the history has {days} days: --train-days {train_days} leaves none to walk through"
        )
