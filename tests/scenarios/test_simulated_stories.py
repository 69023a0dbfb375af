"""Every story runs headless to the truth that its file promises; the fault catalogue and the live run bite."""

import io
import json
import threading
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from config.cli.story_view import TerminalView
from crm_core.domain.wire import decode_reading
from simulators.device import devices_of
from simulators.runner import LiveOptions, LiveRun, run_headless, run_live, walk
from simulators.scenario import BadScenario, Scenario, load_scenario, scenario_names


class Wall:
    def now(self) -> datetime:
        return datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


STORIES = {name: load_scenario(name) for name in scenario_names()}


def day_of(scenario: Scenario, at: datetime) -> int:
    return (at.date() - scenario.start).days


def test_all_ten_stories_and_the_fault_catalogue_are_there():
    assert sorted(s.story for s in STORIES.values() if s.story is not None) == list(range(1, 11))
    assert "fault_catalogue" in STORIES


@pytest.mark.parametrize("name", sorted(STORIES))
def test_the_truth_holds_what_the_story_promises(name: str):
    scenario = STORIES[name]
    fleet = scenario.fleet()
    fleet.record(scenario.days - 1)
    expect = dict(scenario.expect)
    scene = day_of(scenario, scenario.show_from)
    assert len(fleet.failures) >= expect.pop("failures_at_least", 0)
    assert len(scenario.script.power_cuts) >= expect.pop("power_cuts", 0)
    pages = sum(int(record.meters[:, 0].sum()) for record in fleet.days.values())
    assert pages >= expect.pop("pages_at_least", 1)
    run_outs = sum(int(record.ran_empty.sum()) for record in fleet.days.values())
    assert run_outs >= expect.pop("run_outs_at_least", 0)
    boards = expect.pop("board_swaps", 0)
    falls = sum(
        int((fleet.record(d).meters_at_start[:, 0] < fleet.record(d - 1).meters_at_start[:, 0]).sum())
        for d in range(1, scenario.days)
    )
    assert falls == boards
    campaign = expect.pop("campaign_devices", 0)
    assert int((fleet.record(scene + 3).campaign >= 0).sum()) == campaign
    if "repaired_after_days" in expect:
        wanted = expect.pop("repaired_after_days")
        broken = {device: day for device, day, _ in fleet.failures if day == scene}
        mended = {d: min(day for who, day, _ in fleet.repairs if who == d and day > scene) for d in broken}
        assert {day - scene for day in mended.values()} == {wanted}
    _check_silence_swaps_and_quiet(scenario, fleet, expect)
    polls = (scenario.end - scenario.show_from) / scenario.poll_every * len(fleet)
    assert polls * 0.8 >= expect.pop("readings_at_least", 0)
    assert not expect, f"promises that nobody checks: {expect}"


def _check_silence_swaps_and_quiet(scenario, fleet, expect):
    handles = devices_of(fleet)
    if "silent_on" in expect:
        day, count = expect.pop("silent_on")
        at = fleet.origin + timedelta(days=int(day[1:]), hours=3)
        scripted = [d for d in handles if fleet.orders.silenced(d.number, fleet.orders.minute(at))]
        assert len(scripted) == count + 5  # and the five that were taken away
        assert not any(d.answers(at) for d in scripted)
    if "scripted_swaps" in expect:
        wanted = expect.pop("scripted_swaps")
        assert len(scenario.script.swaps) == wanted
        assert not fleet.orders._waiting, "every scripted change happened"
        numbers = {d.device_id: d.number for d in handles}
        for swap in scenario.script.swaps:
            if swap.when_left is None:
                continue
            number, slot = numbers[swap.device_id], swap.slot
            lefts = [
                1.0 - float(fleet.record(day - 1).used_at_end[number, slot])
                for day in range(12, scenario.days)
                if fleet.record(day).changed[number, slot]
            ]
            assert any(swap.when_left - 0.10 <= left <= swap.when_left for left in lefts)
    if "quiet_site" in expect:
        site = expect.pop("quiet_site")
        there = [d.number for d in handles if d.site_id == site]
        days = [(day - scenario.start).days for day in scenario.roster.holidays]
        usual = np.mean([fleet.record(d).meters[there, 0].sum() for d in range(5)])
        assert max(fleet.record(d).meters[there, 0].sum() for d in days) < usual * 0.15


