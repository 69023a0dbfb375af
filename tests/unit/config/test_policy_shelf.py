"""Policy from a date: the book in force follows the clock, changes are checked as a whole and written at once."""

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from config.clock import VirtualClock
from config.policy_files import POLICY, load_policies
from config.policy_shelf import PolicyShelf
from crm_core.domain.errors import Conflict, InvalidConfiguration, InvalidValue
from crm_core.domain.policy import PolicyBook
from crm_core.domain.policy_figures import PolicyChange
from crm_core.domain.policy_in_force import PolicyInForce

SHARE, DAYS = "forecasts.life.replacement_share", "forecasts.replenishment.raise_at_days_left"
CHANGE = PolicyChange(
    version="later",
    effective_from=date(2026, 12, 1),
    figures={SHARE: 0.85, DAYS: 5},
    note="asked by the owner",
)


@pytest.fixture
def clock():
    return VirtualClock(datetime(2026, 11, 22, 4, tzinfo=UTC))


@pytest.fixture
def shelf(tmp_path, clock):
    return PolicyShelf(POLICY, tmp_path / "policy", clock, "Asia/Shanghai")


def test_services_follow_the_clock_without_a_restart(shelf, clock):
    policy = PolicyInForce(shelf.book)
    assert isinstance(policy, PolicyBook)
    shelf.apply(CHANGE)
    assert (policy.life.replacement_share, policy.version) == (0.8, "1")
    clock.move_to(datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC))  # the last second of November in Shanghai
    assert policy.life.replacement_share == 0.8
    clock.move_to(datetime(2026, 11, 30, 16, tzinfo=UTC))
    assert (policy.life.replacement_share, policy.version) == (0.85, "later")
    assert policy.replenishment.raise_at_days_left == 5.0


def test_another_process_sees_the_change(shelf, tmp_path, clock):
    other = PolicyShelf(POLICY, tmp_path / "policy", clock, "Asia/Shanghai")
    assert not other.refresh()
    shelf.apply(CHANGE)
    assert other.refresh()
    assert [each.version for each in other.versions()] == ["1", "later"]
    assert not other.refresh()


def test_a_broken_folder_changes_nothing_and_is_named(shelf, tmp_path):
    shelf.apply(CHANGE)
    book = tmp_path / "policy" / "from-2026-12-01" / "forecasts.yaml"
    book.write_text("life: {replacement_share: {value: 99, requirement: 39}}")
    with pytest.raises(InvalidConfiguration, match="replacement_share must be a number"):
        shelf.refresh()
    assert [each.version for each in shelf.versions()] == ["1", "later"]


def test_a_dry_run_writes_nothing(shelf, tmp_path):
    made = shelf.apply(CHANGE, dry_run=True)
    assert made.changes == {SHARE: (0.8, 0.85), DAYS: (7.0, 5)}
    assert not (tmp_path / "policy").exists()
    assert [each.version for each in shelf.versions()] == ["1"]


def test_a_figure_says_since_when_it_holds(shelf):
    shelf.apply(CHANGE)
    today = {each.key: each for each in shelf.figures()}
    then = {each.key: each for each in shelf.figures(date(2027, 1, 1))}
    assert (today[SHARE].value, today[SHARE].version) == (0.8, "1")
    assert (then[SHARE].value, then[SHARE].version, then[SHARE].since) == (0.85, "later", date(2026, 12, 1))
    assert then[SHARE].note == "asked by the owner"
    assert then["sla.calendar"].version == "1"


def test_the_book_of_a_look_ahead_is_not_kept(shelf):
    assert shelf.book_with({SHARE: 0.85}).life.replacement_share == 0.85
    assert shelf.book().life.replacement_share == 0.8


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        ({"figures": {"forecasts.life.share": 1}}, InvalidValue, "no figure forecasts.life.share"),
        ({"figures": {SHARE: 99}}, InvalidValue, "replacement_share must be a number from 0.01 to 2"),
        ({"figures": {SHARE: "much"}}, InvalidValue, "must be a number"),
        ({"figures": {DAYS: 20}}, InvalidValue, "clear_at_days_left must be more"),
        ({"figures": {}}, InvalidValue, "at least one"),
        ({"effective_from": date(2026, 11, 21)}, InvalidValue, "in the past"),
        ({"version": "../up"}, InvalidValue, "version"),
        ({"version": "1"}, Conflict, "exists"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(shelf, tmp_path, change, error, reason):
    with pytest.raises(error, match=reason):
        shelf.apply(replace(CHANGE, **change))
    assert not list(tmp_path.rglob("from-*"))


def test_changes_come_one_after_the_other(shelf):
    shelf.apply(CHANGE)
    with pytest.raises(Conflict, match="must begin after it"):
        shelf.apply(replace(CHANGE, version="between", effective_from=date(2026, 11, 25)))
    shelf.apply(replace(CHANGE, version="again", effective_from=date(2027, 1, 1), figures={SHARE: 0.9}))
    assert shelf.versions()[-1].changes == {SHARE: (0.85, 0.9)}


def test_one_date_is_one_version(tmp_path):
    own, more = tmp_path / "policy", tmp_path / "more"
    shutil.copytree(POLICY, own)
    for root in (own, more):
        folder = root / "from-2027-01-01"
        folder.mkdir(parents=True)
        (folder / "book.yaml").write_text(f"version: {root.name}\neffective_from: 2027-01-01\n")
    with pytest.raises(InvalidConfiguration, match="same date"):
        load_policies(own, more)
