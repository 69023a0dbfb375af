"""Plans the visits of a working day: takes work orders from the store, lets `day_plan` find routes, keeps the result.

A visit that has a planned start already is promised: it stays with its technician and at its time, a re-plan only fills
what is open around it. Calls need no route and stay as they are.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from crm_core.business_time import windows_on, zone_of
from crm_core.day_plan import DayPlan, Job, Place, Shift, plan_day
from crm_core.domain.fleet import CustomerTier, DeviceBundle, Site
from crm_core.domain.identity import TechnicianId, TenantId
from crm_core.domain.messages import packed
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import Technician, WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory, WorkOrderFilter

_NOT_STARTED: Final = frozenset({WorkOrderState.PLANNED, WorkOrderState.ASSIGNED})
_CALLS: Final = frozenset({WorkOrderKind.PHONE, WorkOrderKind.REPLACEMENT})
_WEIGHTS: Final = {
    CustomerTier.CORE: 10.0,
    CustomerTier.IMPORTANT: 5.0,
    CustomerTier.ORDINARY: 2.0,
    CustomerTier.POTENTIAL: 1.0,
}
_MUST: Final = frozenset({CustomerTier.CORE, CustomerTier.IMPORTANT})
_PROMISED_SLACK: Final = timedelta(minutes=30)  # by so much a promised start may slip
_ALL: Final = 100_000
_DAY: Final = timedelta(days=1)
_LOOK_AHEAD_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What one run did: visits planned, of these newly promised, and those that today has no room for."""

    planned: int
    promised: int
    left_out: dict[int, str]


class DayPlanner:
    """Plans the present working day, or the next one when this one is over."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy

    def plan(self, tenant: TenantId) -> PlanReport:
        """Give every open visit a technician and a start where the day has room; promised ones stay."""
        now = self._clock.now()
        with self._uow_factory() as uow:
            waiting = [
                order
                for order in uow.work_orders.list(tenant, WorkOrderFilter(states=_NOT_STARTED, limit=_ALL))
                if order.kind not in _CALLS
            ]
            starts, ends = self._working_day(now)
            bundles = {bundle.device.device_id: bundle for bundle in uow.devices.bundles(tenant)}
            jobs = [self._job(order, bundles[order.device_id], starts) for order in waiting]
            shifts = [self._shift(each, starts, ends) for each in uow.technicians.all(tenant) if each.active]
            plan = plan_day(jobs, shifts, self._policy.dispatch.travel_speed_kmh)
            promised = self._keep(uow, waiting, plan)
            uow.commit()
        left_out = {int(key): why for key, why in plan.left_out.items()}
        return PlanReport(len(waiting) - len(left_out), promised, left_out)

    def _working_day(self, now: datetime) -> tuple[datetime, datetime]:
        """Return the rest of today's shift, or the whole of the next working day's."""
        calendar, dispatch = self._policy.sla.calendar, self._policy.dispatch
        zone = zone_of(calendar.time_zone)
        day: date = now.astimezone(zone).date()
        for _ in range(_LOOK_AHEAD_DAYS):
            midnight = datetime.combine(day, time.min, zone)
            starts = (midnight + timedelta(minutes=dispatch.day_starts_minutes)).astimezone(UTC)
            ends = (midnight + timedelta(minutes=dispatch.day_ends_minutes)).astimezone(UTC)
            if windows_on(calendar, day) and now < ends:
                return max(starts, now), ends
            day += _DAY
        return now, now  # nobody works for a month: nothing fits, and each job says so

    def _job(self, order: WorkOrder, bundle: DeviceBundle, starts: datetime) -> Job:
        tier = bundle.customer.tier if bundle.customer is not None else CustomerTier.ORDINARY
        promised = order.planned_start if order.technician_id is not None else None
        if promised is not None and promised < starts - _PROMISED_SLACK:
            promised = None  # the time has passed and nobody went
        minutes = self._policy.dispatch.minutes_on_site.get(order.kind.value, 60)
        return Job(
            key=str(order.work_order_id),
            place=_place(bundle.site),
            region=bundle.site.region if bundle.site is not None else "default",
            skill=bundle.device.vendor or "?",
            on_site=timedelta(minutes=minutes),
            opens=max(promised, starts) if promised is not None else starts,
            due=promised + _PROMISED_SLACK if promised is not None else order.due_at,
            weight=_WEIGHTS[tier],
            must=promised is not None or (tier in _MUST and order.due_at >= starts),
            keeps=order.technician_id if promised is not None else None,
        )

    def _shift(self, technician: Technician, starts: datetime, ends: datetime) -> Shift:
        return Shift(
            technician=technician.technician_id,
            home=None,
            regions=frozenset(technician.regions),
            skills=frozenset(skill.lower() for skill in technician.skills),
            starts=starts,
            ends=ends,
        )

    def _keep(self, uow: UnitOfWork, waiting: list[WorkOrder], plan: DayPlan) -> int:
        """Store technician and start of each planned visit; return how many got a start that had none."""
        orders = {str(order.work_order_id): order for order in waiting}
        jobs = Counter({name: len(route) for name, route in plan.routes.items()})
        promised = 0
        for name, route in plan.routes.items():
            for place, stop in enumerate(route, start=1):
                order = orders[stop.job.key]
                if order.technician_id == name and order.planned_start == stop.starts:
                    continue
                promised += order.planned_start is None
                reason = order.assigned_reason
                if order.technician_id != name:
                    minutes = round(stop.travel.total_seconds() / 60)
                    reason = packed("tickets.assigned.route", place=place, of=jobs[name], minutes=minutes)
                uow.work_orders.save(
                    replace(
                        order,
                        technician_id=TechnicianId(name),
                        state=WorkOrderState.ASSIGNED,
                        planned_start=stop.starts,
                        assigned_reason=reason,
                    )
                )
        return promised


def _place(site: Site | None) -> Place:
    if site is None or site.latitude is None or site.longitude is None:
        return None
    return site.latitude, site.longitude
