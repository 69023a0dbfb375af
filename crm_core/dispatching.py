"""From tickets to work orders: what kind of job, what to bring, by when, and who goes - each with its reason.

One visit serves all that is open at a device and that one person can do; supplies of one device always travel
together, and those that run out soon are brought along.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from crm_core.conditions import FaultCodes
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.errors import Conflict, IllegalTransition, InvalidValue
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.forecast import SupplyForecast
from crm_core.domain.identity import DeviceId, TechnicianId, TenantId, WorkOrderId
from crm_core.domain.messages import packed
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import (
    ClockKind,
    PartNeed,
    Technician,
    Ticket,
    TicketLevel,
    TicketState,
    WorkOrder,
    WorkOrderKind,
    WorkOrderState,
)
from crm_core.guides import guide_keys
from crm_core.ports import (
    Clock,
    DeviceForecasts,
    TicketFilter,
    UnitOfWork,
    UnitOfWorkFactory,
    WorkOrderFilter,
)
from crm_core.ticket_states import MACHINE, Move, moved

#: In progress without an order: the repair failed, another visit is needed.
_TO_PLAN: Final = frozenset(
    {TicketState.NEW, TicketState.TRIAGED, TicketState.ESCALATED, TicketState.IN_PROGRESS}
)
_NOT_STARTED: Final = frozenset({WorkOrderState.PLANNED, WorkOrderState.ASSIGNED})
_ACTIVE: Final = _NOT_STARTED | {WorkOrderState.EN_ROUTE, WorkOrderState.ON_SITE}
_ALL: Final = 100_000
#: The kind of a visit that does several things, the most demanding first.
_DEMANDING: Final = (
    WorkOrderKind.REPAIR,
    WorkOrderKind.INSPECTION,
    WorkOrderKind.MAINTENANCE,
    WorkOrderKind.SUPPLY,
    WorkOrderKind.REPLACEMENT,
    WorkOrderKind.PHONE,
)
_VISITS: Final = frozenset(_DEMANDING[:4])


@dataclass(slots=True)
class DispatchReport:
    """What one run did. `unassigned` orders wait because nobody with skill and region is there."""

    created: int = 0
    extended: int = 0
    assigned: int = 0
    unassigned: int = 0


@dataclass(slots=True)
class _Staff:
    """The technicians with what they have to do already."""

    technicians: Sequence[Technician]
    load: Counter[TechnicianId]

    def best_for(self, bundle: DeviceBundle, kind: WorkOrderKind) -> tuple[Technician | None, str]:
        """Return who should go and why: region and skill decide, then the fewest open jobs."""
        region = bundle.site.region if bundle.site is not None else "default"
        vendor = bundle.device.vendor or "?"
        by_phone = kind is WorkOrderKind.PHONE
        able = [
            each
            for each in self.technicians
            if each.active and _has_skill(each, vendor) and (by_phone or _covers(each, region))
        ]
        if not able:
            return None, packed("tickets.assigned.nobody", region=region, skill=vendor)
        chosen = min(able, key=lambda each: (self.load[each.technician_id], each.technician_id))
        jobs = self.load[chosen.technician_id]
        key = "tickets.assigned.phone" if by_phone else "tickets.assigned.visit"
        return chosen, packed(key, region=region, skill=vendor, jobs=jobs, of=len(able))


def _has_skill(technician: Technician, vendor: str) -> bool:
    skills = {skill.lower() for skill in technician.skills}
    return "*" in skills or vendor.lower() in skills


def _covers(technician: Technician, region: str) -> bool:
    return "*" in technician.regions or region in technician.regions


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
        self._catalogue = catalogue
        self._book = book

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
                open_orders = {order.device_id: order for order in active if order.state in _NOT_STARTED}
                for device_id, tickets in by_device.items():
                    bundle = uow.devices.bundle(tenant, device_id)
                    self._plan(uow, tickets, open_orders.get(device_id), bundle, staff, report)
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
            if order.state not in _NOT_STARTED:
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

    def _staff(self, uow: UnitOfWork, tenant: TenantId, active: Iterable[WorkOrder]) -> _Staff:
        load = Counter(order.technician_id for order in active if order.technician_id is not None)
        return _Staff(uow.technicians.all(tenant), load)

    def _plan(
        self,
        uow: UnitOfWork,
        tickets: Sequence[Ticket],
        present: WorkOrder | None,
        bundle: DeviceBundle,
        staff: _Staff,
        report: DispatchReport,
    ) -> None:
        """Make the orders of one device: one for all that needs a visit, and one for each that needs a call."""
        visits = [ticket for ticket in tickets if kind_of(ticket) in _VISITS]
        calls = [ticket for ticket in tickets if kind_of(ticket) not in _VISITS]
        if visits and present is not None and present.kind in _VISITS:
            self._extend(uow, present, visits, bundle)
            report.extended += 1
        elif visits:
            self._create(uow, visits, bundle, staff, report)
        for ticket in calls:
            self._create(uow, [ticket], bundle, staff, report)

    def _create(
        self,
        uow: UnitOfWork,
        tickets: Sequence[Ticket],
        bundle: DeviceBundle,
        staff: _Staff,
        report: DispatchReport,
    ) -> None:
        first = tickets[0]
        kind = min((kind_of(ticket) for ticket in tickets), key=_DEMANDING.index)
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
                parts=self._parts(uow, tickets, bundle),
                guide_keys=guide_keys(tickets),
            )
        )
        report.created += 1
        report.assigned += technician is not None
        report.unassigned += technician is None
        if technician is not None:
            staff.load[technician.technician_id] += 1
        self._mark_planned(uow, tickets, order)

    def _extend(
        self, uow: UnitOfWork, order: WorkOrder, tickets: Sequence[Ticket], bundle: DeviceBundle
    ) -> None:
        """Let a visit that has not begun serve further tickets of the same device."""
        kind = min((order.kind, *(kind_of(ticket) for ticket in tickets)), key=_DEMANDING.index)
        parts = _merged(order.parts, self._parts(uow, tickets, bundle))
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
        staff: _Staff,
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
        if kind not in _VISITS:
            kinds |= {ClockKind.RESPOND, ClockKind.PROPOSAL}
        due = [
            clock.due_at
            for ticket in tickets
            for clock in ticket.clocks
            if clock.kind in kinds and clock.met_at is None
        ]
        return min(due) if due else self._clock.now() + self._policy.sla.restore[TicketLevel.L2]

    def _parts(
        self, uow: UnitOfWork, tickets: Iterable[Ticket], bundle: DeviceBundle
    ) -> tuple[PartNeed, ...]:
        """Return what to bring: the supply or part of each ticket, and supplies that run out soon anyway."""
        needs: list[PartNeed] = []
        taken: set[str] = set()
        for ticket in tickets:
            taken.add(ticket.cause)
            need = self._need(ticket.detail, ticket.category, bundle)
            if need is not None:
                needs.append(need)
        if any(ticket.category == "consumable" for ticket in tickets):
            forecasts = uow.forecasts.for_device(bundle.device.tenant, bundle.device.device_id)
            needs += self._soon_empty(forecasts, bundle, taken)
        return _merged((), needs)

    def _need(self, detail: Mapping[str, object], category: str, bundle: DeviceBundle) -> PartNeed | None:
        component = detail.get("component")
        if category == "consumable" and detail.get("supply_index") is not None:
            kind, colour = _text(detail.get("kind")) or "supply", _text(detail.get("colour"))
            number = _text(detail.get("part_number")) or self._part_number(bundle, kind, colour)
            return PartNeed(kind=kind, colour=colour, part_number=number)
        if category == "consumable":
            return PartNeed(kind="toner", note=packed("tickets.part.which"))
        if category in ("part", "failure_risk") and component:
            return PartNeed(kind=str(component))
        if isinstance(component, str):
            return PartNeed(kind=component, note=packed("tickets.part.probable"))
        return None

    def _soon_empty(
        self, forecasts: DeviceForecasts, bundle: DeviceBundle, taken: set[str]
    ) -> Iterable[PartNeed]:
        for row in forecasts.supplies:
            if f"supply.{row.supply_index}" in taken or not self._is_soon_empty(row):
                continue
            assert row.days_to_empty is not None
            kind = row.kind or "supply"
            yield PartNeed(
                kind=kind,
                colour=row.colour,
                part_number=self._part_number(bundle, kind, row.colour),
                note=packed("tickets.part.soon", days=round(row.days_to_empty.p50)),
            )

    def _is_soon_empty(self, row: SupplyForecast) -> bool:
        soon = self._policy.replenishment.raise_at_days_left
        return row.days_to_empty is not None and (row.replenish or row.days_to_empty.p50 <= soon)

    def _part_number(self, bundle: DeviceBundle, kind: str, colour: str | None) -> str | None:
        model = self._catalogue.find(bundle.device.model_id)
        if model is None:
            return None
        fitting = [
            supply for supply in model.supplies if supply.kind == kind and supply.colour in (colour, None)
        ]
        return fitting[0].part_number if fitting else None


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


def _merged(present: Sequence[PartNeed], more: Iterable[PartNeed]) -> tuple[PartNeed, ...]:
    """Return both without naming the same thing twice."""
    kept: dict[tuple[str, str | None, str | None], PartNeed] = {}
    for need in (*present, *more):
        kept.setdefault((need.kind, need.colour, need.part_number), need)
    return tuple(kept.values())


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
