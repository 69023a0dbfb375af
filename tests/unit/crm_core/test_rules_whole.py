"""The corners of clocks and triage rules that stories seldom reach: with these every branch of them has a test."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from crm_core.business_time import add_business, elapsed_business
from crm_core.cause_tracks import evidence_of
from crm_core.conditions import consumables, observe
from crm_core.domain.fleet import CustomerTier, ServiceTerms
from crm_core.domain.forecast import FailureForecast
from crm_core.domain.identity import DeviceId
from crm_core.domain.service import ClockKind
from crm_core.domain.sla import Promise, WorkWindow
from crm_core.domain.telemetry import Derived, DerivedFault, DerivedSupply
from crm_core.forecast_causes import signal_of
from crm_core.ports import DeviceForecasts
from crm_core.sla import Pause, clocks_for, paused_due
from tests.builders import (
    T0,
    TENANT,
    a_condition,
    a_contract,
    a_customer,
    a_life_forecast,
    a_reading,
    a_signal,
    a_supply,
    a_supply_forecast,
    an_alert,
)
from tests.policies import L1, L2, L3, a_book, a_calendar, a_code, a_policy

BERLIN = ZoneInfo("Europe/Berlin")


# --- clocks ---


def clocks(terms: ServiceTerms | None, **about: object):
    contract = replace(a_contract(on_site_hours=None), service_terms=terms)
    fields = {"level": L3, "customer": a_customer(tier=CustomerTier.ORDINARY), "start": T0, **about}
    found = clocks_for(a_policy().sla, "v", contract=contract, **fields)
    return {clock.kind: clock for clock in found}


def test_a_contract_that_promises_more_wins_and_says_so():
    strict = clocks(ServiceTerms(respond_minutes=15, restore_hours={"L3": 4}))
    assert strict[ClockKind.RESPOND].due_at == T0 + timedelta(minutes=15)
    assert strict[ClockKind.RESTORE].due_at == T0 + timedelta(hours=4)
    assert all(clock.by_contract for clock in strict.values())


def test_a_contract_that_promises_less_changes_nothing():
    lax = clocks(ServiceTerms(respond_minutes=600, restore_hours={"L3": 400, "L2": 1}))
    assert lax == clocks(None)
    assert not any(clock.by_contract for clock in lax.values())


def test_a_contract_may_count_business_hours_over_its_own_calendar():
    always = a_calendar(name="always", windows=dict.fromkeys(range(7), (WorkWindow(time(0), time(23, 59)),)))
    sla = replace(a_policy().sla, calendars={"always": always})
    night = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)  # 22:00 in Shanghai
    terms = ServiceTerms(restore_hours={"L1": 1}, business_hours=True, calendar="always")
    found = clocks_for(
        sla, "v", level=L1, customer=None, contract=replace(a_contract(), service_terms=terms), start=night
    )
    restore = next(clock for clock in found if clock.kind is ClockKind.RESTORE)
    assert (restore.due_at, restore.calendar) == (night + timedelta(hours=1), "always")
    assert sla.calendar_named("gone").name == "test"  # the firm's own stands in for a calendar that is gone


@pytest.mark.parametrize(
    ("tier", "due"),
    [(CustomerTier.CORE, "10:00"), (CustomerTier.IMPORTANT, "11:00"), (CustomerTier.ORDINARY, "14:00")],
)
def test_an_offer_has_its_own_clock(tier, due):
    """Requirement 113: a core customer's request of 09:00 has its offer by 10:00."""
    offer = clocks(None, level=L1, category="replacement", customer=a_customer(tier=tier))[ClockKind.PROPOSAL]
    assert offer.due_at.astimezone(ZoneInfo("Asia/Shanghai")).strftime("%H:%M") == due


# --- business time ---


