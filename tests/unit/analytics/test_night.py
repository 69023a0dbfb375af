"""The nightly run serves the strong hazard, tells what is odd in words, and asks for a look instead of raising tickets."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.linear_model import Ridge

import analytics.hazard
from analytics.device_forecasts import failure_forecasts, use_numbers
from analytics.features import FleetState, day_number
from analytics.hazard import NightHazard, chances_tonight, train_hazard
from analytics.history_walk import HistoryWalk, walk_history
from analytics.integrity import oddities
from analytics.model_registry import ModelRegistry
from analytics.part_fits import ConfirmedFailure
from analytics.priors import SupplyPriorBook
from analytics.supplies import FEATURES
from analytics.supply_forecasts import Stamp
from collector.stores.memory import MemoryTelemetryStore
from config.catalogue_files import load_catalogue
from config.locale_files import load_messages
from crm_core.domain.fleet import Customer, CustomerTier, Device
from crm_core.domain.identity import DEFAULT_TENANT, CustomerId, DeviceId, SiteId
from crm_core.domain.quality import FindingKind, FindingState, OutlookKind
from crm_core.domain.telemetry import DeviceReading, TelemetryEvent
from tests.policies import a_policy
from tests.unit.analytics import fleet

_DAYS = 130
_NAMES = tuple(f"d{number:02}" for number in range(48))


def _broken_fleet() -> tuple[HistoryWalk, dict[str, Device], list[ConfirmedFailure]]:
    """Return 24 devices whose fuser codes come in bursts four days before each failure; d00 is in a burst at the end."""
    store, rng = MemoryTelemetryStore(), np.random.default_rng(0)
    failures, events = [], []
    for number, name in enumerate(_NAMES):
        fleet.land(store, *fleet.history(name, _DAYS, number))
        failing = [40 + number % 30, 95 + number % 20] if number % 2 == 0 else []
        bursts = [*failing, _DAYS + 2] if number == 0 else failing
        for day in bursts:
            failures += [
                ConfirmedFailure(name, "fuser", day_number(fleet.day(day)), day_number(fleet.day(day)) + 1)
            ] * (day < _DAYS)
            for before in range(1, 5):
                if 0 <= day - before < _DAYS:
                    at = fleet.FIRST_DAY + timedelta(days=day - before, hours=10)
                    events += [
                        TelemetryEvent(
                            tenant=DEFAULT_TENANT,
                            device_id=name,
                            at=at + timedelta(minutes=k),
                            kind="fault_code",
                            code="E13 fuser",
                            began=True,
                            severity="critical",
                        )
                        for k in range(int(rng.integers(1, 4)))
                    ]
    store.append_events(sorted(events, key=lambda event: event.at))
    devices = {
        str(device.device_id): replace(device, site_id=SiteId("s1")) for device in fleet.devices(*_NAMES)
    }
    state = FleetState(DEFAULT_TENANT, SupplyPriorBook(load_catalogue()))
    walk = walk_history(store, state, devices, day_number(fleet.day(_DAYS - 1)), frozenset())
    return walk, devices, failures


@pytest.mark.heavy
def test_the_hazard_of_the_backtest_serves_at_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analytics.hazard, "_TREES", 25)
    walk, devices, failures = _broken_fleet()
    trained = train_hazard(walk, devices, failures, [], 0, None, None)
    assert trained.promote, trained.note
    assert trained.score is not None
    assert trained.score.beats_base
    registry = ModelRegistry(tmp_path)
    assert trained.content is not None
    model_id = registry.add("failures", trained.content, {"last_day": 0})
    hazard = NightHazard.of(registry.load(model_id).content)
    day = day_number(fleet.day(_DAYS - 1))
    chances = chances_tonight(hazard, walk.state, devices, day, [])
    assert int(np.argmax(chances.fourteen)) == 0
    stamp = Stamp(fleet.FIRST_DAY, fleet.day(_DAYS - 1), day, model_id)
    told = failure_forecasts(
        walk.state, devices, use_numbers(walk.state, day), stamp, a_policy().failures, chances
    )
    worst = max(told, key=lambda each: each.p_fail_14d or 0.0)
    assert (worst.device_id, worst.component, worst.provenance.model) == ("d00", "fuser", model_id)
    assert worst.provenance.reasons[0].key == "reasons.failure_codes"
    again = train_hazard(walk, devices, failures, [], 0, hazard, day)
    assert (
        again.promote is False
    )  # nothing lies after the champion's training: too little to say that it is better


def test_a_device_beside_a_visit_is_worth_a_look() -> None:
    walk, devices, _ = _broken_fleet()
    day = day_number(fleet.day(_DAYS - 1))
    use = use_numbers(walk.state, day)
    policy = replace(a_policy().failures, visit_threshold_p14=0.0, bundle_threshold_p14=0.0, visit_cost=0.0)
    policy = replace(policy, tickets_per_100_devices_month=2.0)
    stamp = Stamp(fleet.FIRST_DAY, fleet.day(_DAYS - 1), day, None)
    told = failure_forecasts(walk.state, devices, use, stamp, policy, None)
    visited = [each.device_id for each in told if each.visit_advised]
    assert len(visited) == 1
    assert {each.bundle_with for each in told if not each.visit_advised} == set(visited)
    assert all(
        each.provenance.reasons[-1].key == "reasons.failure_bundled" for each in told if each.bundle_with
    )


def test_what_is_odd_is_found_and_worded() -> None:
    store = MemoryTelemetryStore()
    steady = fleet.history("a", 60, 1)
    fleet.land(store, *steady)
    fleet.land(store, *[replace_device(item, "twin") for item in steady])
    fleet.land(store, *fleet.history("quiet", 50, 2))
    board = [
        fleet.reading("board", day, level=50, count=90_000 + 50 * day if day < 50 else 50 * day)
        for day in range(60)
    ]
    fleet.land(store, *board)
    wasteful = [
        fleet.reading("early", day, level=100 - 10 * (day % 6), count=5_000 + 40 * day) for day in range(60)
    ]
    fleet.land(store, *wasteful)
    devices = {str(each.device_id): each for each in fleet.devices("a", "twin", "quiet", "board", "early")}
    devices["a"] = replace(devices["a"], serial="SN-1")
    state = FleetState(DEFAULT_TENANT, SupplyPriorBook(load_catalogue()))
    day = day_number(fleet.day(59))
    state.advance(store, devices, day)
    readings = {name: found for name in devices if (found := store.newest(DEFAULT_TENANT, DeviceId(name)))}
    said = readings["a"]
    readings["a"] = msgspec.structs.replace(
        said, identity=msgspec.structs.replace(said.identity, serial="SN-9")
    )
    found = {
        (each.kind, each.device_id): each
        for each in oddities(state, devices, day, readings, a_policy().quality)
    }
    assert (FindingKind.CLONE, "twin") in found
    assert (FindingKind.MOVED, "a") in found
    assert (FindingKind.SILENT, "quiet") in found
    assert (FindingKind.COUNTER_ROLLBACK, "board") in found
    assert (FindingKind.EARLY_SWAPS, "early") in found
    messages = load_messages()
    for each in found.values():
        for reason in each.reasons:
            for language in ("en", "zh-CN"):
                text = messages.text(language, reason.key, **reason.arguments)
                assert text != reason.key
                assert "{" not in text


def replace_device(reading: DeviceReading, name: str) -> DeviceReading:
    """Return a reading as another device would state it."""
    return msgspec.structs.replace(reading, device_id=name)


def test_every_night_says_which_model_cannot_serve(tmp_path: Path) -> None:
    store = MemoryTelemetryStore()
    fleet.land(store, *fleet.history("a", 30, 0))
    run, factory = fleet.forecaster(tmp_path, store, fleet.devices("a"))
    registry = ModelRegistry(tmp_path / "models" / DEFAULT_TENANT, {"supplies": FEATURES})
    registry.promote(registry.add("supplies", {"regressor": Ridge().fit([[0.0], [1.0]], [0.0, 1.0])}, {}))
    path = tmp_path / "models" / DEFAULT_TENANT / "supplies" / "1.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**card, "versions": {"scikit-learn": "0.1.2"}}), encoding="utf-8")
    report = run.run(DEFAULT_TENANT, fleet.day(29))
    assert report.models["supplies"] == "formula"
    assert "scikit-learn 0.1.2" in report.refused["supplies"]
    with factory() as uow:
        shown = uow.quality.outlook(DEFAULT_TENANT, OutlookKind.MODELS)
    assert shown is not None
    assert (shown.rows[0]["champion"], shown.rows[0]["refused"]) == (False, report.refused["supplies"])


def test_findings_come_with_a_task_and_go_when_their_cause_does(tmp_path: Path) -> None:
    store = MemoryTelemetryStore()
    owned = [
        replace(each, customer_id=CustomerId("c1"), serial="SN-1" if each.device_id == "a" else None)
        for each in fleet.devices("a", "b")
    ]
    for number, name in enumerate("ab"):
        fleet.land(store, *fleet.history(name, 30, number))
    run, factory = fleet.forecaster(tmp_path, store, [])
    with factory() as uow:
        uow.customers.save(
            Customer(
                tenant=DEFAULT_TENANT,
                customer_id=CustomerId("c1"),
                name="C",
                kind="company",
                tier=CustomerTier.ORDINARY,
            )
        )
        for device in owned:
            uow.devices.save(device)
        uow.commit()
    fleet.land(store, fleet.reading("b", 30, level=50, count=5))
    run.run(DEFAULT_TENANT, fleet.day(30))
    with factory() as uow:
        fell = next(
            each
            for each in uow.quality.findings.where(DEFAULT_TENANT)
            if each.kind is FindingKind.COUNTER_ROLLBACK
        )
        assert (fell.device_id, fell.state) == ("b", FindingState.OPEN)
        task = uow.relations.tasks.where(DEFAULT_TENANT, kind="data_check")[0]
        assert (task.role, task.detail["device_id"]) == ("dispatcher", "b")
        assert uow.quality.outlook(DEFAULT_TENANT, OutlookKind.DEMAND) is not None
        assert uow.quality.outlook(DEFAULT_TENANT, OutlookKind.PART_LIVES) is not None
        assert uow.quality.promises_since(DEFAULT_TENANT, fleet.day(0)) is not None
    for day in range(31, 63):
        fleet.land(store, fleet.reading("b", day, level=50, count=5 + 40 * day))
    run.run(DEFAULT_TENANT, fleet.day(62))
    with factory() as uow:
        fell = uow.quality.findings.get(DEFAULT_TENANT, fell.finding_id)
        assert fell.state is FindingState.GONE
