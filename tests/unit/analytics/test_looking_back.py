"""Forecasts are kept and judged, challengers must be better on unseen days, and late readings correct what was taken."""

from dataclasses import fields, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from analytics.calibration import LogOddsCalibration, cross_fitted, fit_calibration
from analytics.censored import held_share
from analytics.corrections import correct
from analytics.drift import deciles, drifted, shares
from analytics.evaluation import Score
from analytics.features import EndedLife, FleetState, day_number
from analytics.learning import teachers
from analytics.outlook import CustomerFacts, churn, months_after
from analytics.part_fits import ConfirmedFailure, PartFit
from analytics.part_lives import lives_to_show, part_laws
from analytics.priors import SupplyPriorBook
from analytics.promotion import RollingRows, judge
from analytics.scorecard import broken_promise, is_due, resolved, score_rows
from analytics.supplies import FEATURES, SupplyModel, SupplyRows
from collector.stores.memory import MemoryTelemetryStore
from config.catalogue_files import load_catalogue
from crm_core.domain.fleet import Contract, Customer, CustomerTier
from crm_core.domain.identity import DEFAULT_TENANT, ContractId, CustomerId, DeviceId
from crm_core.domain.money import Money
from crm_core.domain.part_lives import part_lives_of
from crm_core.domain.quality import Promise, Subject
from tests.policies import a_policy
from tests.unit.analytics import fleet

_DAY = date(2026, 3, 1)


def _promise(number: int, outcome: float | None, model: str = "supplies/1", **more: object) -> Promise:
    made = Promise(
        tenant=DEFAULT_TENANT, subject=Subject.SUPPLIES, device_id=DeviceId(f"d{number}"), item="1.1", made_on=_DAY,
        model=model, group="ml", device_model="m", p10=4.0, p50=6.0, p90=10.0, outcome=outcome,
        resolved_on=None if outcome is None else _DAY + timedelta(days=9),
    )  # fmt: skip
    return replace(made, **more)


def test_a_scorecard_counts_what_came_true_and_what_is_overdue() -> None:
    promises = [_promise(1, 5.0), _promise(2, 12.0), _promise(3, None), _promise(4, None, resolved_on=_DAY)]
    early = {
        (row.grouping, row.name): row
        for row in score_rows(DEFAULT_TENANT, promises, _DAY + timedelta(days=8))
    }
    assert early["all", ""].rows == 2  # the third one may still come true, the fourth was changed early
    late = {
        (row.grouping, row.name): row
        for row in score_rows(DEFAULT_TENANT, promises, _DAY + timedelta(days=20))
    }
    assert late["all", ""].rows == 3
    assert late["all", ""].coverage == pytest.approx(1 / 3, abs=1e-3)
    assert late["gauge", "ml"].error == pytest.approx(3.5)
    assert late["all", ""].bias == pytest.approx((1.0 - 6.0) / 2)


def test_coverage_is_honest_although_early_ends_show_first_and_people_change_supplies_in_time() -> None:
    rng = np.random.default_rng(5)
    middle = rng.uniform(5.0, 30.0, 20_000)
    truth = middle * np.exp(rng.normal(0.0, 0.3, len(middle)))
    low, high = middle * np.exp(-1.2816 * 0.3), middle * np.exp(1.2816 * 0.3)  # holds 80 % by construction
    watched = rng.uniform(0.0, 15.0, len(middle))  # made in the last weeks, or changed before the end
    ended = truth <= watched
    share, decided = held_share(low, high, np.where(ended, truth, watched), ended)
    assert share == pytest.approx(0.8, abs=0.015)
    assert 0 < decided < len(middle)
    known = ended & (truth >= low) & (truth <= high)
    assert abs(known.sum() / ended.sum() - 0.8) > 0.015  # what judging only the known ones would say


def test_nothing_is_decided_before_the_first_end() -> None:
    days = np.array([2.0, 3.0])
    assert held_share(days + 1, days + 9, days, np.zeros(2, bool)) == (None, 0)
    share, decided = held_share(days, days + 9, days, np.array([False, True]))
    assert (share, decided) == (1.0, 1)  # the end at P10 lies inside, and nobody was watched for longer


@pytest.mark.parametrize(("life", "days"), [
    (EndedLife(0, 0, 20, 17.5), 7.5),
    (EndedLife(0, 0, 20, None, 4.0), 14.0),  # ten days watched, four left: as good as seen
    (EndedLife(0, 0, 20, None, 11.0), None),
    (EndedLife(0, 0, 20, None), None),
])  # fmt: skip
def test_a_supply_changed_near_its_end_tells_how_long_it_would_have_lasted(
    life: EndedLife, days: float | None
) -> None:
    made = date(1970, 1, 11)
    state = FleetState(DEFAULT_TENANT, SupplyPriorBook(load_catalogue()))
    state.ended = [replace(life, row=-1)]
    promise = replace(_promise(1, None), made_on=made)
    (done,) = resolved(state, [promise], {}, made + timedelta(days=30))
    assert (done.outcome, done.resolved_on) == (days, date(1970, 1, 21))


