"""Agreements from draft to end, price rises, devices on lines, and lines that follow where devices stand."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from crm_core.agreements.contract_states import MOVES, ContractMove, next_state
from crm_core.agreements.drafts import Draft
from crm_core.billing.stays import follow
from crm_core.domain.billing import LineKind, PageTariff, PriceStep
from crm_core.domain.contracts import ContractState, Terms
from crm_core.domain.errors import Conflict, IllegalTransition, InvalidValue
from crm_core.domain.fleet import InstalledPeriod
from crm_core.domain.identity import ContractId, CustomerId, DeviceId, SiteId, TicketId
from crm_core.domain.loans import Loan, LoanState, LoyaltyLevel
from tests.builders import TENANT
from tests.money_world import JUNE, MAY, MoneyWorld, a_consent, a_line, a_plan, counted, shanghai

ZONE = ZoneInfo("Asia/Shanghai")


def _world() -> MoneyWorld:
    world = MoneyWorld()
    world.customer()
    for device in ("d1", "d2"):
        world.device(device)
    tariff = PageTariff(
        price=Decimal("0.08"), free_pages=1000, steps=(PriceStep(from_page=5001, price=Decimal("0.06")),)
    )
    world.plans.publish(a_plan(mono=tariff, carry_over_months=1))
    return world


def _draft(**about: object) -> Draft:
    fields: dict[str, object] = {
        "contract_id": ContractId("k1"),
        "customer_id": CustomerId("c1"),
        "starts_on": MAY,
        "ends_on": date(2027, 4, 30),
        "lines": (a_line(device_value=Decimal(18000)),),
        "deposit_share": Decimal("0.30"),
        **about,
    }
    return Draft(**fields)


def test_a_draft_waits_for_what_is_missing() -> None:
    world = _world()
    made = world.desk.draft(TENANT, _draft(missing=("guarantor",)), actor="li")
    assert made.current.deposit == Decimal("5400.00")
    with pytest.raises(Conflict, match="guarantor"):
        world.desk.offer(TENANT, "k1", actor="li")
    world.desk.settle_missing(TENANT, "k1", "guarantor", actor="li")
    world.desk.offer(TENANT, "k1", actor="li")
    assert world.desk.sign(TENANT, "k1", a_consent(), actor="li").state is ContractState.ACTIVE
    with world.uow_factory() as uow:
        assert uow.contracts.get(TENANT, "k1").monthly_rent.amount == Decimal(600)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ends_on": date(2026, 4, 30)},
        {"ends_on": date(9999, 12, 31)},
        {"lines": ()},
        {"lines": (a_line("1"), a_line("1"))},
        {"lines": (a_line(pool_id="p"),)},
        {"lines": (a_line(monthly_rent=Decimal("0.00001")),)},
        {"deposit_share": Decimal(2)},
        {"payment_cycle_months": 5},
    ],
)
def test_impossible_drafts_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidValue):
        _world().desk.draft(TENANT, _draft(**wrong), actor="li")


@pytest.mark.parametrize(
    ("changes", "rises"),
    [
        ({"monthly_rent": Decimal(601)}, True),
        ({"mono": PageTariff(price=Decimal("0.09"), free_pages=1000)}, True),
        ({"mono": PageTariff(price=Decimal("0.08"), free_pages=999)}, True),
        ({"mono": PageTariff(price=Decimal("0.08"), free_pages=1000)}, True),  # the cheaper step is gone
        ({"carry_over_months": 0}, True),
        ({"colour": PageTariff(price=Decimal("0.51"))}, True),
        ({"monthly_rent": Decimal(599), "mono": PageTariff(price=Decimal("0.05"), free_pages=2000)}, False),
    ],
)
def test_every_dearer_price_needs_the_customers_consent(changes: dict[str, object], rises: bool) -> None:
    world = _world()
    signed = world.contract()
    world.plans.publish(replace(world.plans.plans(TENANT)[0], edition=2, used=False, **changes))
    terms = replace(signed.current, effective_on=JUNE, lines=(replace(a_line(), plan_edition=2),))
    if rises:
        with pytest.raises(Conflict, match="consent"):
            world.desk.change_terms(TENANT, "k1", terms, actor="li")
        changed = world.desk.change_terms(TENANT, "k1", terms, actor="li", consent=a_consent())
        assert changed.consents[-1].terms_version == 2
    else:
        assert world.desk.change_terms(TENANT, "k1", terms, actor="li").current.version == 2


def test_new_terms_begin_with_a_month_that_is_not_billed() -> None:
    world = _world()
    signed = world.contract()
    with pytest.raises(InvalidValue):
        world.desk.change_terms(
            TENANT, "k1", replace(signed.current, effective_on=date(2026, 6, 2)), actor="li"
        )
    world.clock.move_to(shanghai(7, 1, 6))
    world.billing.run(TENANT, JUNE)
    late = replace(signed.current, effective_on=JUNE)
    with pytest.raises(Conflict, match="billed"):
        world.desk.change_terms(TENANT, "k1", late, actor="li")


def test_new_terms_are_billed_from_their_month_on() -> None:
    world = _world()
    signed = world.contract()
    terms = replace(signed.current, effective_on=JUNE, lines=(a_line(monthly_rent=Decimal(700)),))
    world.desk.change_terms(TENANT, "k1", terms, actor="li", consent=a_consent())
    rents = []
    for month, first in ((5, MAY), (6, JUNE)):
        world.clock.move_to(shanghai(month + 1, 1, 6))
        (invoice,) = world.billing.run(TENANT, first).invoices
        rents.append(next(line.amount for line in invoice.lines if line.kind is LineKind.RENT))
    assert rents == [Decimal("600.00"), Decimal("700.00")]


def test_quarterly_payment_is_billed_once_a_quarter_with_its_months() -> None:
    world = _world()
    world.contract(payment_cycle_months=3)
    found = []
    for month in (5, 6, 7):
        world.clock.move_to(shanghai(month + 1, 1, 6))
        found += world.billing.run(TENANT, MAY.replace(month=month)).invoices
    (invoice,) = found
    assert (invoice.period_from, invoice.period_to) == (MAY, date(2026, 7, 31))
    assert [line.amount for line in invoice.lines if line.kind is LineKind.RENT] == [Decimal("600.00")] * 3


def test_every_move_is_in_the_table_and_nothing_else_is_possible() -> None:
    for state in ContractState:
        for move in ContractMove:
            if (state, move) in MOVES:
                assert next_state(state, move) is MOVES[(state, move)]
            else:
                with pytest.raises(IllegalTransition, match="possible"):
                    next_state(state, move)


def test_a_lost_device_is_charged_once_at_its_depreciated_value() -> None:
    world = _world()
    world.contract(lines=[a_line(device_value=Decimal(18000))], ends_on=date(2029, 4, 30))
    world.placed("k1", "1", "d1")
    world.clock.move_to(shanghai(5, 2))
    assert world.devices.report_lost(
        TENANT, "k1", DeviceId("d1"), actor="li", on=date(2028, 5, 1)
    ) == Decimal("10800.00")
    with pytest.raises(Conflict):
        world.devices.report_lost(TENANT, "k1", DeviceId("d1"), actor="li")


def _period(device: str, since: int, until: int | None, contract: str | None = "k1") -> InstalledPeriod:
    return InstalledPeriod(
        tenant=TENANT,
        device_id=DeviceId(device),
        site_id=SiteId("site-c1"),
        customer_id=CustomerId("c1"),
        contract_id=None if contract is None else ContractId(contract),
        from_instant=shanghai(5, since),
        to_instant=None if until is None else shanghai(5, until),
        end_count=77 if until else None,
    )


def test_lines_follow_where_devices_stand() -> None:
    """The machine is carried away on the 10th and another comes on the 12th: the line goes on with it."""
    world = _world()
    world.contract()
    world.placed("k1", "1", "d1")
    agreement = world.desk.get(TENANT, "k1")
    periods = {
        DeviceId("d1"): [_period("d1", 1, 10)],
        DeviceId("d2"): [_period("d2", 12, None)],
        DeviceId("d3"): [_period("d3", 14, None)],
    }
    found = follow(agreement, periods, (), ZONE)
    assert [(row.device_id, row.from_at, row.to_at) for row in found.stays] == [
        ("d1", shanghai(5, 1), shanghai(5, 10)),
        ("d2", shanghai(5, 12), None),
    ]
    assert found.stays[0].end_count == 77
    assert len(found.problems) == 1
    assert "d3" in found.problems[0]


def _a_loan() -> Loan:
    return Loan(
        tenant=TENANT,
        ticket_id=TicketId(1),
        device_id=DeviceId("d2"),
        for_device=DeviceId("d1"),
        customer_id=CustomerId("c1"),
        site_id=None,
        state=LoanState.BACK,
        reserved_at=shanghai(5, 9),
        promised_by=shanghai(5, 11),
        loyalty=LoyaltyLevel.GOLD,
        distance_km=3,
        reason="",
        out_at=shanghai(5, 10),
        back_at=shanghai(5, 15),
    )


def test_a_stand_by_machine_without_an_address_is_billed_by_the_counts_that_people_read_off() -> None:
    world = _world()
    world.contract()
    world.placed("k1", "1", "d1")
    stood = replace(_period("d2", 10, 15, contract=None), start_count=5000, end_count=5200)
    periods = {DeviceId("d1"): [_period("d1", 1, None)], DeviceId("d2"): [stood]}
    found = follow(world.desk.get(TENANT, "k1"), periods, (_a_loan(),), ZONE)
    lent = next(row for row in found.stays if row.device_id == "d2")
    assert (lent.line_id, lent.start_count, lent.end_count) == ("1", 5000, 5200)
    with world.uow_factory() as uow:
        uow.devices.save_period(stood)
        uow.stock.open_loan(_a_loan())
        uow.commit()
    world.says(counted("d1", shanghai(5, 1), 0), counted("d1", shanghai(5, 31, 20), 900))
    world.clock.move_to(shanghai(6, 1, 6))
    report = world.billing.run(TENANT, MAY)
    assert {used.device_id: used.mono for used in report.invoices[0].usage} == {"d1": 900, "d2": 200}
    assert not report.problems


def test_a_stand_by_machine_that_nobody_read_is_told_to_a_person() -> None:
    world = _world()
    world.contract()
    world.placed("k1", "1", "d1")
    with world.uow_factory() as uow:
        uow.stock.open_loan(_a_loan())
        uow.commit()
    world.says(counted("d1", shanghai(5, 1), 0), counted("d1", shanghai(5, 31, 20), 900))
    world.clock.move_to(shanghai(6, 1, 6))
    report = world.billing.run(TENANT, MAY)
    assert report.problems == (("k1", "billing.problem.no_reading?device=d2"),)


def test_a_stand_by_machine_prints_on_the_line_that_it_stands_in_for() -> None:
    world = _world()
    world.contract()
    world.placed("k1", "1", "d1")
    loan = _a_loan()
    with world.uow_factory() as uow:
        uow.stock.open_loan(loan)
        uow.commit()
    world.says(
        counted("d1", shanghai(5, 1), 0),
        counted("d1", shanghai(5, 9, 20), 300),
        counted("d1", shanghai(5, 31, 20), 900),
        counted("d2", shanghai(5, 10), 5000),
        counted("d2", shanghai(5, 14, 20), 5200),
    )
    world.clock.move_to(shanghai(6, 1, 6))
    (invoice,) = world.billing.run(TENANT, MAY).invoices
    assert {used.device_id: used.mono for used in invoice.usage} == {"d1": 900, "d2": 200}
    assert next(line for line in invoice.lines if line.kind is LineKind.MONO).pages == 1100


def test_terms_in_force_are_those_of_the_day() -> None:
    first = Terms(version=1, effective_on=MAY, starts_on=MAY, ends_on=date(2027, 4, 30), lines=(a_line(),))
    world = _world()
    agreement = replace(world.contract(), terms=(first, replace(first, version=2, effective_on=JUNE)))
    assert [agreement.terms_on(day).version for day in (date(2026, 1, 1), MAY, JUNE)] == [1, 1, 2]


def test_template_and_clauses_stand_with_each_version_of_the_terms() -> None:
    """What was signed can be read later, whatever is agreed afterwards (requirement 53)."""
    world = _world()
    clauses = ("civil code 703", "no price rise without consent")
    world.contract(clauses=clauses, template="rental", template_version="7")
    changed = replace(
        world.desk.get(TENANT, "k1").current,
        effective_on=JUNE,
        template_version="8",
        clauses=(*clauses, "loss at depreciated value"),
    )
    world.clock.move_to(shanghai(5, 2))
    world.desk.change_terms(TENANT, "k1", changed, actor="li", consent=a_consent())
    first, second = world.desk.get(TENANT, "k1").terms
    assert (first.template, first.template_version, first.clauses) == ("rental", "7", clauses)
    assert (second.template_version, len(second.clauses), second.version) == ("8", 3, 2)
    assert first.policy_version == second.policy_version == world.policy.version
