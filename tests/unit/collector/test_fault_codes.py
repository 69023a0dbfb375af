"""The fault code book: lookups by scheme and vendor, texts in both languages, and nothing lost from its source."""

import os
from pathlib import Path

import pytest
import yaml

from config.fault_code_files import load_fault_codes
from crm_core.domain.fault_codes import ERROR_STATE, PRT_ALERT_CODE, VENDOR, FaultCodeBook
from crm_core.domain.service import TicketLevel

BOOK = load_fault_codes()
SHARED = Path(os.environ.get("DRUMBEAT_SHARED", "../shared")) / "fault_codes.yaml"


@pytest.mark.parametrize(
    ("scheme", "code", "vendor", "level"),
    [
        (PRT_ALERT_CODE, "8", None, TicketLevel.L1),
        (PRT_ALERT_CODE, "1101", None, TicketLevel.L2),
        (PRT_ALERT_CODE, "1002", None, TicketLevel.L3),
        (PRT_ALERT_CODE, "503", None, None),
        (PRT_ALERT_CODE, "30208", None, TicketLevel.L1),
        (PRT_ALERT_CODE, "31833", None, TicketLevel.L3),
        (ERROR_STATE, "lowToner", None, TicketLevel.L2),
        (VENDOR, "SC541", "Ricoh", TicketLevel.L3),
        (VENDOR, "sc541-01", "ricoh", TicketLevel.L3),
        (VENDOR, "010-327", "FUJIFILM", TicketLevel.L3),
        (VENDOR, "41201", "HP", TicketLevel.L1),
        (VENDOR, "C6000", "UTAX", TicketLevel.L3),
    ],
)
def test_known_codes_have_their_level(scheme, code, vendor, level):
    row = BOOK.find(scheme, code, vendor)
    assert row is not None
    assert row.level is level


@pytest.mark.parametrize(
    ("scheme", "code", "vendor"),
    [
        (VENDOR, "SC541", "Canon"),
        (VENDOR, "SC541", None),
        (PRT_ALERT_CODE, "999999", None),
        (PRT_ALERT_CODE, "", None),
        (PRT_ALERT_CODE, "30299", None),
        ("unheard-of", "8", None),
    ],
)
def test_unknown_codes_and_other_vendors_codes_are_not_found(scheme, code, vendor):
    assert BOOK.find(scheme, code, vendor) is None


def test_the_longest_prefix_wins():
    row = BOOK.find(VENDOR, "C-2557", "Konica Minolta")
    assert row is not None
    assert row.code == "C-2557"
    assert BOOK.find(VENDOR, "C-2550", "Konica Minolta").code == "C-25"


def test_a_row_from_memory_or_without_source_never_raises_alone():
    for row in BOOK.rows:
        if row.confidence == "low" or not row.source:
            assert not row.may_raise_alone, row.code


def test_every_row_speaks_both_languages():
    for row in BOOK.rows:
        assert row.title["en"], row.code
        assert row.title["zh-CN"], row.code
        assert len(row.guide["en"]) == len(row.guide["zh-CN"]), row.code
        if row.level is not None:
            assert row.guide["en"], row.code


@pytest.mark.parametrize(
    ("text", "vendor", "codes"),
    [
        ("Call service: SC 542-03", "Ricoh", ("SC542-03",)),
        ("SC542 and SC497", "Ricoh", ("SC542", "SC497")),
        ("49.4C02 Error", "HP", ("49.4C02",)),
        ("Error code E7-03. Call for service.", "Sharp", ("E7-03",)),
        ("Call service. C6000:0040", "Kyocera", ("C6000",)),
        ("Fault 010-327 occurred", "Fuji Xerox", ("010-327",)),
        ("E000720-0001", "Canon", ("E000720-0001",)),
        ("SC542", "HP", ()),
        ("SC542", None, ()),
        ("", "Ricoh", ()),
        ("Ink is low.", "Epson", ()),
    ],
)
def test_codes_are_found_in_texts_of_their_own_vendor(text, vendor, codes):
    assert BOOK.codes_in(text, vendor) == codes


def test_texts_and_text_patterns_are_found():
    assert BOOK.find_text("Open Heat Error", "Samsung").level is TicketLevel.L3
    assert BOOK.find_text("31 Missing Cartridge", "Lexmark").level is TicketLevel.L1
    assert BOOK.find_text("Sleep", "Brother").level is None
    assert BOOK.find_text("Open Heat Error", "HP") is None


@pytest.mark.parametrize(
    ("code", "severity", "group", "level"),
    [
        (1001, 5, 10, None),  # Kyocera asleep: a cold fuser is no fault
        (1001, 3, 10, TicketLevel.L3),
        (13, 3, 8, TicketLevel.L1),  # an empty tray
        (13, 3, 11, TicketLevel.L2),  # an empty cartridge
        (30, 3, 10, TicketLevel.L3),
        (503, 4, 5, None),
        (0, 0, 0, None),
        (8, 0, 13, None),
        (None, 3, 8, None),
    ],
)
def test_alerts_are_judged_with_group_and_severity(code, severity, group, level):
    row = BOOK.for_alert(code, severity=severity, group=group)
    assert (row.level if row else None) is level


def test_an_empty_book_answers_nothing():
    book = FaultCodeBook([])
    assert book.find(PRT_ALERT_CODE, "8") is None
    assert book.codes_in("SC542", "Ricoh") == ()


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="set DRUMBEAT_SHARED to the data folder")
def test_no_row_of_the_source_is_lost_or_made_surer():
    source = yaml.safe_load(SHARED.read_text("utf-8"))["codes"]
    ours = {(row.scheme, row.name, row.code): row for row in BOOK.rows}
    assert len(BOOK.rows) == len(source)
    for row in source:
        name = row["name"].replace("<base code = last two digits>", "")
        code = name if row["scheme"] == ERROR_STATE else str(row["code"])
        mine = ours[row["scheme"], name, code]
        assert mine.confidence == row["confidence"]
        assert mine.source == row.get("source")
        tier = row["tier"] if row["tier"] in {"L1", "L2", "L3"} else None
        assert (mine.level.value if mine.level else None) == tier
