"""Moving a device to another site: what would happen is shown first - place, counter, contract line, work that is open."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.access import Principal, services_of, visible_bundle
from api.device_moves import count_at_move, site_in_sight
from api.pages.common import Dispatchers, renderer_of, words_of
from api.pages.forms import Form, checked, count_of
from api.pages.steps import Refusal, Rows, look_or_do
from api.pages.supply_view import Words
from api.service_lists import ACTIVE_ORDERS
from crm_core.domain.fleet import DeviceBundle, Site
from crm_core.domain.identity import ticket_number, work_order_number
from crm_core.domain.service import OPEN_STATES
from crm_core.ports import TicketFilter, UnitOfWork, WorkOrderFilter

router = APIRouter(include_in_schema=False)


@router.get("/devices/{device_id}/move")
def move_form(request: Request, principal: Dispatchers, device_id: str) -> Response:
    """Show where the device stands and ask for its new site and its counter."""
    return _form(request, principal, device_id)


@router.post("/devices/{device_id}/move")
def move_device(request: Request, principal: Dispatchers, form: Form, device_id: str) -> Response:
    """Show what the move would do, or make it when it is confirmed."""
    fields = checked(form, principal)
    services, words = services_of(request), words_of(request, principal)

    def act(dry_run: bool) -> Rows:
        with services.read_uow_factory() as uow:
            bundle = visible_bundle(principal, uow, device_id)
            site = site_in_sight(principal, uow, fields.get("site", ""))
            rows = _rows(uow, bundle, site, words)
        told = fields.get("count", "").strip()
        count = count_at_move(services, bundle.device, count_of(told, "count") if told else None)
        services.registry.move(
            principal.tenant,
            bundle.device.device_id,
            site.site_id,
            count=count,
            actor=principal.name,
            dry_run=dry_run,
        )
        counter = "–" if count is None else words.formats.number(count)
        return [*rows, (words.text("device.move.count"), counter)]

    return look_or_do(
        request,
        principal,
        fields,
        key="move-device",
        act=act,
        back=f"/devices/{device_id}",
        again=lambda refusal: _form(request, principal, device_id, refusal),
    )


def _rows(uow: UnitOfWork, bundle: DeviceBundle, site: Site, words: Words) -> list[tuple[str, str]]:
    """Return what the move does, in words: from, to, the contract line that ends, and work that stays open."""
    device = bundle.device
    customer = uow.customers.get(device.tenant, site.customer_id)
    tickets = uow.tickets.list(device.tenant, TicketFilter(device_id=device.device_id, states=OPEN_STATES))
    orders = uow.work_orders.list(
        device.tenant, WorkOrderFilter(device_id=device.device_id, states=ACTIVE_ORDERS)
    )
    lines = [
        f"{agreement.contract_id} · {stay.line_id}"
        for agreement in uow.agreements.contracts.of_device(device.tenant, device.device_id)
        for stay in agreement.stays
        if stay.device_id == device.device_id and stay.to_at is None
    ]
    leaves = site.customer_id != device.customer_id
    say = words.text
    told = [
        (say("device.move.from"), _place(bundle.customer.name if bundle.customer else "", bundle.site)),
        (say("device.move.to"), _place(customer.name, site)),
    ]
    if lines:
        key = "device.move.line_ends" if leaves else "device.move.line_stays"
        told.append((say("device.move.line"), say(key, line=", ".join(lines))))
    if leaves:
        told.append((say("device.move.after"), say("device.move.place_it")))
    work = [ticket_number(each.ticket_id) for each in tickets]
    work += [work_order_number(each.work_order_id) for each in orders]
    if work:
        told.append((say("device.move.open"), say("device.move.look_at", work=", ".join(work))))
    return told


def _place(customer: str, site: Site | None) -> str:
    return " · ".join(part for part in (customer, site.name if site else "") if part) or "–"


def _form(request: Request, principal: Principal, device_id: str, refusal: Refusal | None = None) -> Response:
    services = services_of(request)
    with services.read_uow_factory() as uow:
        bundle = visible_bundle(principal, uow, device_id)
        names = {row.customer_id: row.name for row in uow.customers.all(principal.tenant)}
        sites = [
            (site.site_id, _place(names.get(site.customer_id, ""), site))
            for site in uow.sites.all(principal.tenant)
            if principal.sees_region(site.region) and site.site_id != bundle.device.site_id
        ]
    reading = services.store.newest(principal.tenant, bundle.device.device_id)
    return renderer_of(request).page(
        request,
        "move_device.html",
        principal=principal,
        status=refusal.status if refusal else 200,
        failure=refusal.reason if refusal else None,
        sent=dict(refusal.sent) if refusal else {},
        bundle=bundle,
        place=_place(bundle.customer.name if bundle.customer else "", bundle.site),
        sites=sorted(sites, key=lambda row: row[1]),
        known=reading.counters.billing_count if reading else None,
    )
