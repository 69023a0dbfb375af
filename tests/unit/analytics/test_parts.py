"""The small parts that the forecasts stand on: truncated normals, counters, swaps, splits, the registry."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import truncnorm
from sklearn.linear_model import Ridge

from analytics.conformal import conformal_widening
from analytics.evaluation import refuse_random_split
from analytics.model_registry import ModelRegistry
from analytics.supply_forecasts import chance_before, replenish
from analytics.supply_state import KNOWN, SOME_REMAINING, SupplyState
from analytics.training import SupplyRecorder
from analytics.truncated import truncated_moments
from analytics.usage import COUNTER32, UsageState, weekday_of
from crm_core.domain.errors import InvalidValue, NotFound
from crm_core.domain.policy import ReplenishmentPolicy

_POLICY = ReplenishmentPolicy(
    delivery_days=2.0,
    raise_at_days_left=7.0,
    clear_at_days_left=14.0,
    watch_days_left=14,
    stock_out_cost=100.0,
    early_waste_cost_per_day=1.0,
)


@given(
    st.floats(-2, 2), st.floats(0.01, 1.0), st.floats(-2, 2), st.floats(0.02, 2.0),
)  # fmt: skip
def test_truncated_moments_are_those_of_the_distribution(
    mean: float, sd: float, low: float, width: float
) -> None:
    a, b = (low - mean) / sd, (low + width - mean) / sd
    if min(abs(a), abs(b)) > 8 and a * b > 0:
        return  # beyond eight deviations the reference itself loses its digits
    got = truncated_moments(*(np.array([value]) for value in (mean, sd, low, low + width)))
    reference = truncnorm(a, b, loc=mean, scale=sd)
    assert got[0][0] == pytest.approx(reference.mean(), abs=2e-3 * max(sd, 1e-3) + 1e-6)
    assert low - 1e-9 <= got[0][0] <= low + width + 1e-9


def _use(*counts: float) -> list[float]:
    usage = UsageState.empty(np.zeros(1, np.int64), np.array([50.0]))
    pages = []
    for day, count in enumerate(counts):
        usage.expect(day, usage.expected_on(weekday_of(day)), holiday=False)
        pages.append(float(usage.take(day, np.array([count]), dry=np.zeros(1, bool), holiday=False)[0]))
    return pages


def test_pages_are_never_negative_over_roll_over_and_restart() -> None:
    assert _use(100, 150)[1] == 50
    assert _use(COUNTER32 - 40, 60)[1] == 100
    assert _use(250_000, 30)[1] == 30  # a new board counts from zero
    assert np.isnan(_use(250_000, 90_000)[1])  # another board came in: what was printed is not known
    assert np.isnan(_use(100, np.nan)[1])


def _supply(levels: list[float | None], pages: float = 40.0) -> SupplyState:
    supply = SupplyState.empty(np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([2000.0]), np.ones(1))
    for day, level in enumerate(levels):
        state = SOME_REMAINING if level is None else KNOWN
        supply.take(day, np.array([state]), np.array([np.nan if level is None else level]), np.array([pages]))
    return supply


def test_a_rise_is_a_swap_and_teaches_what_the_cartridge_gave() -> None:
    falling = [100.0 - 2 * day for day in range(51)]
    supply = _supply([50.0, 25.0, 0.0, *falling, 100.0])
    assert supply.swapped[0]
    assert supply.carts[0] == 1
    assert supply.cart_use[0] == pytest.approx(1.0, rel=0.15)


def test_a_step_of_noise_is_no_swap() -> None:
    assert not any(bool(_supply([50.0, 48.0, level]).swapped[0]) for level in (49.0, 48.0, 46.0))


def test_some_remaining_never_becomes_a_number() -> None:
    supply = _supply([None] * 10)
    assert np.isnan(supply.reported[0])


@given(st.floats(0.01, 200), st.floats(0.0, 2.0))
def test_waiting_longer_never_lowers_the_chance_of_a_stock_out(median: float, spread: float) -> None:
    days = (median * np.exp(-spread), median, median * np.exp(spread))
    chances = [chance_before(days, within) for within in (0.5, 1, 2, 5, 20, 300)]
    assert chances == sorted(chances)
    assert all(0 <= chance <= 1 for chance in chances)


def test_replenishment_follows_days_and_costs_not_a_percent() -> None:
    assert replenish((1.0, 2.0, 3.0), _POLICY)
    assert not replenish((25.0, 40.0, 60.0), _POLICY)
    assert not replenish((9.0, 12.0, 15.0), _POLICY)
    assert replenish((1.2, 9.0, 60.0), _POLICY)  # so unsure that tomorrow may be too late


def test_a_run_out_that_shows_only_later_is_no_label_before() -> None:
    recorder = SupplyRecorder(lives=[(0, 10, 29.5), (1, 12, 29.5)], seen_on=[30, 34])
    assert recorder.lives_known_by(29) == []
    assert recorder.lives_known_by(33) == [(0, 10, 29.5)]


def test_conformal_widening_leaves_a_tenth_on_each_side() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=4000)
    low, high = conformal_widening(np.full(4000, -0.5), np.full(4000, 0.5), truth, truth)
    assert np.mean(truth < -0.5 - low) == pytest.approx(0.1, abs=0.01)
    assert np.mean(truth > 0.5 + high) == pytest.approx(0.1, abs=0.01)


def test_a_random_row_split_is_refused() -> None:
    rng = np.random.default_rng(0)
    day, group = np.repeat(np.arange(100), 10), np.tile(np.arange(10), 100)
    test = rng.random(1000) < 0.3
    with pytest.raises(InvalidValue, match="random row split"):
        refuse_random_split(day[~test], day[test], group[~test], group[test], 7)
    refuse_random_split(day[day < 60], day[day >= 70], group[day < 60], group[day >= 70], 7)
    refuse_random_split(day[group < 7], day[group >= 7], group[group < 7], group[group >= 7], 7)


def test_the_registry_never_overwrites_and_refuses_a_changed_file(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    model = Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
    first, second = (registry.add("pages", {"regressor": model}, {"seed": 1}) for _ in range(2))
    assert (first, second) == ("pages/1", "pages/2")
    assert registry.champion("pages") is None
    registry.promote(first)
    champion = registry.champion("pages")
    assert champion is not None
    assert champion.model_id == first
    assert [card["model_id"] for card in registry.cards("pages")] == [first, second]
    (tmp_path / "pages" / "1.skops").write_bytes(b"something else")
    with pytest.raises(InvalidValue, match="SHA-256"):
        registry.load(first)
    with pytest.raises(NotFound):
        registry.promote("pages/9")


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("1.skops", b"something else", "SHA-256"),
        ("1.skops", None, "is not in"),
        ("1.json", b'{"sha256": ', "no JSON any more"),
        ("1.json", b"\xff\xfe", "no JSON any more"),
        ("1.json", b"[]", "no JSON object"),
        ("1.json", b"{}", "SHA-256"),
        ("1.json", None, "is not in"),
        ("champion", b"", "names no model"),
        ("champion", b"../pages/1", "names no model"),
        ("champion", b"7", "is not in"),
    ],
)
def test_a_damaged_champion_serves_nobody_and_stops_nobody(
    tmp_path: Path, file: str, content: bytes | None, why: str
) -> None:
    registry = ModelRegistry(tmp_path)
    registry.promote(registry.add("pages", {"regressor": Ridge().fit([[0.0], [1.0]], [0.0, 1.0])}, {}))
    assert registry.refusal("pages") is None
    path = tmp_path / "pages" / file
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert registry.champion_id("pages") is None
    assert registry.champion("pages") is None
    assert why in (registry.refusal("pages") or "")
    assert len(registry.cards("pages")) <= 1
    registry.promote(registry.add("pages", {"regressor": None}, {}))
    assert registry.refusal("pages") is None  # the next training puts it right


def test_a_model_of_another_scikit_learn_is_refused_by_its_version(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    registry.promote(registry.add("pages", {"regressor": Ridge().fit([[0.0], [1.0]], [0.0, 1.0])}, {}))
    path = tmp_path / "pages" / "1.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    for versions, word in (({"scikit-learn": "0.1.2"}, "scikit-learn 0.1.2"), (None, "unknown version")):
        path.write_text(json.dumps({**card, "versions": versions}), encoding="utf-8")
        assert registry.champion("pages") is None
        assert word in (registry.refusal("pages") or "")
        assert registry.promoted_id("pages") == "pages/1"
        with pytest.raises(InvalidValue, match=word):
            registry.load("pages/1")


def test_a_supply_that_was_empty_when_first_seen_counts_for_nothing() -> None:
    recorder = SupplyRecorder()
    supply = SimpleNamespace(swapped=np.array([True, True]))
    before = (np.array([True, True]), np.array([10.0, 30.0]), np.array([10.0, 10.0]))
    recorder.after(31, cast("SupplyState", supply), before)
    assert recorder.lives == [(1, 10, 29.5)]


def test_a_champion_that_is_fed_otherwise_leaves_its_place_to_the_formula(tmp_path: Path) -> None:
    model = Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
    before = ModelRegistry(tmp_path, {"supplies": ("level", "slope")})
    before.promote(before.add("supplies", {"regressor": model}, {}))
    assert ModelRegistry(tmp_path, {"supplies": ("level", "slope")}).champion_id("supplies") == "supplies/1"
    after = ModelRegistry(tmp_path, {"supplies": ("level", "slope", "closed_days")})
    assert (after.champion_id("supplies"), after.champion("supplies")) == (None, None)
    after.promote(after.add("supplies", {"regressor": model}, {}))
    assert after.champion_id("supplies") == "supplies/2"
