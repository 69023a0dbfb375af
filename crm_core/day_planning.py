"""Plans the visits of a working day: takes work orders from the store, lets a planner find routes, keeps the result.

A visit that has a planned start already is promised: it stays with its technician and at its time, to the minute, and a
re-plan only fills what is open around it - unless the technician is away, the time has passed, or a customer who must be
served in time has no other place. Each such change has its reason. Calls need no route and stay as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from crm_core.business_time import windows_on, zone_of
from crm_core.day_plan import ABSENT, DELAYED, MADE_ROOM, InsertionPlanner
from crm_core.domain.day_plan import MINUTE, DayPlan, Job, Place, PlanRules, Shift, Stop
from crm_core.domain.fleet import CustomerTier, DeviceBundle, Site
from crm_core.domain.identity import DeviceId, TechnicianId, TenantId, WorkOrderId
from crm_core.domain.messages import packed
from crm_core.domain.policy import PolicyBook
from crm_core.domain.roster import Absence
from crm_core.domain.service import Technician, WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.fieldwork.roster import absences_of, left_of
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory, WorkOrderFilter
from crm_core.ports.planning import RoutePlanner
from crm_core.stock.van_parts import VanParts, bases

_NOT_STARTED: Final = frozenset({WorkOrderState.PLANNED, WorkOrderState.ASSIGNED})
_UNDER_WAY: Final = frozenset({WorkOrderState.EN_ROUTE, WorkOrderState.ON_SITE})
#: What needs no journey, and so no time of the plan.
CALLS: Final = frozenset({WorkOrderKind.PHONE, WorkOrderKind.REPLACEMENT})
_MUST: Final = frozenset({CustomerTier.CORE, CustomerTier.IMPORTANT})
_MISSED: Final = "tickets.plan.missed"
#: Why a promise changed -> how the order says so, with its place on the new route.
_REPLANNED: Final = {
    ABSENT: "tickets.replanned.absent",
    DELAYED: "tickets.replanned.delayed",
    MADE_ROOM: "tickets.replanned.made_room",
    _MISSED: "tickets.replanned.missed",
}
_ALL: Final = 100_000
_USUAL_MINUTES: Final = 60
_DAY: Final = timedelta(days=1)
_LOOK_AHEAD_DAYS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChange:
    """A visit whose promised time or technician changed. `reason` is a packed text; None: not on this day any more."""

    work_order_id: WorkOrderId
    device_id: DeviceId
    technician_before: TechnicianId | None
    start_before: datetime
    technician: TechnicianId | None
    start: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What one run did: visits planned, of these newly promised, and those that today has no room for, with the reason.

    `changes` are the promises that could not be kept; `by` names the planner that found the routes.
    """

    planned: int
    promised: int
    left_out: dict[int, str]
    changes: tuple[PlanChange, ...] = ()
    by: str = "insertion"


@dataclass(frozen=True, slots=True)
class _Day:
    """The working day that is planned, and who is away in it."""

    starts: datetime
    ends: datetime
    midnight: datetime
    absences: Sequence[Absence]

    def away(self, technician_id: str, at: datetime) -> bool:
        return any(each.technician_id == technician_id and each.covers(at) for each in self.absences)


