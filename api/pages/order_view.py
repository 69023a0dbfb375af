"""The technician's day, the list of work orders, and one job with everything for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from markupsafe import Markup

from api.access import DISPATCHERS, Principal
from api.pages import charts
from api.pages.device_view import troubles_of
from api.pages.foresight_view import ticket_forecast
from api.pages.supply_view import Words, level_words, percent_now, supply_name, tone_of
from api.pages.ticket_view import place_of
from api.pages.used_parts import causes_of_repairs, van_parts
from api.service_lists import ACTIVE_ORDERS, list_orders
from api.services import ApiServices
from api.wording import guide_steps, note_text, ticket_title
from crm_core.domain.fieldwork import Check, MaintenancePlan, VisitRecord
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import DeviceId, WorkOrderId, work_order_number
from crm_core.domain.service import PartNeed, Role, Ticket, WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.domain.telemetry import DeviceReading
from crm_core.fieldwork.evidence import REQUIRED
from crm_core.fieldwork.nearby import Nearby, nearby_of
from crm_core.ports import UnitOfWork, WorkOrderFilter
from crm_core.servicedesk import Outcome

_PAGE: Final = 50
_NEARBY: Final = 12
_NEXT_MOVE: Final = {
    WorkOrderState.ASSIGNED: "start",
    WorkOrderState.EN_ROUTE: "arrive",
    WorkOrderState.ON_SITE: "complete",
}
_TONES: Final = {
    WorkOrderState.PLANNED: "warning",
    WorkOrderState.ASSIGNED: "",
    WorkOrderState.EN_ROUTE: "accent",
    WorkOrderState.ON_SITE: "accent",
    WorkOrderState.DONE: "good",
    WorkOrderState.CANCELLED: "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """One job in the technician's list."""

    order: WorkOrder
    what: str
    where: str
    why: str
    bring: str
    when: str
    late: bool
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    """Something to bring."""

    quantity: int
    name: str
    number: str | None
    note: str
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelView:
    """A supply in brief."""

    name: str
    level: str
    meter: Markup


def day_context(services: ApiServices, uow: UnitOfWork, principal: Principal, words: Words) -> dict[str, Any]:
    """Return the technician's open jobs in order, and what is done today."""
    now, zone = services.clock.now(), ZoneInfo(services.settings.time_zone)
    active = list_orders(principal, uow, WorkOrderFilter(states=ACTIVE_ORDERS, limit=200))
    done = list_orders(principal, uow, WorkOrderFilter(states=frozenset({WorkOrderState.DONE}), limit=50))
    today = now.astimezone(zone).date()
    return {
        "jobs": [_job(uow, order, words, now) for order in sorted(active, key=_order_of_day)],
        "done": [order for order in done if order.done_at and order.done_at.astimezone(zone).date() == today],
    }


def _order_of_day(order: WorkOrder) -> tuple[bool, datetime]:
    """Return the sort key: what is begun first, then by plan, then by due time."""
    begun = order.state in (WorkOrderState.EN_ROUTE, WorkOrderState.ON_SITE)
    return not begun, order.planned_start or order.due_at


def _job(uow: UnitOfWork, order: WorkOrder, words: Words, now: datetime) -> JobView:
    """Return one job of the list."""
    bundle = uow.devices.bundle(order.tenant, order.device_id)
    tickets = [uow.tickets.get(order.tenant, key) for key in order.ticket_ids]
    comma = "、" if words.language == "zh-CN" else ", "
    return JobView(
        order=order,
        what=what_of(order, bundle, words),
        where=" · ".join(
            part for part in (place_of(bundle), bundle.site.address if bundle.site else "") if part
        ),
        why=" · ".join(ticket_title(ticket, words.messages, words.language) for ticket in tickets),
        bring=comma.join(part_name(words, part) for part in order.parts),
        when=words.formats.moment(order.planned_start or order.due_at),
        late=order.due_at < now,
        active=order.state in (WorkOrderState.EN_ROUTE, WorkOrderState.ON_SITE),
    )


def what_of(order: WorkOrder, bundle: DeviceBundle | None, words: Words) -> str:
    """Return the job in a line: kind of work and machine."""
    model = bundle.device.model_name if bundle and bundle.device.model_name else words.t("device.unnamed")
    return words.t("order.what", kind=words.t(f"kind.{order.kind.value}"), model=model)


def part_name(words: Words, part: PartNeed) -> str:
    """Return a part in words."""
    return (
        supply_name(words, part.kind, part.colour, None) if part.kind != "other" else part.note or part.kind
    )


