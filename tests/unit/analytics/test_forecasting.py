"""The nightly run and the training job over real stores: what people are told, and what is not invented."""

from pathlib import Path

import pytest

from analytics.backtest.own import backtest_own
from analytics.backtest.report_words import chinese
from collector.stores.memory import MemoryTelemetryStore
from config.catalogue_files import load_catalogue
from crm_core.domain.fleet import Device
from crm_core.domain.forecast import ForecastBasis
from crm_core.domain.identity import DEFAULT_TENANT
from tests.unit.analytics import fleet


def test_a_single_reading_of_a_nearly_empty_ink_of_an_unknown_model_is_replenished_by_days(
    tmp_path: Path,
) -> None:
    store = MemoryTelemetryStore()
    fleet.land(store, fleet.reading("epson", 0, level=1, count=None, kind="ink"))
    run, factory = fleet.forecaster(
        tmp_path, store, fleet.devices("epson", vendor="Epson", model_name="WF-C5790BA")
    )
    report = run.run(DEFAULT_TENANT, fleet.day(0))
    with factory() as uow:
        supply = uow.forecasts.for_device(DEFAULT_TENANT, "epson").supplies[0]
    assert report.replenish == 1
    assert supply.days_to_empty is not None
    assert supply.days_to_empty.p50 < 5
    assert supply.replenish
    assert supply.provenance.basis is ForecastBasis.CATALOGUE_PRIOR
    assert any(reason.key == "reasons.supply_prior" for reason in supply.provenance.reasons)


def test_the_same_percent_is_a_matter_of_days_and_not_of_a_constant(tmp_path: Path) -> None:
    """Six percent of a cartridge last weeks where little is printed: the decision follows use, not the level."""
    store = MemoryTelemetryStore()
    for number in range(60):
        fleet.land(store, fleet.reading("idle", number, level=6, count=1000 + number))
        fleet.land(store, fleet.reading("busy", number, level=max(6, 65 - number), count=1000 + 120 * number))
    run, factory = fleet.forecaster(tmp_path, store, fleet.devices("idle", "busy"))
    run.run(DEFAULT_TENANT, fleet.day(59))
    with factory() as uow:
        idle = uow.forecasts.for_device(DEFAULT_TENANT, "idle").supplies[0]
        busy = uow.forecasts.for_device(DEFAULT_TENANT, "busy").supplies[0]
    assert idle.level_percent == busy.level_percent == 6.0
    assert not idle.replenish
    assert busy.replenish


@pytest.mark.parametrize(
    ("level", "reason"),
    [
        (-3, "reasons.missing_some_remaining"),
        (-1, "reasons.missing_no_restriction"),
        (-2, "reasons.missing_level"),
    ],
)
def test_a_gauge_without_a_number_gives_a_reason_and_no_days(tmp_path: Path, level: int, reason: str) -> None:
    store = MemoryTelemetryStore()
    for number in range(5):
        fleet.land(store, fleet.reading("d1", number, level=level, count=100 * number))
    run, factory = fleet.forecaster(tmp_path, store, fleet.devices("d1"))
    run.run(DEFAULT_TENANT, fleet.day(4))
    with factory() as uow:
        supply = uow.forecasts.for_device(DEFAULT_TENANT, "d1").supplies[0]
    assert supply.days_to_empty is None
    assert supply.missing_reason == reason
    assert not supply.replenish


def test_a_run_reads_only_new_days_and_gives_what_a_fresh_one_gives(tmp_path: Path) -> None:
    store = MemoryTelemetryStore()
    for item in fleet.history("d1", 80, seed=1):
        fleet.land(store, item)
    one, factory = (
        fleet.forecaster(tmp_path / "a", store, fleet.devices("d1"))
        if _made(tmp_path / "a")
        else (None, None)
    )
    assert one is not None
    assert factory is not None
    for number in (60, 70, 79):
        report = one.run(DEFAULT_TENANT, fleet.day(number))
    assert report.new_days == 9
    with factory() as uow:
        step_by_step = uow.forecasts.for_device(DEFAULT_TENANT, "d1")
    _made(tmp_path / "b")
    fresh, factory = fleet.forecaster(tmp_path / "b", store, fleet.devices("d1"))
    fresh.run(DEFAULT_TENANT, fleet.day(79))
    with factory() as uow:
        assert uow.forecasts.for_device(DEFAULT_TENANT, "d1") == step_by_step


def _made(folder: Path) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    return True


def test_training_beats_its_base_rates_and_the_champion_serves(tmp_path: Path) -> None:
    store = MemoryTelemetryStore()
    names = [f"d{number:02d}" for number in range(6)]
    for seed, name in enumerate(names):
        fleet.land(store, *fleet.history(name, 210, seed=seed, yield_pages=650 + 60 * seed))
    run, factory = fleet.forecaster(tmp_path, store, fleet.devices(*names))
    report = run.train(DEFAULT_TENANT, fleet.day(209))
    scores = {score.estimator: score for score in report.scores}
    assert {"supplies", "pages"} <= scores.keys()
    for name in ("supplies", "pages"):
        assert scores[name].beats_base, scores[name]
    served = run.run(DEFAULT_TENANT, fleet.day(209))
    assert served.models["supplies"] == "supplies/1"
    with factory() as uow:
        models = {
            f.provenance.model for d in names for f in uow.forecasts.for_device(DEFAULT_TENANT, d).supplies
        }
    assert "supplies/1" in models
    assert_own_history_agrees(store, fleet.devices(*names), tmp_path)


def assert_own_history_agrees(store: MemoryTelemetryStore, devices: list[Device], folder: Path) -> None:
    """Check that the back-test on the own history sees the run-outs and writes its report."""
    said: list[str] = []
    summary = backtest_own(
        store, devices, load_catalogue(), DEFAULT_TENANT, fleet.day(209), html=folder / "own.html",
        progress=lambda what, _share: said.append(what),
    )  # fmt: skip
    assert summary["run_outs"] > 40
    model = summary["model"]
    assert isinstance(model, dict)
    assert model["error_within_30_days"] < 3.0
    assert (folder / "own.html").read_text(encoding="utf-8").count("<svg") == 2
    assert said[-1] == "done"
    lacks = summary["not_judged"]
    assert isinstance(lacks, list)
    assert all(chinese(sentence) for sentence in lacks)
