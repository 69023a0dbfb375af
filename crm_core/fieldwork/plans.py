"""Regular care: plans by pages or days, whichever comes first, become work orders in time (requirements 74, 112).

Care that is nearly due goes along with the next visit of the site: one journey less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from crm_core.domain.errors import InvalidValue
from crm_core.domain.fieldwork import MaintenancePlan
from crm_core.domain.identity import DeviceId, TenantId, WorkOrderId
from crm_core.domain.messages import packed
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import PartNeed, TicketLevel, WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.ports import Clock, TelemetryStore, UnitOfWork, UnitOfWorkFactory, WorkOrderFilter

_TO_COME: Final = frozenset({WorkOrderState.PLANNED, WorkOrderState.ASSIGNED})
_ALL: Final = 100_000
_SECOND: Final = timedelta(seconds=1)
_DAY_SECONDS: Final = 86_400
_GUIDE: Final = tuple(f"guide.care.{step}" for step in range(1, 5))


@dataclass(slots=True)
class CareReport:
    """What one run did."""

    due: int = 0
    pulled: int = 0
    called_off: int = 0


class CarePlans:
    """Keeps the plans of devices and makes their work orders. `store` tells the page counts."""

    def __init__(
        self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook, store: TelemetryStore
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._store = store

    def make(
        self,
        tenant: TenantId,
        device_id: DeviceId,
        *,
        name: str = "maintenance",
        every_pages: int | None = None,
        every_days: int | None = None,
        parts: tuple[str, ...] = (),
    ) -> MaintenancePlan:
        """Begin a plan now; without own figures it has those of the policy. `Conflict` if the device has it already."""
        if every_pages is None and every_days is None:
            every_pages, every_days = self._policy.fieldwork.care_pages, self._policy.fieldwork.care_days
        if (every_pages is not None and every_pages < 1) or (every_days is not None and every_days < 1):
            raise InvalidValue("a plan counts from 1 page or 1 day on")
        with self._uow_factory() as uow:
            uow.devices.get(tenant, device_id)
            made = uow.fieldwork.plans.add(
                MaintenancePlan(
                    tenant=tenant,
                    device_id=device_id,
                    every_pages=every_pages,
                    every_days=every_days,
                    last_at=self._clock.now(),
                    last_count=self._count(tenant, device_id),
                    name=name,
                    parts=parts,
                )
            )
            uow.commit()
        return made

    def switch(self, tenant: TenantId, plan_id: int, *, active: bool) -> MaintenancePlan:
        """Switch a plan on or off; an order that it made stays."""
        with self._uow_factory() as uow:
            plan = uow.fieldwork.plans.get(tenant, plan_id)
            saved = uow.fieldwork.plans.save(replace(plan, active=active))
            uow.commit()
        return saved

    def run(self, tenant: TenantId) -> CareReport:
        """Make the work orders of plans that are due, or nearly due where somebody goes to the site anyway."""
        now, report = self._clock.now(), CareReport()
        counts = {state.device_id: state.life_count for state in self._store.states(tenant)}
        with self._uow_factory() as uow:
            to_come = uow.work_orders.list(tenant, WorkOrderFilter(states=_TO_COME, limit=_ALL))
            visits: dict[str | None, WorkOrder] = {
                order.site_id: order for order in to_come if order.kind is not WorkOrderKind.PHONE
            }
            for plan in uow.fieldwork.plans.where(tenant, limit=_ALL):
                if plan.active:
                    self._consider(uow, plan, counts, visits, now, report)
            uow.commit()
        return report

    def _consider(
        self,
        uow: UnitOfWork,
        plan: MaintenancePlan,
        counts: Mapping[str, int | None],
        visits: Mapping[str | None, WorkOrder],
        now: datetime,
        report: CareReport,
    ) -> None:
        if plan.work_order_id is not None:
            order = uow.work_orders.get(plan.tenant, WorkOrderId(plan.work_order_id))
            if order.state is WorkOrderState.CANCELLED:
                report.called_off += 1
                uow.fieldwork.plans.save(replace(plan, work_order_id=None))
            return
        used = used_share(plan, counts.get(plan.device_id), now)
        device = uow.devices.get(plan.tenant, plan.device_id)
        visit = visits.get(device.site_id) if device.site_id is not None else None
        if used >= 1:
            report.due += 1
        elif visit is not None and used >= self._policy.fieldwork.pull_share:
            report.pulled += 1
        else:
            return
        made = uow.work_orders.add(self._order(plan, device.site_id, device.customer_id, visit, used, now))
        uow.fieldwork.plans.save(replace(plan, work_order_id=made.work_order_id))

    def _order(
        self,
        plan: MaintenancePlan,
        site_id: str | None,
        customer_id: str | None,
        visit: WorkOrder | None,
        used: Decimal,
        now: datetime,
    ) -> WorkOrder:
        """Return the order of a plan; beside a visit of the site the same technician does it."""
        percent = int(100 * used)
        goes = visit if visit is not None and visit.technician_id is not None else None
        return WorkOrder(
            tenant=plan.tenant,
            work_order_id=WorkOrderId(0),
            kind=WorkOrderKind.MAINTENANCE,
            state=WorkOrderState.ASSIGNED if goes else WorkOrderState.PLANNED,
            device_id=plan.device_id,
            site_id=site_id,  # type: ignore[arg-type]  # the plan keeps the id of a site as text
            customer_id=customer_id,  # type: ignore[arg-type]  # ... and that of a customer
            ticket_ids=(),
            technician_id=goes.technician_id if goes else None,
            assigned_reason=packed(
                "tickets.assigned.care_along" if goes else "tickets.assigned.care", percent=percent
            ),
            created_at=now,
            due_at=goes.due_at if goes else now + self._policy.sla.restore[TicketLevel.L3],
            parts=tuple(PartNeed(kind=kind) for kind in plan.parts),
            guide_keys=_GUIDE,
        )

    def _count(self, tenant: TenantId, device_id: DeviceId) -> int | None:
        reading = self._store.newest(tenant, device_id)
        return reading.counters.life_count if reading is not None else None


def used_share(plan: MaintenancePlan, count: int | None, now: datetime) -> Decimal:
    """Return how much of the plan is used, 1 = due: of pages or days the greater share. Pure.

    Without a page count the days alone decide; a count that fell (a new board) says nothing about pages.
    """
    shares = [Decimal(0)]
    if plan.every_days is not None:
        shares.append(Decimal((now - plan.last_at) // _SECOND) / (plan.every_days * _DAY_SECONDS))
    if plan.every_pages is not None and count is not None and plan.last_count is not None:
        shares.append(Decimal(count - plan.last_count) / plan.every_pages)
    return max(shares)


def plans_of(
    uow: UnitOfWork, tenant: TenantId, device_id: DeviceId | None = None
) -> Sequence[MaintenancePlan]:
    """Return the plans of a device, or all."""
    return uow.fieldwork.plans.where(tenant, device_id=device_id)
