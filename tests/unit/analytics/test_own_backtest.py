"""The back-test on the own history answers with a report from the first day on, and says what it could not judge."""

import re
from pathlib import Path

import pytest

from analytics.backtest.own import backtest_own
from analytics.backtest.report_words import chinese
from analytics.learning import are_few, teachers
from collector.stores.memory import MemoryTelemetryStore
from config.catalogue_files import load_catalogue
from crm_core.domain.identity import DEFAULT_TENANT
from tests.unit.analytics import fleet


@pytest.mark.parametrize(
    ("days", "pictures", "judged"),
    [(1, 0, set[str]()), (20, 1, set[str]()), (90, 2, {"formula"})],
)
def test_a_short_history_gets_a_report_that_says_what_it_could_not_judge(
    tmp_path: Path, days: int, pictures: int, judged: set[str]
) -> None:
    store = MemoryTelemetryStore()
    names = [f"d{number}" for number in range(3)]
    for seed, name in enumerate(names):
        fleet.land(store, *fleet.history(name, days, seed=seed, yield_pages=500 + 60 * seed))
    shares: list[float] = []
    summary = backtest_own(
        store, fleet.devices(*names), load_catalogue(), DEFAULT_TENANT, fleet.day(days - 1),
        html=tmp_path / "own.html", progress=lambda _what, share: shares.append(share),
    )  # fmt: skip
    page = (tmp_path / "own.html").read_text(encoding="utf-8")
    assert page.count("<svg") == pictures
    assert {"formula", "model"} & set(summary) == judged
    lacks = summary["not_judged"]
    assert isinstance(lacks, list)
    assert len(lacks) == 2  # failures are judged elsewhere and that is always said
    assert all(sentence in page and chinese(sentence) in page and chinese(sentence) for sentence in lacks)
    rows = re.findall(r"<tr><td>(.*?)</td>", page)
    assert [row for row in rows if " · " not in row] == []  # what a reader meets is in both languages
    assert shares == sorted(shares)
    assert len(shares) >= days
    assert shares[-1] == 1.0


def test_of_a_large_fleet_only_a_part_is_walked() -> None:
    large = {str(each.device_id): each for each in fleet.devices(*(f"d{number}" for number in range(25_000)))}
    chosen = teachers(large, 0)
    assert len(chosen) == 4000
    assert are_few(chosen, large)
    assert not are_few(large, large)
