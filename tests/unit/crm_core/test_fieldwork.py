"""Field work: nothing closes without its evidence, nothing chargeable begins without consent, care comes in time."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from collector.stores.memory import MemoryTelemetryStore
from crm_core.billing.charges import price_of_repair, usual_job
from crm_core.billing.repair_desk import RepairDesk
from crm_core.domain.billing import PaymentMethod
from crm_core.domain.errors import Conflict, InvalidValue, NotFound, StoreUnavailable
from crm_core.domain.fieldwork import AttachmentKind, Check, EstimateState, PartUsed, VisitRecord
from crm_core.domain.identity import DeviceId, TicketId, WorkOrderId
from crm_core.domain.service import WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.domain.telemetry import Counters
from crm_core.fieldwork.closing import VisitClosing
from crm_core.fieldwork.costs import cost_so_far
from crm_core.fieldwork.estimates import Estimates, quantile
from crm_core.fieldwork.evidence import Evidence, VisitNotes
from crm_core.fieldwork.files import media_type_of
from crm_core.fieldwork.plans import CarePlans, used_share
from crm_core.ports import Landing
from crm_core.servicedesk import Outcome, ServiceDesk
from crm_core.storage.attachment_files import FileAttachmentStore
from tests.builders import TENANT, a_condition, a_reading
from tests.policies import L1, L3
from tests.unit.crm_core.desk import Desk

PNG = b"\x89PNG\r\n\x1a\n" + b"a drawing" + b"\x00\x00\x00\x00IEND\xaeB`\x82"
JPEG = b"\xff\xd8\xff\xe0" + b"a photo" + b"\xff\xd9"


class Field(Desk):
    """A desk with the rules of field work."""

    def __init__(self, folder, **about):
        super().__init__(**about)
        self.store = MemoryTelemetryStore()
        files = FileAttachmentStore(folder)
        self.evidence = Evidence(self.uow_factory, self.clock, self.policy, files, self.store)
        repairs = RepairDesk(self.uow_factory, self.clock, self.policy)
        self.estimates = Estimates(self.uow_factory, self.clock, self.policy, repairs)
        self.plans = CarePlans(self.uow_factory, self.clock, self.policy, self.store)
        rules = VisitClosing(self.policy, self.evidence, repairs)
        self.servicedesk = ServiceDesk(self.uow_factory, self.clock, self.policy, self.store, rules)

    def reads(self, pages, device_id="d1"):
        reading = a_reading(
            device_id=device_id, at=self.clock.now(), counters=Counters(prt_marker_life_count={"1.1": pages})
        )
        self.store.append([Landing(reading=reading)])

    def order(self, kind):
        with self.uow_factory() as uow:
            made = uow.work_orders.add(
                WorkOrder(
                    tenant=TENANT, work_order_id=WorkOrderId(0), kind=kind, state=WorkOrderState.ASSIGNED,
                    device_id=DeviceId("d1"), site_id="s1", customer_id="c1", ticket_ids=(), technician_id="t1",
                    assigned_reason="test", created_at=self.clock.now(), due_at=self.clock.now(),
                )
            )  # fmt: skip
            uow.commit()
        return made.work_order_id

    def visit(self, order_id):
        with self.uow_factory() as uow:
            return uow.fieldwork.visit_of(TENANT, order_id)

    def repair_order(self):
        self.see(a_condition("fault.fuser", level=L3))
        self.dispatcher.dispatch(TENANT)
        return self.orders()[-1].work_order_id


@pytest.fixture
def field(tmp_path):
    return Field(tmp_path / "attachments")


def arrive(field, order):
    field.servicedesk.depart(TENANT, order, actor="t1")
    field.servicedesk.arrive(TENANT, order, actor="t1")


def done(field, order, **about):
    return field.servicedesk.done(TENANT, order, actor="t1", **about)


def test_an_installation_closes_only_when_telemetry_has_seen_ten_pages_without_a_jam(field):
    order = field.order(WorkOrderKind.INSTALLATION)
    field.reads(1000)
    arrive(field, order)
    ticked = tuple(set(Check) - {Check.TEST_PRINT})
    field.evidence.note(TENANT, order, VisitNotes(checks=ticked, trained=("Wang Fang",)), actor="t1")
    with pytest.raises(InvalidValue, match="telemetry"):
        field.evidence.note(TENANT, order, VisitNotes(checks=(Check.TEST_PRINT,)), actor="t1")
    field.evidence.attach(TENANT, order, AttachmentKind.SIGNATURE, PNG, actor="t1")
    field.evidence.note(TENANT, order, VisitNotes(signed_by="Wang Fang"), actor="t1")
    for pages in (1000, 1009):
        field.later(minutes=5)
        field.reads(pages)
        with pytest.raises(Conflict, match="test_print"):
            done(field, order)
    field.later(minutes=5)
    field.reads(1010)
    closed = done(field, order)
    assert (closed.state, closed.count_before, closed.count_after) == (WorkOrderState.DONE, 1000, 1010)
    mark = field.visit(order).mark(Check.TEST_PRINT)
    assert (mark.by, mark.note) == ("telemetry", "10")


def test_a_jam_since_the_arrival_spoils_the_test_print(field):
    order = field.order(WorkOrderKind.INSTALLATION)
    field.reads(1000)
    arrive(field, order)
    field.later(minutes=5)
    field.see(a_condition("jam.tray2", category="jam", level=L1))
    field.reads(1100)
    with field.uow_factory() as uow:
        assert field.evidence.test_print(uow, uow.work_orders.get(TENANT, order), field.clock.now()) is None


@pytest.mark.parametrize(
    ("left_out", "reason"),
    [(Check.HAND_OVER, "hand_over"), (Check.TRAINING_VIDEO, "training_video"), (Check.DRIVER, "driver")],
)
def test_what_is_not_shown_keeps_an_installation_open(field, left_out, reason):
    order = field.order(WorkOrderKind.INSTALLATION)
    field.reads(0)
    arrive(field, order)
    field.later(minutes=5)
    field.reads(50)
    checks = tuple(set(Check) - {Check.TEST_PRINT, left_out})
    field.evidence.note(TENANT, order, VisitNotes(checks=checks, trained=("W",)), actor="t1")
    with pytest.raises(Conflict, match=reason):
        done(field, order)
    assert field.orders()[-1].state is WorkOrderState.ON_SITE
    assert done(field, order, outcome=Outcome.NOT_FIXED).state is WorkOrderState.DONE


def test_a_hand_over_needs_the_customers_signature(field):
    order = field.order(WorkOrderKind.INSTALLATION)
    field.reads(0)
    arrive(field, order)
    field.later(minutes=5)
    field.reads(50)
    checks = tuple(set(Check) - {Check.TEST_PRINT})
    field.evidence.note(TENANT, order, VisitNotes(checks=checks, trained=("W",), signed_by="W"), actor="t1")
    with pytest.raises(Conflict, match="signature"):
        done(field, order)


def test_labour_is_taken_from_the_visit_and_covered_work_costs_nothing(field):
    order = field.repair_order()
    arrive(field, order)
    field.later(minutes=45)
    done(field, order, confirmed_cause="fuser")
    visit = field.visit(order)
    assert (visit.labour_minutes, visit.job.hours) == (45, Decimal("0.75"))
    assert visit.price.total == sum(line.amount for line in visit.price.lines)


def test_damage_is_charged_only_after_an_accepted_estimate(field):
    order = field.repair_order()
    ticket = field.ticket().ticket_id
    estimate = field.estimates.offer(TENANT, ticket, "fuser", "user_damage", actor="dora")
    assert estimate.price.total > 0
    assert estimate.low < estimate.price.total < estimate.high
    assert "×" in estimate.price.formula
    with pytest.raises(Conflict, match="consent"):
        field.servicedesk.depart(TENANT, order, actor="t1")
    with pytest.raises(InvalidValue, match="how the customer will pay"):
        field.estimates.accept(TENANT, estimate.estimate_id, None, actor="wang")
    accepted = field.estimates.accept(TENANT, estimate.estimate_id, PaymentMethod.ALIPAY, actor="wang")
    assert (accepted.state, accepted.payment_method) == (EstimateState.ACCEPTED, "alipay")
    with pytest.raises(Conflict):
        field.estimates.decline(TENANT, estimate.estimate_id, actor="wang")
    arrive(field, order)
    part = PartUsed(kind="fuser", unit_price=Decimal(100))
    notes = VisitNotes(item="fuser", cause="user_damage", parts=(part,), labour_minutes=30)
    field.evidence.note(TENANT, order, notes, actor="t1")
    done(field, order)
    visit = field.visit(order)
    assert visit.total.amount == visit.price.total > 0
    with field.uow_factory() as uow:
        (charge,) = uow.billing.charges.where(TENANT)
        assert (charge.work_order_id, charge.job) == (order, visit.job)
        assert cost_so_far(uow, uow.tickets.get(TENANT, ticket)) == visit.total


def test_damage_found_on_site_waits_for_consent_and_is_not_more_than_agreed(field):
    order = field.repair_order()
    arrive(field, order)
    dear = PartUsed(kind="fuser", unit_price=Decimal(99_999))
    notes = VisitNotes(item="fuser", cause="user_damage", parts=(dear,), labour_minutes=30)
    field.evidence.note(TENANT, order, notes, actor="t1")
    with pytest.raises(Conflict, match="offer an estimate"):
        done(field, order)
    estimate = field.estimates.offer(TENANT, TicketId(1), "fuser", "user_damage", actor="t1")
    field.estimates.accept(TENANT, estimate.estimate_id, PaymentMethod.CASH, actor="wang")
    with pytest.raises(Conflict, match="more than"):
        done(field, order)


def test_like_repairs_make_the_estimate_when_there_are_enough(field):
    order = field.repair_order()
    arrive(field, order)
    with field.uow_factory() as uow:
        for number in range(11):
            other = uow.work_orders.add(replace(uow.work_orders.get(TENANT, order), ticket_ids=()))
            visit = _past_visit(field, other.work_order_id, Decimal(100 + 10 * number))
            uow.fieldwork.visits.add(visit)
        uow.commit()
    estimate = field.estimates.offer(TENANT, TicketId(1), "fuser", "user_damage", actor="dora")
    assert (estimate.low, estimate.high, estimate.basis) == (Decimal("110.00"), Decimal("190.00"), 11)


def _past_visit(field, order, total):
    price = price_of_repair(
        usual_job("fuser", field.policy.billing, covered=False), field.policy.billing, "v"
    )
    return VisitRecord(
        tenant=TENANT, work_order_id=order, device_id=DeviceId("d1"), customer_id="c1", item="fuser",
        finished_at=field.clock.now(), price=replace(price, total=total),
    )  # fmt: skip


def test_quantiles_are_linear_between_neighbours():
    values = [Decimal(each) for each in (1, 2, 3, 4)]
    assert quantile(values, Decimal("0.5")) == Decimal("2.5")
    assert quantile(values, Decimal(1)) == 4
    assert quantile(values[:1], Decimal("0.9")) == 1


def test_files_are_what_their_bytes_say(field, tmp_path):
    order = field.repair_order()
    photo = field.evidence.attach(TENANT, order, AttachmentKind.PHOTO, JPEG, actor="t1", note="roller")
    assert (photo.media_type, photo.size_bytes) == ("image/jpeg", len(JPEG))
    assert photo.sha256 == hashlib.sha256(JPEG).hexdigest()
    assert field.evidence.attach(TENANT, order, AttachmentKind.PHOTO, JPEG, actor="t1") == photo
    assert field.evidence.content(photo) == JPEG
    for bad in (b"", b"<script>alert(1)</script>", JPEG[:-2], b"GIF89a" + JPEG, JPEG + b"x" * 100_000):
        with pytest.raises(InvalidValue):
            field.evidence.attach(TENANT, order, AttachmentKind.PHOTO, bad, actor="t1")
    with pytest.raises(InvalidValue):
        field.evidence.attach(TENANT, order, AttachmentKind.SIGNATURE, JPEG, actor="t1")
    for number in range(2):
        field.evidence.attach(
            TENANT, order, AttachmentKind.PHOTO, PNG[:8] + bytes([number]) + PNG[8:], actor="t1"
        )
    with pytest.raises(Conflict, match="at most 3"):
        field.evidence.attach(TENANT, order, AttachmentKind.PHOTO, PNG, actor="t1")
    assert media_type_of(b"RIFF1234WEBP...") == "image/webp"


def test_a_damaged_or_missing_file_is_told(field, tmp_path):
    order = field.repair_order()
    photo = field.evidence.attach(TENANT, order, AttachmentKind.PHOTO, JPEG, actor="t1")
    place = tmp_path / "attachments" / photo.sha256[:2] / photo.sha256
    assert place.stat().st_mode & 0o077 == 0
    place.write_bytes(b"something else")
    with pytest.raises(StoreUnavailable, match="damaged"):
        field.evidence.content(photo)
    place.unlink()
    with pytest.raises(NotFound):
        field.evidence.content(photo)
    with pytest.raises(NotFound):
        FileAttachmentStore(tmp_path).load("../../etc/passwd")


def test_a_finished_visit_takes_nothing_more(field):
    order = field.repair_order()
    arrive(field, order)
    field.evidence.note(TENANT, order, VisitNotes(empties=("Q1", "Q2", "Q1 ")), actor="t1")
    assert field.evidence.note(TENANT, order, VisitNotes(empties=("Q2", "Q3")), actor="t1").empties == ("Q1", "Q2", "Q3")  # fmt: skip
    done(field, order)
    with pytest.raises(Conflict):
        field.evidence.note(TENANT, order, VisitNotes(labour_minutes=5), actor="t1")


@pytest.mark.parametrize(
    "notes", [VisitNotes(labour_minutes=-1), VisitNotes(item="gold"), VisitNotes(empties=("",))]
)
def test_impossible_notes_are_refused(field, notes):
    order = field.repair_order()
    with pytest.raises(InvalidValue):
        field.evidence.note(TENANT, order, notes, actor="t1")


def test_care_comes_by_pages_or_days_whichever_is_first(field):
    field.reads(10_000)
    plan = field.plans.make(TENANT, DeviceId("d1"))
    assert (plan.every_pages, plan.every_days, plan.last_count) == (30_000, 180, 10_000)
    field.later(days=100)
    field.reads(39_999)
    assert field.plans.run(TENANT).due == 0
    field.later(minutes=1)
    field.reads(40_000)
    assert field.plans.run(TENANT).due == 1
    assert field.plans.run(TENANT).due == 0  # one order, however often it runs
    (order,) = field.orders()
    assert (order.kind, order.state) == (WorkOrderKind.MAINTENANCE, WorkOrderState.PLANNED)
    field.dispatcher.dispatch(TENANT)
    arrive(field, order.work_order_id)
    field.evidence.note(
        TENANT, order.work_order_id, VisitNotes(checks=(Check.CLEANED, Check.TESTED)), actor="t1"
    )
    done(field, order.work_order_id)
    field.later(days=179)
    assert field.plans.run(TENANT).due == 0
    field.later(days=1)
    assert field.plans.run(TENANT).due == 1


def test_care_that_is_nearly_due_goes_along_with_the_next_visit_of_the_site(tmp_path):
    field = Field(tmp_path, devices=2)
    field.plans.make(TENANT, DeviceId("d2"), every_days=100, every_pages=None)
    field.later(days=84)
    field.repair_order()  # at the other device of the site
    assert field.plans.run(TENANT).pulled == 0
    field.later(days=1)
    assert field.plans.run(TENANT).pulled == 1
    visit, care = field.orders()
    assert (care.device_id, care.technician_id) == ("d2", visit.technician_id)
    assert "care_along" in care.assigned_reason


def test_a_cancelled_order_of_a_plan_is_made_again(field):
    field.plans.make(TENANT, DeviceId("d1"), every_days=10)
    field.later(days=10)
    field.plans.run(TENANT)
    field.servicedesk.cancel_order(TENANT, field.orders()[0].work_order_id, actor="x", note="closed today")
    assert field.plans.run(TENANT).called_off == 1
    assert field.plans.run(TENANT).due == 1
    with pytest.raises(Conflict):
        field.plans.make(TENANT, DeviceId("d1"))
    plan = field.plans.switch(TENANT, 1, active=False)
    assert used_share(plan, None, plan.last_at + timedelta(days=5)) == Decimal("0.5")