def test_a_window_in_the_hour_that_summer_time_skips_has_no_length():
    calendar = a_calendar(
        time_zone="Europe/Berlin", windows={6: (WorkWindow(time(2, 0), time(3, 0)), WorkWindow(time(9), time(10)))}
    )  # fmt: skip
    eve, after = datetime(2026, 3, 29, 0, 0, tzinfo=BERLIN), datetime(2026, 3, 29, 12, 0, tzinfo=BERLIN)
    assert elapsed_business(calendar, eve, after) == timedelta(hours=1)


def test_a_year_without_an_open_day_is_passed_over():
    closed = frozenset(date(2026, 1, 1) + timedelta(days=each) for each in range(365))
    calendar = a_calendar(holidays=closed)
    due = add_business(calendar, datetime(2025, 12, 31, 12, 0, tzinfo=UTC), timedelta(hours=1))
    assert due.year == 2027


def test_what_begins_after_the_last_window_of_a_year_falls_due_in_the_next():
    calendar = a_calendar()
    eve = datetime(2026, 12, 31, 15, 0, tzinfo=UTC)  # 23:00 in Shanghai
    assert add_business(calendar, eve, timedelta(hours=1)).astimezone(ZoneInfo("Asia/Shanghai")).date() == date(2027, 1, 1)  # fmt: skip


# --- what readings say ---


def test_of_two_words_for_one_cause_the_worse_stays():
    first = an_alert(1001, group=9, gindex=1, severity=4)
    second = an_alert(1002, group=9, gindex=1, severity=3)
    for alerts in ([first, second], [second, first]):
        (condition,) = observe(a_reading(alerts=alerts), a_book()).conditions.values()
        assert condition.severity == "critical"


@pytest.mark.parametrize(
    ("alert", "cause"),
    [
        (an_alert(1115, group=11, gindex=1), "fault.markertonercartridgemissing"),
        (an_alert(501, group=6, gindex=9), "cover.6.9"),
        (an_alert(808, group=8, gindex=7), "paper.8.7"),
        (an_alert(808, group=99, gindex=-1), "paper.any"),
        (an_alert(1104, group=99, gindex=1), "supply.any"),
    ],
)
def test_places_that_no_table_names(alert, cause):
    assert list(observe(a_reading(alerts=[alert]), a_book()).conditions) == [cause]


def vendor_fault(code: str):
    return a_reading(derived=Derived(vendor="acme", faults=(DerivedFault(scheme="vendor", code=code),)))


def test_vendor_codes_become_causes_of_their_kind():
    book = a_book(
        *(
            replace(a_code(code, name, category, level, "vendor"), vendor="acme")
            for code, name, category, level in (
                ("E1", "fuserDead", "fuser_heat", L3),
                ("J1", "jamAtExit", "jam", L1),
                ("T1", "tonerLow", "consumable", L2),
                ("I1", "justSaying", "electronic", None),
            )
        )
    )
    causes = {
        code: list(observe(vendor_fault(code), book).conditions) for code in ("E1", "J1", "T1", "I1", "?")
    }
    assert causes["J1"] == ["jam.any"]
    assert causes["T1"] == ["supply.any"]
    assert causes["I1"] == causes["?"] == []
    assert causes["E1"][0].startswith("fault.")
    known = a_reading(
        supplies=[a_supply("1.1", 5)],
        derived=Derived(vendor="acme", faults=(DerivedFault(scheme="vendor", code="T1"),)),
    )
    assert "supply.1.1" in observe(known, book).conditions


# --- what forecasts say ---


def a_failure(p14: float | None, *, advised: bool, component: str | None = "fuser") -> FailureForecast:
    return FailureForecast(
        tenant=TENANT,
        device_id=DeviceId("d1"),
        component=component,
        p_fail_7d=None if p14 is None else p14 / 2,
        p_fail_14d=p14,
        visit_advised=advised,
        provenance=a_life_forecast(0.1).provenance,
    )


def judged(*, supplies=(), life=(), failure=None):
    rows = DeviceForecasts(supplies=tuple(supplies), life=tuple(life), failure=failure)
    return signal_of(TENANT, DeviceId("d1"), rows, a_policy())


def test_no_forecast_says_nothing():
    assert judged() is None


