"""Readings become conditions by the device's own statements, one cause each; quirks of real printers raise nothing."""

from datetime import timedelta

import pytest

from config.fault_code_files import load_fault_codes
from crm_core.domain.service import TicketLevel
from crm_core.domain.telemetry import Cover, Derived, DerivedFault, InputTray
from crm_core.signals import conclude
from tests.builders import T0, a_reading, a_supply, an_alert
from tests.policies import L1, L2, L3, a_book, a_code


def causes(reading, previous=None):
    signal = conclude(reading, previous, a_book()).signal
    return {} if signal is None else {each.cause: each.level for each in signal.conditions}


FOUR = (
    a_supply("1.1", 55),
    a_supply("1.2", 19, "cyan"),
    a_supply("1.3", 40, "magenta"),
    a_supply("1.4", 34, "yellow"),
)


def test_a_healthy_device_is_silent():
    assert conclude(a_reading(supplies=FOUR), a_reading(supplies=FOUR), a_book()).signal is None


def test_the_bit_low_toner_belongs_to_the_lowest_known_consumable():
    """As the Sharp recording: 55, 19, 40, 34 % and the bit; 19 % alone would say nothing."""
    assert causes(a_reading(supplies=FOUR, errors=["lowToner"])) == {"supply.1.2": L2}
    assert causes(a_reading(supplies=FOUR)) == {}


def test_low_toner_without_known_levels_belongs_to_any_supply():
    brother = [a_supply("1.1", -3), a_supply("1.2", -3, "cyan")]
    assert causes(a_reading(supplies=brother, errors=["lowToner"])) == {"supply.any": L2}


def test_waste_and_drums_are_no_toner():
    supplies = [
        a_supply("1.1", 60),
        a_supply("1.5", 1, type="wasteToner", cls="receptacleThatIsFilled"),
        a_supply("1.6", 2, type="opc"),
    ]
    assert causes(a_reading(supplies=supplies, errors=["lowToner"])) == {"supply.1.1": L2}


def test_low_ink_alerts_of_an_epson_name_their_supplies():
    """The recording printmaster_epson_cw: 1105 at severity 5 for rows 2, 3, 4, the bit lowToner, and an Idle row."""
    inks = [
        a_supply(f"1.{row}", level, type="inkCartridge") for row, level in ((1, 86), (2, 1), (3, 1), (4, 1))
    ]
    alerts = [an_alert(1105, severity=5, gindex=row) for row in (2, 3, 4)]
    reading = a_reading(
        supplies=inks, alerts=[*alerts, an_alert(1, severity=1, group=1, gindex=-1)], errors=["lowToner"]
    )
    assert causes(reading) == {"supply.1.2": L2, "supply.1.3": L2, "supply.1.4": L2}


@pytest.mark.parametrize(
    "alert",
    [
        an_alert(0, severity=0, training=0, group=0, gindex=0, desc="Sleep"),
        an_alert(503, severity=4, training=6, group=5, desc=""),
        an_alert(507, severity=3),
        an_alert(1, severity=3),
        an_alert(2, severity=3),
        an_alert(1001, severity=5, group=10),
        an_alert(33, severity=5),
        an_alert(1002, severity=1),
        an_alert(999_999, severity=3),
    ],
)
def test_talk_of_real_printers_raises_nothing(alert):
    assert causes(a_reading(supplies=FOUR, alerts=[alert])) == {}


def test_a_hot_fuser_needs_a_technician():
    assert causes(a_reading(alerts=[an_alert(1002, group=10)])) == {"fault.markerfuserovertemperature": L3}


def test_a_warning_that_a_phone_call_solves_makes_no_ticket():
    assert causes(a_reading(alerts=[an_alert(808, severity=4, group=8)])) == {"paper.8.1": None}


def test_field_service_training_raises_a_jam_to_hardware():
    assert causes(a_reading(alerts=[an_alert(8, group=8, training=5)])) == {"jam.8.1": L3}
    assert causes(a_reading(alerts=[an_alert(8, group=8)])) == {"jam.8.1": L1}


def test_generic_empty_means_paper_in_a_tray_and_toner_in_a_supply():
    trays = [InputTray(index="1.2")]
    reading = a_reading(
        supplies=FOUR, trays=trays, alerts=[an_alert(13, group=8, gindex=2), an_alert(13, gindex=3)]
    )
    assert causes(reading) == {"paper.1.2": L1, "supply.1.3": L2}


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        (an_alert(35, severity=4, group=10), {}),  # a unit that is cold after sleep
        (an_alert(1001, severity=3, group=10), {"fault.fuser": L3}),
        (an_alert(1002, severity=4, group=10), {"fault.fuser": L3}),  # hot is never well
        (an_alert(9, group=8, gindex=2), {"paper.8.2": L1}),  # a tray is out
        (an_alert(9, group=11, gindex=3), {"supply.1.3": L2}),
        (an_alert(30, group=10), {"fault.subunitunrecoverablefailure": L3}),
        (an_alert(17, group=9, gindex=1), {"paper.9.1": L1}),  # a bin at its limit is full of paper
    ],
)
def test_what_a_code_means_depends_on_severity_and_group(alert, said):
    signal = conclude(a_reading(supplies=FOUR, alerts=[alert]), None, load_fault_codes()).signal
    found = {} if signal is None else {each.cause: each.level for each in signal.conditions}
    assert found == said