def order_context(
    services: ApiServices, uow: UnitOfWork, principal: Principal, order: WorkOrder, words: Words
) -> dict[str, Any]:
    """Return everything for one job: where, why, what to bring, what the device says, the guide, the next step."""
    bundle = uow.devices.bundle(order.tenant, order.device_id)
    reading = services.store.newest(order.tenant, order.device_id)
    site, customer = bundle.site, bundle.customer
    tickets = [uow.tickets.get(order.tenant, key) for key in order.ticket_ids]
    dispatcher = principal.role in DISPATCHERS.roles and order.state in ACTIVE_ORDERS
    mover = principal.role is not Role.MANAGER
    return {
        "order": order,
        "back": "/work" if principal.role is Role.TECHNICIAN else "/work-orders",
        "what": what_of(order, bundle, words),
        "late": order.state in ACTIVE_ORDERS and order.due_at < services.clock.now(),
        "place_name": place_of(bundle),
        "address": site.address if site else "",
        "access": site.access_notes if site else "",
        "map_href": _map_href(bundle),
        "phone": customer.phone if customer else None,
        "contact": customer.contact_name if customer else None,
        "model": bundle.device.model_name or order.device_id,
        "serial": bundle.device.serial,
        "tickets": tickets,
        "foreseen": {ticket.ticket_id: ticket_forecast(uow, ticket, words) for ticket in tickets},
        "assigned_reason": assigned_reason(order, words),
        "care": _care(uow, order),
        "parts": [_part(words, part) for part in order.parts],
        "seen": reading.polled_at if reading else None,
        "meter_href": f"/meters/{order.device_id}" if _is_silent(services, reading) else None,
        "troubles": troubles_of(words, reading),
        "levels": _levels(words, reading, tickets),
        "remark": note_text(order.note, words.messages, words.language),
        "guide": guide_steps(order, words.messages, words.language),
        "technicians": [p for p in uow.technicians.all(order.tenant) if p.active] if dispatcher else [],
        "next_move": _NEXT_MOVE.get(order.state) if mover else None,
        "outcomes": [outcome.value for outcome in Outcome],
        "nearby": [_nearby(words, each) for each in nearby_of(uow, order, services.policy)[:_NEARBY]]
        if order.state in ACTIVE_ORDERS
        else [],
        **_evidence(services, uow, order, words, may_note=mover and order.state in ACTIVE_ORDERS),
    }


def _nearby(words: Words, near: Nearby) -> dict[str, str]:
    """Return one thing that waits at the same site: what, which machine, and its page."""
    told, language = words.messages, words.language
    href = f"/devices/{near.device_id}"
    if near.order is not None:
        href = f"/work-orders/{near.order.work_order_id}"
        what = f"{work_order_number(near.order.work_order_id)} · {words.t(f'kind.{near.order.kind.value}')}"
    elif near.supply is not None:
        days = near.supply.days_to_empty
        name = supply_name(words, near.supply.kind, near.supply.colour, near.supply.supply_index)
        left = words.formats.number(days.p50 if days is not None else None)
        what = told.text(language, "jobs.near_supply", supply=name, days=left)
    else:
        part = words.term("component", near.component or "device")
        what = told.text(language, "jobs.near_risk", risk=words.formats.percent(near.p_fail_14d), part=part)
    return {"what": what, "device": near.device_id, "href": href}


def _is_silent(services: ApiServices, reading: DeviceReading | None) -> bool:
    """Return True if the device is so long off line that its meter is read off by people."""
    silent_after = services.policy.billing.meters.silent_after
    return reading is None or services.clock.now() - reading.polled_at > silent_after


def _care(uow: UnitOfWork, order: WorkOrder) -> MaintenancePlan | None:
    """Return the plan of regular care that made the order, if one did."""
    plans = uow.fieldwork.plans.where(order.tenant, device_id=order.device_id)
    return next((plan for plan in plans if plan.work_order_id == order.work_order_id), None)


def _evidence(
    services: ApiServices, uow: UnitOfWork, order: WorkOrder, words: Words, *, may_note: bool
) -> dict[str, Any]:
    """Return the points to tick, what is still missing, and the files of the visit."""
    visit = uow.fieldwork.visit_of(order.tenant, order.work_order_id)
    record = visit or VisitRecord(
        tenant=order.tenant,
        work_order_id=order.work_order_id,
        device_id=order.device_id,
        customer_id=order.customer_id,
    )
    required = REQUIRED.get(order.kind, ())
    evidence = services.fieldwork.evidence
    missing = evidence.missing(uow, order, record, services.clock.now()) if may_note and required else []
    return {
        "may_note": may_note,
        "missing": [words.t(f"check.{each}") for each in missing],
        "checks": [
            (each.value, words.t(f"check.{each}"), record.mark(each) is not None)
            for each in required
            if each is not Check.TEST_PRINT
        ],
        "causes": causes_of_repairs(services),
        "visit_cause": record.cause,
        "van": van_parts(uow, order, record, words) if may_note else [],
        "installs": order.kind is WorkOrderKind.INSTALLATION,
        "files": uow.fieldwork.attachments.where(order.tenant, work_order_id=order.work_order_id),
    }


