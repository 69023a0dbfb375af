"""Visits that people order: once for each device and kind, kept as agreed, and a machine that is taken away stands nowhere."""

from datetime import timedelta

import pytest

from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.fieldwork import AttachmentKind, Check
from crm_core.domain.fleet import OwnerState
from crm_core.domain.identity import DeviceId, TechnicianId
from crm_core.domain.service import WorkOrderKind, WorkOrderState
from crm_core.fieldwork.evidence import VisitNotes
from crm_core.fieldwork.jobs import ORDERED, Jobs, Ordered
from crm_core.fieldwork.roster import Roster
from tests.builders import TENANT, a_condition
from tests.policies import L3
from tests.unit.crm_core.test_fieldwork import PNG, Field


@pytest.fixture
def field(tmp_path):
    found = Field(tmp_path / "attachments")
    found.jobs = Jobs(found.uow_factory, found.clock, found.policy)
    return found


def an_order(kind=WorkOrderKind.INSTALLATION, **about):
    return Ordered(device_id=DeviceId("d1"), kind=kind, **about)


@pytest.mark.parametrize("kind", ORDERED)
def test_a_visit_without_a_day_waits_for_the_plan(field, kind):
    made = field.jobs.order(TENANT, an_order(kind), actor="boss")
    assert (made.state, made.technician_id, made.planned_start) == (WorkOrderState.PLANNED, None, None)
    assert made.due_at == field.clock.now() + field.policy.fieldwork.ordered_within[kind.value]
    assert made.site_id == "s1"
    field.dispatcher.dispatch(TENANT)
    assert field.orders()[-1].technician_id is not None


def test_what_is_agreed_has_its_technician_and_keeps_its_start(field):
    start = field.clock.now() + timedelta(days=3)
    made = field.jobs.order(TENANT, an_order(start=start), actor="boss")
    assert made.technician_id is not None
    assert made.planned_start == start
    assert made.due_at == start + timedelta(minutes=90)
    assert made.assigned_reason == "tickets.assigned.agreed?by=boss"


def test_the_same_visit_is_ordered_once_until_it_is_over(field):
    first = field.jobs.order(TENANT, an_order(), actor="boss")
    with pytest.raises(Conflict, match="open for this device already"):
        field.jobs.order(TENANT, an_order(), actor="boss")
    field.servicedesk.cancel_order(TENANT, first.work_order_id, actor="boss", note="moved house")
    assert field.jobs.order(TENANT, an_order(), actor="boss").work_order_id != first.work_order_id


@pytest.mark.parametrize("kind", sorted(set(WorkOrderKind) - set(ORDERED)))
def test_what_comes_from_tickets_is_not_ordered(field, kind):
    with pytest.raises(InvalidValue):
        field.jobs.order(TENANT, an_order(kind), actor="boss")


def test_nobody_is_promised_who_is_away_and_nothing_in_the_past(field):
    start = field.clock.now() + timedelta(days=3)
    roster = Roster(field.uow_factory, field.clock, field.policy)
    with field.uow_factory() as uow:
        everybody = [each.technician_id for each in uow.technicians.all(TENANT)]
    for person in everybody:
        roster.note_absence(
            TENANT, person, start - timedelta(hours=1), start + timedelta(hours=1), actor="boss"
        )
    for named in (None, TechnicianId(everybody[0])):
        with pytest.raises(Conflict, match="choose another"):
            field.jobs.order(TENANT, an_order(start=start, technician_id=named), actor="boss")
    with pytest.raises(InvalidValue, match="past"):
        field.jobs.order(TENANT, an_order(start=field.clock.now()), actor="boss")


def test_an_inspection_that_was_ordered_is_not_swallowed_by_the_next_visit_of_the_site(field):
    ordered = field.jobs.order(TENANT, an_order(WorkOrderKind.INSPECTION), actor="boss")
    field.see(a_condition("fault.fuser", level=L3), device_id="d2")
    field.dispatcher.dispatch(TENANT)
    with field.uow_factory() as uow:
        assert uow.work_orders.get(TENANT, ordered.work_order_id).state is not WorkOrderState.CANCELLED


def test_a_machine_that_was_taken_away_stands_nowhere_and_needs_its_evidence(field):
    field.reads(1000)
    made = field.jobs.order(TENANT, an_order(WorkOrderKind.REMOVAL), actor="boss")
    field.dispatcher.dispatch(TENANT)
    key = made.work_order_id
    field.servicedesk.arrive(TENANT, key, actor="t1")
    with pytest.raises(Conflict, match="data_erased, handed_back"):
        field.servicedesk.done(TENANT, key, actor="t1")
    notes = VisitNotes(checks=(Check.DATA_ERASED, Check.HANDED_BACK), signed_by="Zhou")
    field.evidence.note(TENANT, key, notes, actor="t1")
    with pytest.raises(Conflict, match="signature"):
        field.servicedesk.done(TENANT, key, actor="t1")
    field.evidence.attach(TENANT, key, AttachmentKind.SIGNATURE, PNG, actor="t1")
    field.servicedesk.done(TENANT, key, actor="t1")
    with field.uow_factory() as uow:
        device = uow.devices.get(TENANT, DeviceId("d1"))
        assert uow.devices.open_period(TENANT, DeviceId("d1")) is None
    assert (device.owner_state, device.site_id, device.contract_id) == (OwnerState.STOCK, None, None)
    with pytest.raises(InvalidValue, match="stands at no site"):
        field.jobs.order(TENANT, an_order(), actor="boss")