def test_bits_repeat_what_alerts_say_already():
    reading = a_reading(
        supplies=FOUR,
        alerts=[an_alert(1101, gindex=4), an_alert(8, group=13)],
        errors=["noToner", "jammed", "offline"],
    )
    assert causes(reading) == {"supply.1.4": L2, "jam.13.1": L1}


def test_offline_alone_is_a_call_and_beside_a_cause_it_is_explained():
    assert causes(a_reading(errors=["offline"])) == {"fault.offline": L1}
    assert causes(a_reading(errors=["offline", "jammed"])) == {"jam.any": L1}


def test_open_covers_come_from_the_cover_table():
    covers = {"1.1": Cover(status=4), "1.2": Cover(name="Front", status=3)}
    assert causes(a_reading(covers=covers)) == {"cover.1.2": L1}
    assert causes(a_reading(covers=covers, errors=["doorOpen"])) == {"cover.1.2": L1}
    assert causes(a_reading(errors=["doorOpen"])) == {"cover.any": L1}


def test_an_empty_tray_is_a_cause_only_when_the_device_complains():
    trays = [InputTray(index="1.1", level=0), InputTray(index="1.2", level=200)]
    assert causes(a_reading(trays=trays)) == {}
    assert causes(a_reading(trays=trays, errors=["noPaper", "lowPaper"])) == {"paper.1.1": L1}
    assert causes(a_reading(errors=["lowPaper"])) == {"paper.any": None}


def test_a_vendor_code_of_low_confidence_never_raises_alone():
    sure = a_code("SC542", "fuser over temperature", "fuser_heat", L3, "vendor")
    book = a_book(sure)
    faults = Derived(faults=(DerivedFault(scheme="vendor", code="SC542"),))
    assert conclude(a_reading(derived=faults), None, book).signal is None  # vendor rows need their vendor


def test_a_sleeping_device_neither_raises_nor_clears():
    asleep = a_reading(
        T0 + timedelta(hours=1),
        supplies=[a_supply("1.1", -3)],
        alerts=[an_alert(0, severity=0, desc="Sleep")],
        errors=["lowToner"],
    )
    signal = conclude(asleep, a_reading(errors=["lowToner"], supplies=FOUR), a_book()).signal
    assert (signal.conditions, signal.unknown) == ((), ("",))


def test_unknown_levels_and_unanswered_parts_are_told():
    before = a_reading(supplies=FOUR, errors=["lowToner"])
    now = a_reading(
        T0 + timedelta(minutes=5),
        supplies=[
            a_supply("1.1", 55),
            a_supply("1.2", -2, "cyan"),
            a_supply("1.9", -3, cls="receptacleThatIsFilled"),
        ],
        incomplete=("covers", "console"),
    )
    assert conclude(now, before, a_book()).signal.unknown == ("cover.", "supply.1.2")


def test_what_is_known_again_is_told_once():
    """A device that did not know must be able to say 'well' afterwards, or its ticket would stay for ever."""
    unknown = a_reading(supplies=[a_supply("1.1", -2)])
    known = a_reading(T0 + timedelta(minutes=5), supplies=[a_supply("1.1", 90)])
    assert conclude(known, unknown, a_book()).signal.conditions == ()
    assert conclude(known, known, a_book()).signal is None


def test_events_begin_and_end_once():
    first = a_reading(alerts=[an_alert(8, group=8)], errors=["jammed"])
    second = a_reading(T0 + timedelta(minutes=5), errors=["jammed", "lowToner"])
    began = conclude(first, None, a_book()).events
    assert [(event.kind, event.code, event.began) for event in began] == [
        ("alert", "8", True),
        ("error_state", "jammed", True),
    ]
    changed = conclude(second, first, a_book()).events
    assert [(event.code, event.began, event.at) for event in changed] == [
        ("lowToner", True, second.polled_at),
        ("8", False, second.polled_at),
    ]


def test_silence_about_alerts_ends_no_alert():
    first = a_reading(alerts=[an_alert(8, group=8)])
    assert (
        conclude(a_reading(T0 + timedelta(minutes=5), incomplete=("alerts",)), first, a_book()).events == ()
    )


def test_a_late_reading_ends_and_begins_nothing():
    newest = a_reading(T0 + timedelta(hours=1), errors=["jammed"])
    assert conclude(a_reading(T0), newest, a_book()).events == ()


def test_a_probe_has_no_signal():
    assert conclude(a_reading(device_id=None, errors=["jammed"]), None, a_book()).signal is None


def test_the_detail_names_the_supply():
    signal = conclude(a_reading(supplies=FOUR, errors=["lowToner"]), None, a_book()).signal
    condition = signal.conditions[0]
    assert condition.detail["label"] == "cyan toner"
    assert condition.detail["percent"] == 19.0
    assert condition.level is TicketLevel.L2
