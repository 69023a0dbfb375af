"""What triage is told of a reading, to the last field: cause, level, category, code, severity, words and figures."""

from dataclasses import replace

import pytest

from crm_core.conditions import observe
from crm_core.domain.service import Condition
from crm_core.domain.telemetry import Cover, Derived, DerivedFault, DerivedSupply, DeviceIdentity, InputTray
from tests.builders import a_reading, a_supply, an_alert
from tests.policies import L1, L2, L3, a_book, a_code

BITS = "hrPrinterDetectedErrorState"
FIELD_SERVICE = 5


def seen(reading, *codes) -> dict[str, Condition]:
    return dict(observe(reading, a_book(*codes)).conditions)


def one(reading, *codes) -> Condition:
    (condition,) = seen(reading, *codes).values()
    return condition


def vendor_code(code, name, category, level, vendor="acme", **more):
    return replace(a_code(code, name, category, level, "vendor"), vendor=vendor, **more)


def reading_of_vendor(*codes, vendor="acme", name=None, **about):
    faults = tuple(DerivedFault(scheme="vendor", code=code, name=name) for code in codes)
    return a_reading(derived=Derived(vendor=vendor, faults=faults), **about)


# --- alerts ---


def test_an_alert_of_a_fuser():
    assert one(a_reading(alerts=[an_alert(1001, group=10, desc="Fuser is cold")])) == Condition(
        cause="fault.markerfuserundertemperature",
        level=L3,
        category="fuser_heat",
        code="prtAlertCode:1001",
        severity="critical",
        text="Fuser is cold",
        detail={"slot": "markerfuserundertemperature", "name": "markerFuserUnderTemperature"},
    )


def test_an_alert_about_toner_has_the_figures_of_its_supply():
    supply = a_supply("1.2", 7, "cyan", name="TN-C")
    derived = Derived(supplies=(DerivedSupply(index="1.2", kind="toner", colour="blue", part_number="P9"),))
    reading = a_reading(supplies=[supply], alerts=[an_alert(1104, severity=4, gindex=2)], derived=derived)
    assert one(reading) == Condition(
        cause="supply.1.2",
        level=L2,
        category="consumable",
        code="prtAlertCode:1104",
        severity="warning",
        text=None,
        detail={
            "supply_index": "1.2",
            "supply_name": "TN-C",
            "label": "TN-C",
            "kind": "toner",
            "colour": "blue",
            "percent": 7.0,
            "part_number": "P9",
            "name": "markerTonerAlmostEmpty",
        },
    )


def test_a_supply_that_nobody_derived_speaks_for_itself():
    supply = a_supply("1.1", 7, "magenta")
    detail = one(a_reading(supplies=[supply], alerts=[an_alert(1104)])).detail
    assert detail == {
        "supply_index": "1.1",
        "supply_name": None,
        "label": "magenta toner",
        "kind": "toner",
        "colour": "magenta",
        "percent": 7.0,
        "part_number": None,
        "name": "markerTonerAlmostEmpty",
    }


def test_a_supply_without_a_row():
    detail = one(a_reading(alerts=[an_alert(1104, group=99)])).detail
    assert detail == {"supply_index": None, "label": "?", "name": "markerTonerAlmostEmpty"}


@pytest.mark.parametrize(
    ("alert", "level"),
    [
        (an_alert(8, severity=3), L1),
        (an_alert(8, severity=4), None),  # a warning of what people mend themselves
        (an_alert(8, severity=3, training=FIELD_SERVICE), L3),
        (an_alert(33, severity=4), L3),
        (an_alert(1104, severity=5), L2),  # of binary changes only those of supplies are trouble
    ],
)
def test_levels_of_alerts(alert, level):
    assert one(a_reading(alerts=[alert])).level is level


@pytest.mark.parametrize(
    "alert",
    [
        an_alert(8, severity=5),
        an_alert(8, severity=0),
        an_alert(8, severity=1),
        an_alert(503),
        an_alert(None),
    ],
)
def test_alerts_that_say_nothing_wrong(alert):
    assert seen(a_reading(alerts=[alert])) == {}


def test_a_state_is_passed_over_and_what_follows_is_heard():
    alerts = [an_alert(8, severity=5), an_alert(503), an_alert(99999), an_alert(1001)]
    assert list(seen(a_reading(alerts=alerts))) == ["fault.markerfuserundertemperature"]


