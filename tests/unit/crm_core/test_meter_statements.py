"""Meters that people read off: what is plausible, what a month rests on, and what becomes of a wrong number."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.billing.meter_reminders import MeterReminders
from crm_core.billing.plausible import Known, contradicted, doubts_of, expected_count
from crm_core.billing.statements import Stated, StatementDesk
from crm_core.domain.billing import LineKind, MeterPoint, Quality
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import DeviceId
from crm_core.domain.meter_statements import Doubt, StatementSource, StatementState, source_of
from crm_core.domain.notices import ReceiverKind
from crm_core.domain.relations import TaskState
from crm_core.storage.attachment_files import FileAttachmentStore
from tests.builders import TENANT
from tests.money_policies import a_billing_policy
from tests.money_world import JUNE, MAY, MoneyWorld, a_plan, counted, shanghai

BILLING = a_billing_policy()
PHOTO = b"\xff\xd8\xff\xe0 a meter \xff\xd9"


class Firm(MoneyWorld):
    """One device of one customer that prints 100 pages a day and is heard until 10 May; then its network is gone."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        files = FileAttachmentStore(folder)
        self.statements = StatementDesk(self.uow_factory, self.store, self.clock, self.policy, files)
        self.customer()
        self.device("d1")
        self.plans.publish(a_plan())
        self.contract()
        self.placed("k1", "1", "d1")
        self.says(*(counted("d1", shanghai(5, day), 100 * (day - 1)) for day in range(1, 11)))

    def state(self, month, day, total, source=StatementSource.CUSTOMER, **about):
        self.clock.move_to(shanghai(month, day, 12))
        stated = Stated(device_id=DeviceId("d1"), total=total, read_at=shanghai(month, day, 11), **about)
        return self.statements.state(TENANT, stated, source=source, by="wang")

    def bill(self, month, first):
        self.clock.move_to(shanghai(month + 1, 1, 6))
        (invoice,) = self.billing.run(TENANT, first).invoices
        return invoice


@pytest.fixture
def firm(tmp_path):
    return Firm(tmp_path)


def test_a_plausible_number_is_taken_and_billed_instead_of_an_estimate(firm):
    heard = firm.state(5, 30, 2950, photo=PHOTO)
    assert (heard.statement.state, heard.doubts) == (StatementState.ACCEPTED, ())
    assert firm.statements.photo(heard.statement) == PHOTO
    invoice = firm.bill(5, MAY)
    (used,) = invoice.usage
    assert (used.mono, used.estimated, used.flags) == (2950, False, ("stated",))
    assert (used.closing.quality, source_of(used.closing)) == (Quality.STATED, StatementSource.CUSTOMER)
    assert invoice.lines[1].amount == Decimal("295.00")


def test_a_repeat_is_the_same_statement(firm):
    first, again = firm.state(5, 30, 2950), firm.state(5, 30, 2950)
    assert first.statement == again.statement


@pytest.mark.parametrize(
    ("total", "doubt"),
    [(500, Doubt.ROLLED_BACK), (29_500, Doubt.FAR_FROM_EXPECTED), (9_000_000, Doubt.TOO_FAST)],
)
def test_a_doubtful_number_is_asked_again_and_then_left_to_a_specialist(firm, total, doubt):
    asked = firm.state(5, 30, total)
    assert (asked.statement, asked.doubts) == (None, (doubt,))
    with firm.uow_factory() as uow:
        assert not uow.billing.statements.where(TENANT)
    kept = firm.state(5, 30, total, confirmed=True).statement
    assert kept.state is StatementState.WAITING
    assert firm.bill(5, MAY).usage[0].estimated  # nothing rests on it yet
    with firm.uow_factory() as uow:
        (task,) = uow.relations.tasks.where(TENANT, kind="meter_statement")
    assert (task.role, task.state) == ("customer_specialist", TaskState.OPEN)
    with pytest.raises(InvalidValue):
        firm.statements.decide(TENANT, kept.statement_id, accept=False, by="zhou")
    refused = firm.statements.decide(
        TENANT, kept.statement_id, accept=False, by="zhou", note="a digit too many"
    )
    assert (refused.state, refused.decided_by) == (StatementState.REFUSED, "zhou")
    with firm.uow_factory() as uow:
        assert uow.relations.tasks.where(TENANT, kind="meter_statement")[0].state is TaskState.DROPPED
        (told,) = uow.notices.list(TENANT, receiver=(ReceiverKind.CUSTOMER, "c1"))
    assert (told.topic, told.arguments["count"], told.arguments["reason"]) == (
        "meter.refused",
        total,
        "a digit too many",
    )