@pytest.mark.parametrize(("inside", "rows", "broken"), [(160, 200, False), (130, 200, True), (100, 150, False), (190, 200, True)])  # fmt: skip
def test_a_model_that_leaves_its_band_is_named(inside: int, rows: int, *, broken: bool) -> None:
    promises = [_promise(number, 6.0 if number < inside else 30.0) for number in range(rows)]
    scores = score_rows(DEFAULT_TENANT, promises, _DAY + timedelta(days=40))
    assert (broken_promise(scores, "supplies/1", 0.72, 0.88, 200) is not None) == broken
    assert broken_promise(scores, "supplies/2", 0.72, 0.88, 200) is None


class _Constant(SupplyModel):
    def __init__(self, days: float) -> None:
        super().__init__([], (0.0, 0.0), 0)
        self.days = days

    def predict(self, features: np.ndarray, formula_days: np.ndarray) -> np.ndarray:
        return np.full((len(formula_days), 3), self.days)


def test_a_challenger_takes_over_only_when_better_on_days_that_neither_saw() -> None:
    n = 100
    rows = SupplyRows(
        np.zeros((n, len(FEATURES)), np.float32),
        np.full(n, 9.0),
        np.full(n, 5.0),
        np.arange(n),
        np.arange(n) + 1000,
    )
    rolled = RollingRows(rows, np.full((n, 3), 6.0))
    score = Score(estimator="supplies", metric="m", held_out=1.0, base_rate=4.0, better="lower", rows=n)
    assert judge(score, rolled, None, None).promote
    assert not judge(replace(score, held_out=5.0), rolled, None, None).promote
    assert judge(score, rolled, _Constant(8.0), 1000).promote
    assert not judge(score, rolled, _Constant(5.5), 1000).promote
    kept = judge(score, rolled, _Constant(8.0), 1060)
    assert not kept.promote
    assert "too few" in kept.reason


def test_drift_is_seen_in_the_family_that_moved() -> None:
    rng = np.random.default_rng(0)
    then = rng.normal(size=(2000, len(FEATURES))).astype(np.float32)
    edges = deciles(then)
    card = {"deciles": edges, "shares": shares(then, edges)}
    same = rng.normal(size=(2000, len(FEATURES))).astype(np.float32)
    assert drifted(card, same, 0.25) == {}
    same[:, FEATURES.index("slope_ratio")] += 2.0
    assert list(drifted(card, same, 0.25)) == ["yield"]
    assert drifted({}, same, 0.25) == {}


