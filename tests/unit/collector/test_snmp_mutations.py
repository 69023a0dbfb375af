"""Seeded mutations of real recordings: no crash, and no number that the device did not send.

Rows are lost, levels become special, strings odd, counters wrap.
"""

import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.normalise import Normaliser, reading_from_varbinds
from collector.profiles import load_profiles
from collector.snmp.oids import column_of
from config.fault_code_files import load_fault_codes
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.telemetry import DeviceReading
from crm_core.domain.wire import decode_reading, encode_reading
from tests.snmprec import load_varbinds

DUMPS = Path(os.environ.get("DRUMBEAT_SHARED", "../shared")) / "real_printers" / "dumps"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not DUMPS.is_dir(), reason="set DRUMBEAT_SHARED to the folder with real_printers"),
]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROFILES, BOOK, CATALOGUE = load_profiles(), load_fault_codes(), Catalogue([])
NORMALISER = Normaliser(PROFILES, CATALOGUE, BOOK)
SUPPLIES, INPUT, MARKER = "1.3.6.1.2.1.43.11.1.1", "1.3.6.1.2.1.43.8.2.1", "1.3.6.1.2.1.43.10.2.1"
ODD_NUMBERS = (-1, -2, -3, -4, 0, 1, 2**31 - 1, 2**32 - 1, -(2**31), 2**63, 2**64 - 1, -(2**70))
ODD_STRINGS = (
    b"", b"\x00", b"\xff\xfe", b"Toner \xe9\xe8", b"text\x00\x00", b"\x00" * 300, b"A" * 60_000,
    "黑色碳粉".encode(), "黑色碳粉".encode("gbk"), b"\xc3", b"\n41 42", b"tab\there", b"\x01\x15HP", b"-1", b"NaN", b"\xed\xa0\x80",
)  # fmt: skip


def mutate(varbinds: dict, dice: random.Random) -> dict:
    """Return the varbinds with one to eight changes."""
    changed = dict(varbinds)
    names = list(varbinds)
    for _ in range(dice.randrange(1, 9)):
        oid = dice.choice(names)
        match dice.randrange(7):
            case 0:
                changed.pop(oid, None)
            case 1:
                changed[oid] = dice.choice(ODD_NUMBERS)
            case 2:
                changed[oid] = dice.choice(ODD_STRINGS)
            case 3:
                changed[oid] = "1.3.6.1.4.1." + str(dice.randrange(2**31))
            case 4 if isinstance(varbinds[oid], int):
                changed[oid] = (varbinds[oid] + dice.randrange(2**32)) % 2**32
            case 5:
                changed[f"{oid.rpartition('.')[0]}.{dice.randrange(400)}"] = dice.choice(ODD_NUMBERS)
            case _:
                changed[f"{oid}.{'.'.join(['9'] * dice.randrange(1, 12))}"] = dice.choice(ODD_STRINGS)
    return changed


def read(varbinds) -> DeviceReading:
    return reading_from_varbinds(varbinds, polled_at=NOW, profiles=PROFILES, catalogue=CATALOGUE, book=BOOK)


def follow(varbinds, before):
    """Return the look after `before`, and see that it says what reading everything anew says."""
    after = NORMALISER.look(varbinds, before, polled_at=NOW)
    assert after.reading == read(varbinds)
    return after.sharing(before)


def check_nothing_is_invented(reading: DeviceReading, varbinds: dict) -> None:
    """Every number of the reading must stand in the varbinds, at its place."""
    for supply in reading.supplies:
        assert supply.level is None or varbinds.get(f"{SUPPLIES}.9.{supply.index}") == supply.level
        assert supply.capacity is None or varbinds.get(f"{SUPPLIES}.8.{supply.index}") == supply.capacity
        if supply.percent is not None:
            assert supply.level is not None
            assert supply.level >= 0
            assert supply.unit == "percent" or (supply.capacity or 0) > 0
    for tray in reading.trays:
        assert tray.level is None or varbinds.get(f"{INPUT}.10.{tray.index}") == tray.level
        assert tray.percent is None or (tray.level >= 0 and tray.capacity > 0)
    for index, count in reading.counters.prt_marker_life_count.items():
        assert varbinds[f"{MARKER}.4.{index}"] == count
    numbers = {value for value in varbinds.values() if isinstance(value, int)}
    for name in ("total_printed", "print_total", "copy_total", "fax_total", "scan_total"):
        count = reading.counters.vendor_count(name)
        assert count is None or count in numbers
    total, parts = reading.counters.vendor_count("total_printed"), ("mono", "colour")
    if total is not None:
        assert sum(reading.counters.vendor_count(part) or 0 for part in parts) <= total


@pytest.mark.parametrize(
    "count", [400, pytest.param(10_000, marks=[pytest.mark.heavy, pytest.mark.timeout(600)])]
)
def test_mutations_never_crash_and_never_invent(count):
    dice = random.Random(20260101)
    recordings = [load_varbinds(path) for path in sorted(DUMPS.glob("*.snmprec"))]
    small = [
        {
            oid: value
            for oid, value in rows.items()
            if not oid.startswith("1.3.6.1.4.1.") or dice.random() < 0.1
        }
        if len(rows) > 2000
        else rows
        for rows in recordings
    ]
    looks = [NORMALISER.look(rows, polled_at=NOW) for rows in small]
    for number in range(count):
        varbinds = mutate(small[number % len(small)], dice)
        follow(varbinds, looks[number % len(small)])
        reading = read(varbinds)
        check_nothing_is_invented(reading, varbinds)
        assert decode_reading(encode_reading(reading)) == reading


def test_a_recording_with_every_row_removed_in_turn_still_reads():
    varbinds = load_varbinds(DUMPS / "librenms_utax.snmprec")
    for oid in varbinds:
        rest = {name: value for name, value in varbinds.items() if name != oid}
        check_nothing_is_invented(read(rest), rest)


@pytest.mark.parametrize("path", sorted(DUMPS.glob("*.snmprec")), ids=lambda path: path.stem)
def test_what_is_read_after_a_change_is_what_is_read_anew(path):
    """Values change one after the other, as between polls: names, levels, counters, vendor strings, types."""
    dice = random.Random(path.stem)
    varbinds = dict(list(load_varbinds(path).items())[:1500])
    look = NORMALISER.look(varbinds, polled_at=NOW)
    own = look.profile.scalar_oids(look.printer)
    columns = {
        oid if oid in own else column_of(oid): oid
        for oid in dice.sample(list(varbinds), len(varbinds))
        if oid in own or not oid.startswith("1.3.6.1.4.1.")
    }
    for oid in list(columns.values())[:40]:
        told = (1, 3, 8, 42) if isinstance(varbinds[oid], int) else (b"\xff\xff", b"E-7 door open 42", b"")
        varbinds = varbinds | {oid: dice.choice([value for value in told if value != varbinds[oid]])}
        look = follow(varbinds, look)
        odd = dice.choice((*ODD_NUMBERS, *ODD_STRINGS, "1.3.6.1.4.1.11.2"))
        follow(varbinds | {dice.choice(list(columns.values())): odd}, look)


def test_nothing_gives_an_empty_reading():
    reading = read({})
    assert reading.supplies == ()
    assert reading.identity.model is None
    assert reading.derived.faults == ()
