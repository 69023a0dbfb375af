"""Closing a visit: the evidence is complete, the price stands and is agreed, plans and charges follow - or it stays open.

Called inside the transaction that ends a work order, so that an order is never done without them.
"""

from dataclasses import replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from crm_core.agreements.contract_devices import end_stay
from crm_core.billing.charges import price_of_repair
from crm_core.billing.repair_desk import Collected, RepairDesk
from crm_core.domain.charges import ChargeState, ChargeStep, PartCharge, RepairCharge
from crm_core.domain.errors import Conflict
from crm_core.domain.fieldwork import AttachmentKind, Check, Estimate, EstimateState, VisitRecord
from crm_core.domain.fleet import OwnerState
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import WorkOrder, WorkOrderKind
from crm_core.fieldwork.evidence import Evidence, visit_record
from crm_core.ports import UnitOfWork
from crm_core.registry import take_out

_FIXED: Final = "fixed"
_SIGNED: Final = frozenset({Check.HAND_OVER, Check.HANDED_BACK})
_HOUR: Final = Decimal(60)
_CENT_HOURS: Final = Decimal("0.01")


class VisitClosing:
    """What the end of a visit asks for and brings about (`servicedesk.VisitRules`)."""

    def __init__(self, policy: PolicyBook, evidence: Evidence, repairs: RepairDesk) -> None:
        self._policy = policy
        self._evidence = evidence
        self._repairs = repairs

    def starting(self, uow: UnitOfWork, order: WorkOrder) -> None:
        """Refuse to begin chargeable work without the customer's consent (requirement 63)."""
        for ticket_id in order.ticket_ids:
            newest = newest_estimate(uow, order, ticket_id)
            if newest is not None and newest.price.total > 0 and newest.state is not EstimateState.ACCEPTED:
                raise Conflict(
                    f"the estimate of ticket {ticket_id} ({newest.price.total} yuan) is {newest.state}: chargeable "
                    "work needs the customer's consent first"
                )

    def ending(self, uow: UnitOfWork, order: WorkOrder, now: datetime, actor: str) -> None:
        """Complete the record of an order that is about to be done; `Conflict` says what is missing."""
        visit = visit_record(uow, order)
        if order.outcome == _FIXED:
            visit = self._with_evidence(uow, order, visit, now)
            self._keep_plans(uow, order, now)
        if order.kind is not WorkOrderKind.PHONE and order.customer_id is not None:
            visit = self._with_price(uow, order, visit, now, actor)
        uow.fieldwork.visits.save(replace(visit, finished_at=now))
        if order.kind is WorkOrderKind.REMOVAL and order.outcome == _FIXED:
            end_stay(uow, order.tenant, order.device_id, now, order.count_after, actor)
            take_out(uow, order.tenant, order.device_id, OwnerState.STOCK, now, order.count_after)

    def _with_evidence(
        self, uow: UnitOfWork, order: WorkOrder, visit: VisitRecord, now: datetime
    ) -> VisitRecord:
        missing = self._evidence.missing(uow, order, visit, now)
        if missing:
            raise Conflict(f"before this {order.kind} closes: {', '.join(missing)}")
        if _SIGNED & {mark.check for mark in visit.checks}:
            files = uow.fieldwork.attachments.where(order.tenant, work_order_id=order.work_order_id)
            if not any(each.kind is AttachmentKind.SIGNATURE for each in files) or not visit.signed_by:
                raise Conflict("the customer signs the hand-over: signature and name are missing")
        if order.kind is WorkOrderKind.INSTALLATION and not visit.trained:
            raise Conflict("name who was shown the device (requirement 21)")
        seen = self._evidence.test_print(uow, order, now)
        if seen is not None and visit.mark(Check.TEST_PRINT) is None:
            visit = replace(visit, checks=(*visit.checks, seen))
        return visit

    def _with_price(
        self, uow: UnitOfWork, order: WorkOrder, visit: VisitRecord, now: datetime, actor: str
    ) -> VisitRecord:
        """Price the work by list and rules; what the customer pays must be agreed, and within the estimate."""
        assert order.customer_id is not None  # asked by the caller
        began = order.started_at or now
        minutes = visit.labour_minutes
        if minutes is None:
            minutes = max(0, round((now - began).total_seconds() / 60))
        hours = (Decimal(minutes) / _HOUR).quantize(_CENT_HOURS, ROUND_HALF_UP)
        found = Collected(
            item=visit.item or self._policy.fieldwork.usual_item,
            hours=hours,
            cause=visit.cause,
            parts=_charged(visit),
        )
        job = self._repairs.job_of(uow, order.tenant, order.customer_id, order.device_id, found)
        price = price_of_repair(job, self._policy.billing, self._policy.version)
        if price.total > 0 and job.cause in self._policy.billing.repairs.chargeable_causes:
            self._check_agreed(uow, order, price.total)
        priced = replace(visit, labour_minutes=minutes, job=job, price=price)
        if price.total > 0:
            uow.billing.charges.add_once(
                RepairCharge(
                    tenant=order.tenant,
                    work_order_id=order.work_order_id,
                    customer_id=order.customer_id,
                    device_id=order.device_id,
                    contract_id=uow.devices.get(order.tenant, order.device_id).contract_id,
                    state=ChargeState.COLLECT,
                    job=job,
                    steps=(ChargeStep(at=now, actor=actor, state=ChargeState.COLLECT),),
                    done_at=now,
                )
            )
        return priced

    def _check_agreed(self, uow: UnitOfWork, order: WorkOrder, total: Decimal) -> None:
        for ticket_id in order.ticket_ids:
            newest = newest_estimate(uow, order, ticket_id)
            if newest is not None and newest.state is EstimateState.ACCEPTED:
                if total <= max(newest.high, newest.price.total):
                    return
                raise Conflict(f"{total} yuan is more than the customer agreed to: offer a new estimate")
        raise Conflict(f"this work costs the customer {total} yuan: offer an estimate and have it accepted")

    def _keep_plans(self, uow: UnitOfWork, order: WorkOrder, now: datetime) -> None:
        """Begin the next period of the plans that this order served."""
        for plan in uow.fieldwork.plans.where(order.tenant, device_id=order.device_id):
            if plan.work_order_id == order.work_order_id:
                uow.fieldwork.plans.save(
                    replace(plan, last_at=now, last_count=order.count_after, work_order_id=None)
                )


def newest_estimate(uow: UnitOfWork, order: WorkOrder, ticket_id: int) -> Estimate | None:
    """Return the newest estimate of a ticket."""
    found = uow.fieldwork.estimates.where(order.tenant, ticket_id=ticket_id, limit=1)
    return found[0] if found else None


def _charged(visit: VisitRecord) -> tuple[PartCharge, ...]:
    return tuple(
        PartCharge(
            name=part.kind,
            unit_price=part.unit_price,
            quantity=part.quantity,
            part_number=part.part_number,
            consumable=part.consumable,
            under_warranty=part.under_warranty,
        )
        for part in visit.parts
    )