def test_chances_are_calibrated_on_groups_that_no_fold_has_seen() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(12), 200)
    truth = rng.random(len(groups)) < 0.2
    timid = np.where(truth, 0.35, 0.15) + rng.normal(0, 0.1, len(groups))
    seen: list[set[int]] = []

    def predict(train: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert not set(train) & set(held)
        seen.append(set(held.tolist()))
        mine = np.isin(groups, held)
        return timid[mine].clip(0.01, 0.99), truth[mine]

    chance, happened = cross_fitted(groups, 4, 0, predict)
    assert set().union(*seen) == set(range(12))
    fitted = fit_calibration(chance, happened)
    assert fitted.slope > 1.0
    assert fitted(chance).mean() == pytest.approx(happened.mean(), abs=0.01)
    assert fit_calibration(chance[:10], happened[:10]) == LogOddsCalibration()


def test_a_late_reading_gives_what_a_fresh_walk_gives() -> None:
    store, late = MemoryTelemetryStore(), fleet.history("a", 40, 3)
    fleet.land(store, *[item for at, item in enumerate(late) if at not in (20, 21, 33)])
    devices = {str(device.device_id): device for device in fleet.devices("a")}
    priors = SupplyPriorBook(load_catalogue())
    state, whole = FleetState(DEFAULT_TENANT, priors), FleetState(DEFAULT_TENANT, priors)
    last = day_number(fleet.day(39))
    state.advance(store, devices, last)
    fleet.land(store, late[20], late[21], late[33])
    assert correct(state, store, devices, frozenset({"a", "unknown"})) == 1
    whole.advance(store, devices, last)
    for one, other in (
        (state.usage, whole.usage),
        (state.supply, whole.supply),
        (state.failures, whole.failures),
    ):
        for item in fields(one):
            if item.name != "holiday_pages":
                assert np.array_equal(getattr(one, item.name), getattr(other, item.name), equal_nan=True), (
                    item.name
                )
    assert np.array_equal(state.recent.pages, whole.recent.pages)
    assert state.ended == whole.ended


def test_parts_that_fail_early_in_this_company_have_a_law_of_their_own() -> None:
    fits = [PartFit(f"d{at}", "fuser", 100 + at, 60_000 + 2_000 * at) for at in range(8)]
    failures = [ConfirmedFailure(f"d{at}", "fuser", 98 + at, 100 + at) for at in range(8)]
    models, counts = {f"d{at}": "m" for at in range(8)}, {f"d{at}": 90_000.0 for at in range(8)}
    design = {("m", "fuser"): 150_000, ("m", "drum"): 100_000}
    laws = part_laws(fits, failures, counts, models, design)
    law = laws["m", "fuser"]
    assert law.ended == 8
    assert law.lives == 16
    assert law.pages_until(0.2) < 0.8 * 150_000
    assert part_laws(fits, failures[:4], counts, models, {("m", "fuser"): 150_000}) == {}
    drum, fuser = lives_to_show(laws, design)
    assert (drum.own, drum.curve, fuser.own, fuser.lives) == (False, (), True, 16)
    assert drum.alive(100_000) > 0.5 > fuser.alive(100_000)
    assert fuser.curve[-1].alive == pytest.approx(law.curve.alive[-1], abs=1e-3)
    assert part_lives_of([fuser.as_row(), drum.as_row()]) == {
        ("m", "fuser"): fuser,
        ("m", "drum"): drum,
    }


def test_months_and_the_three_reasons_to_leave() -> None:
    assert [month for month, *_ in months_after(date(2026, 12, 20))] == ["2026-12", "2027-01", "2027-02"]
    assert months_after(date(2026, 12, 20))[0][1:] == (0, 11)
    customer = Customer(
        tenant=DEFAULT_TENANT,
        customer_id=CustomerId("c"),
        name="C",
        kind="company",
        tier=CustomerTier.ORDINARY,
    )
    ends = Contract(
        tenant=DEFAULT_TENANT, contract_id=ContractId("k"), customer_id=CustomerId("c"), starts_on=date(2025, 1, 1),
        ends_on=_DAY + timedelta(days=60), monthly_rent=Money(Decimal("1.00")),
    )  # fmt: skip
    rows = churn([CustomerFacts(customer, 2, [ends])], {"c": (50.0, 100.0)}, _DAY, a_policy().quality)
    reasons = rows[0]["reasons"]
    assert isinstance(reasons, list)
    assert [each["key"].rpartition(".")[2] for each in reasons] == [
        "churn_volume",
        "churn_complaints",
        "churn_renewal",
    ]
    assert churn([CustomerFacts(customer, 0, [])], {"c": (95.0, 100.0)}, _DAY, a_policy().quality) == []


def test_the_same_data_and_seed_train_the_same_bits(tmp_path: Path) -> None:
    store, names = MemoryTelemetryStore(), [f"d{number}" for number in range(6)]
    for number, name in enumerate(names):
        fleet.land(store, *fleet.history(name, 150, number, 60.0 + 5 * number, 400.0))
    made = []
    for part in ("one", "two"):
        (tmp_path / part).mkdir()
        run, factory = fleet.forecaster(tmp_path / part, store, fleet.devices(*names))
        report = run.train(DEFAULT_TENANT, fleet.day(149))
        assert "supplies/1" in report.promoted, report.notes
        run.run(DEFAULT_TENANT, fleet.day(149))
        with factory() as uow:
            made.append(
                {name: uow.forecasts.for_device(DEFAULT_TENANT, DeviceId(name)).supplies for name in names}
            )
        factory.close()
    assert made[0] == made[1]
    assert any(row.provenance.model == "supplies/1" for rows in made[0].values() for row in rows)


def test_of_a_large_fleet_the_same_part_is_watched_and_learned_from() -> None:
    names = [f"d{number}" for number in range(60_000)]
    due = {day: {name for name in names if is_due(name, day, len(names))} for day in range(14)}
    assert due[0] == due[7]
    watched = set().union(*(due[day] for day in range(7)))
    assert sum(len(due[day]) for day in range(7)) == len(watched)  # each once a week
    assert 18_000 < len(watched) < 22_000
    assert {name for name in names[:5] if any(is_due(name, day, 5) for day in range(7))} == set(names[:5])


def test_a_large_fleet_teaches_by_a_part_that_depends_on_nothing_but_names_and_seed() -> None:
    fleet_of = {name: fleet.devices(name)[0] for name in (f"d{number}" for number in range(9000))}
    taught = teachers(fleet_of, 0)
    assert len(taught) == 4000
    assert taught == teachers(dict(reversed(fleet_of.items())), 0)
    assert len(teachers(fleet_of, 1).keys() & taught.keys()) < 2500
    small = dict(list(fleet_of.items())[:4000])
    assert teachers(small, 0) == small