@pytest.mark.parametrize("name", sorted(STORIES))
def test_a_story_runs_headless_and_says_valid_readings(name: str, tmp_path):
    summary = run_headless(STORIES[name], out=tmp_path, devices=8 if name == "month_end" else 1)
    lines = (tmp_path / "readings.jsonl").read_bytes().splitlines()
    assert len(lines) == summary.readings > 0
    for line in lines[:: max(len(lines) // 50, 1)]:
        decode_reading(line)
    ledger = pq.read_table(tmp_path / "ledger.parquet").to_pylist()
    assert [(r["device_id"], r["seq"]) for r in ledger] == [
        (r["device_id"], r["seq"]) for r in map(json.loads, lines)
    ]
    assert json.loads(summary.json())["scenario"] == name
    assert {"truth_pages.parquet", "truth_failures.parquet"} <= set(summary.files)


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        run_headless(load_scenario("power_cut"), out=tmp_path / folder, devices=2)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    run_headless(load_scenario("power_cut", seed=99), out=tmp_path / "other", devices=1)
    assert (tmp_path / "other" / "readings.jsonl").read_bytes() != (
        tmp_path / "one" / "readings.jsonl"
    ).read_bytes()


def test_the_power_cut_is_seen_from_outside():
    scenario = STORIES["power_cut"]
    fleet = scenario.fleet()
    silent: dict[datetime, set[str]] = {}
    for said in walk(scenario, fleet):
        if said.at > datetime(2025, 10, 1, 7, 40, tzinfo=UTC):
            break
        if said.body is None and said.device.site_id == "mill":
            silent.setdefault(said.at, set()).add(said.device.device_id)
    during = [at for at, who in silent.items() if len(who) == 40]
    assert min(during) == datetime(2025, 10, 1, 6, 5, tzinfo=UTC)
    assert max(during) == datetime(2025, 10, 1, 7, 5, tzinfo=UTC)
    back = {d.device_id: d for d in devices_of(fleet) if d.site_id == "mill"}
    after = datetime(2025, 10, 1, 7, 20, tzinfo=UTC)
    serviced = {name for name, d in back.items() if 7 in d.state(after).errors}
    serviced |= {name for name, d in back.items() if any(a.code == 30 for a in d.state(after).alerts)}
    assert {"mill-004", "mill-017", "mill-008", "mill-021", "mill-033"} <= serviced
    rebooted = [d.state(after).uptime_ticks for d in back.values() if d.answers(after)]
    assert max(rebooted) <= 10 * 60 * 100


def test_a_story_can_be_moved_to_this_week_and_scaled():
    moved = load_scenario("power_cut", show_on=date(2026, 11, 22), devices=12)
    assert timedelta(0) <= date(2026, 11, 22) - moved.show_from.date() < timedelta(days=7)
    assert moved.show_from.weekday() == STORIES["power_cut"].show_from.weekday()
    assert 10 <= len(moved.roster.devices) <= 14
    moved.fleet().record(moved.days - 1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title = 'x'\n", "'start' is missing"),
        ("title = 'x'\nstart = 2025-01-01\ndays = 3\nsurprise = 1\n", "unknown keys surprise"),
        ("title = [", "Invalid|Unclosed|unclosed"),
        (
            "title='x'\nstart=2025-01-01\ndays=3\n[[site]]\nid='s'\ndevices=1\nmodels=['no-such']\n",
            "'no-such' is missing or unknown",
        ),
        (
            "title='x'\nstart=2025-01-01\ndays=3\nshow_from='noon'\n[[site]]\nid='s'\ndevices=1\n",
            "not an instant",
        ),
    ],
)
def test_a_bad_file_is_explained(tmp_path, text, complaint):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BadScenario, match=complaint):
        load_scenario(path)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(BadScenario, match="power_cut"):
        load_scenario("nothing")


def test_a_live_run_serves_its_devices_and_shows_them():
    stop = threading.Event()
    frames: list[str] = []
    view = TerminalView(Console(width=100, file=io.StringIO()))

    def show(run: LiveRun) -> None:
        console = Console(record=True, width=120, file=io.StringIO())
        console.print(view.frame(run))
        frames.append(console.export_text())
        if len(frames) >= 3:
            stop.set()

    options = LiveOptions(speed=600.0, snmp_port=0)
    summary = run_live(load_scenario("fault_catalogue"), options, Wall(), stop=stop, show=show)
    assert summary.devices == 19
    assert "One device for every fault" in frames[-1]
    assert "idle" in frames[-1]
