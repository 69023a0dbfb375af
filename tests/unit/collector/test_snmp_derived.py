"""Conclusions about supplies and faults: kinds, colours, part numbers - and no guess where nothing supports one."""

from datetime import UTC, datetime

import pytest

from collector.derived import derive_faults, derive_supplies
from collector.profiles import load_profiles
from config.fault_code_files import load_fault_codes
from crm_core.domain.telemetry import DeviceReading, DeviceStatus, MarkerSupply, PrinterAlert

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROFILES = {profile.id: profile for profile in load_profiles().all}
BOOK = load_fault_codes()


def derive(profile="generic", **supply):
    reading = DeviceReading(polled_at=NOW, supplies=(MarkerSupply(index="1.1", **supply),))
    (row,) = derive_supplies(reading, PROFILES[profile])
    return row


@pytest.mark.parametrize(
    ("supply", "kind", "colour"),
    [
        ({"name": "Black Toner Cartridge", "type": "toner"}, "toner", "black"),
        ({"name": "黑色碳粉", "type": "toner"}, "toner", "black"),
        ({"name": "洋紅色碳粉", "type": "toner"}, "toner", "magenta"),
        ({"name": "Toner (Cyan)"}, "toner", "cyan"),
        ({"name": "Cyan Photoconductive Drum", "type": "opc"}, "drum", "cyan"),
        ({"name": "Waste Toner Box"}, "waste", None),
        ({"name": "廢棄碳粉", "type": "wasteToner"}, "waste", None),
        ({"name": "Maintenance Box SJMB6000/6500", "type": "wasteInk"}, "waste", None),
        ({"name": "Box", "type": "other", "cls": "receptacleThatIsFilled"}, "waste", None),
        ({"name": "Fusing Unit"}, "fuser", None),
        ({"name": "Image Transfer Belt Unit"}, "transfer", None),
        ({"name": "Second Bias Transfer Roll, PN 008R13064;SNunknown"}, "transfer", None),
        ({"name": "Transfer Roller", "type": "other"}, "transfer", None),
        ({"name": "Tray 1 Retard Roller Life", "type": "other"}, "rollers", None),
        ({"name": "Document Feeder Kit HP C1P70A", "type": "other"}, "rollers", None),
        ({"name": "Stapler 1 HP C8091A", "type": "staples"}, "staples", None),
        ({"name": "CANON Matte Black Ink Tank", "type": "inkCartridge"}, "ink", "matte black"),
        ({"name": "Ozone Filter"}, "maintenance", None),
        ({"name": "Toner"}, "toner", None),  # no colour named: none is guessed
        ({"name": None, "type": "toner"}, "toner", None),
        ({"name": "Gizmo"}, None, None),
        ({"name": "Gizmo", "type": "other"}, "other", None),
        ({"name": "Toner", "type": "toner", "colorant": "Cyan"}, "toner", "cyan"),
    ],
)
def test_kind_and_colour(supply, kind, colour):
    row = derive(**supply)
    assert (row.kind, row.colour) == (kind, colour)
    assert ("kind" in row.source) == (kind is not None)
    assert ("colour" in row.source) == (colour is not None)


@pytest.mark.parametrize(
    ("profile", "name", "part_number", "serial"),
    [
        ("xerox", "Black Toner, PN 006R01509;SN48178080E0000481", "006R01509", "48178080E0000481"),
        ("xerox", "Fuser, PN unknown;SNunknown", None, None),
        ("kyocera", "TK-8527K", "TK-8527K", None),
        ("hp", "Black Cartridge HP CF410A", "CF410A", None),
        ("hp", "Transfer Kit HP D7H14A", "D7H14A", None),
        ("epson", "Black Ink Cartridge SJIC35P-BK", "SJIC35P-BK", None),
        ("epson", "Black Ink Supply Unit T9441/T9451/T9461", "T9441/T9451/T9461", None),
        ("samsung", "Black Toner Cartridge S/N:CRUM-", None, None),
        ("samsung", "Fuser S/N:", None, None),
        ("samsung", "Black Toner Cartridge S/N:CRUM-12345678", None, "CRUM-12345678"),
    ],
)
def test_part_numbers_and_serials_leave_the_name(profile, name, part_number, serial):
    row = derive(profile, name=name)
    assert (row.part_number, row.serial) == (part_number, serial)


def test_a_bare_part_number_tells_the_colour_by_the_vendors_rule_only():
    assert derive("kyocera", name="TK-8527M", type="toner").colour == "magenta"
    assert derive("hp", name="TK-8527M", type="toner").colour is None


def test_vendor_data_tells_levels_where_the_mib_is_silent():
    supplies = tuple(
        MarkerSupply(index=f"1.{n}", name=f"{colour} Toner Cartridge", type="toner", level=-3, capacity=-2)
        for n, colour in enumerate(("Black", "Cyan"), 1)
    )
    reading = DeviceReading(polled_at=NOW, supplies=supplies, vendor_status={"black_toner_remaining": 17})
    black, cyan = derive_supplies(reading, PROFILES["brother"])
    assert black.level_percent == 17
    assert black.source["level_percent"] == "vendor_status.black_toner_remaining"
    assert cyan.level_percent is None


def test_vendor_data_alone_gives_supplies_of_their_own():
    reading = DeviceReading(
        polled_at=NOW, vendor_status={"black_ink_remaining": 20, "cyan_ink_remaining": 60}
    )
    rows = derive_supplies(reading, PROFILES["brother"])
    assert [(row.kind, row.colour, row.level_percent) for row in rows] == [
        ("ink", "black", 20),
        ("ink", "cyan", 60),
    ]


def faults(vendor=None, **parts):
    reading = DeviceReading(polled_at=NOW, **parts)
    return [(fault.scheme, fault.code, fault.source) for fault in derive_faults(reading, vendor, BOOK)]


def test_faults_are_found_with_their_place():
    alerts = (
        PrinterAlert(index="1.1", severity=3, group=13, code=8, desc="Paper jam"),
        PrinterAlert(index="1.2", severity=4, group=5, code=503),
        PrinterAlert(index="1.3", severity=5, group=10, code=1001),
        PrinterAlert(index="1.4", severity=0, group=0, code=0, desc="Sleep"),
        PrinterAlert(index="1.5", severity=3, group=1, code=1, desc="Call service SC542-03"),
    )
    status = DeviceStatus(errors={"1": ("jammed", "outputNearFull")}, console=("SC 497",))
    assert faults("Ricoh", alerts=alerts, status=status) == [
        ("hrPrinterDetectedErrorState", "jammed", "error_state"),
        ("prtAlertCode", "8", "alert:1.1"),
        ("vendor", "SC542-03", "alert:1.5"),
        ("vendor", "SC497", "console"),
    ]


def test_a_sleeping_or_silent_device_has_no_faults():
    assert faults("Brother", status=DeviceStatus(console=("Sleep",))) == []
    assert faults() == []
