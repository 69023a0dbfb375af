"""Care of customers: contacts, tasks, complaints, points and coupons (29-31, 33-35, 45, 46, 50, 100, 101, 109)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from crm_core.domain.customer_files import Channel, Consent
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.fleet import CustomerTier
from crm_core.domain.money import Money
from crm_core.domain.relations import ComplaintState
from crm_core.relations.care import Spoken
from crm_core.relations.loyalty import balance
from tests.builders import TENANT, a_contract, a_customer
from tests.relations_firm import C1, Firm, rented


@pytest.fixture
def firm() -> Firm:
    made = Firm()
    made.save(a_customer())
    return made


# --- care ---


def spoken(firm: Firm, hours_ago: float = 0, channel: Channel = Channel.PHONE, **changes) -> Spoken:
    at = firm.clock.now() - timedelta(hours=hours_ago)
    fields = {
        "customer_id": C1,
        "channel": channel,
        "at": at,
        "content": "talked",
        "needs": "n",
        "feedback": "f",
    }
    return Spoken(**{**fields, **changes})


@pytest.mark.parametrize(("hours", "late"), [(24, False), (25, True)])
def test_a_record_later_than_a_day_is_kept_and_marked(firm, hours, late):
    assert firm.care.record(TENANT, spoken(firm, hours), by="anna").late is late


def test_a_core_contact_needs_three_fields(firm):
    firm.save(replace(firm.customer(), tier=CustomerTier.CORE))
    with pytest.raises(InvalidValue, match="needs, feedback"):
        firm.care.record(TENANT, spoken(firm, needs="", feedback=" "), by="anna")
    firm.save(replace(firm.customer(), tier=CustomerTier.ORDINARY))
    firm.care.record(TENANT, spoken(firm, needs="", feedback=""), by="anna")


def test_a_core_customer_with_one_contact_by_day_twenty_is_a_task(firm):
    firm.save(replace(firm.customer(), tier=CustomerTier.CORE))
    firm.at(2026, 3, 10)
    firm.care.record(TENANT, spoken(firm), by="anna")
    firm.at(2026, 3, 19)
    firm.reminders.run(TENANT)
    assert not firm.tasks("contact")
    firm.at(2026, 3, 20)
    firm.reminders.run(TENANT)
    firm.reminders.run(TENANT)
    assert [task.detail["had"] for task in firm.tasks("contact")] == ["1"]


def test_two_contacts_are_enough_but_a_call_is_no_visit(firm):
    firm.save(replace(firm.customer(), tier=CustomerTier.CORE))
    firm.at(2026, 4, 2)
    for _ in range(2):
        firm.care.record(TENANT, spoken(firm), by="anna")
    firm.at(2026, 4, 21)
    firm.reminders.run(TENANT)
    assert not firm.tasks("contact")
    assert firm.tasks("visit")


def test_a_visit_in_the_half_year_is_enough(firm):
    firm.save(replace(firm.customer(), tier=CustomerTier.CORE))
    firm.at(2026, 2, 2)
    firm.care.record(TENANT, spoken(firm, channel=Channel.VISIT), by="anna")
    firm.at(2026, 4, 21)
    firm.reminders.run(TENANT)
    assert not firm.tasks("visit")


def test_an_unmet_need_is_remembered_three_days_before(firm):
    firm.at(2026, 12, 1)
    firm.care.record(TENANT, spoken(firm, follow_up_on=date(2026, 12, 20)), by="anna")
    assert firm.tasks("unmet_need")[0].due_at == datetime(2026, 12, 17, 1, tzinfo=UTC)


def test_a_renewal_is_remembered_once_three_months_before(firm):
    firm.save(rented("600", ends=date(2027, 5, 31)))
    firm.at(2027, 2, 27)
    firm.reminders.run(TENANT)
    assert not firm.tasks("renewal")
    for day in (28, 28):
        firm.at(2027, 2, day)
        firm.reminders.run(TENANT)
    assert [task.due_at for task in firm.tasks("renewal")] == [datetime(2027, 2, 28, 1, tzinfo=UTC)]


def test_a_renewal_is_lost_only_with_a_reason_and_hesitation_brings_a_visit(firm):
    firm.save(rented("600", ends=date(2026, 5, 1)))
    firm.reminders.run(TENANT)
    task = firm.tasks("renewal")[0]
    with pytest.raises(Conflict, match="price"):
        firm.care.finish(TENANT, task.task_id, by="anna", outcome="lost")
    with pytest.raises(InvalidValue):
        firm.care.finish(TENANT, task.task_id, by="anna", outcome="whatever")
    firm.care.finish(TENANT, task.task_id, by="anna", outcome="hesitating")
    visit = firm.tasks("renewal_visit")[0]
    assert firm.care.finish(TENANT, visit.task_id, by="anna", reason="price").outcome == "price"


def win_back_days(firm: Firm, *days: date) -> list[str]:
    for day in days:
        firm.at(day.year, day.month, day.day)
        firm.reminders.run(TENANT)
    return sorted(task.detail["month"] for task in firm.tasks("win_back"))


def test_a_lost_customer_is_asked_three_months_running(firm):
    firm.save(replace(firm.customer(), consents=(Consent.MARKETING,)), rented("600", ends=date(2026, 3, 31)))
    months = [date(2026, 4, 30), date(2026, 5, 31), date(2026, 6, 30), date(2026, 7, 31), date(2026, 9, 30)]
    assert win_back_days(firm, *months) == ["1", "2", "3"]
    with firm.uow() as uow:
        coupons = uow.relations.coupons.where(TENANT, customer_id=C1)
    assert [each.percent for each in coupons] == [20]


def test_win_back_stops_on_a_new_contract_and_on_opting_out(firm):
    firm.save(replace(firm.customer(), consents=(Consent.MARKETING,)), rented("600", ends=date(2026, 3, 31)))
    assert win_back_days(firm, date(2026, 4, 30)) == ["1"]
    firm.save(replace(firm.customer(), consents=()))
    assert win_back_days(firm, date(2026, 5, 30)) == []
    firm.save(replace(firm.customer(), consents=(Consent.MARKETING,)))
    firm.save(rented("600", starts=date(2026, 6, 1), ends=date(2027, 6, 1), name="k2"))
    assert win_back_days(firm, date(2026, 6, 30)) == []


def test_a_file_is_looked_over_once_a_year(firm):
    firm.save(replace(firm.customer(), review_due_on=date(2026, 3, 2)))
    firm.reminders.run(TENANT)
    assert [task.kind for task in firm.tasks("file_review")] == ["file_review"]
    assert firm.customers.reviewed(TENANT, C1, expected_version=1).review_due_on == date(2027, 3, 2)


def test_classes_bring_tasks_once_in_their_stretch(firm):
    firm.save(replace(firm.customer(), industry="design"), rented("600"))
    firm.classifier.run(TENANT)
    firm.reminders.run(TENANT)
    firm.reminders.run(TENANT)
    assert [task.detail["class"] for task in firm.tasks("calibration_task")] == ["industry=design"]


def test_a_complaint_has_owner_clock_action_and_closing_call(firm):
    raised = firm.care.complain(TENANT, C1, subject="late", text="again", channel=Channel.PHONE)
    assert raised.owner == "supervisor"
    assert raised.due_at == datetime(2026, 3, 3, 10, tzinfo=UTC)
    assert "business time" in raised.due_reason
    with pytest.raises(Conflict, match="action"):
        firm.care.close_complaint(TENANT, raised.complaint_id, closing_call="ok", by="s", expected_version=1)
    acting = firm.care.act(
        TENANT,
        raised.complaint_id,
        cause="route",
        action="another route",
        action_owner="bo",
        action_due=date(2026, 3, 9),
        expected_version=1,
    )
    with pytest.raises(InvalidValue):
        firm.care.close_complaint(TENANT, raised.complaint_id, closing_call=" ", by="s", expected_version=2)
    closed = firm.care.close_complaint(
        TENANT, raised.complaint_id, closing_call="content", by="s", expected_version=acting.version
    )
    assert closed.state is ComplaintState.CLOSED
    assert not firm.tasks("complaint")


# --- loyalty ---


def test_points_are_the_whole_yuan_of_a_paid_invoice_once(firm):
    with firm.uow() as uow:
        first = firm.loyalty.award_paid(uow, TENANT, C1, "2026-1", Money(Decimal("600.50")))
        second = firm.loyalty.award_paid(uow, TENANT, C1, "2026-1", Money(Decimal("600.50")))
        assert (first.points, second) == (600, None)
        assert firm.loyalty.redeem(uow, TENANT, C1, 150, "2026-2") == Money(Decimal("1.50"))
        assert balance(uow, TENANT, C1) == 450
        with pytest.raises(Conflict, match="450"):
            firm.loyalty.redeem(uow, TENANT, C1, 451, "2026-3")


def test_three_empties_are_points_with_their_codes_and_count_once(firm):
    made = firm.loyalty.take_back(TENANT, C1, ["A", "B", "C", "A"], visit="W-000007")
    assert [(each.points, each.evidence) for each in made] == [
        (50, "empty:A"),
        (50, "empty:B"),
        (50, "empty:C"),
    ]
    assert not firm.loyalty.take_back(TENANT, C1, ["B"], visit="W-000009")


def test_a_referral_gives_each_side_five_hundred_once(firm):
    firm.save(replace(a_customer("c2"), referred_by=C1))
    assert firm.loyalty.reward_referrals(TENANT) == 0
    firm.save(replace(a_contract("k2", "c2")))
    assert firm.loyalty.reward_referrals(TENANT) == 2
    assert firm.loyalty.reward_referrals(TENANT) == 0
    with firm.uow() as uow:
        rows = uow.relations.coupons.where(TENANT)
    assert sorted((each.customer_id, each.amount) for each in rows) == [("c1", 500), ("c2", 500)]