def assigned_reason(order: WorkOrder, words: Words) -> str:
    """Return why this technician was chosen."""
    return words.messages.unpacked(words.language, order.assigned_reason)


def _map_href(bundle: DeviceBundle) -> str | None:
    """Return a geo: link that phones open in their own map; None without a place."""
    site = bundle.site
    if site is None or not (site.address or site.latitude):
        return None
    point = f"{site.latitude:.5f},{site.longitude:.5f}" if site.latitude and site.longitude else "0,0"
    return f"geo:{point}?q={quote(site.address or site.name)}"


def _part(words: Words, part: PartNeed) -> PartView:
    """Return one thing to bring."""
    return PartView(
        quantity=part.quantity,
        name=part_name(words, part),
        number=part.part_number,
        note=_part_note(words, part),
        tone=tone_of(part.kind, part.colour),
    )


def _part_note(words: Words, part: PartNeed) -> str:
    """Return what to know of a part: for which machine of the site, and whether it stays on the shelf."""
    notes = [words.messages.unpacked(words.language, part.note)] if part.note else []
    if part.device_id is not None:
        told = words.messages.text(words.language, "pages.order.for_device", device=part.device_id)
        notes.append(told)
    if part.spare:
        notes.append(words.messages.text(words.language, "pages.order.spare"))
    return " · ".join(notes)


def _levels(words: Words, reading: DeviceReading | None, tickets: list[Ticket]) -> list[LevelView]:
    """Return the supplies that the tickets are about; for other work none, so that the page stays short."""
    if reading is None:
        return []
    wanted = {
        ticket.cause.removeprefix("supply.") for ticket in tickets if ticket.cause.startswith("supply.")
    }
    views = []
    for supply in reading.supplies:
        if supply.index not in wanted:
            continue
        derived = reading.derived_supply(supply.index)
        kind, colour = (derived.kind, derived.colour) if derived else (None, None)
        percent = percent_now(supply, derived)
        name, level = supply_name(words, kind, colour, supply.name), level_words(words, supply, percent)
        views.append(
            LevelView(
                name=name, level=level, meter=charts.meter(percent, tone_of(kind, colour), f"{name} {level}")
            )
        )
    return views


def list_context(
    uow: UnitOfWork,
    principal: Principal,
    words: Words,
    now: datetime,
    *,
    done: bool,
    before: WorkOrderId | None,
) -> dict[str, Any]:
    """Return the office's list of work orders, newest first."""
    states = frozenset(WorkOrderState) - ACTIVE_ORDERS if done else ACTIVE_ORDERS
    which = WorkOrderFilter(states=states, before=before, limit=_PAGE + 1)
    orders = list_orders(principal, uow, which)
    everything = list_orders(principal, uow, WorkOrderFilter(states=ACTIVE_ORDERS, limit=10_000))
    bundles = {bundle.device.device_id: bundle for bundle in uow.devices.bundles(principal.tenant)}
    names = {person.technician_id: person.name for person in uow.technicians.all(principal.tenant)}
    following = None
    if len(orders) > _PAGE:
        show = "show=done&" if done else ""
        following = f"/work-orders?{show}before={orders[_PAGE - 1].work_order_id}"
    return {
        "total": len(everything),
        "filters": [("active", "/work-orders", not done), ("ended", "/work-orders?show=done", done)],
        "rows": [_list_row(order, bundles, names, words, now) for order in orders[:_PAGE]],
        "next_href": following,
    }


def _list_row(
    order: WorkOrder,
    bundles: Mapping[DeviceId, DeviceBundle],
    names: Mapping[Any, str],
    words: Words,
    now: datetime,
) -> dict[str, Any]:
    """Return one line of the list."""
    bundle = bundles.get(order.device_id)
    return {
        "order": order,
        "what": words.t(f"kind.{order.kind.value}"),
        "model": bundle.device.model_name if bundle else "",
        "customer": bundle.customer.name if bundle and bundle.customer else "–",
        "site": bundle.site.name if bundle and bundle.site else "",
        "who": names.get(order.technician_id),
        "tone": _TONES[order.state],
        "late": order.state in ACTIVE_ORDERS and order.due_at < now,
    }
