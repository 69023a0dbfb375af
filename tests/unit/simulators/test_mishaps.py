"""Mishaps happen by chance at the rates of mishaps.toml, leave the traces that they leave in the field, and only those."""

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from simulators.device import DeviceSpec, Fleet, Roster, SiteSpec, devices_of, make_roster
from simulators.device.arrays import CODE, FAULT_CODES
from simulators.device.mishaps import CALM, Mishap, MishapRates, default_rates, mishap_rates, unit_owner
from simulators.models import default_models
from simulators.scenario import BadScenario, load_scenario
from simulators.truth import mishaps_table

COUNT, DAYS = 600, 420
START = date(2024, 1, 1)
OFTEN = MishapRates(
    reinserted=1.0, borrowed=0.5, traded=0.002, device_exchange=0.002, board_swap=0.002, damp_spell=0.0
)


def pairs(count: int = 40) -> Roster:
    """Return `count` colour machines that put the cartridge's serial into its name, five at a site."""
    model = next(
        m.id for m in default_models().values() if m.colour and any("{unit" in s.label for s in m.slots)
    )
    return Roster(
        sites=tuple(SiteSpec(site_id=f"s{i}") for i in range(count // 5)),
        devices=tuple(
            DeviceSpec(device_id=f"d{i}", site_id=f"s{i // 5}", model_id=model, pages_a_day=1200)
            for i in range(count)
        ),
    )


@pytest.fixture(scope="module")
def usual(lived_fleet: Fleet) -> Fleet:
    return lived_fleet


@pytest.fixture(scope="module")
def eventful() -> Fleet:
    made = Fleet(pairs(), seed=3, start=START, mishaps=OFTEN)
    made.record(299)
    return made


def of_kind(fleet: Fleet, what: str) -> list[Mishap]:
    return [row for row in fleet.mishaps.log if row.what == what]


def test_mishaps_come_at_the_stated_rates(usual: Fleet):
    """Poisson counts: within four standard errors of rate x occasions."""
    rates, counts = default_rates(), Counter(row.what for row in usual.mishaps.log)
    for what, chance in (("device_exchange", rates.device_exchange), ("board_swap", rates.board_swap)):
        expected = chance * COUNT * DAYS
        assert abs(counts[what] - expected) < 4 * np.sqrt(expected), what
    mean_days = sum(rates.damp_days) / 2
    spells = rates.damp_spell / (1 + rates.damp_spell * mean_days) * DAYS * COUNT
    assert counts["damp_paper"] == pytest.approx(spells, rel=0.35)
    changes = sum(int(usual.record(d).changed.sum()) for d in range(DAYS))
    assert 0 < counts["reinserted"] < 0.02 * changes
    assert 0 < counts["moved"] < 0.03 * changes
    assert counts["moved"] % 2 == 0  # both ends of every move are told


def test_the_docs_state_the_rates_of_the_data(project: Path):
    text = (project / "docs" / "simulators.md").read_text("utf-8")
    rates = default_rates()
    stated = re.search(r"device exchange ([\d.]+) % and board swap ([\d.]+) % a year", text)
    assert stated is not None
    assert float(stated[1]) == pytest.approx(rates.device_exchange * 36500, abs=0.2)
    assert float(stated[2]) == pytest.approx(rates.board_swap * 36500, abs=0.2)


def test_a_fleet_without_mishaps_is_otherwise_the_same_fleet(usual: Fleet):
    calm = Fleet(make_roster(COUNT, default_models(), seed=77), seed=77, start=START, mishaps=CALM)
    first = min(row.day for row in usual.mishaps.log)
    assert first > 0
    for day in range(first):
        assert np.array_equal(calm.record(day).meters, usual.record(day).meters)
    calm.record(60)
    assert calm.mishaps.log == []


def test_the_same_seed_has_the_same_mishaps(eventful: Fleet):
    again = Fleet(pairs(), seed=3, start=START, mishaps=OFTEN)
    again.record(299)
    assert again.mishaps.log == eventful.mishaps.log
    assert np.array_equal(again.record(299).used_at_end, eventful.record(299).used_at_end)
    assert mishaps_table(again).equals(mishaps_table(eventful))


def test_a_reinserted_cartridge_is_the_one_taken_out_with_what_was_left_in_it(eventful: Fleet):
    rows = of_kind(eventful, "reinserted")
    assert len(rows) > 20
    checked = 0
    for row in rows:
        unit = eventful.record(row.day).unit_number[row.device, row.slot]
        here = eventful.record(row.day).used_at_start[row.device, row.slot]
        for day in range(row.day - 1, -1, -1):
            before = eventful.record(day)
            if before.unit_number[row.device, row.slot] == unit:
                assert here == pytest.approx(before.used_at_end[row.device, row.slot], abs=1e-5)
                assert here < 0.95
                checked += 1
                break
    assert checked == len(rows)


def test_a_moved_cartridge_takes_fill_and_identity_to_the_neighbour(eventful: Fleet):
    rows = of_kind(eventful, "moved")
    assert len(rows) > 20
    for row in rows:
        specs = eventful.roster.devices
        assert specs[row.device].site_id == specs[row.other].site_id
        assert specs[row.device].model_id == specs[row.other].model_id
        before, after = eventful.record(row.day - 1), eventful.record(row.day)
        if any(x.day == row.day and x.what == "device_exchange" for x in eventful.mishaps.log):
            continue
        old = unit_owner(row.other, int(before.unit_number[row.other, row.slot]))
        assert unit_owner(row.device, int(after.unit_number[row.device, row.slot])) == old
        was = before.used_at_end[row.other, row.slot]
        assert after.used_at_start[row.device, row.slot] == pytest.approx(was, abs=1e-5)


def test_no_unit_is_in_two_machines(eventful: Fleet):
    numbers = eventful.record(299).unit_number
    exists = eventful.slots.exists
    units = [(int(s), *unit_owner(int(i), int(numbers[i, s]))) for i, s in np.argwhere(exists)]
    assert len(set(units)) == len(units)


def test_a_moved_cartridge_shows_its_own_serial_on_the_wire(eventful: Fleet):
    row = of_kind(eventful, "moved")[0]
    at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=row.day)

    def name(device: int, when: datetime) -> str:
        state = devices_of(eventful)[device].state(when)
        return next(s.name for s in state.supplies if s.index == row.slot + 1)

    assert name(row.device, at) == name(row.other, at - timedelta(minutes=1))


def test_an_exchanged_device_has_a_new_serial_and_the_counters_of_another_machine(eventful: Fleet):
    rows = [row for row in of_kind(eventful, "device_exchange") if row.day > 0]
    assert len(rows) > 8
    fell = 0
    for row in rows:
        device = devices_of(eventful)[row.device]
        at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=row.day)
        before, after = device.state(at - timedelta(minutes=1)), device.state(at)
        assert before.serial != after.serial
        assert before.device_id == after.device_id
        assert before.meters["total"] != after.meters["total"]
        assert after.serial.encode() in device.varbinds(at).values()
        fell += after.meters["total"] < before.meters["total"]
    assert fell > 0