@pytest.mark.parametrize(
    ("failure", "causes", "unknown"),
    [
        (a_failure(0.6, advised=True), ["failure_risk.fuser"], ()),
        (a_failure(0.6, advised=True, component=None), ["failure_risk.device"], ()),
        (a_failure(0.6, advised=False), [], ()),
        (a_failure(None, advised=False), [], ("failure_risk.",)),
    ],
)
def test_failure_risk(failure, causes, unknown):
    signal = judged(failure=failure)
    assert ([each.cause for each in signal.conditions], signal.unknown) == (causes, unknown)


@pytest.mark.parametrize(
    ("row", "level"),
    [
        (a_life_forecast(0.8), L1),
        (a_life_forecast(0.79), None),
        (a_life_forecast(1.0, "drum"), L2),
        (replace(a_life_forecast(0.5, "drum"), days_to_replacement=None), None),
    ],
)
def test_life(row, level):
    found = judged(life=[row]).conditions
    assert [each.level for each in found] == ([] if level is None else [level])


def test_life_without_a_share_stays_undecided():
    assert judged(life=[replace(a_life_forecast(0.5), used_share=None)]).unknown == ("life.device",)


def test_a_supply_without_days_stays_undecided():
    row = replace(a_supply_forecast(days=5), days_to_empty=None)
    assert judged(supplies=[row]).unknown == ("supply.1.1",)


def test_evidence_says_what_was_seen():
    condition = replace(a_condition("supply.1.1", L2), text="Toner low", detail={"percent": 4})
    assert evidence_of(a_signal(condition), condition).summary.endswith("Toner low | 4 %")


def test_a_pause_before_the_start_leaves_the_next_one_its_effect():
    calendar = a_calendar()
    early = Pause(T0 - timedelta(hours=3), T0 - timedelta(hours=2))
    later = Pause(T0 + timedelta(hours=1), T0 + timedelta(hours=2))
    promise = Promise(kind=ClockKind.RESTORE, duration=timedelta(hours=4), business_hours=False)
    assert paused_due(calendar, T0, promise, (early, later)).due_at == T0 + timedelta(hours=5)


def test_a_calendar_whose_last_window_reaches_into_the_new_year_of_utc():
    """In New York the old year goes on while UTC has the new one."""
    calendar = a_calendar(
        time_zone="America/New_York", windows=dict.fromkeys(range(7), (WorkWindow(time(18), time(23)),))
    )
    eve = datetime(2026, 1, 1, 1, 0, tzinfo=UTC)  # 20:00 of New Year's Eve there
    assert add_business(calendar, eve, timedelta(hours=1)) == eve + timedelta(hours=1)


def test_a_waste_box_is_no_consumable():
    waste = a_supply("1.9", 50, cls="receptacleThatIsFilled", type="wasteToner")
    assert [each.index for each in consumables(a_reading(supplies=[waste, a_supply("1.1", 5)]))] == ["1.1"]


def test_what_did_not_answer_is_unknown():
    parts = observe(a_reading(incomplete=("supplies", "alerts")), a_book()).unknown
    assert "supply." in parts


def test_two_equal_words_for_one_cause_count_once():
    twice = [an_alert(1001, group=9, gindex=1), an_alert(1001, group=9, gindex=1)]
    assert len(observe(a_reading(alerts=twice), a_book()).conditions) == 1


def test_standard_codes_among_the_derived_ones_are_judged_from_their_rows():
    derived = Derived(faults=(DerivedFault(scheme="prtAlertCode", code="1001"),))
    assert observe(a_reading(derived=derived), a_book()).conditions == {}


def test_of_the_derived_kinds_only_toner_and_ink_are_consumables():
    """What names or profiles say of a row goes before the type that the device states."""
    rows = (DerivedSupply(index="1.1", kind="drum"), DerivedSupply(index="1.2", kind="ink"))
    reading = a_reading(supplies=[a_supply("1.1", 5), a_supply("1.2", 5)], derived=Derived(supplies=rows))
    assert [each.index for each in consumables(reading)] == ["1.2"]
