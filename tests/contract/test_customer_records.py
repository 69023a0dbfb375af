"""What the stores promise of customers' records, on memory, SQLite and PostgreSQL alike: keys, versions, undo, types."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from crm_core.domain.credit import CreditAssessment, ScoredFactor
from crm_core.domain.customer_files import Channel, CompanyFile, Consent, Contact, CustomerSource
from crm_core.domain.errors import Conflict, NotFound
from crm_core.domain.identity import CustomerId
from crm_core.domain.loyalty import Coupon, LoyaltyEntry, PointsReason
from crm_core.domain.relations import CustomerClass, Reason, Survey, Task, TaskState
from tests.builders import T0, TENANT, a_customer

C1 = CustomerId("c1")


@pytest.fixture
def uow(uow_factory):
    with uow_factory() as opened:
        opened.customers.save(a_customer())
        opened.commit()
        yield opened


def a_task(period: str = "2026-03", kind: str = "renewal") -> Task:
    return Task(
        tenant=TENANT, task_id=0, kind=kind, subject="contract:k1", period=period, customer_id=C1, due_at=T0,
        created_at=T0, role="customer_specialist", detail={"a": "b"},
    )  # fmt: skip


def a_class(value: str = "core", **changes) -> CustomerClass:
    reason = Reason(measure="spend_12m", value="1", relation="more_than", threshold="0", basis="invoices")
    row = CustomerClass(
        tenant=TENANT, class_id=0, customer_id=C1, axis="tier", value=value, reasons=(reason,), since=T0
    )
    return replace(row, **changes)


def test_a_file_comes_back_as_it_was_saved(uow):
    customer = replace(
        a_customer(),
        source=CustomerSource.PARTNER,
        consents=(Consent.MARKETING, Consent.SURVEY),
        company=CompanyFile(founded_year=2010, registered_capital=10**12, start_up=True),
        registered_on=date(2026, 1, 2),
        referred_by=CustomerId("c0"),
        version=7,
    )
    uow.customers.save(customer)
    assert uow.customers.get(TENANT, C1) == customer


def test_a_task_is_made_once_for_kind_subject_and_period(uow):
    first = uow.relations.tasks.add_once(a_task())
    assert uow.relations.tasks.add_once(a_task()) is None
    assert uow.relations.tasks.add_once(a_task("2026-04")) is not None
    with pytest.raises(Conflict):
        uow.relations.tasks.add(a_task())
    assert first == replace(a_task(), task_id=first.task_id)


def test_questions_name_fields_and_answer_newest_first(uow):
    made = [uow.relations.tasks.add(a_task(str(number))) for number in range(5)]
    uow.relations.tasks.save(replace(made[1], state=TaskState.DONE))
    rows = uow.relations.tasks.where(TENANT, state=TaskState.OPEN)
    assert [row.period for row in rows] == ["4", "3", "2", "0"]
    rest = uow.relations.tasks.where(TENANT, customer_id=C1, before=made[3].task_id, limit=2)
    assert [row.period for row in rest] == ["2", "1"]
    assert not uow.relations.tasks.where("other", state=TaskState.OPEN)


def test_a_stale_version_is_refused(uow):
    made = uow.relations.tasks.add(a_task())
    saved = uow.relations.tasks.save(replace(made, outcome="x"))
    assert saved.version == 2
    with pytest.raises(Conflict):
        uow.relations.tasks.save(made)
    with pytest.raises(NotFound):
        uow.relations.tasks.get(TENANT, 999)


def test_one_class_on_an_axis_is_the_present_one(uow):
    first = uow.relations.classes.add(a_class())
    with pytest.raises(Conflict):
        uow.relations.classes.add(a_class("ordinary"))
    assert first.reasons[0].measure == "spend_12m"


def test_the_past_of_an_axis_stays(uow):
    first = uow.relations.classes.add(a_class())
    uow.relations.classes.save(replace(first, until=T0 + timedelta(days=1)))
    second = uow.relations.classes.add(a_class("ordinary", since=T0 + timedelta(days=1)))
    assert [row.value for row in uow.relations.classes.where(TENANT, customer_id=C1)] == ["ordinary", "core"]
    assert uow.relations.present_classes(TENANT) == [second]
    assert uow.relations.present_classes(TENANT, "c9") == []


def test_a_site_has_one_primary_contact(uow):
    contact = Contact(
        tenant=TENANT, contact_id=0, customer_id=C1, name="Li", primary=True, opt_outs=(Channel.SMS,)
    )
    made = uow.relations.contacts.add(contact)
    assert made.opt_outs == (Channel.SMS,)
    assert uow.relations.contacts.add_once(replace(contact, name="Wu")) is None
    uow.relations.contacts.save(replace(made, active=False))
    assert uow.relations.contacts.add_once(replace(contact, name="Wu")) is not None


def test_what_is_not_committed_never_was(uow_factory):
    with uow_factory() as uow:
        uow.customers.save(a_customer())
        uow.commit()
        uow.relations.tasks.add(a_task())
    with uow_factory() as uow:
        assert not uow.relations.tasks.where(TENANT)


def test_money_and_points_are_exact(uow):
    coupon = Coupon(
        tenant=TENANT, coupon_id=0, customer_id=C1, origin="referral:c2", amount=Decimal("500.10"),
        percent=Decimal("12.5"), issued_on=date(2026, 1, 1), valid_until=date(2027, 1, 1),
    )  # fmt: skip
    made = uow.relations.coupons.add(coupon)
    assert (made.amount, made.percent) == (Decimal("500.10"), Decimal("12.5"))
    assert uow.relations.coupons.add_once(coupon) is None
    entry = LoyaltyEntry(
        tenant=TENANT,
        entry_id=0,
        customer_id=C1,
        at=T0,
        points=600,
        reason=PointsReason.PAID,
        evidence="invoice:1",
    )
    assert uow.relations.points.add(entry).points == 600
    assert uow.relations.points.add_once(entry) is None


def test_a_survey_is_found_by_its_link_and_asked_once(uow):
    survey = Survey(
        tenant=TENANT,
        survey_id=0,
        customer_id=C1,
        subject="month:2026-02",
        token_hash="h",
        sent_at=T0,
        expires_at=T0,
    )
    made = uow.relations.surveys.add(survey)
    assert uow.relations.surveys.add_once(replace(survey, token_hash="i")) is None
    assert uow.relations.surveys.where(TENANT, token_hash="h") == [made]


def test_an_assessment_keeps_its_factors(uow):
    made = uow.agreements.assessments.add(
        CreditAssessment(
            tenant=TENANT, assessment_id=0, customer_id=C1, score=590, credit_class="risk", start_up=True,
            factors=(ScoredFactor(name="base", value="", points=500),), deposit_share=Decimal("0.50"),
            payment_months=1, reasons=("start_up",), missing=(), assessed_at=T0, assessor="anna",
            valid_until=date(2027, 1, 1), policy_version="1",
        )
    )  # fmt: skip
    assert uow.agreements.assessments.where(TENANT, customer_id=C1) == [made]
    assert made.deposit_share == Decimal("0.50")
