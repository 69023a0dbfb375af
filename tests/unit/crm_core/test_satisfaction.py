"""Satisfaction beside the measured truth, scorecards, outcome figures, prevention, rent reminders (26, 55, 59, 71, 88, 92, 114)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from crm_core.domain.billing import Invoice, InvoiceKind
from crm_core.domain.customer_files import Channel
from crm_core.domain.errors import Conflict, InvalidValue, NotFound
from crm_core.domain.fleet import InstalledPeriod
from crm_core.domain.identity import CustomerId, DeviceId, SiteId, TechnicianId, TicketId, WorkOrderId
from crm_core.domain.relations import Training
from crm_core.domain.service import ClockKind, SlaClock, WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.fieldwork.plans import CarePlans
from crm_core.relations.measured import Measured, mean_of, rate_of, share_of
from crm_core.relations.money_facts import BillingMoney
from crm_core.relations.outcomes import Outcomes
from crm_core.relations.prevention import PLAN, Prevention
from crm_core.relations.rent_reminders import RentReminders
from crm_core.relations.scorecards import Scorecards
from crm_core.relations.surveys import Answer, Surveys
from crm_core.relations.truth import Share, first_time, wilson
from tests.builders import T0, TENANT, a_contract, a_small_fleet, a_ticket
from tests.relations_firm import C1, Firm

FEBRUARY, MARCH = date(2026, 2, 1), date(2026, 3, 1)


class Asked(Firm):
    """The firm with surveys; questions land in `paths`."""

    def __init__(self) -> None:
        super().__init__()
        a_small_fleet(self.uow, devices=2)
        self.save(a_contract())
        self.paths: list[str] = []
        self.surveys = Surveys(
            self.uow, self.clock, self.policy, lambda uow, survey, path: self.paths.append(path)
        )

    def ask(self) -> str:
        self.surveys.ask_month(TENANT)
        return self.paths[-1].removeprefix("/survey/")

    def done(self, order_id: int, at: datetime, **changes) -> WorkOrder:
        return replace(
            WorkOrder(
                tenant=TENANT, work_order_id=WorkOrderId(order_id), kind=WorkOrderKind.REPAIR, state=WorkOrderState.DONE,
                device_id=DeviceId("d1"), site_id=SiteId("s1"), customer_id=C1, ticket_ids=(), technician_id=TechnicianId("t1"),
                assigned_reason="", created_at=at, due_at=at, done_at=at, outcome="fixed", confirmed_cause="fuser",
            ),
            **changes,
        )  # fmt: skip

    def keep(self, *orders: WorkOrder) -> None:
        with self.uow() as uow:
            for order in orders:
                uow.work_orders.add(order)
            uow.commit()

    def ticket(self, cause: str, raised: datetime, answered_after: timedelta | None) -> None:
        clock = SlaClock(
            kind=ClockKind.RESPOND,
            started_at=raised,
            due_at=raised + timedelta(hours=2),
            met_at=None if answered_after is None else raised + answered_after,
        )
        with self.uow() as uow:
            uow.tickets.open_unless_covered(a_ticket(cause, raised_at=raised, clocks=(clock,)))
            uow.commit()


@pytest.fixture
def firm() -> Asked:
    return Asked()


def test_one_question_a_customer_and_month(firm):
    assert firm.surveys.ask_month(TENANT) == 1
    assert firm.surveys.ask_month(TENANT) == 0
    firm.at(2026, 4, 2)
    assert firm.surveys.ask_month(TENANT) == 1


@pytest.mark.parametrize(("satisfaction", "tasks"), [(79, 1), (80, 0)])
def test_less_than_eighty_is_a_call_within_a_day(firm, satisfaction, tasks):
    firm.surveys.answer(TENANT, firm.ask(), Answer(satisfaction=satisfaction))
    found = firm.tasks("survey_call_back")
    assert len(found) == tasks
    assert all(task.due_at == T0 + timedelta(hours=24) and task.role == "supervisor" for task in found)


def test_a_question_is_answered_once_and_within_its_time(firm):
    token = firm.ask()
    with pytest.raises(InvalidValue):
        firm.surveys.answer(TENANT, token, Answer(satisfaction=101))
    firm.surveys.answer(TENANT, token, Answer(satisfaction=90))
    with pytest.raises(Conflict):
        firm.surveys.answer(TENANT, token, Answer(satisfaction=90))
    firm.at(2026, 4, 2)
    with pytest.raises(NotFound):
        firm.surveys.opened(TENANT, token)


def test_an_answer_stands_beside_what_was_measured(firm):
    raised = datetime(2026, 2, 10, 2, tzinfo=UTC)
    firm.ticket("fault.a", raised, timedelta(hours=1))
    firm.ticket("fault.b", raised, timedelta(hours=3))
    firm.keep(firm.done(1, raised))
    firm.surveys.answer(
        TENANT, firm.ask(), Answer(satisfaction=90, contacted_in_time=True, fixed_first_time=True)
    )
    row = firm.surveys.compared(TENANT, FEBRUARY)[0]
    assert (row.truth.contacted, row.truth.fixed) == (Share(1, 2), Share(1, 1))
    assert row.disagrees == ("contacted",)


def test_a_visit_is_rated_once(firm):
    firm.keep(firm.done(1, T0 - timedelta(hours=3)), firm.done(2, T0 - timedelta(days=9)))
    assert firm.surveys.ask_visits(TENANT) == 1
    assert firm.surveys.ask_visits(TENANT) == 0


def test_satisfaction_by_class_names_its_number_and_interval(firm):
    firm.classifier.run(TENANT)
    firm.surveys.answer(TENANT, firm.ask(), Answer(satisfaction=85))
    row = firm.surveys.by_class(TENANT, "tier", FEBRUARY)[0]
    assert (row.value, row.answers, row.mean, row.content) == ("ordinary", 1, Decimal("85.0"), Share(1, 1))
    with pytest.raises(InvalidValue, match="no axis"):
        firm.surveys.by_class(TENANT, "height", FEBRUARY)


@pytest.mark.parametrize(
    ("met", "of", "low", "high"), [(0, 1, "0.0", "79.3"), (8, 10, "49.0", "94.3"), (50, 100, "40.4", "59.6")]
)
def test_wilson_intervals_as_in_the_tables(met, of, low, high):
    assert wilson(met, of) == (Decimal(low), Decimal(high))


# --- scorecards ---


def test_a_repair_holds_unless_it_is_done_again(firm):
    day = timedelta(days=1)
    again = firm.done(2, T0 + day, ticket_ids=(TicketId(1),))
    orders = [
        firm.done(1, T0, ticket_ids=(TicketId(1),)),
        again,
        firm.done(3, T0 + 40 * day),
        firm.done(4, T0 + 41 * day, outcome="not_fixed", confirmed_cause="drum"),
    ]
    assert [held for _, held in first_time(orders, timedelta(days=14))] == [False, False, True, False]


def test_a_scorecard_is_one_row_a_technician_and_month(firm):
    at = datetime(2026, 2, 3, 2, tzinfo=UTC)
    firm.keep(
        firm.done(1, at - timedelta(days=60), count_after=1000, confirmed_cause="a"),
        firm.done(2, at, count_after=31_000, confirmed_cause="b"),
        firm.done(3, at + timedelta(days=2), count_after=35_000, confirmed_cause="c", outcome="not_fixed"),
    )
    cards = Scorecards(firm.uow, firm.clock, firm.policy)
    cards.train(
        Training(
            tenant=TENANT,
            training_id=0,
            person="t1",
            subject="fuser",
            held_on=date(2026, 2, 20),
            minutes=90,
            recorded_by="s",
        )
    )
    (row,) = cards.of_month(TENANT, FEBRUARY)
    assert (row.repairs, row.first_time_fix, row.repeats) == (2, Share(1, 2), 1)
    assert (row.pages_between_visits, row.training_minutes) == (17_000, 90)
    assert cards.of_month(TENANT, date(2025, 1, 1))[0].pages_between_visits is None


# --- outcomes ---


def test_outcome_figures_stand_beside_their_baseline(firm):
    firm.surveys.answer(TENANT, firm.ask(), Answer(satisfaction=92))
    rows = {
        row.name: row
        for row in Outcomes(firm.uow, firm.clock, firm.policy, BillingMoney(30)).compare(
            TENANT, FEBRUARY, date(2026, 1, 1)
        )
    }
    assert set(rows) == set(firm.policy.relations.outcomes.targets)
    assert (rows["satisfaction"].value, rows["satisfaction"].baseline, rows["satisfaction"].reached) == (
        Decimal("92.0"),
        None,
        True,
    )
    revenue = rows["revenue"]
    assert (revenue.value, revenue.baseline, revenue.change_percent, revenue.reached) == (600, 600, 0, False)
    assert rows["renewals"].value is None
    assert rows["share"].now is None  # nobody said how large the market is


def test_outcome_figures_say_what_they_rest_on(firm):
    known = replace(firm.policy.relations.outcomes, market_devices=50)
    policy = replace(firm.policy, relations=replace(firm.policy.relations, outcomes=known))
    with firm.uow() as uow:
        stay = InstalledPeriod(
            tenant=TENANT, device_id=DeviceId("d1"), site_id=SiteId("s1"), customer_id=C1, contract_id=None, from_instant=T0
        )  # fmt: skip
        for number in (1, 2):
            uow.devices.save_period(replace(stay, device_id=DeviceId(f"d{number}")))
        uow.commit()
    firm.care.complain(TENANT, C1, subject="quality", text="grey pages", channel=Channel.PHONE)
    rows = Outcomes(firm.uow, firm.clock, policy, BillingMoney(30)).compare(TENANT, MARCH, FEBRUARY)
    found = {row.name: row.now for row in rows}
    assert found["share"] == Measured(Decimal("4.00"), 2)
    complaints = found["complaints"]
    assert (complaints.value, complaints.counted) == (50, 1)
    assert complaints.interval[0] < 50 < complaints.interval[1]
    assert next(row for row in rows if row.name == "complaints").before is None  # no device stood there then


def test_intervals_are_those_of_the_tables():
    assert rate_of(10, 100, each=100, digits="0.1").interval == (
        Decimal("4.8"),
        Decimal("18.4"),
    )  # exact: 4.8, 18.4
    assert rate_of(0, 10, each=1, digits="0.01").interval == (
        Decimal("0.00"),
        Decimal("0.37"),
    )  # exact: 0, 0.37
    assert mean_of([80, 90, 100], most=100) == Measured(
        Decimal("90.0"), 3, (Decimal("78.7"), Decimal("100.0"))
    )
    assert mean_of([70], most=100) == Measured(Decimal("70.0"), 1)
    assert share_of(1, 4).interval == wilson(1, 4)
    assert (rate_of(3, 0, each=1, digits="1"), mean_of([], most=100), share_of(0, 0)) == (None, None, None)


# --- prevention, rent ---


def test_a_device_that_breaks_often_gets_a_plan_once(firm):
    for cause in ("fault.a", "fault.b"):
        firm.ticket(cause, T0 - timedelta(days=3), None)
    plans = CarePlans(firm.uow, firm.clock, firm.policy, _NoStore())
    prevention = Prevention(firm.uow, firm.clock, firm.policy, plans)
    assert prevention.run(TENANT) == []
    firm.ticket("fault.c", T0 - timedelta(days=3), None)
    assert prevention.run(TENANT) == ["d1"]
    assert prevention.run(TENANT) == []
    with firm.uow() as uow:
        plan = uow.fieldwork.plans.where(TENANT)[0]
    assert (plan.name, plan.every_days) == (PLAN, 90)


class _NoStore:
    def newest(self, tenant, device_id):
        return None


def test_rent_is_remembered_once_some_days_before_it_is_due(firm):
    asked = []

    def remind(uow, invoice) -> bool:
        new = invoice.invoice_number not in asked
        asked.append(invoice.invoice_number)
        return new

    with firm.uow() as uow:
        uow.billing.invoices.add(_invoice(CustomerId("c1"), date(2026, 3, 20)))
        uow.commit()
    reminders = RentReminders(firm.uow, firm.clock, firm.policy, remind)
    firm.at(2026, 3, 14)
    assert reminders.run(TENANT) == 0
    firm.at(2026, 3, 15)
    assert reminders.run(TENANT) == 1
    assert reminders.run(TENANT) == 0


def _invoice(customer_id: CustomerId, due_on: date):
    return Invoice(
        tenant=TENANT, invoice_number="INV-1", run_key="rent:k1:2026-02", kind=InvoiceKind.RENT, customer_id=customer_id,
        contract_id="k1", period_from=FEBRUARY, period_to=date(2026, 2, 28), issued_on=MARCH, due_on=due_on, lines=(),
        total=Decimal("600.00"), policy_version="t",
    )  # fmt: skip
