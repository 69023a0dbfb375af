"""The walk through a supply history: it knows nothing of the future, and what it writes fits the protocol."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analytics.backtest.supplies import backtest_supplies
from crm_core.domain.errors import InvalidValue

_DAYS, _TRAIN = 170, 110


def _history(devices: int = 16) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    rows = []
    for device in range(devices):
        waited = 0
        level, count, step = 1.0, 5000, (1, 5, 10)[device % 3]
        yield_pages = 2000.0 * rng.uniform(0.8, 1.2)
        for day in range(_DAYS):
            weekend = (day % 7) >= 5
            pages = 0 if weekend else int(rng.poisson(90 * rng.gamma(6, 1 / 6)))
            if level <= 0:
                waited += 1
                level, waited = (1.0, 0) if waited > device % 4 else (level, waited)
            pages = pages if level > 0 else 0
            level = max(0.0, level - pages / yield_pages)
            count += pages
            if rng.random() < 0.05:
                continue
            polled = pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(days=day, hours=17)
            rows.append(
                (
                    f"d{device:03d}",
                    "M1",
                    f"S{device % 4}",
                    2000,
                    polled,
                    "known",
                    np.ceil(100 * level / step) * step,
                    count,
                )
            )
    columns = [
        "device_id",
        "model_id",
        "site_id",
        "nominal_yield_pages",
        "polled_at",
        "level_state",
        "level_percent",
        "page_count",
    ]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame, Path]:
    folder = tmp_path_factory.mktemp("supplies")
    history = _history()
    history.to_parquet(folder / "history.parquet")
    summary = backtest_supplies(folder / "history.parquet", _TRAIN, folder / "out.parquet", trees=12)
    assert summary["run_outs_learned"] > 40
    return history, pd.read_parquet(folder / "out.parquet"), folder


def test_there_is_a_row_for_every_device_and_day_of_the_walk(
    walked: tuple[pd.DataFrame, pd.DataFrame, Path],
) -> None:
    _, made, _ = walked
    assert list(made.columns) == [
        "device_id", "day", "days_to_empty_p10", "days_to_empty_p50", "days_to_empty_p90", "raise_ticket"
    ]  # fmt: skip
    assert len(made) == 16 * (_DAYS - _TRAIN)
    assert (made.days_to_empty_p10 <= made.days_to_empty_p50).all()
    assert (made.days_to_empty_p50 <= made.days_to_empty_p90).all()
    assert made.raise_ticket.any()


@pytest.mark.parametrize("cut", [_TRAIN, 141])
def test_a_file_cut_after_a_day_gives_the_same_rows_up_to_it_to_the_bit(
    walked: tuple[pd.DataFrame, pd.DataFrame, Path], cut: int
) -> None:
    history, made, folder = walked
    last = pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(days=cut + 1)
    history[history.polled_at < last].to_parquet(folder / f"cut{cut}.parquet")
    backtest_supplies(folder / f"cut{cut}.parquet", _TRAIN, folder / f"out{cut}.parquet", trees=12)
    again = pd.read_parquet(folder / f"out{cut}.parquet")
    expected = made[pd.to_datetime(made.day) <= pd.Timestamp("2024-01-01") + pd.Timedelta(days=cut)]
    pd.testing.assert_frame_equal(
        again.reset_index(drop=True), expected.reset_index(drop=True), check_exact=True
    )


def test_the_walk_is_better_than_the_level_since_the_last_change_over_days(
    walked: tuple[pd.DataFrame, pd.DataFrame, Path],
) -> None:
    """Judged at seven days left by the run-outs that the polls show."""
    history, made, _ = walked
    table = made.assign(day=pd.to_datetime(made.day)).set_index(["device_id", "day"])
    errors = []
    for device, polls in history.groupby("device_id"):
        empty = polls[(polls.level_percent <= 0) & (polls.level_percent.shift() > 0)]
        for instant in empty.polled_at:
            day = instant.tz_localize(None).normalize() - pd.Timedelta(days=7)
            if (device, day) in table.index:
                errors.append(abs(table.loc[(device, day), "days_to_empty_p50"] - 6.5))
    assert len(errors) > 10
    assert np.mean(errors) < 2.5


def test_a_file_without_the_columns_is_refused_with_their_names(tmp_path: Path) -> None:
    pd.DataFrame({"device_id": ["a"]}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(InvalidValue, match="page_count"):
        backtest_supplies(tmp_path / "x.parquet", 10, tmp_path / "y.parquet")