@pytest.mark.parametrize(
    ("alert", "cause"),
    [
        (an_alert(501, group=6, gindex=2), "cover.1.2"),
        (an_alert(808, group=8, gindex=2), "paper.1.2"),
        (an_alert(8, group=13, gindex=4), "jam.13.4"),
        (an_alert(8, group=13, gindex=0), "jam.13.0"),
        (an_alert(8, group=13, gindex=-1), "jam.any"),
        (an_alert(8, group=13, gindex=None), "jam.any"),
    ],
)
def test_places_that_tables_name(alert, cause):
    reading = a_reading(
        alerts=[alert], covers={"1.2": Cover(name="front", status=4)}, trays=[InputTray(index="1.2", level=9)]
    )
    assert list(seen(reading)) == [cause]


# --- vendor codes ---


def test_a_vendor_code():
    code = vendor_code("E1", "fuserDead", "fuser_heat", L3, component="Fuser unit")
    assert one(reading_of_vendor("E1", name="Fuser broken"), code) == Condition(
        cause="fault.fuser_unit",
        level=L3,
        category="fuser_heat",
        code="vendor:E1",
        severity="critical",
        text="Fuser broken",
        detail={"slot": "fuser_unit", "name": "fuserDead", "component": "Fuser unit"},
    )


def test_a_vendor_code_without_component_and_words():
    condition = one(reading_of_vendor("E 1!"), vendor_code("E 1!", "fuserDead", "fuser_heat", L2))
    assert (condition.cause, condition.severity, condition.text) == ("fault.e_1", "warning", "fuserDead")


@pytest.mark.parametrize("category", ["jam", "cover", "paper"])
def test_vendor_codes_of_places(category):
    condition = one(reading_of_vendor("X"), vendor_code("X", "x", category, L1))
    assert (condition.cause, condition.category) == (f"{category}.any", category)
    assert condition.detail == {"slot": "any", "name": "x", "component": None}


def test_a_vendor_code_that_may_not_raise_alone_is_only_seen():
    code = vendor_code("E1", "maybe", "mechanical", L3, confidence="low")
    assert one(reading_of_vendor("E1"), code).level is None


def test_vendor_codes_go_on_after_what_is_unknown_or_judged_elsewhere():
    faults = (
        DerivedFault(scheme="prtAlertCode", code="8"),
        DerivedFault(scheme=BITS, code="jammed"),
        DerivedFault(scheme="vendor", code="?"),
        DerivedFault(scheme="vendor", code="I"),
        DerivedFault(scheme="vendor", code="E1"),
    )
    reading = a_reading(derived=Derived(vendor="acme", faults=faults))
    codes = (vendor_code("E1", "dead", "mechanical", L3), vendor_code("I", "says", "electronic", None))
    assert list(seen(reading, *codes)) == ["fault.e1"]


def test_the_derived_vendor_goes_before_the_stated_one():
    codes = (
        vendor_code("E1", "right", "mechanical", L3),
        vendor_code("E1", "wrong", "mechanical", L3, "other"),
    )
    derived = reading_of_vendor("E1", identity=DeviceIdentity(vendor="other", model="C1"))
    assert one(derived, *codes).detail["name"] == "right"
    stated = reading_of_vendor("E1", vendor=None, identity=DeviceIdentity(vendor="acme", model="C1"))
    assert one(stated, *codes).detail["name"] == "right"


# --- error bits and covers ---


def test_an_error_bit():
    assert one(a_reading(errors=["jammed"])) == Condition(
        cause="jam.any",
        level=L1,
        category="jam",
        code=f"{BITS}:jammed",
        severity="critical",
        text=None,
        detail={"slot": "any", "name": "jammed"},
    )


def test_a_warning_bit_of_toner_and_one_of_paper():
    toner = one(a_reading(errors=["lowToner"], supplies=[a_supply("1.1", 40), a_supply("1.2", 9)]))
    assert (toner.cause, toner.level, toner.severity) == ("supply.1.2", L2, "warning")
    assert toner.detail["percent"] == 9.0
    paper = one(a_reading(errors=["lowPaper"]))
    assert (paper.cause, paper.level, paper.severity) == ("paper.any", None, "warning")


