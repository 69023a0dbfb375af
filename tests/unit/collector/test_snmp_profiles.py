"""Device profiles: a vendor is added by a file alone, mistakes are named, the built-in ones are sound."""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.normalise import reading_from_varbinds
from collector.profiles import BUILT_IN, load_profiles
from config.fault_code_files import load_fault_codes
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.errors import InvalidConfiguration

BOOK = load_fault_codes()
DOCUMENT = Path(__file__).parents[3] / "docs" / "device-profiles.md"
ACME = {
    "1.3.6.1.2.1.1.1.0": b"Acme network printer",
    "1.3.6.1.2.1.1.2.0": "1.3.6.1.4.1.99999.7",
    "1.3.6.1.4.1.99999.1.1.0": b"MFG:Acme;MDL:Acme 100 series;",
    "1.3.6.1.4.1.99999.2.1.0": 4711,
    "1.3.6.1.2.1.43.5.1.1.17.1": b"A-0001",
}


def read(varbinds, profiles):
    return reading_from_varbinds(
        varbinds,
        polled_at=datetime(2026, 1, 1, tzinfo=UTC),
        profiles=profiles,
        catalogue=Catalogue([]),
        book=BOOK,
    )


def test_a_new_vendor_is_added_by_the_file_of_the_document_alone(tmp_path):
    without = read(ACME, load_profiles())
    assert without.identity.vendor is None
    example = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL).group(1)
    for path in BUILT_IN.glob("*.toml"):
        shutil.copy(path, tmp_path)
    (tmp_path / "acme.toml").write_text(example, "utf-8")
    reading = read(ACME, load_profiles(tmp_path))
    assert reading.identity.vendor == "Acme"
    assert reading.identity.model == "100"
    assert reading.identity.serial == "A-0001"
    assert reading.counters.vendor == {"total_printed": 4711}
    assert reading.counters.billing_count == 4711


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("id = 5", "id"),
        ('surprise = "x"', "surprise"),
        ('sys_descr = "("', "acme"),
        ('probe = [".1.3.6"]', "OID"),
        ("[[identity]]\nfield = 'colour'\noid = '1.3.6'\nsource = ''", "field"),
        ("[[counters]]\nname = 'mono'\noids = ['1.3.6.1']", "source"),
        ("= broken", "acme"),
    ],
)
def test_a_mistake_names_file_and_place(tmp_path, line, reason):
    head = "" if line.startswith("id") else 'id = "acme"\n'
    (tmp_path / "acme.toml").write_text(f'{head}vendor = "Acme"\n{line}\n')
    with pytest.raises(InvalidConfiguration, match=reason) as raised:
        load_profiles(tmp_path)
    assert "acme.toml" in str(raised.value)


def test_every_built_in_row_names_its_source():
    profiles = load_profiles()
    assert {"sharp", "kyocera", "brother", "epson", "hp", "konica", "ricoh", "xerox", "canon"} <= {
        row.id for row in profiles.all
    }
    for profile in profiles.all:
        rows = (
            *profile.identity,
            *profile.counters,
            *profile.counter_tables,
            *profile.packed,
            *profile.technology,
        )
        assert all(len(row.source) > 8 for row in rows), profile.id


@pytest.mark.parametrize(
    ("varbinds", "vendor"),
    [
        ({"1.3.6.1.2.1.1.2.0": "1.3.6.1.4.1.1347.41", "1.3.6.1.2.1.1.1.0": b"TA_UTAX Printing System"}, "UTAX"),
        ({"1.3.6.1.2.1.1.2.0": "1.3.6.1.4.1.1347.41", "1.3.6.1.2.1.1.1.0": b"KYOCERA Printing System"}, "Kyocera"),
        ({"1.3.6.1.2.1.1.2.0": ".1.3.6.1.4.1.1129.1"}, "Toshiba"),
        ({"1.3.6.1.2.1.1.1.0": b"SHARP MX-2614N"}, "Sharp"),
        ({"1.3.6.1.2.1.1.2.0": "1.3.6.1.4.1.8072.3.2.10", "1.3.6.1.2.1.1.1.0": b"Lexmark T640"}, "Lexmark"),
        ({"1.3.6.1.4.1.2435.2.3.9.1.1.7.0": b"MFG:Brother;MDL:HL-1;"}, "Brother"),
        ({"1.3.6.1.2.1.1.1.0": b"Linux router"}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_the_family_is_recognised_by_number_text_or_vendor_oids(varbinds, vendor):
    assert load_profiles().recognise(varbinds).vendor == vendor


@pytest.mark.parametrize(
    ("counters", "kept"),
    [
        ({"12": 100, "mono": 60, "colour": 40}, {"total_printed", "mono", "colour"}),
        (
            {"12": 100, "mono": 80, "colour": 40},
            {"total_printed"},
        ),  # parts exceed the whole: they mean something else
    ],
)
def test_parts_that_exceed_their_total_are_left_out(counters, kept):
    base = "1.3.6.1.4.1.1347"
    varbinds = {
        "1.3.6.1.2.1.1.2.0": f"{base}.41",
        f"{base}.43.10.1.1.12.1.1": counters["12"],
        f"{base}.42.3.1.2.1.1.1.1": counters["mono"],
        f"{base}.42.3.1.2.1.1.1.3": counters["colour"],
    }
    vendor = read(varbinds, load_profiles()).counters.vendor
    assert {name for name in vendor if not name.startswith("print")} == kept