class DayPlanner:
    """Plans the present working day, or the next one when this one is over."""

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        policy: PolicyBook,
        routes: RoutePlanner | None = None,
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._routes = routes or InsertionPlanner()

    def plan(self, tenant: TenantId) -> PlanReport:
        """Give every open visit a technician and a start where the day has room; promised ones stay."""
        dispatch = self._policy.dispatch
        with self._uow_factory() as uow:
            day = self._working_day(uow, tenant)
            waiting = self._waiting(uow, tenant, day)
            vans = VanParts.of(uow, tenant, waiting.values())
            bundles = {bundle.device.device_id: bundle for bundle in uow.devices.bundles(tenant)}
            jobs = [
                self._job(order, bundles[order.device_id], day, vans.needed(order))
                for order in waiting.values()
            ]
            shifts = self._shifts(uow, tenant, day, bundles, vans)
            rules = PlanRules(
                speed_kmh=dispatch.travel_speed_kmh,
                unknown_travel=dispatch.unknown_travel,
                slack=dispatch.promise_slack,
                changed_share=dispatch.replan_share,
            )
            plan = self._routes.plan(jobs, shifts, rules)
            changes = tuple(self._changes(waiting, plan, day))
            promised = self._keep(uow, waiting, plan, {change.work_order_id: change for change in changes})
            uow.commit()
        left_out = {int(key): why for key, why in plan.left_out.items()}
        return PlanReport(len(waiting) - len(left_out), promised, left_out, changes, plan.by)

    def _waiting(self, uow: UnitOfWork, tenant: TenantId, day: _Day) -> dict[str, WorkOrder]:
        """Return the visits that may stand in this day; what is promised for a later one stays where it is."""
        listed = uow.work_orders.list(tenant, WorkOrderFilter(states=_NOT_STARTED, limit=_ALL))
        return {
            str(order.work_order_id): order
            for order in listed
            if order.kind not in CALLS
            and not (order.technician_id and order.planned_start and order.planned_start >= day.ends)
        }

    def _working_day(self, uow: UnitOfWork, tenant: TenantId) -> _Day:
        """Return the rest of today's shift, or the whole of the next working day's."""
        now, calendar, dispatch = self._clock.now(), self._policy.sla.calendar, self._policy.dispatch
        absences = absences_of(uow, tenant, now)
        zone = zone_of(calendar.time_zone)
        day: date = now.astimezone(zone).date()
        for _ in range(_LOOK_AHEAD_DAYS):
            midnight = datetime.combine(day, time.min, zone)
            starts = (midnight + timedelta(minutes=dispatch.day_starts_minutes)).astimezone(UTC)
            ends = (midnight + timedelta(minutes=dispatch.day_ends_minutes)).astimezone(UTC)
            if windows_on(calendar, day) and now < ends:
                return _Day(max(starts, now), ends, midnight, absences)
            day += _DAY
        return _Day(now, now, now, absences)  # nobody works for a month: nothing fits, and each job says so

    def _job(self, order: WorkOrder, bundle: DeviceBundle, day: _Day, parts: Mapping[str, int]) -> Job:
        dispatch = self._policy.dispatch
        tier = bundle.customer.tier if bundle.customer is not None else CustomerTier.ORDINARY
        promised = order.planned_start if order.technician_id is not None else None
        if promised is not None and promised < day.starts - dispatch.promise_slack:
            promised = None  # the time has passed and nobody went
        return Job(
            key=str(order.work_order_id),
            place=_place(bundle.site),
            region=bundle.site.region if bundle.site is not None else "default",
            skill=bundle.device.vendor or "?",
            on_site=self._on_site(order.kind),
            opens=day.starts,
            due=order.due_at,
            weight=dispatch.weights[tier.value],
            must=tier in _MUST and order.due_at >= day.starts and bool(order.ticket_ids),  # care can wait
            keeps=order.technician_id if promised is not None else None,
            promised=promised,
            parts=parts,
        )

    def _shifts(
        self,
        uow: UnitOfWork,
        tenant: TenantId,
        day: _Day,
        bundles: Mapping[DeviceId, DeviceBundle],
        vans: VanParts,
    ) -> list[Shift]:
        """Return what is left of everybody's day; who is at work somewhere begins there when that visit is over."""
        busy: dict[TechnicianId, tuple[datetime, Place]] = {}
        for order in uow.work_orders.list(tenant, WorkOrderFilter(states=_UNDER_WAY, limit=_ALL)):
            if order.technician_id is not None and order.kind not in CALLS:
                begun = max(order.started_at or day.starts, order.planned_start or day.starts)
                over = max(self._clock.now(), begun + self._on_site(order.kind))
                if over >= busy.get(order.technician_id, (over, None))[0]:
                    busy[order.technician_id] = (over, _place(bundles[order.device_id].site))
        places = bases(uow, tenant)
        found = (self._shift(each, day, places, vans) for each in uow.technicians.all(tenant) if each.active)
        return [
            _after(shift, busy.get(TechnicianId(shift.technician))) for shift in found if shift is not None
        ]

    def _on_site(self, kind: WorkOrderKind) -> timedelta:
        return timedelta(minutes=self._policy.dispatch.minutes_on_site.get(kind.value, _USUAL_MINUTES))

    def _shift(
        self, technician: Technician, day: _Day, places: Mapping[str, Place], vans: VanParts
    ) -> Shift | None:
        """Return what is left of somebody's own hours; None when that is nothing."""
        starts, ends = day.starts, day.ends
        if technician.shift_starts_minutes is not None:
            own = (day.midnight + timedelta(minutes=technician.shift_starts_minutes)).astimezone(UTC)
            starts = max(own, self._clock.now())
        if technician.shift_ends_minutes is not None:
            ends = (day.midnight + timedelta(minutes=technician.shift_ends_minutes)).astimezone(UTC)
        own_absences = [each for each in day.absences if each.technician_id == technician.technician_id]
        hours = left_of(starts, ends, own_absences)
        if hours is None:
            return None
        return Shift(
            technician=technician.technician_id,
            home=next((places[region] for region in technician.regions if region in places), None),
            regions=frozenset(technician.regions),
            skills=frozenset(skill.lower() for skill in technician.skills),
            starts=hours[0],
            ends=hours[1],
            parts=vans.carried(technician.technician_id),
            most=technician.max_jobs_a_day,
        )

    def _changes(self, waiting: Mapping[str, WorkOrder], plan: DayPlan, day: _Day) -> Iterator[PlanChange]:
        """Yield what customers were told and does not hold any more, with the reason and the new place."""
        for key, (name, stop, text) in _told(plan).items():
            order = waiting[key]
            if order.planned_start is None or order.technician_id is None:
                continue
            if (order.technician_id, order.planned_start) == (name, stop.starts if stop else None):
                continue
            why = _why(order, plan.released.get(key), day)
            yield PlanChange(
                work_order_id=order.work_order_id,
                device_id=order.device_id,
                technician_before=order.technician_id,
                start_before=order.planned_start,
                technician=TechnicianId(name) if name else None,
                start=stop.starts if stop else None,
                reason=packed(_REPLANNED[why], **text) if stop else plan.left_out[key],
            )

    def _keep(
        self,
        uow: UnitOfWork,
        waiting: Mapping[str, WorkOrder],
        plan: DayPlan,
        changes: Mapping[WorkOrderId, PlanChange],
    ) -> int:
        """Store technician, start and reason of each visit that is new or changed; return how many starts are new."""
        promised = 0
        for key, (name, stop, text) in _told(plan).items():
            order = waiting[key]
            change = changes.get(order.work_order_id)
            planned = order if stop is None else _planned(order, name, stop, text)
            if change is not None:
                planned = replace(planned, assigned_reason=change.reason)
            if stop is None:
                planned = _without_time(planned, plan.left_out[key], change)
            promised += stop is not None and order.planned_start is None
            if planned != order:
                uow.work_orders.save(planned)
        return promised


