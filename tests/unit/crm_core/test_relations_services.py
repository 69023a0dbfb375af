"""Classification over a small firm: money, history, holds, hand-over, dry run; files of customers (40-44, 54, 58, 109)."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from crm_core.domain.customer_files import CompanyFile, Contact
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.fleet import CustomerKind, CustomerTier
from crm_core.domain.identity import CustomerId, UserId
from crm_core.domain.service import Role, User
from crm_core.relations.measures import whole_months
from crm_core.relations.money_facts import rent_until, year_before
from crm_core.relations.segments import members, treatments_of
from tests.builders import T0, TENANT, a_customer, a_small_fleet, a_ticket
from tests.relations_firm import C1, Firm, rented


@pytest.fixture
def firm() -> Firm:
    made = Firm()
    made.save(a_customer())
    return made


# --- measures ---


def test_a_year_of_rent_is_twelve_months_to_the_cent():
    contract = rented("8333.33")
    for today in (date(2026, 3, 2), date(2024, 3, 1), date(2025, 12, 31)):
        long = replace(contract, starts_on=date(2020, 1, 1))
        assert rent_until(long, year_before(today), today, today) == Decimal("99999.96")


def test_a_month_of_rent_is_one_rent():
    begins, ends = date(2026, 2, 1), date(2026, 2, 28)
    assert rent_until(rented("600"), begins, ends, ends) == 600


@pytest.mark.parametrize(
    ("first", "last", "months"),
    [
        (date(2026, 1, 1), date(2026, 12, 31), 12),
        (date(2026, 1, 15), date(2026, 2, 13), 0),
        (date(2026, 1, 15), date(2026, 2, 14), 1),
    ],
)
def test_whole_months(first, last, months):
    assert whole_months(first, last) == months


# --- classification ---


def test_a_lead_without_a_contract_is_potential(firm):
    firm.classifier.run(TENANT)
    assert firm.classes()["tier"] == "potential"
    assert firm.customer().tier is CustomerTier.POTENTIAL


def test_rents_stand_for_invoices_and_the_reason_says_so(firm):
    firm.save(rented("8333.33"))
    firm.classifier.run(TENANT)
    assert firm.classes()["tier"] == "important"
    with firm.uow() as uow:
        row = next(each for each in uow.relations.present_classes(TENANT, C1) if each.axis == "tier")
    assert (row.reasons[0].measure, row.reasons[0].value, row.reasons[0].basis) == (
        "spend_12m",
        "99999.96",
        "contract_rent",
    )


def test_more_than_a_hundred_thousand_a_year_is_core_and_the_clocks_read_it(firm):
    firm.save(rented("8333.34"))
    firm.classifier.run(TENANT)
    assert firm.customer().tier is CustomerTier.CORE


def test_a_lesser_tier_waits_thirty_days_and_history_keeps_both(firm):
    firm.save(rented("5000", ends=date(2026, 4, 30)))
    firm.classifier.run(TENANT)
    assert firm.classes()["tier"] == "important"
    firm.save(rented("100"))
    firm.clock.advance(days=1)
    firm.classifier.run(TENANT)
    assert firm.classes()["tier"] == "important"
    firm.clock.advance(days=29)
    assert not firm.classifier.run(TENANT).moves
    firm.clock.advance(days=1)
    moves = {move.axis: (move.from_value, move.to_value) for move in firm.classifier.run(TENANT).moves}
    assert moves["tier"] == ("important", "ordinary")
    with firm.uow() as uow:
        rows = [each for each in uow.relations.classes.where(TENANT, customer_id=C1) if each.axis == "tier"]
    assert [(each.value, each.until is None) for each in rows] == [("ordinary", True), ("important", False)]
    assert rows[1].until == rows[0].since


def test_a_class_that_flaps_back_never_changed(firm):
    firm.save(rented("5000"))
    firm.classifier.run(TENANT)
    for rent in ("100", "5000", "100", "5000"):
        firm.save(rented(rent))
        firm.clock.advance(days=20)
        firm.classifier.run(TENANT)
        assert firm.classes()["tier"] == "important"


def test_a_second_run_changes_nothing(firm):
    firm.save(rented("5000"))
    assert firm.classifier.run(TENANT).moves
    assert not firm.classifier.run(TENANT).moves


def test_a_tier_change_gives_another_owner_and_a_hand_over_note(firm):
    for name in ("anna", "bo"):
        firm.save(
            User(tenant=TENANT, user_id=UserId(name), name=name, role=Role.SPECIALIST, password_hash="x")
        )
    firm.save(replace(firm.customer(), owner="anna"), rented("9000"))
    firm.classifier.run(TENANT)
    assert (firm.customer().tier, firm.customer().owner) == (CustomerTier.CORE, "bo")
    note = firm.tasks("hand_over")[0]
    assert note.owner == "bo"
    assert (note.detail["from_owner"], note.detail["to_tier"], note.detail["title"]) == (
        "anna",
        "core",
        "specialist",
    )


def test_frequent_repairs_are_three_equipment_tickets_of_one_device(firm):
    a_small_fleet(firm.uow, devices=2)
    firm.save(rented("600"))

    def fault(cause: str, device: str = "d1", category: str = "mechanical"):
        with firm.uow() as uow:
            uow.tickets.open_unless_covered(
                a_ticket(cause, device, category=category, raised_at=T0 - timedelta(days=5))
            )
            uow.commit()

    for cause, device in (("fault.a", "d1"), ("fault.b", "d1"), ("fault.a", "d2")):
        fault(cause, device)
    fault("paper.1", category="paper")
    firm.classifier.run(TENANT)
    assert firm.classes()["repair"] == "occasional"
    fault("fault.c")
    firm.classifier.run(TENANT)
    assert firm.classes()["repair"] == "frequent"


def test_the_dry_run_lists_who_would_move_and_changes_nothing(firm):
    a_small_fleet(firm.uow)
    with firm.uow() as uow:
        for cause in ("fault.a", "fault.b"):
            uow.tickets.open_unless_covered(a_ticket(cause, raised_at=T0 - timedelta(days=5)))
        uow.commit()
    found = firm.classifier.dry_run(TENANT, {"repair.frequent.device_tickets_90d": Decimal(2)})
    assert [(each.customer_id, each.axis, each.to_value) for each in found.moves] == [
        ("c1", "repair", "frequent")
    ]
    with firm.uow() as uow:
        assert not uow.relations.present_classes(TENANT)
    with pytest.raises(InvalidValue):
        firm.classifier.dry_run(TENANT, {})


def test_segments_and_treatments_follow_from_classes(firm):
    firm.save(rented("3000"))
    firm.classifier.run(TENANT)
    held = firm.classes()
    assert treatments_of(firm.policy.relations, held)["consumables_discount_percent"].amount == 10
    assert treatments_of(firm.policy.relations, held)["free_repair_labour"].name == "long_term_free_labour"
    loyal = next(each for each in firm.policy.relations.segments if each.name == "loyal_long_term")
    assert members(loyal, {C1: held}) == [C1]
    assert not members(loyal, {C1: held | {"loyalty": "none"}})


# --- files ---


def test_a_company_without_a_contact_person_is_refused(firm):
    bare = replace(a_customer("c2"), contact_name=None)
    with pytest.raises(InvalidValue, match="contact person"):
        firm.customers.register(bare)
    assert firm.customers.register(replace(bare, kind=CustomerKind.PERSON)).review_due_on == date(2027, 3, 2)
    with pytest.raises(InvalidValue, match="person"):
        firm.customers.register(
            replace(bare, customer_id=CustomerId("c3"), kind=CustomerKind.PERSON, company=CompanyFile())
        )


def test_a_stale_version_is_refused_and_the_tier_is_not_for_people_to_set(firm):
    changed = firm.customers.change(
        replace(firm.customer(), name="New", tier=CustomerTier.CORE), expected_version=1
    )
    assert (changed.version, changed.tier) == (2, CustomerTier.ORDINARY)
    with pytest.raises(Conflict):
        firm.customers.change(changed, expected_version=1)


def test_a_site_has_one_primary_contact(firm):
    first = firm.customers.add_contact(Contact(tenant=TENANT, contact_id=0, customer_id=C1, name="Li"))
    second = firm.customers.add_contact(
        Contact(tenant=TENANT, contact_id=0, customer_id=C1, name="Wu", primary=True)
    )
    assert (first.primary, second.primary) == (True, True)
    with firm.uow() as uow:
        rows = uow.relations.contacts.where(TENANT, customer_id=C1)
    assert [(each.name, each.primary) for each in rows] == [("Wu", True), ("Li", False)]


def test_a_proposed_change_waits_for_a_yes(firm):
    change = firm.customers.propose(TENANT, C1, {"phone": "021-1"}, by="c1")
    assert firm.customer().phone is None
    firm.customers.decide(TENANT, change.change_id, accept=True, by="anna")
    assert firm.customer().phone == "021-1"
    with pytest.raises(Conflict):
        firm.customers.decide(TENANT, change.change_id, accept=True, by="anna")
    with pytest.raises(InvalidValue):
        firm.customers.propose(TENANT, C1, {"tier": "core"}, by="c1")
