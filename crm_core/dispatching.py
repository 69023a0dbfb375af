"""From tickets to work orders: what kind of job, what to bring, by when, and who goes - each with its reason.

One visit serves all that is open at a device and that one person can do; supplies of one device always travel
together, and those that run out soon are brought along.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from crm_core.conditions import FaultCodes
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.errors import Conflict, IllegalTransition, InvalidValue
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import DeviceId, TechnicianId, TenantId, WorkOrderId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import (
    ClockKind,
    Ticket,
    TicketLevel,
    TicketState,
    WorkOrder,
    WorkOrderKind,
    WorkOrderState,
)
from crm_core.fieldwork.roster import away_at
from crm_core.guides import guide_keys
from crm_core.open_visits import DEMANDING, NOT_STARTED, VISITS, OpenVisits, Staff
from crm_core.ports import (
    Clock,
    TicketFilter,
    UnitOfWork,
    UnitOfWorkFactory,
    WorkOrderFilter,
)
from crm_core.stock.needs import PartNeeds, merged
from crm_core.ticket_states import MACHINE, Move, moved

#: In progress without an order: the repair failed, another visit is needed.
_TO_PLAN: Final = frozenset(
    {TicketState.NEW, TicketState.TRIAGED, TicketState.ESCALATED, TicketState.IN_PROGRESS}
)
_ACTIVE: Final = NOT_STARTED | {WorkOrderState.EN_ROUTE, WorkOrderState.ON_SITE}
_ALL: Final = 100_000


@dataclass(slots=True)
class DispatchReport:
    """What one run did. `unassigned` orders wait because nobody with skill and region is there."""

    created: int = 0
    extended: int = 0
    assigned: int = 0
    unassigned: int = 0


class Dispatcher:
    """Turns tickets into work orders and gives them to technicians."""

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        policy: PolicyBook,
        catalogue: Catalogue,
        book: FaultCodes,
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._book = book
        self._needs = PartNeeds(policy, catalogue)

    def dispatch(self, tenant: TenantId) -> DispatchReport:
        """Give every ticket that waits for a plan its work order, and every order without a technician one.

        Idempotent: what is planned already stays as it is.
        """
        report = DispatchReport()
        with self._uow_factory() as uow:
            active = uow.work_orders.list(tenant, WorkOrderFilter(states=_ACTIVE, limit=_ALL))
            served = {ticket_id for order in active for ticket_id in order.ticket_ids}
            listed = uow.tickets.list(tenant, TicketFilter(states=_TO_PLAN, limit=_ALL))
            waiting = [ticket for ticket in listed if ticket.ticket_id not in served]
            if waiting or any(order.technician_id is None for order in active):
                staff = self._staff(uow, tenant, active)
                by_device: dict[DeviceId, list[Ticket]] = defaultdict(list)
                for ticket in reversed(waiting):
                    by_device[ticket.device_id].append(ticket)
                waiting_orders = [order for order in active if order.state in NOT_STARTED]
                visits = OpenVisits(waiting_orders, staff, self._policy.stock.tickets_per_visit)
                for device_id, tickets in by_device.items():
                    self._plan(uow, tickets, visits, uow.devices.bundle(tenant, device_id), report)
                self._assign_waiting(
                    uow, [each for each in active if each.technician_id is None], staff, report
                )
            uow.commit()
        return report

    def reassign(
        self,
        tenant: TenantId,
        work_order_id: WorkOrderId,
        technician_id: TechnicianId,
        *,
        actor: str,
        reason: str = "",
        expected_version: int | None = None,
    ) -> WorkOrder:
        """Give a work order that has not begun to another technician."""
        with self._uow_factory() as uow:
            order = uow.work_orders.get(tenant, work_order_id)
            if expected_version not in (None, order.version):
                raise Conflict(f"work order {work_order_id} was changed meanwhile; read it again")
            if order.state not in NOT_STARTED:
                raise IllegalTransition(
                    f"a work order that is {order.state} keeps its technician; cancel it first"
                )
            technician = uow.technicians.get(tenant, technician_id)
            if not technician.active:
                raise InvalidValue(f"technician {technician_id} is not active; choose another one")
            saved = uow.work_orders.save(
                replace(
                    order,
                    technician_id=technician_id,
                    state=WorkOrderState.ASSIGNED,
                    assigned_reason=f"{actor}: {reason}" if reason else actor,
                )
            )
            uow.commit()
            return saved

    def _staff(self, uow: UnitOfWork, tenant: TenantId, active: Iterable[WorkOrder]) -> Staff:
        away = away_at(uow, tenant, self._clock.now())
        there = [each for each in uow.technicians.all(tenant) if each.technician_id not in away]
        return Staff.of(there, active)

    def _plan(
        self,
        uow: UnitOfWork,
        tickets: Sequence[Ticket],
        visits: OpenVisits,
        bundle: DeviceBundle,
        report: DispatchReport,
    ) -> None:
        """Make the orders of one device: one for all that needs a visit, and one for each that needs a call."""
        asked = [ticket for ticket in tickets if kind_of(ticket) in VISITS]
        calls = [ticket for ticket in tickets if kind_of(ticket) not in VISITS]
        if asked:
            kinds = {kind_of(ticket) for ticket in asked}
            present = visits.joinable(bundle, kinds)
            if present is not None:
                visits.note(self._extend(uow, present, asked, bundle))
                report.extended += 1
            else:
                made = self._create(uow, asked, bundle, visits.staff, report)
                visits.note(self._with_inspections(uow, made, visits))
        for ticket in calls:
            self._create(uow, [ticket], bundle, visits.staff, report)

    def _with_inspections(self, uow: UnitOfWork, order: WorkOrder, visits: OpenVisits) -> WorkOrder:
        """Let a new visit take along the inspections that wait at its site: who comes anyway looks at them too."""
        for waiting in visits.inspections_at(order):
            note = f"{waiting.note}\nW-{order.work_order_id:06d}".strip()
            visits.note(uow.work_orders.save(replace(waiting, state=WorkOrderState.CANCELLED, note=note)))
            own = [replace(need, device_id=need.device_id or waiting.device_id) for need in waiting.parts]
            order = uow.work_orders.save(
                replace(
                    order,
                    ticket_ids=(*order.ticket_ids, *waiting.ticket_ids),
                    due_at=min(order.due_at, waiting.due_at),
                    parts=merged(order.parts, own),
                    guide_keys=tuple(dict.fromkeys((*order.guide_keys, *waiting.guide_keys))),
                )
            )
        return order

    def _create(
        self,
        uow: UnitOfWork,
        tickets: Sequence[Ticket],
        bundle: DeviceBundle,
        staff: Staff,
        report: DispatchReport,
    ) -> WorkOrder:
        first = tickets[0]
        kind = min((kind_of(ticket) for ticket in tickets), key=DEMANDING.index)
        technician, reason = staff.best_for(bundle, kind)
        order = uow.work_orders.add(
            WorkOrder(
                tenant=first.tenant,
                work_order_id=WorkOrderId(0),
                kind=kind,
                state=WorkOrderState.ASSIGNED if technician else WorkOrderState.PLANNED,
                device_id=first.device_id,
                site_id=bundle.device.site_id,
                customer_id=bundle.device.customer_id,
                ticket_ids=tuple(ticket.ticket_id for ticket in tickets),
                technician_id=technician.technician_id if technician else None,
                assigned_reason=reason,
                created_at=self._clock.now(),
                due_at=self._due(tickets, kind),
                parts=self._needs.of(uow, tickets, bundle, first.device_id),
                guide_keys=guide_keys(tickets),
            )
        )
        report.created += 1
        report.assigned += technician is not None
        report.unassigned += technician is None
        if technician is not None:
            staff.load[technician.technician_id] += 1
        self._mark_planned(uow, tickets, order)
        return order

    def _extend(
        self, uow: UnitOfWork, order: WorkOrder, tickets: Sequence[Ticket], bundle: DeviceBundle
    ) -> WorkOrder:
        """Let a visit that has not begun serve further tickets of the same device or site."""
        kind = min((order.kind, *(kind_of(ticket) for ticket in tickets)), key=DEMANDING.index)
        parts = merged(order.parts, self._needs.of(uow, tickets, bundle, order.device_id))
        keys = dict.fromkeys((*order.guide_keys, *guide_keys(tickets)))
        saved = uow.work_orders.save(
            replace(
                order,
                kind=kind,
                ticket_ids=(*order.ticket_ids, *(ticket.ticket_id for ticket in tickets)),
                due_at=min(order.due_at, self._due(tickets, kind)),
                parts=parts,
                guide_keys=tuple(keys),
            )
        )
        self._mark_planned(uow, tickets, saved)
        return saved

    def _mark_planned(self, uow: UnitOfWork, tickets: Iterable[Ticket], order: WorkOrder) -> None:
        for ticket in tickets:
            uow.tickets.save(
                moved(
                    ticket,
                    Move.PLAN,
                    at=self._clock.now(),
                    actor=MACHINE,
                    sla=self._policy.sla,
                    note=f"W-{order.work_order_id:06d}",
                )
            )

    def _assign_waiting(
        self,
        uow: UnitOfWork,
        orders: Iterable[WorkOrder],
        staff: Staff,
        report: DispatchReport,
    ) -> None:
        for listed in orders:
            order = uow.work_orders.get(
                listed.tenant, listed.work_order_id
            )  # it may have been extended just now
            technician, reason = staff.best_for(uow.devices.bundle(order.tenant, order.device_id), order.kind)
            if technician is None:
                report.unassigned += 1
                continue
            staff.load[technician.technician_id] += 1
            report.assigned += 1
            uow.work_orders.save(
                replace(
                    order,
                    technician_id=technician.technician_id,
                    state=WorkOrderState.ASSIGNED,
                    assigned_reason=reason,
                )
            )

    def _due(self, tickets: Iterable[Ticket], kind: WorkOrderKind) -> datetime:
        """Return the strictest promise that the job has to keep; a call also serves the first response."""
        kinds = {ClockKind.ARRIVE, ClockKind.RESTORE}
        if kind not in VISITS:
            kinds |= {ClockKind.RESPOND, ClockKind.PROPOSAL}
        due = [
            clock.due_at
            for ticket in tickets
            for clock in ticket.clocks
            if clock.kind in kinds and clock.met_at is None
        ]
        return min(due) if due else self._clock.now() + self._policy.sla.restore[TicketLevel.L2]


def kind_of(ticket: Ticket) -> WorkOrderKind:
    """Return what a ticket asks for: a call, a delivery, a repair, an inspection, maintenance or a replacement."""
    match ticket.category, ticket.level:
        case "replacement", _:
            return WorkOrderKind.REPLACEMENT
        case _, TicketLevel.L1:
            return WorkOrderKind.PHONE
        case "failure_risk", _:
            return WorkOrderKind.INSPECTION
        case "consumable", TicketLevel.L2:
            return WorkOrderKind.SUPPLY
        case "part", _:
            return WorkOrderKind.MAINTENANCE
        case _:
            return WorkOrderKind.REPAIR