def _told(plan: DayPlan) -> dict[str, tuple[str, Stop | None, dict[str, int]]]:
    """Return technician, stop and the figures of the text for every job of a plan; no stop for what is left out."""
    told: dict[str, tuple[str, Stop | None, dict[str, int]]] = {}
    for name, route in plan.routes.items():
        for place, stop in enumerate(route, start=1):
            told[stop.job.key] = (
                name, stop, {"place": place, "of": len(route), "minutes": stop.travel // MINUTE}
            )  # fmt: skip
    return told | {key: ("", None, {}) for key in plan.left_out}


def _planned(order: WorkOrder, name: str, stop: Stop, text: Mapping[str, int]) -> WorkOrder:
    moved = order.technician_id != name or order.planned_start is None
    return replace(
        order,
        technician_id=TechnicianId(name),
        state=WorkOrderState.ASSIGNED,
        planned_start=stop.starts,
        assigned_reason=packed("tickets.assigned.route", **text) if moved else order.assigned_reason,
    )


def _without_time(order: WorkOrder, why: str, change: PlanChange | None) -> WorkOrder:
    """Return an order that this day has no room for; who lost the promised visit goes to whoever is free next."""
    if change is None:
        return replace(order, assigned_reason=why)
    return replace(
        order, technician_id=None, state=WorkOrderState.PLANNED, planned_start=None, assigned_reason=why
    )


def _why(order: WorkOrder, released: str | None, day: _Day) -> str:
    """Return why a promise could not be kept: absence explains more than the delay that follows from it."""
    if order.planned_start and order.technician_id and day.away(order.technician_id, order.planned_start):
        return ABSENT
    if released is not None:
        return released
    return _MISSED if order.planned_start and order.planned_start < day.starts else DELAYED


def _after(shift: Shift, busy: tuple[datetime, Place] | None) -> Shift:
    """Return the shift from the end of the visit that is under way."""
    if busy is None or busy[0] <= shift.starts:
        return shift
    return replace(shift, starts=min(busy[0], shift.ends), home=busy[1])


def _place(site: Site | None) -> Place:
    if site is None:
        return None
    if site.latitude is None or site.longitude is None:
        return str(site.site_id)
    return site.latitude, site.longitude
