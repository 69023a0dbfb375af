"""The simulated people of the demonstration: they answer the phone and go to the machines while history is made.

They work through the same service desk as real people. What they will do at the next look is planned one look ahead,
so that the machines can be simulated meanwhile; what was taken back until then is not done.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from config.demo.hands import Help, helps_for
from config.wiring.analysing import Desk
from config.wiring.core import Core
from crm_core.domain.identity import WorkOrderId
from crm_core.domain.service import WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.fieldwork.evidence import REQUIRED, VisitNotes
from crm_core.ports import WorkOrderFilter

OPEN_ORDERS: Final = frozenset({WorkOrderState.ASSIGNED, WorkOrderState.EN_ROUTE, WorkOrderState.ON_SITE})
AFTER: Final = {
    WorkOrderKind.PHONE: timedelta(minutes=20),
    WorkOrderKind.REPLACEMENT: timedelta(days=21),  # a new machine takes weeks to order
}
VISIT_AFTER: Final = timedelta(hours=6)  # what came in before noon is seen to on the same day
JOBS_A_ROUND: Final = 5
LEFT_TO_PEOPLE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Job:
    """A work order that will be done, with what its technician will do at the machines."""

    order_id: WorkOrderId
    actor: str
    by_phone: bool
    cause: str | None
    helps: tuple[Help, ...]


@dataclass(slots=True)
class Staff:
    """Does what is due: phone calls soon, visits on the next working day, at most a few jobs per person and round."""

    core: Core
    desk: Desk
    until: datetime | None = None  # the visits of the last day before it are left to those who sign in

    def plan(self, at: datetime) -> list[Job]:
        """Return what people will have done at `at`."""
        local = at.astimezone(ZoneInfo(self.core.policy.sla.calendar.time_zone))
        if local.weekday() >= 5 or local.date() in self.core.policy.sla.calendar.holidays:
            return []
        busy: Counter[str] = Counter()
        jobs = []
        with self.core.uow_factory() as uow:
            open_orders = uow.work_orders.list(
                self.core.tenant, WorkOrderFilter(states=OPEN_ORDERS, limit=10_000)
            )
            for order in sorted(open_orders, key=lambda order: (order.due_at, order.work_order_id)):
                actor = order.technician_id or "dispatcher"
                if _is_due(order, at) and busy[actor] < JOBS_A_ROUND and not self._is_left(order, at):
                    busy[actor] += 1
                    tickets = [uow.tickets.get(self.core.tenant, each) for each in order.ticket_ids]
                    jobs.append(
                        Job(
                            order.work_order_id,
                            actor,
                            order.kind is WorkOrderKind.PHONE,
                            tickets[0].cause if tickets else None,
                            helps_for(tickets, at),
                        )
                    )
        return jobs

    def _is_left(self, order: WorkOrder, at: datetime) -> bool:
        """Return True for a visit of the last day: technicians find it on their phones."""
        by_visit = order.kind is not WorkOrderKind.PHONE
        return self.until is not None and by_visit and self.until - at < LEFT_TO_PEOPLE

    def work(self, jobs: Sequence[Job]) -> None:
        """Do the planned jobs now; an order that was cancelled meanwhile is left alone."""
        tenant, desk = self.core.tenant, self.desk.servicedesk
        for job in jobs:
            with self.core.uow_factory() as uow:
                order = uow.work_orders.get(tenant, job.order_id)
            if order.state not in OPEN_ORDERS:
                continue
            if not job.by_phone:
                desk.arrive(tenant, job.order_id, actor=job.actor)
            if order.kind in REQUIRED:
                notes = VisitNotes(checks=REQUIRED[order.kind])
                self.desk.fieldwork.evidence.note(tenant, job.order_id, notes, actor=job.actor)
            desk.done(tenant, job.order_id, actor=job.actor, confirmed_cause=job.cause)


def _is_due(order: WorkOrder, at: datetime) -> bool:
    return at - order.created_at >= AFTER.get(order.kind, VISIT_AFTER)
