"""Files of other people: usual types are read alike, and what is wrong is said in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analytics.backtest.supply_history import read_supply_history
from analytics.backtest.tables import days_of, days_to_walk, numbers, read_table
from crm_core.domain.errors import InvalidValue


def _history(days: int = 3) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "device_id": "d1", "model_id": "m", "site_id": "s", "nominal_yield_pages": 5000,
            "polled_at": pd.date_range("2024-01-01T18:00", periods=days, tz="UTC"), "level_state": "known",
            "level_percent": np.linspace(90, 80, days), "page_count": np.arange(days) * 10 + 1000,
        }
    )  # fmt: skip


def _other_types(table: pd.DataFrame, how: str) -> pd.DataFrame:
    if how == "narrow":
        return table.astype(
            {
                "level_percent": "float32",
                "page_count": "int32",
                "device_id": "category",
                "site_id": "category",
            }
        )
    if how == "text":
        return table.assign(
            polled_at=table["polled_at"].astype(str), page_count=table["page_count"].astype("Int64")
        )
    if how == "zone":
        return table.assign(
            polled_at=table["polled_at"].dt.tz_convert("Asia/Shanghai").astype("datetime64[s, Asia/Shanghai]")
        )
    return table.assign(polled_at=table["polled_at"].dt.tz_localize(None))


@pytest.mark.parametrize("how", ["narrow", "text", "zone", "naive"])
def test_a_history_is_the_same_in_every_usual_type(tmp_path: Path, how: str) -> None:
    _history().to_parquet(tmp_path / "a.parquet")
    _other_types(_history(), how).to_parquet(tmp_path / "b.parquet")
    one, other = (read_supply_history(tmp_path / f"{name}.parquet") for name in "ab")
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_allclose(one.percents, other.percents, rtol=1e-6)
    assert (one.first_day, one.device_ids) == (other.first_day, other.device_ids)


@pytest.mark.parametrize(("change", "words"), [
    ({"page_count": "many"}, "page_count must hold numbers"),
    ({"polled_at": "soon"}, "polled_at must hold dates"),
    ({"polled_at": pd.NaT}, "no row says when"),
])  # fmt: skip
def test_wrong_cells_are_named(tmp_path: Path, change: dict[str, object], words: str) -> None:
    _history().assign(**change).to_csv(tmp_path / "h.csv", index=False)
    with pytest.raises(InvalidValue, match=words) as refused:
        read_supply_history(tmp_path / "h.csv")
    assert "\n" not in str(refused.value)


def test_a_stray_row_does_not_make_an_endless_history(tmp_path: Path) -> None:
    table = _history()
    table.loc[0, "polled_at"] = pd.Timestamp("1970-01-01", tz="UTC")
    table.to_parquet(tmp_path / "h.parquet")
    with pytest.raises(InvalidValue, match="from the first row to the last"):
        read_supply_history(tmp_path / "h.parquet")


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    for name in ("h.parquet", "h.csv"):
        (tmp_path / name).write_bytes(bytes(range(256)))
        with pytest.raises(InvalidValue, match=r"can be read|missing"):
            read_table(tmp_path / name, ("day",))
    _history(0).to_parquet(tmp_path / "h.parquet")
    with pytest.raises(InvalidValue, match="no rows"):
        read_table(tmp_path / "h.parquet", ("device_id",))
    with pytest.raises(InvalidValue, match=r"columns jams are missing"):
        read_table(tmp_path / "h.parquet", ("device_id", "jams"))


def test_infinity_is_no_number_and_dates_are_days() -> None:
    table = pd.DataFrame({"n": [1.0, np.inf], "day": ["2024-01-01", None]}).astype({"day": "category"})
    np.testing.assert_array_equal(numbers(Path("x"), table, "n"), [1.0, np.nan])
    np.testing.assert_array_equal(days_of(Path("x"), table, "day"), [19723.0, np.nan])


def test_training_days_must_leave_days_to_walk() -> None:
    days_to_walk(31, 30)
    with pytest.raises(InvalidValue, match="leaves none"):
        days_to_walk(30, 30)