def test_a_board_swap_restarts_the_counter_and_keeps_serial_and_toner(eventful: Fleet):
    other = {(row.device, row.day) for row in eventful.mishaps.log if row.what != "board_swap"}
    first = {
        row.device: row for row in reversed(of_kind(eventful, "board_swap"))
    }  # a second one may come the day after
    rows = [row for row in first.values() if row.day > 0 and (row.device, row.day) not in other]
    assert len(rows) > 8
    for row in rows:
        before, after = eventful.record(row.day - 1), eventful.record(row.day)
        assert after.meters_at_start[row.device, 0] < 60 < before.meters_at_start[row.device, 0]
        assert eventful.serial_on(row.device, row.day - 1) == eventful.serial_on(row.device, row.day)
        kept = ~after.changed[row.device]
        same = np.isclose(after.used_at_start[row.device], before.used_at_end[row.device], atol=1e-5)
        assert same[kept].all()


def test_damp_paper_brings_harmless_codes_and_jams_but_no_failures():
    wet = MishapRates(damp_spell=1.0, damp_days=(400, 400), damp_codes=0.3, damp_jam_factor=2.0)
    roster = make_roster(250, default_models(), seed=9)
    fleets = [Fleet(roster, seed=9, start=START, mishaps=rates) for rates in (wet, CALM)]
    jams, codes, pages, failures = [], [], [], []
    feed = [i for i, row in enumerate(FAULT_CODES) if row[0].startswith("FED")]
    for fleet in fleets:
        records = [fleet.record(day) for day in range(60)]
        jams.append(sum(int(r.meters[:, 8].sum()) for r in records))
        pages.append(sum(int(r.meters[:, 0].sum()) for r in records))
        codes.append(
            sum(int(((r.events.kind == CODE) & np.isin(r.events.code, feed)).sum()) for r in records)
        )
        failures.append(len(fleet.failures))
    assert jams[0] / pages[0] == pytest.approx(2.0 * jams[1] / pages[1], rel=0.15)
    printing = sum(int((fleets[0].record(d).meters[:, 0] > 0).sum()) for d in range(60))
    assert codes[0] - codes[1] == pytest.approx(0.3 * 0.8 * printing, rel=0.25)  # a fifth names another part
    assert failures[0] == pytest.approx(failures[1], rel=0.2)


def test_rates_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        mishap_rates({"board_swap": 1.5})
    with pytest.raises(TypeError):
        mishap_rates({"lightning": 0.1})


def test_a_story_has_only_the_mishaps_that_it_states(tmp_path: Path):
    story = 'title = "t"\nstart = 2025-09-01\ndays = 3\n{}\n[[site]]\nid = "s"\ndevices = 2\n'

    def load(line: str) -> MishapRates:
        path = tmp_path / "story.toml"
        path.write_text(story.format(line), "utf-8")
        return load_scenario(path).mishaps

    assert load("") == CALM
    assert load("mishaps = true") == default_rates()
    assert load("mishaps = { board_swap = 0.5 }") == MishapRates(board_swap=0.5)
    with pytest.raises(BadScenario):
        load("mishaps = { board_swap = 7 }")