def test_a_later_statement_trues_an_estimate_up_and_a_later_reading_a_wrong_statement(firm):
    may = firm.bill(5, MAY)
    assert may.usage[0].estimated
    firm.state(6, 30, 4000)  # fewer than estimated: it stood still for a while
    june = firm.bill(6, JUNE)
    assert any(line.kind is LineKind.TRUE_UP for line in june.lines)
    # The device is on line again and shows less than was stated: the statement is left out, June is trued up.
    firm.says(counted("d1", shanghai(7, 20), 3600), counted("d1", shanghai(7, 31, 20), 3900))
    july = firm.bill(7, date(2026, 7, 1))
    true_ups = [line for line in july.lines if line.kind is LineKind.TRUE_UP]
    assert true_ups
    pages = sum(
        line.amount for each in (may, june, july) for line in each.lines if line.kind is not LineKind.RENT
    )
    assert pages == Decimal("390.00")  # what the device counted from 1 May to 31 July, to the cent


def test_the_colour_pages_are_stated_beside_the_total(firm):
    firm.state(5, 30, 2950, colour=50)
    (used,) = firm.bill(5, MAY).usage
    assert (used.mono, used.colour) == (2900, 50)


def test_a_device_that_speaks_needs_no_statement(firm):
    with pytest.raises(Conflict):
        firm.state(5, 11, 1050)


@pytest.mark.parametrize("about", [{"total": -1}, {"total": 10, "colour": 11}, {"days": -60}, {"days": 1}])
def test_what_cannot_be_is_refused(firm, about):
    firm.clock.move_to(shanghai(7, 20))
    read_at = shanghai(7, 20) + timedelta(days=about.pop("days", 0))
    stated = Stated(device_id=DeviceId("d1"), read_at=read_at, **{"total": 9000, **about})
    with pytest.raises(InvalidValue):
        firm.statements.state(TENANT, stated, source=StatementSource.CUSTOMER, by="wang")


def test_customers_are_asked_once_before_the_month_ends(firm):
    asked = []

    def ask(_uow, _tenant, customer_id, devices, last):
        asked.append((customer_id, [row.device_id for row in devices], last))
        return True

    reminders = MeterReminders(firm.uow_factory, firm.store, firm.clock, firm.policy, ask)
    for day in (20, 28):
        firm.clock.move_to(shanghai(5, day, 10))
        reminders.run(TENANT)
    assert asked == [("c1", ["d1"], date(2026, 5, 31))]
    firm.state(5, 29, 2800)
    assert reminders.run(TENANT) == 0


COUNTS = st.integers(0, 10**7)


@given(before=COUNTS, pages=st.integers(0, 10**6), rate=st.floats(0, 1000), days=st.integers(1, 90))
def test_what_is_expected_is_never_doubted_and_what_falls_always_is(before, pages, rate, days):
    first = MeterPoint(at=shanghai(5, 1), total=before)
    known = Known(before=first, pages_a_day=rate)
    at = first.at + timedelta(days=days)
    expected = expected_count(known, at, BILLING.statements)
    for total in (expected.least, expected.most):
        assert not doubts_of(MeterPoint(at=at, total=total), known, BILLING.meters, BILLING.statements)
    found = doubts_of(MeterPoint(at=at, total=before + pages), known, BILLING.meters, BILLING.statements)
    assert bool(found) is not (expected.least <= before + pages <= expected.most)
    if before:
        fallen = MeterPoint(at=at, total=before - 1)
        assert doubts_of(fallen, known, BILLING.meters, BILLING.statements) == (Doubt.ROLLED_BACK,)


@given(counts=st.tuples(COUNTS, COUNTS, COUNTS))
def test_a_statement_between_two_readings_is_believed_only_on_the_way_between_them(counts):
    before, stated, after = (
        MeterPoint(at=shanghai(5, 1) + timedelta(days=place), total=total)
        for place, total in enumerate(counts)
    )
    if before.total <= after.total:
        assert contradicted(stated, before, after) is not (before.total <= stated.total <= after.total)
    else:  # another board in between: nothing can be said
        assert not contradicted(stated, before, after)
