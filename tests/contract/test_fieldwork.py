"""Field work on every store: natural keys, versions, files once at an order, plans once at a device, absences kept."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crm_core.domain.charges import ChargeLine, RepairJob, RepairPrice
from crm_core.domain.errors import Conflict, NotFound
from crm_core.domain.fieldwork import (
    Attachment,
    AttachmentKind,
    Check,
    CheckMark,
    Estimate,
    EstimateState,
    MaintenancePlan,
    PartUsed,
    VisitRecord,
)
from crm_core.domain.identity import DeviceId, TechnicianId, TenantId, WorkOrderId
from crm_core.domain.roster import Absence, AbsenceKind
from crm_core.domain.service import WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.fieldwork.roster import absences_of, away_at
from crm_core.ports import UnitOfWorkFactory
from tests.builders import T0, TENANT, a_small_fleet, a_ticket

HOUR = timedelta(hours=1)
OTHER = TenantId("other")


@pytest.fixture
def order_id(uow_factory: UnitOfWorkFactory) -> int:
    """Return the number of a work order of a small fleet; it serves one ticket."""
    a_small_fleet(uow_factory, devices=2)
    with uow_factory() as uow:
        ticket = uow.tickets.open_unless_covered(a_ticket())
        assert ticket is not None
        made = uow.work_orders.add(
            WorkOrder(
                tenant=TENANT,
                work_order_id=WorkOrderId(0),
                kind=WorkOrderKind.REPAIR,
                state=WorkOrderState.ASSIGNED,
                device_id=DeviceId("d1"),
                site_id=None,
                customer_id=None,
                ticket_ids=(ticket.ticket_id,),
                technician_id=TechnicianId("t1"),
                assigned_reason="",
                created_at=T0,
                due_at=T0 + HOUR,
            )
        )
        uow.commit()
    return made.work_order_id


def a_visit(order_id: int, **changes: object) -> VisitRecord:
    fields: dict[str, object] = {
        "tenant": TENANT, "work_order_id": order_id, "device_id": DeviceId("d1"), "customer_id": "c1", **changes,
    }  # fmt: skip
    return VisitRecord(**fields)  # type: ignore[arg-type]  # the tests name the fields that differ


def test_a_visit_comes_back_as_it_was_written_once_for_its_order(
    uow_factory: UnitOfWorkFactory, order_id: int
) -> None:
    line = ChargeLine(
        kind="labour",
        text="billing.line.labour",
        formula="1 h x 80",
        full_price=Decimal(80),
        amount=Decimal(0),
    )
    visit = a_visit(
        order_id,
        checks=(CheckMark(check=Check.TEST_PRINT, at=T0, by="telemetry", note="12 pages"),),
        parts=(PartUsed(kind="fuser", serial="F-1", unit_price=Decimal("880.50")),),
        labour_minutes=25,
        empties=("QR-1", "QR-2"),
        trained=("王芳",),
        finished_at=T0 + HOUR,
        job=RepairJob(item="fuser", hours=Decimal("0.5")),
        price=RepairPrice(lines=(line,), total=Decimal(0), full_total=Decimal(80), policy_version="1"),
    )
    with uow_factory() as uow:
        made = uow.fieldwork.visits.add(visit)
        uow.commit()
    with uow_factory() as uow:
        assert uow.fieldwork.visit_of(TENANT, order_id) == replace(visit, visit_id=made.visit_id)
        assert uow.fieldwork.visit_of(OTHER, order_id) is None
        assert uow.fieldwork.visit_of(TENANT, order_id + 1) is None
        (served,) = uow.work_orders.get(TENANT, WorkOrderId(order_id)).ticket_ids
        assert [each.visit_id for each in uow.fieldwork.visits_of_ticket(TENANT, served)] == [made.visit_id]
        assert uow.fieldwork.visits.add_once(a_visit(order_id)) is None
        with pytest.raises(Conflict):
            uow.fieldwork.visits.add(a_visit(order_id))


def test_a_lost_update_of_a_visit_is_refused(uow_factory: UnitOfWorkFactory, order_id: int) -> None:
    with uow_factory() as uow:
        first = uow.fieldwork.visits.add(a_visit(order_id))
        second = uow.fieldwork.visits.save(replace(first, labour_minutes=10))
        assert second.version == first.version + 1
        uow.commit()
    with uow_factory() as uow, pytest.raises(Conflict):
        uow.fieldwork.visits.save(replace(first, labour_minutes=20))


def test_nothing_of_a_rolled_back_visit_stays(uow_factory: UnitOfWorkFactory, order_id: int) -> None:
    with uow_factory() as uow:
        uow.fieldwork.visits.add(a_visit(order_id))
    with uow_factory() as uow:
        assert uow.fieldwork.visit_of(TENANT, order_id) is None


def test_a_file_stands_once_at_an_order(uow_factory: UnitOfWorkFactory, order_id: int) -> None:
    photo = Attachment(
        tenant=TENANT, work_order_id=order_id, kind=AttachmentKind.PHOTO, sha256="a" * 64, media_type="image/png",
        size_bytes=10, added_at=T0, added_by="t1",
    )  # fmt: skip
    with uow_factory() as uow:
        made = uow.fieldwork.attachments.add_once(photo)
        assert made is not None
        assert uow.fieldwork.attachments.add_once(photo) is None
        assert uow.fieldwork.attachments.add_once(replace(photo, sha256="b" * 64)) is not None
        uow.commit()
    with uow_factory() as uow:
        files = uow.fieldwork.attachments.where(TENANT, work_order_id=order_id)
        assert [each.sha256[0] for each in files] == ["b", "a"]  # the newest first
        assert uow.fieldwork.attachments.where(OTHER, work_order_id=order_id) == []
        assert uow.fieldwork.attachments.where(TENANT, before=made.attachment_id) == []


def test_a_plan_of_care_stands_once_at_a_device(uow_factory: UnitOfWorkFactory) -> None:
    a_small_fleet(uow_factory, devices=2)
    plan = MaintenancePlan(
        tenant=TENANT, device_id=DeviceId("d1"), every_pages=30_000, every_days=180, last_at=T0, last_count=7,
        parts=("feed_rollers",),
    )  # fmt: skip
    with uow_factory() as uow:
        made = uow.fieldwork.plans.add(plan)
        uow.fieldwork.plans.add(replace(plan, name="calibration"))
        uow.fieldwork.plans.add(replace(plan, device_id=DeviceId("d2")))
        uow.commit()
    with uow_factory() as uow:
        assert uow.fieldwork.plans.get(TENANT, made.plan_id) == replace(plan, plan_id=made.plan_id)
        assert len(uow.fieldwork.plans.where(TENANT, device_id="d1")) == 2
        with pytest.raises(NotFound):
            uow.fieldwork.plans.get(OTHER, made.plan_id)
    with uow_factory() as uow, pytest.raises(Conflict):
        uow.fieldwork.plans.add(plan)


def test_an_estimate_keeps_its_figures_to_the_cent(uow_factory: UnitOfWorkFactory, order_id: int) -> None:
    with uow_factory() as uow:
        (ticket_id,) = uow.work_orders.get(TENANT, WorkOrderId(order_id)).ticket_ids
        estimate = Estimate(
            tenant=TENANT, ticket_id=ticket_id, device_id=DeviceId("d1"), customer_id="c1", item="fuser",
            low=Decimal("812.3400"), high=Decimal("1204.9900"), basis=12, offered_at=T0, offered_by="t1",
            price=RepairPrice(lines=(), total=Decimal("900.00"), full_total=Decimal("900.00"), policy_version="1"),
        )  # fmt: skip
        made = uow.fieldwork.estimates.add(estimate)
        agreed = replace(made, state=EstimateState.ACCEPTED, payment_method="alipay", decided_at=T0 + HOUR)
        uow.fieldwork.estimates.save(agreed)
        uow.commit()
    with uow_factory() as uow:
        (found,) = uow.fieldwork.estimates.where(TENANT, ticket_id=ticket_id)
        assert found == replace(agreed, version=made.version + 1)
        assert (found.low, found.high, found.price.total) == (
            Decimal("812.34"), Decimal("1204.99"), Decimal("900.00")
        )  # fmt: skip


def test_absences_tell_who_is_away(uow_factory: UnitOfWorkFactory) -> None:
    a_small_fleet(uow_factory)
    ill = Absence(
        tenant=TENANT, technician_id=TechnicianId("t1"), kind=AbsenceKind.ILL, starts=T0, ends=T0 + 8 * HOUR,
        noted_by="u1", noted_at=T0, note="流感",
    )  # fmt: skip
    with uow_factory() as uow:
        made = uow.fieldwork.absences.add(ill)
        uow.fieldwork.absences.add(replace(ill, starts=T0 + 24 * HOUR, ends=T0 + 48 * HOUR))
        uow.commit()
    with uow_factory() as uow:
        assert uow.fieldwork.absences.get(TENANT, made.absence_id) == replace(ill, absence_id=made.absence_id)
        assert away_at(uow, TENANT, T0) == {"t1"}
        assert away_at(uow, TENANT, T0 + 8 * HOUR) == frozenset()
        assert away_at(uow, OTHER, T0) == frozenset()
        assert len(absences_of(uow, TENANT, T0 + 8 * HOUR)) == 1
        uow.fieldwork.absences.save(replace(made, taken_back=True))
        assert away_at(uow, TENANT, T0) == frozenset()
