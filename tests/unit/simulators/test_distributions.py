"""What docs/simulators.md states about pages, coverage, lives, changes and failures is what the physics does.

Fixed seeds, so nothing here is left to chance; bounds are about four standard errors wide.
"""

from datetime import date

import numpy as np
import pytest

from simulators.device import Fleet, make_roster
from simulators.device.arrays import CODE, CODE_NAMES, FAULT_CODES
from simulators.device.fleet import STEP_CHANCE
from simulators.device.habits import (
    BIASED_SHARE,
    GAUGE_SHARES,
    GAUGES,
    NIGHT_OFF_SHARE,
    RARE_SHARE,
    draw_habits,
)
from simulators.device.mishaps import CALM
from simulators.device.roster import WEEK_PROFILES
from simulators.device.wear import HEALING_SHARE, LIFE_SCALE, LIFE_SHAPE, WARNED_SHARE, draw_life
from simulators.models import COMPONENTS, default_models

COUNT, DAYS = 600, 420


@pytest.fixture(scope="module")
def fleet(lived_fleet: Fleet) -> Fleet:
    return lived_fleet


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


def test_use_drifts_and_steps_as_stated():
    """The log rate: a slow walk of 0.006 a day that forgets 0.0005 of itself, and steps of N(0, 0.35) at 1/400 a day."""
    made = Fleet(make_roster(1000, default_models(), seed=6), seed=6, start=date(2024, 1, 1), keep_days=2)
    rates = []
    for day in range(120):
        made.record(day)
        rates.append(made.log_rate.copy())
    moves = np.diff(np.stack(rates, axis=1), axis=1)
    usual = np.abs(moves) < 0.03  # five standard deviations of the walk
    assert moves[usual].std() == pytest.approx(0.006, rel=0.05)
    steps = moves[~usual]
    seen = 2 * (1 - 0.5 * (1 + 0.068))  # share of N(0, 0.35) beyond 0.03
    assert (~usual).mean() == pytest.approx(STEP_CHANCE * seen, rel=0.25)
    assert steps.std() == pytest.approx(0.35, rel=0.17)
    assert abs(steps.mean()) < 0.09


def test_steps_show_in_the_pages(fleet: Fleet, pages: np.ndarray):
    """Quarters of a device differ by more than the noise of its days would make them: use is not stationary."""
    busy = (fleet.habits.zero_chance < 0.05) & (pages.mean(axis=1) > 30)
    halves = np.log(pages[busy, :196].mean(axis=1)) - np.log(pages[busy, -196:].mean(axis=1))
    assert 0.2 < halves.std() < 0.6


def test_jams_per_page_are_those_of_the_docs():
    """Lognormal round 1/7,000 between devices, times 0.6 + 1.2 x wear of the rollers; Poisson over the pages."""
    habits = draw_habits(
        make_roster(6000, default_models(), seed=5), default_models(), np.random.default_rng(5)
    )
    assert np.median(habits.jam_rate) == pytest.approx(1 / 7000, rel=0.05)
    assert np.log(habits.jam_rate).std() == pytest.approx(0.6, abs=0.03)
    made = Fleet(
        make_roster(400, default_models(), seed=5), seed=5, start=date(2024, 1, 1), mishaps=CALM, keep_days=2
    )
    expected = 0.0
    jams = 0
    for day in range(90):
        wear = made.parts.wear[:, 3].copy()
        record = made.record(day)
        defect = (made.parts.onset[:, [0, 1, 3]] <= day).any(axis=1)
        mine = ~defect
        rate = made.habits.jam_rate * (0.6 + 1.2 * wear)
        expected += float((record.meters[mine, 0] * rate[mine]).sum())
        jams += int(record.meters[mine, 8].sum())
    assert jams > 400
    assert abs(jams - expected) < 4 * np.sqrt(expected) + 0.03 * expected


def test_harmless_codes_come_from_few_devices_at_the_stated_rates(fleet: Fleet):
    """Chatty parts (2 %) and networks (6 %) tell most of the harmless codes; a user code comes every 250 days and by pages."""
    habits = draw_habits(
        make_roster(6000, default_models(), seed=5), default_models(), np.random.default_rng(5)
    )
    assert (habits.chatter > 0.05).mean() == pytest.approx(0.02, abs=0.004)
    assert (habits.network_chatter > 0.05).mean() == pytest.approx(0.06, abs=0.015)
    network = np.zeros(COUNT)
    user, expected = 0, 0.0
    for day in range(DAYS):
        record = fleet.record(day)
        table = record.events
        begun = (table.kind == CODE) & table.fresh
        names = np.array([CODE_NAMES[code] for code in table.code[begun]])
        network += np.bincount(table.device[begun][np.char.startswith(names, "NET")], minlength=COUNT)
        user += int(np.char.startswith(names, "USR").sum())
        printed = record.meters[:, 0]
        expected += float(((printed > 0) * 0.004 + printed * 2e-5).sum())
    chatty = fleet.habits.network_chatter > 0.05
    assert network[chatty].sum() == pytest.approx(fleet.habits.network_chatter[chatty].sum() * DAYS, rel=0.06)
    assert network[~chatty].sum() == pytest.approx(0.01 * (~chatty).sum() * DAYS, rel=0.1)
    assert user == pytest.approx(expected, rel=0.12)  # a day that stops early has printed less than it wanted
