"""What docs/simulators.md states about pages, coverage, lives, changes and failures is what the physics does.

Fixed seeds, so nothing here is left to chance; bounds are about four standard errors wide.
"""

from datetime import date

import numpy as np
import pytest

from simulators.device import Fleet, make_roster
from simulators.device.arrays import CODE, FAULT_CODES
from simulators.device.habits import (
    BIASED_SHARE,
    GAUGE_SHARES,
    GAUGES,
    NIGHT_OFF_SHARE,
    RARE_SHARE,
    draw_habits,
)
from simulators.device.roster import WEEK_PROFILES
from simulators.device.wear import HEALING_SHARE, LIFE_SCALE, LIFE_SHAPE, WARNED_SHARE, draw_life
from simulators.models import COMPONENTS, default_models

COUNT, DAYS = 600, 420


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    made = Fleet(make_roster(COUNT, default_models(), seed=77), seed=77, start=date(2024, 1, 1))
    made.record(DAYS - 1)
    return made


@pytest.fixture(scope="module")
def pages(fleet: Fleet) -> np.ndarray:
    return np.stack([fleet.record(day).meters[:, 0] for day in range(DAYS)], axis=1).astype(float)


def test_weekday_profiles_are_those_of_the_docs(fleet: Fleet, pages: np.ndarray):
    profiles = np.array([fleet.roster.sites[i].profile for i in fleet.habits.site])
    for name, weights in WEEK_PROFILES.items():
        mine = pages[profiles == name]
        per_day = np.array([mine[:, d::7].mean() for d in range(7)])
        stated = np.array(weights)
        assert np.abs(per_day / per_day.sum() - stated / stated.sum()).max() < 0.03, name


def test_pages_are_overdispersed_gamma_poisson(fleet: Fleet, pages: np.ndarray):
    """Var = mean + mean^2 / k with k in 1.5..6, so the scaled excess lies between 1/6 and 1/1.5; steps and jobs add."""
    weekday = np.arange(DAYS) % 7 < 5
    usual = pages[:, weekday][:, :100]
    busy = (fleet.habits.zero_chance < 0.05) & (usual.mean(axis=1) > 30)
    mean, variance = usual[busy].mean(axis=1), usual[busy].var(axis=1)
    excess = (variance - mean) / mean**2
    assert 1 / 6 < np.median(excess) < 1.0


def test_some_devices_rarely_print_and_most_seldom_have_an_empty_day(fleet: Fleet, pages: np.ndarray):
    rare = fleet.habits.zero_chance >= 0.3
    assert rare.mean() == pytest.approx(RARE_SHARE, abs=0.05)
    weekday = np.arange(DAYS) % 7 < 4
    office = np.array([fleet.roster.sites[i].profile for i in fleet.habits.site]) == "office"
    zero = (pages[:, weekday] == 0).mean(axis=1)
    assert np.median(zero[rare & office]) > 0.3
    assert np.median(zero[~rare & office]) < 0.12


def test_big_jobs_have_a_heavy_tail(pages: np.ndarray):
    """Shares of days far above the median fall like a power, not like an exponential."""
    scaled = (pages / np.maximum(np.median(pages[:, :], axis=1, keepdims=True), 5)).ravel()
    over = [(scaled > x).mean() for x in (5, 10, 20)]
    assert 0 < over[2] < over[1] < over[0]
    assert over[2] / over[1] > 0.05


def test_mean_coverage_of_black_is_about_five_percent(fleet: Fleet):
    black = fleet.habits.coverage[:, 0]
    assert np.median(black) == pytest.approx(0.05 * np.exp(-0.06), rel=0.08)
    assert np.log(black).std() == pytest.approx(0.35, abs=0.05)
    assert (np.median(fleet.habits.coverage[:, 1:], axis=0) < 0.035).all()


def test_cartridges_yield_what_coverage_and_spread_make_of_the_data_sheet(fleet: Fleet):
    """Pages per cartridge x coverage / 5 % is near the nominal yield for monochrome machines."""
    ratios = []
    for i, model in enumerate(fleet.model_of):
        if model.colour:
            continue
        start = None
        for day in range(DAYS):
            record = fleet.record(day)
            if record.changed[i, 0] and record.used_at_start[i, 0] == 0:
                start = day
            if record.ran_empty[i, 0] and start is not None:
                printed = sum(fleet.record(d).meters[i, 0] for d in range(start, day + 1))
                ratios.append(printed * fleet.habits.coverage[i, 0] / 0.05 / model.slots[0].yield_pages)
                start = None
    assert len(ratios) > 200
    assert np.median(ratios) == pytest.approx(1.0, abs=0.12)
    assert 0.05 < np.std(np.log(ratios)) < 0.4


def test_gauge_kinds_biases_and_night_switches_have_their_shares():
    roster = make_roster(6000, default_models(), seed=5)
    habits = draw_habits(roster, default_models(), np.random.default_rng(5))
    shares = np.bincount(habits.gauge, minlength=len(GAUGES)) / 6000
    assert np.abs(shares - np.array(GAUGE_SHARES)).max() < 0.03
    assert (habits.gauge_bias != 0).mean() == pytest.approx(BIASED_SHARE, abs=0.02)
    day = ~habits.round_the_clock
    assert habits.night_off[day].mean() == pytest.approx(NIGHT_OFF_SHARE, abs=0.025)


def test_hidden_lives_are_weibull(fleet: Fleet):
    rng = np.random.default_rng(1)
    lives = (draw_life(rng, fleet.habits, (COUNT, 7)) - 0.05) * fleet.habits.quality[:, None] / LIFE_SCALE
    ordered = np.sort(lives.ravel())
    stated = 1 - np.exp(-(ordered**LIFE_SHAPE))
    seen = np.arange(1, len(ordered) + 1) / len(ordered)
    assert np.abs(stated - seen).max() < 1.63 / np.sqrt(len(ordered))  # Kolmogorov-Smirnov, 1 %


def test_failures_a_year_and_their_warnings(fleet: Fleet):
    """About one failure per device and year; 60 to 80 % of those with a defect had a burst of codes before."""
    rate = len(fleet.failures) / COUNT / (DAYS / 365)
    assert 0.7 < rate < 1.4
    hints = np.array([row[2] for row in FAULT_CODES])
    warned = checked = 0
    for device, day, component in fleet.failures:
        if day < 12:
            continue
        count = 0
        for d in range(day - 7, day):
            table = fleet.record(d).events
            rows = table.of(device)
            mine = (table.kind[rows] == CODE) & table.fresh[rows] & (hints[table.code[rows]] == component)
            count += int(mine.sum())
        checked += 1
        warned += count >= 3
    assert checked > 300
    expected = WARNED_SHARE / (1.0 - HEALING_SHARE)
    assert expected - 0.14 < warned / checked < expected + 0.08


def test_components_fail_all_and_none_dominates(fleet: Fleet):
    counts = np.bincount([c for _, _, c in fleet.failures], minlength=len(COMPONENTS))
    assert (counts > 0).all()
    assert counts.max() < 0.45 * counts.sum()


def test_early_changes_and_run_outs_both_happen(fleet: Fleet):
    early = late = 0
    for day in range(1, DAYS):
        before, record = fleet.record(day - 1), fleet.record(day)
        toner = record.changed & fleet.slots.blocks & ~fleet.slots.waste
        left = 1.0 - before.used_at_end[toner]
        early += int((left > 0.02).sum())
        late += int((left <= 0.02).sum())
    assert 0.08 < early / (early + late) < 0.30
