"""Policy as data: the figures of the firm's documents, refusals by key, versions by date."""

import re
import shutil
from datetime import date, time, timedelta
from pathlib import Path

import pytest

from config.calendar_files import load_calendar
from config.policy_files import POLICY, load_policies, policy_on
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.fleet import CustomerTier
from crm_core.domain.service import TicketLevel
from crm_core.domain.sla import WorkWindow


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return a copy of the shipped policy that a test may spoil."""
    return Path(shutil.copytree(POLICY, tmp_path / "policy"))


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_promises_of_the_documents() -> None:
    book = load_policies()[0].book
    minutes = {tier: duration // timedelta(minutes=1) for tier, duration in book.sla.first_response.items()}
    assert minutes == {
        CustomerTier.CORE: 30,
        CustomerTier.IMPORTANT: 60,
        CustomerTier.ORDINARY: 120,
        CustomerTier.POTENTIAL: 120,
    }
    hours = {level: duration // timedelta(hours=1) for level, duration in book.sla.restore.items()}
    assert hours == {TicketLevel.L1: 8, TicketLevel.L2: 24, TicketLevel.L3: 48}
    assert book.life.replacement_share == 0.8


def test_every_figure_names_its_requirement() -> None:
    figures = load_policies()[0].figures
    assert len(figures) > 60
    assert all(1 <= figure.requirement <= 120 for figure in figures.values())


@pytest.mark.parametrize(
    ("file", "old", "new", "part"),
    [
        (
            "sla.yaml",
            "core: {value: 30, unit: minutes",
            "core: {value: 30, unit: moons",
            "sla.first_response.core",
        ),
        ("sla.yaml", "core: {value: 30,", "core: {value: thirty,", "sla.first_response.core"),
        ("sla.yaml", "requirement: 22,", "requirement: 999,", "requirement"),
        (
            "sla.yaml",
            "L1: {value: 8, unit: hours, requirement: 22, note",
            "L1: {value: 8, requirement: 22, nota",
            "nota",
        ),
        ("sla.yaml", "  core: {value", "  kern: {value", "sla.first_response.core is missing"),
        ("sla.yaml", "business_hours: {value: true", "business_hours: {value: 1", "true or false"),
        ("dispatch.yaml", "day_ends: {value: 1080", "day_ends: {value: 30", "day_ends"),
        (
            "dispatch.yaml",
            "day_ends:",
            "tea_time: {value: 1, requirement: 1}\nday_ends:",
            "dispatch.tea_time",
        ),
        (
            "forecasts.yaml",
            "clear_at_days_left: {value: 14.0",
            "clear_at_days_left: {value: 5.0",
            "clear_at_days_left",
        ),
        (
            "forecasts.yaml",
            "replacement_share: {value: 0.8",
            "replacement_share: {value: -1",
            "replacement_share",
        ),
        ("triage.yaml", 'prefix: {value: ""', 'prefix: {value: "x"', "empty prefix"),
        ("triage.yaml", "per_device_day: {value: 3", "per_device_day: {value: 2.5", "whole number"),
        ("triage.yaml", "budget:", "budget:\nbudget:", "twice"),
        ("book.yaml", 'version: "1"', "version: 1", "version"),
        ("calendars/china.yaml", "09:00-12:00", "12:00-09:00", "overlaps the window before"),
        ("calendars/china.yaml", "13:00-18:00", "11:00-18:00", "overlaps"),
        ("calendars/china.yaml", "13:00-18:00", "13:00-13:00", "has no length"),
        ("calendars/china.yaml", "2025-01-28..2025-02-04", "2025-02-04..2025-01-28", "span"),
        ("calendars/china.yaml", "Asia/Shanghai", "Asia/Nowhere", "time_zone"),
    ],
)
def test_a_spoilt_figure_is_refused_by_name(own: Path, file: str, old: str, new: str, part: str) -> None:
    replace_in(own / file, old, new)
    with pytest.raises(InvalidConfiguration, match=re.escape(part)) as refusal:
        load_policies(own)
    assert "\n" not in str(refusal.value)


def test_a_later_version_changes_only_what_it_says(own: Path) -> None:
    later = own / "from-2027-01-01"
    later.mkdir()
    (later / "book.yaml").write_text('version: "2"\neffective_from: 2027-01-01\n', encoding="utf-8")
    (later / "forecasts.yaml").write_text(
        "life:\n  replacement_share: {value: 0.85, requirement: 39}\n", encoding="utf-8"
    )
    versions = load_policies(own)
    assert [version.book.version for version in versions] == ["1", "2"]
    assert policy_on(versions, date(2026, 12, 31)).book.life.replacement_share == 0.8
    newer = policy_on(versions, date(2027, 1, 1)).book
    assert (newer.life.replacement_share, newer.sla) == (0.85, versions[0].book.sla)
    assert policy_on(versions, date(1999, 1, 1)).book.version == "1"


def test_a_later_version_cannot_invent_figures(own: Path) -> None:
    later = own / "from-2027-01-01"
    later.mkdir()
    (later / "book.yaml").write_text('version: "2"\neffective_from: 2027-01-01\n', encoding="utf-8")
    (later / "forecasts.yaml").write_text("life:\n  luck: {value: 7, requirement: 39}\n", encoding="utf-8")
    with pytest.raises(InvalidConfiguration, match=r"forecasts\.life\.luck"):
        load_policies(own)


@pytest.mark.parametrize(
    ("written", "end"),
    [("13:00-24:00", time(0)), ("22:00-06:00", time(6)), ("13:00-00:00", time(0))],
)
def test_a_window_may_run_into_the_next_day(own: Path, written: str, end: time) -> None:
    replace_in(own / "calendars" / "china.yaml", "13:00-18:00", written)
    evening = load_calendar(own / "calendars" / "china.yaml").windows[0][1]
    assert (evening.over_midnight, evening.end) == (True, end)


def test_the_chinese_calendar_of_2026() -> None:
    calendar = load_calendar(POLICY / "calendars" / "china.yaml")
    assert calendar.provisional_from == 2027
    assert date(2026, 2, 14) in calendar.swap_workdays  # a Saturday that is worked
    assert {date(2026, 2, day) for day in range(15, 24)} <= calendar.holidays
    assert date(2026, 2, 24) not in calendar.holidays
    assert all(day.weekday() >= 5 for day in calendar.swap_workdays)
    assert not calendar.swap_workdays & calendar.holidays
    assert calendar.windows[0] == (WorkWindow(time(9), time(12)), WorkWindow(time(13), time(18)))
    assert 5 not in calendar.windows


def test_the_page_about_policy_states_every_figure(project: Path) -> None:
    """docs/policy.md is read by people who decide: each value there is the one in the files."""
    page = (project / "docs/policy.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)] for line in page]
    stated = {cells[1].strip(" `"): cells for cells in rows if len(cells) == 7}
    figures = load_policies()[0].figures
    assert figures.keys() <= stated.keys()
    for key, figure in figures.items():
        value = str(figure.value).lower() if isinstance(figure.value, bool) else str(figure.value)
        assert stated[key][2].strip() == (f"{value} {figure.unit}".strip() or "(all others)")
        assert stated[key][3].strip() == str(figure.requirement)
        assert stated[key][5].strip()
