"""A site that stands still is told by its devices; its quiet days teach nothing about use, unless they do not end."""

import numpy as np
import pytest

from analytics.closures import day_of_sites
from analytics.usage import UsageState, weekday_of

MONDAY = 18_993  # 2022-01-03
SITES = np.repeat(np.arange(6), 5)


def walked(pages: np.ndarray, first_day: int = MONDAY) -> UsageState:
    """Return the state after pages [T, n] of work days; weekends bring none."""
    usage = UsageState.empty(SITES, np.full(len(SITES), 50.0))
    count = np.full(len(SITES), 1000.0)
    for offset, row in enumerate(pages):
        day = first_day + offset
        usage.expect(day, usage.expected_on(weekday_of(day)), holiday=False)
        count = count + row * (weekday_of(day) < 5)
        usage.take(day, count, dry=np.zeros(len(SITES), bool), holiday=False)
    return usage


def weeks_then(closed: int) -> np.ndarray:
    """Return eight weeks of a hundred pages a day, then `closed` days on which the first site prints nothing."""
    pages = np.full((56 + closed, len(SITES)), 100.0)
    pages[56:, SITES == 0] = 0.0
    return pages


def rate(usage: UsageState) -> np.ndarray:
    return usage.present_rate(np.arange(len(SITES)))


def test_a_closed_week_leaves_the_expected_use_as_it_was() -> None:
    before, after = rate(walked(weeks_then(0))), rate(walked(weeks_then(7)))
    assert after[SITES == 0] == pytest.approx(before[SITES == 0], rel=0.12)
    assert after[SITES != 0] == pytest.approx(before[SITES != 0], rel=0.05)
    assert (walked(weeks_then(7)).closed_days == np.where(SITES == 0, 5, 0)).all()  # work days only


def test_a_site_that_stays_closed_is_learned() -> None:
    after = rate(walked(weeks_then(84)))
    assert (after[SITES == 0] < 40).all()  # of some 70 before
    assert (after[SITES != 0] > 60).all()


def test_one_quiet_device_closes_no_site() -> None:
    pages = weeks_then(0)
    pages = np.concatenate([pages, np.full((7, len(SITES)), 100.0)])
    pages[56:, 0] = 0.0
    usage = walked(pages)
    assert (usage.closed_days == 0).all()
    assert rate(usage)[0] < 0.9 * rate(usage)[1]


def test_a_sunday_and_a_handful_of_devices_tell_nothing() -> None:
    n = len(SITES)
    usual, none = np.full(n, 70.0), np.zeros(n)
    sunday = day_of_sites(SITES, none, np.full(n, 2.0), usual, np.ones(n, bool))
    assert (sunday.share == 1).all()
    assert not sunday.closed.any()
    assert not sunday.open.any()
    few = day_of_sites(SITES, none, usual, usual, np.arange(n) < 9)
    assert (few.share == 1).all()


def test_one_big_job_opens_no_closed_site() -> None:
    site = np.repeat([0, 1], [20, 40])
    usual = np.full(len(site), 70.0)
    pages = np.where(site == 0, 0.0, 70.0)
    pages[0] = 50_000.0
    day = day_of_sites(site, pages, usual, usual, np.ones(len(site), bool))
    assert (day.closed == (site == 0)).all()
    assert (day.open == (site == 1)).all()
    assert (day.share[site == 0] < 0.3).all()
