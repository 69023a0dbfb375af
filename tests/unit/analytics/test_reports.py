"""Reports are one well-formed page with all their pictures, and survival curves are right where they can be checked."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analytics.backtest.azure import backtest_azure, machine_range
from analytics.backtest.pictures import Plot, histogram, reliability
from analytics.backtest.report import write_report
from analytics.backtest.rul import backtest_rul
from analytics.backtest.supply_report import supply_report
from analytics.survival import Weibull, fit_weibull, kaplan_meier
from crm_core.domain.errors import InvalidValue


def test_pictures_are_well_formed_and_stay_inside() -> None:
    plot = Plot("a < b", "c & d", 10, 1.0, percent=True)
    plot.line([0, 5, 50], [0, np.nan, 7], "main")
    plot.band(np.arange(3.0), np.zeros(3), np.ones(3))
    for svg in (
        plot.svg("x"),
        histogram(np.array([1.0, 4, 4, 9]), np.arange(0.0, 12), "days", (3, 11)),
        reliability(np.linspace(0, 1, 200), np.linspace(0, 1, 200) > 0.5),
    ):
        root = ET.fromstring(svg.replace("&", "&amp;") if "&amp;" not in svg else svg)
        assert root.tag == "svg"
        for mark in root.iter("circle"):
            assert 0 <= float(mark.attrib["cx"]) <= 460


def test_a_report_names_its_figures_and_escapes_them(tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", "T", {"<a>": 1}, [("H", "how", "<svg/>")])
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "&lt;a&gt;" in text
    assert "http" not in text.replace("http-equiv", "")  # one file, nothing from outside


def test_the_supply_report_counts_tickets_in_time(tmp_path: Path) -> None:
    days = 40
    left = np.maximum(30.5 - np.arange(days), 0.0)
    table = pd.DataFrame(
        {
            "days_to_empty_p10": left * 0.8,
            "days_to_empty_p50": left,
            "days_to_empty_p90": left * 1.2,
            "raise_ticket": left == 6.5,
        }
    )
    figures = supply_report(tmp_path / "r.html", table, [(0, 100, 130.5)], 100, days, {})
    assert figures["tickets 3 to 10 days before"] == "100.0 % (100.0-100.0)"
    assert figures["mean error where 30 days or less were left, days"] == "0.00 (0.00-0.00)"
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    named = re.findall(r"<h[12]>(.*?)</h|<td>(.*?)</td><td>|<text [^>]*>([^<0-9][^<]*)</text>", page)
    words = ["".join(groups) for groups in named]
    assert len(words) > 15
    assert [
        each for each in words if " · " not in each
    ] == []  # everything that a reader meets is in both languages


def test_kaplan_meier_of_the_textbook() -> None:
    curve = kaplan_meier(np.array([1.0, 2, 3, 4, 5]), np.array([True, False, True, False, True]))
    assert curve.at(0.5) == 1.0
    assert curve.at(1) == pytest.approx(0.8)
    assert curve.at(3.5) == pytest.approx(0.8 * 2 / 3)
    assert (curve.low <= curve.alive).all()
    assert (curve.alive <= curve.high).all()


def test_weibull_finds_the_law_and_stays_with_the_prior_without_data() -> None:
    rng = np.random.default_rng(1)
    lives = 50.0 * rng.weibull(2.5, 4000)
    seen = np.minimum(lives, 60.0)
    law = fit_weibull(seen, lives <= 60.0, Weibull(1.5, 80.0))
    assert law.shape == pytest.approx(2.5, rel=0.08)
    assert law.scale == pytest.approx(50.0, rel=0.05)
    prior = fit_weibull(np.zeros(0), np.zeros(0, bool), Weibull(1.5, 80.0))
    assert prior.scale == pytest.approx(80.0, rel=0.02)
    assert law.fails_within(60, 10) > law.fails_within(10, 10)


def _units(count: int, seed: int, cut: bool) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = []
    for unit in range(1, count + 1):
        life = int(rng.integers(60, 120))
        last = int(rng.integers(30, life)) if cut else life
        for cycle in range(1, last + 1):
            wear = max(0.0, cycle - life + 50) / 50
            sensors = rng.normal(0, 0.05, 21) + np.r_[np.full(6, wear**1.5), np.zeros(15)]
            rows.append([unit, cycle, 0.0, 0.0, 100.0, *sensors, life - cycle])
    return np.array(rows)


@pytest.mark.timeout(300)  # many small trees: slow on a busy machine
def test_remaining_life_of_units_that_wear(tmp_path: Path) -> None:
    train, test = _units(16, 1, cut=False), _units(12, 2, cut=True)
    np.savetxt(tmp_path / "train.txt", train[:, :26])
    np.savetxt(tmp_path / "test.txt.gz", test[:, :26])
    backtest_rul(
        tmp_path / "train.txt",
        tmp_path / "test.txt.gz",
        tmp_path / "r.csv",
        cap=60,
        html=tmp_path / "r.html",
        trees=15,
    )
    made = pd.read_csv(tmp_path / "r.csv")
    truth = np.minimum(pd.DataFrame(test).groupby(0)[26].last().to_numpy(), 60)
    assert list(made.columns) == ["unit", "rul_p10", "rul_p50", "rul_p90"]
    assert np.sqrt(np.mean((made.rul_p50 - truth) ** 2)) < 0.7 * np.std(truth)
    assert (tmp_path / "r.html").read_text(encoding="utf-8").count("<svg") == 2


def test_machines_are_written_as_ranges() -> None:
    assert machine_range("1-3,7") == [1, 2, 3, 7]
    with pytest.raises(InvalidValue, match="for example"):
        machine_range("one")


def test_the_azure_layout_is_decided_at_midnight_from_rows_strictly_before(tmp_path: Path) -> None:
    """An error at a midnight belongs to the next decision; a failure follows each error one day later."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2015-01-01", periods=90)
    telemetry, errors, failures = [], [], []
    for machine in range(1, 7):
        telemetry += [(day, machine, *rng.normal(100, 5, 4)) for day in days]
        for day in days[10 + machine :: 15]:
            errors.append((day + pd.Timedelta(hours=9), machine, "error1"))
            failures.append((day + pd.Timedelta(days=1, hours=6), machine, "comp1"))
    frames = {
        "telemetry_daily": pd.DataFrame(
            telemetry, columns=["date", "machineID", "volt", "rotate", "pressure", "vibration"]
        ),
        "errors": pd.DataFrame(errors, columns=["datetime", "machineID", "errorID"]),
        "failures": pd.DataFrame(failures, columns=["datetime", "machineID", "failure"]),
        "maint": pd.DataFrame(failures, columns=["datetime", "machineID", "comp"]),
        "machines": pd.DataFrame({"machineID": range(1, 7), "model": ["m"] * 6, "age": range(6)}),
    }
    for name, frame in frames.items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    until = pd.Timestamp("2015-02-28").date()
    backtest_azure(
        tmp_path,
        [1, 2, 3, 4],
        [5, 6],
        until,
        tmp_path / "out.csv",
        bags=1,
        trees=30,
        html=tmp_path / "a.html",
    )
    made = pd.read_csv(tmp_path / "out.csv", parse_dates=["day"])
    broken = {(m, day.normalize()) for day, m, _ in failures}
    due = np.array(
        [(m, d + pd.Timedelta(days=1)) in broken for m, d in zip(made.machineID, made.day, strict=True)]
    )
    assert made.p_fail_24h[due].min() > made.p_fail_24h[~due].max()
    assert (made.p_fail_7d >= made.p_fail_24h).all()
