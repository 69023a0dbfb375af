"""The plan of a day: who is where and when, drawn as one line a technician, and what the day has no room for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from api.access import Principal
from api.pages import plan_map
from api.pages.order_view import assigned_reason, what_of
from api.pages.supply_view import Words
from api.pages.ticket_view import place_of
from api.service_lists import ACTIVE_ORDERS, list_orders
from api.services import ApiServices
from crm_core.day_planning import CALLS
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import TechnicianId
from crm_core.domain.service import Technician, WorkOrder, WorkOrderState
from crm_core.ports import UnitOfWork, WorkOrderFilter

#: Reasons of the plan that somebody can do something about.
_HINTS: Final = frozenset(
    {
        "nobody",
        "nobody_able",
        "day_full",
        "promises_kept",
        "no_part",
        "absent",
        "made_room",
        "missed",
        "delayed",
    }
)
_DAY: Final = timedelta(days=1)
_DAYS_AHEAD: Final = 7
_SHOWN: Final = 10_000
_DONE_SHOWN: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One box of the timeline; `left` and `width` are hundredths of the day that is shown."""

    order: WorkOrder
    left: float
    width: float
    starts: str
    ends: str
    what: str
    where: str
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The visits of one technician, in order of time."""

    name: str
    regions: str
    visits: tuple[Visit, ...]


def plan_context(
    services: ApiServices, uow: UnitOfWork, principal: Principal, words: Words, wanted: date | None
) -> dict[str, Any]:
    """Return the lanes of a day, the hours above them, and the visits without a time."""
    zone = ZoneInfo(services.settings.time_zone)
    now = services.clock.now()
    today = now.astimezone(zone).date()
    active = list_orders(principal, uow, WorkOrderFilter(states=ACTIVE_ORDERS, limit=_SHOWN))
    ended = list_orders(
        principal, uow, WorkOrderFilter(states=frozenset({WorkOrderState.DONE}), limit=_DONE_SHOWN)
    )
    planned = [order for order in (*active, *ended) if order.planned_start is not None]
    day = wanted or _first_day(planned, today, zone)
    dispatch = services.policy.dispatch
    frame = (
        datetime.combine(day, time.min, zone) + timedelta(minutes=dispatch.day_starts_minutes),
        datetime.combine(day, time.min, zone) + timedelta(minutes=dispatch.day_ends_minutes),
    )
    bundles = {bundle.device.device_id: bundle for bundle in uow.devices.bundles(principal.tenant)}
    of_day = [order for order in planned if _day_of(order, zone) == day]
    lanes = [
        _lane(services, person, of_day, bundles, frame, words, now)
        for person in uow.technicians.all(principal.tenant)
        if person.active and _in_sight(principal, person, of_day)
    ]
    waiting = [order for order in active if order.planned_start is None]
    hour = frame[0].hour
    return {
        "day": day,
        "days": [(today + each * _DAY, today + each * _DAY == day) for each in range(_DAYS_AHEAD)],
        "hours": [f"{each}:00" for each in range(hour, frame[1].hour)],
        "lanes": lanes,
        "visits": len(of_day),
        "now_left": _share(now, frame) if day == today and frame[0] <= now <= frame[1] else None,
        "waiting": [
            (
                order,
                what_of(order, bundles.get(order.device_id), words),
                _where(bundles.get(order.device_id)),
                *_why_waiting(order, words),
            )
            for order in waiting[:50]
        ],
        "waiting_count": len(waiting),
        **_map(principal, uow, lanes, bundles, words, day),
    }


def _why_waiting(order: WorkOrder, words: Words) -> tuple[str, str]:
    """Return why a visit has no time, and what the dispatcher can do about it."""
    told, language = words.messages, words.language
    if order.kind in CALLS:
        return told.text(language, "jobs.wait.call"), ""
    key = order.assigned_reason.partition("?")[0].rpartition(".")[2]
    hint = told.text(language, f"jobs.hint.{key}") if key in _HINTS else ""
    return assigned_reason(order, words), hint


def _map(
    principal: Principal,
    uow: UnitOfWork,
    lanes: Sequence[Lane],
    bundles: dict[Any, DeviceBundle],
    words: Words,
    day: date,
) -> dict[str, Any]:
    """Return the map of the sites in sight with the routes of the day, and who drives which."""
    every = (site for site in uow.sites.all(principal.tenant) if principal.sees_region(site.region))
    sites = [spot for site in every if (spot := plan_map.spot_of(site)) is not None]
    routes = [
        _route(place, lane, bundles) for place, lane in enumerate(lane for lane in lanes if lane.visits)
    ]
    title = words.t("plan.map_title", day=words.formats.long_day(day), routes=len(routes), sites=len(sites))
    return {
        "map": plan_map.draw_map(sites, routes, title),
        "routes": [
            (
                route,
                words.t("plan.route", visits=len(route.stops), km=words.formats.number(route.kilometres, 1)),
            )
            for route in routes
        ],
        "sites": len(sites),
    }


def _route(place: int, lane: Lane, bundles: dict[Any, DeviceBundle]) -> plan_map.MapRoute:
    """Return the stops of a lane whose site has coordinates, in order."""
    stops = []
    for visit in lane.visits:
        bundle = bundles.get(visit.order.device_id)
        spot = plan_map.spot_of(bundle.site if bundle else None)
        if spot is not None:
            label = f"{visit.starts} {visit.what}, {spot.name}"
            href = f"/work-orders/{visit.order.work_order_id}"
            stops.append(plan_map.MapStop(spot=spot, label=label, href=href))
    return plan_map.MapRoute(
        name=lane.name,
        tone=place % plan_map.ROUTES,
        stops=tuple(stops),
        kilometres=plan_map.kilometres(stops),
    )


def _first_day(planned: Sequence[WorkOrder], today: date, zone: ZoneInfo) -> date:
    """Return today, or the next day that has a visit when today has none."""
    days = sorted(each for each in {_day_of(order, zone) for order in planned} if each and each >= today)
    return days[0] if days else today


def _day_of(order: WorkOrder, zone: ZoneInfo) -> date | None:
    return order.planned_start.astimezone(zone).date() if order.planned_start else None


def _in_sight(principal: Principal, person: Technician, orders: Sequence[WorkOrder]) -> bool:
    """Return True for people of the regions in sight, and for everybody who has a visit there."""
    if not principal.regions or set(person.regions) & set(principal.regions):
        return True
    return any(order.technician_id == person.technician_id for order in orders)


def _lane(
    services: ApiServices,
    person: Technician,
    orders: Sequence[WorkOrder],
    bundles: dict[Any, DeviceBundle],
    frame: tuple[datetime, datetime],
    words: Words,
    now: datetime,
) -> Lane:
    own = [order for order in orders if order.technician_id == TechnicianId(person.technician_id)]
    own.sort(key=lambda order: order.planned_start or order.due_at)
    return Lane(
        name=person.name,
        regions=", ".join(person.regions),
        visits=tuple(_visit(services, order, bundles, frame, words, now) for order in own),
    )


def _visit(
    services: ApiServices,
    order: WorkOrder,
    bundles: dict[Any, DeviceBundle],
    frame: tuple[datetime, datetime],
    words: Words,
    now: datetime,
) -> Visit:
    assert order.planned_start is not None
    minutes = services.policy.dispatch.minutes_on_site.get(order.kind.value, 60)
    ends = order.planned_start + timedelta(minutes=minutes)
    left = min(max(_share(order.planned_start, frame), 0.0), 98.0)
    bundle = bundles.get(order.device_id)
    return Visit(
        order=order,
        left=left,
        width=max(min(_share(ends, frame), 100.0) - left, 2.0),
        starts=words.formats.time(order.planned_start),
        ends=words.formats.time(ends),
        what=what_of(order, bundle, words),
        where=_where(bundle),
        tone=_tone(order, now),
    )


def _tone(order: WorkOrder, now: datetime) -> str:
    if order.state is WorkOrderState.DONE:
        return "good"
    if order.state in (WorkOrderState.EN_ROUTE, WorkOrderState.ON_SITE):
        return "watch"
    return "critical" if order.due_at < now else "plain"


def _share(at: datetime, frame: tuple[datetime, datetime]) -> float:
    """Return how far an instant lies in the frame, in percent."""
    return 100.0 * ((at - frame[0]) / (frame[1] - frame[0]))


def _where(bundle: DeviceBundle | None) -> str:
    return place_of(bundle) if bundle else ""
