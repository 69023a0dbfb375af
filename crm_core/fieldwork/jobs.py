"""Visits that people order: installation, removal, inspection and care that no ticket asks for (requirements 20, 74, 110).

A visit whose day is agreed with the customer has its technician and its start at once; the day plan keeps both. One
without a day waits for the plan like every other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import DeviceId, TechnicianId, TenantId, WorkOrderId, work_order_number
from crm_core.domain.messages import packed
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import Technician, WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.fieldwork.roster import absences_of
from crm_core.open_visits import Staff
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory, WorkOrderFilter

#: What people may order; repairs, supplies and calls come from tickets.
ORDERED: Final = (
    WorkOrderKind.INSTALLATION,
    WorkOrderKind.REMOVAL,
    WorkOrderKind.INSPECTION,
    WorkOrderKind.MAINTENANCE,
)
_OPEN: Final = frozenset(WorkOrderState) - {WorkOrderState.DONE, WorkOrderState.CANCELLED}
_STEPS: Final = {
    WorkOrderKind.INSTALLATION: 5,
    WorkOrderKind.REMOVAL: 4,
    WorkOrderKind.INSPECTION: 3,
    WorkOrderKind.MAINTENANCE: 4,
}
_MANY: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """What somebody orders. `start` is the instant agreed with the customer, None when the plan may choose."""

    device_id: DeviceId
    kind: WorkOrderKind
    start: datetime | None = None
    technician_id: TechnicianId | None = None
    note: str = ""


class Jobs:
    """Takes orders for visits. `Conflict` when the device waits for such a visit already or the technician is away."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy

    def order(self, tenant: TenantId, wanted: Ordered, *, actor: str) -> WorkOrder:
        """Make the work order of a visit and return it."""
        now = self._clock.now()
        if wanted.kind not in ORDERED:
            raise InvalidValue(f"a {wanted.kind} comes from a ticket; report what is wrong instead")
        if wanted.start is not None and wanted.start <= now:
            raise InvalidValue("the agreed start lies in the past; leave it out and the plan finds one")
        with self._uow_factory() as uow:
            bundle = uow.devices.bundle(tenant, wanted.device_id)
            if bundle.site is None:
                raise InvalidValue(f"device {wanted.device_id} stands at no site; move it to its site first")
            self._check_new(uow, tenant, wanted)
            technician = self._technician(uow, tenant, wanted, bundle)
            made = uow.work_orders.add(self._made(tenant, wanted, bundle, technician, actor, now))
            uow.commit()
        return made

    def _check_new(self, uow: UnitOfWork, tenant: TenantId, wanted: Ordered) -> None:
        waiting = uow.work_orders.list(
            tenant, WorkOrderFilter(states=_OPEN, device_id=wanted.device_id, limit=_MANY)
        )
        for order in waiting:
            if order.kind is wanted.kind:
                number = work_order_number(order.work_order_id)
                raise Conflict(f"{number} is open for this device already; change that one instead")

    def _technician(
        self, uow: UnitOfWork, tenant: TenantId, wanted: Ordered, bundle: DeviceBundle
    ) -> Technician | None:
        """Return who goes: the one who is named, else for an agreed start whoever is there, able and least busy."""
        away = {
            each.technician_id
            for each in absences_of(uow, tenant, self._clock.now())
            if wanted.start is not None and each.covers(wanted.start)
        }
        if wanted.technician_id is not None:
            named = uow.technicians.get(tenant, wanted.technician_id)
            if not named.active or named.technician_id in away:
                raise Conflict(f"{named.name} is not there then; choose another technician or start")
            return named
        if wanted.start is None:
            return None
        there = [each for each in uow.technicians.all(tenant) if each.technician_id not in away]
        active = uow.work_orders.list(tenant, WorkOrderFilter(states=_OPEN, limit=_MANY))
        chosen, _ = Staff.of(there, active).best_for(bundle, wanted.kind)
        if chosen is None:
            raise Conflict("nobody with this region and make is there then; choose another start")
        return chosen

    def _made(
        self,
        tenant: TenantId,
        wanted: Ordered,
        bundle: DeviceBundle,
        technician: Technician | None,
        actor: str,
        now: datetime,
    ) -> WorkOrder:
        minutes = self._policy.dispatch.minutes_on_site[wanted.kind.value]
        within = self._policy.fieldwork.ordered_within[wanted.kind.value]
        ends = None if wanted.start is None else wanted.start + timedelta(minutes=minutes)
        return WorkOrder(
            tenant=tenant,
            work_order_id=WorkOrderId(0),
            kind=wanted.kind,
            state=WorkOrderState.ASSIGNED if technician else WorkOrderState.PLANNED,
            device_id=wanted.device_id,
            site_id=bundle.device.site_id,
            customer_id=bundle.device.customer_id,
            ticket_ids=(),
            technician_id=technician.technician_id if technician else None,
            assigned_reason=packed(
                "tickets.assigned.agreed" if wanted.start else "tickets.assigned.ordered", by=actor
            ),
            created_at=now,
            due_at=ends or now + within,
            planned_start=wanted.start,
            guide_keys=tuple(
                f"guide.{'care' if wanted.kind is WorkOrderKind.MAINTENANCE else wanted.kind.value}.{step}"
                for step in range(1, _STEPS[wanted.kind] + 1)
            ),
            note=wanted.note.strip(),
        )