MORE_BITS = tuple(
    a_code(name, name, "paper" if "put" in name else "mechanical", L1, BITS)
    for name in (
        "inputTrayEmpty", "inputTrayMissing", "outputTrayMissing", "outputFull", "markerSupplyMissing",
        "overduePreventMaint",
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("bit", "cause", "level"),
    [
        ("noToner", "supply.any", L2),
        ("doorOpen", "cover.any", L1),
        ("noPaper", "paper.any", L1),
        ("inputTrayEmpty", "paper.any", L1),
        ("outputFull", "paper.output", L1),
        ("inputTrayMissing", "paper.tray_missing", L1),
        ("outputTrayMissing", "paper.output_missing", L1),
        ("markerSupplyMissing", "fault.markersupplymissing", L1),
        ("overduePreventMaint", "fault.overduepreventmaint", None),
        ("serviceRequested", "fault.servicerequested", L3),
        ("offline", "fault.offline", L1),
    ],
)
def test_causes_of_bits(bit, cause, level):
    condition = one(a_reading(errors=[bit]), *MORE_BITS)
    assert (condition.cause, condition.level) == (cause, level)


def test_bits_name_every_empty_tray_and_every_open_cover():
    trays = [
        InputTray(index="1.1", level=0),
        InputTray(index="1.2", level=5),
        InputTray(index="1.3", level=0),
    ]
    assert list(seen(a_reading(errors=["noPaper"], trays=trays))) == ["paper.1.1", "paper.1.3"]
    covers = {name: Cover(name=name, status=status) for name, status in (("1.1", 3), ("1.2", 4), ("1.3", 3))}
    assert list(seen(a_reading(errors=["doorOpen"], covers=covers))) == ["cover.1.1", "cover.1.3"]


@pytest.mark.parametrize(
    ("bit", "alert"),
    [
        ("lowToner", an_alert(1104, group=99)),
        ("noToner", an_alert(1101, group=99)),
        ("doorOpen", an_alert(501, group=99)),
        ("jammed", an_alert(8)),
        ("noPaper", an_alert(808)),
        ("serviceRequested", an_alert(1001)),
        ("serviceRequested", an_alert(1104, group=99)),
        ("offline", an_alert(8)),
        ("markerSupplyMissing", an_alert(1115)),
        ("outputFull", an_alert(808)),
    ],
)
def test_a_bit_that_repeats_an_alert_adds_nothing(bit, alert):
    with_bit = seen(a_reading(alerts=[alert], errors=[bit]), *MORE_BITS)
    assert with_bit == seen(a_reading(alerts=[alert]), *MORE_BITS)


def test_of_bits_the_exact_one_speaks_and_unknown_ones_stop_nothing():
    assert list(seen(a_reading(errors=["offline", "lowPaper", "noPaper", "whatever"]))) == ["paper.any"]
    assert list(seen(a_reading(errors=["outputFull", "jammed"]))) == [
        "jam.any"
    ]  # the book has no row for the first
    both = seen(a_reading(errors=["noPaper", "jammed"]))
    assert list(both) == ["jam.any", "paper.any"]


def test_a_bit_may_stand_in_the_book_by_its_number():
    condition = one(a_reading(errors=["overduePreventMaint"]), a_code(14, "care", "mechanical", L2, BITS))
    assert (condition.level, condition.detail["name"]) == (L2, "overduePreventMaint")


def test_an_open_cover():
    covers = {"1.2": Cover(name="front", status=3), "1.1": Cover(name="side", status=4)}
    assert one(a_reading(covers=covers)) == Condition(
        cause="cover.1.2",
        level=L1,
        category="cover",
        code=None,
        severity="critical",
        text="front",
        detail={"name": "coverOpen", "slot": "1.2"},
    )


def test_an_open_cover_that_an_alert_names_is_said_once():
    reading = a_reading(
        covers={"1.2": Cover(name="front", status=3)}, alerts=[an_alert(501, group=6, gindex=2)]
    )
    assert one(reading).code == "prtAlertCode:501"


# --- what a reading says nothing about ---


def test_parts_that_did_not_answer():
    reading = a_reading(
        incomplete=("supplies", "covers: timeout", "supplies"), supplies=[a_supply("1.1", -2)]
    )
    assert observe(reading, a_book()).unknown.count("supply.") == 1
    assert "supply.1.1" not in observe(reading, a_book()).unknown


def test_what_is_found_is_not_unknown():
    reading = a_reading(
        supplies=[a_supply("1.1", -2), a_supply("1.2", -2)], alerts=[an_alert(1104, gindex=1)]
    )
    observation = observe(reading, a_book())
    assert (list(observation.conditions), observation.unknown) == (["supply.1.1"], ("supply.1.2",))
