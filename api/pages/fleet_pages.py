"""The pages of the office: fleet, devices and tickets."""

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import SUPERVISORS, Principal, overviews_of, services_of, visible_bundle
from api.fleet_lists import count_in_sight, devices_in_sight, states_of
from api.installation import troubles_for
from api.manager_figures import figures_of
from api.pages.common import Key, Office, Person, Staff, failure_of, renderer_of, words_of
from api.pages.customer_view import customers_context
from api.pages.device_view import device_context
from api.pages.fleet_view import fleet_context
from api.pages.forms import Form, checked, version_of
from api.pages.marks import marks_of
from api.pages.rendering import start_of
from api.pages.steering_view import steering
from api.pages.ticket_view import board_context, ticket_context
from api.pages.used_parts import causes_of_repairs
from api.problem import Problem
from api.schemas.fleet import DeviceRow
from api.service_lists import visible_ticket
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import TicketId
from crm_core.domain.service import TicketLevel
from crm_core.ports import DeviceFilter
from crm_core.ticket_states import Move

router = APIRouter(include_in_schema=False)

_ROWS: Final = 60


@router.get("/")
def home(request: Request, principal: Person) -> Response:
    """Show fleet health to the office; technicians come to their work, customers to their devices."""
    start = start_of(principal)
    if start != "/":
        return RedirectResponse(start, 303)
    services, words = services_of(request), words_of(request, principal)
    overview = overviews_of(request).overview(principal.tenant, principal.regions)
    with services.read_uow_factory() as uow:
        context = fleet_context(services, overview, uow, principal, words)
    seen = principal.role in SUPERVISORS.roles and overview.devices > 0
    figures = figures_of(request).newest(principal.tenant, principal.regions) if seen else None
    troubles = troubles_for(principal, services)
    return renderer_of(request).page(
        request,
        "fleet.html",
        principal=principal,
        troubles=troubles,
        steering=steering(figures, principal, words) if figures else [],
        **context,
    )


@router.get("/devices")
def devices_page(
    request: Request,
    principal: Staff,
    q: Annotated[str, Query(max_length=64)] = "",
    after: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """List the devices in sight."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        which = DeviceFilter(q=q, after=after, limit=_ROWS + 1)
        rest, total = devices_in_sight(principal, uow, which), count_in_sight(principal, uow, which)
        marks = marks_of(uow, principal)
    states = states_of(services.store, principal.tenant, rest[:_ROWS])
    rows = [DeviceRow.of(bundle, states.get(bundle.device.device_id)) for bundle in rest[:_ROWS]]
    following = {"q": q, "after": rows[-1].device_id} if len(rest) > _ROWS else None
    return renderer_of(request).page(
        request,
        "devices.html",
        principal=principal,
        rows=rows,
        total=total,
        marks=marks,
        q=q,
        next_href=f"/devices?{urlencode(following)}" if following else None,
    )


@router.get("/devices/{device_id}")
def device_page(request: Request, principal: Staff, device_id: str) -> Response:
    """Show one device."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        bundle = visible_bundle(principal, uow, device_id)
    health = services.fleet_health.device(principal.tenant, bundle.device.device_id)
    with services.read_uow_factory() as uow:
        context = device_context(services, uow, principal, health, words)
    return renderer_of(request).page(request, "device.html", principal=principal, **context)


@router.get("/customers")
def customers_page(request: Request, principal: Office) -> Response:
    """List the customers with their devices and open tickets."""
    services, words = services_of(request), words_of(request, principal)
    health = services.fleet_health.customers(principal.tenant, principal.regions)
    with services.read_uow_factory() as uow:
        context = customers_context(health, uow, principal, words, services.clock.now().date())
    return renderer_of(request).page(request, "customers.html", principal=principal, **context)


@router.get("/tickets")
def tickets_page(request: Request, principal: Staff, level: TicketLevel | None = None) -> Response:
    """Show the board."""
    with services_of(request).read_uow_factory() as uow:
        context = board_context(uow, principal, words_of(request, principal), level)
    return renderer_of(request).page(request, "tickets.html", principal=principal, **context)


@router.get("/tickets/{ticket_id}")
def ticket_page(request: Request, principal: Staff, ticket_id: Key) -> Response:
    """Show one ticket."""
    return _ticket_page(request, principal, ticket_id)


def _ticket_page(
    request: Request, principal: Principal, ticket_id: int, failure: str | None = None, status: int = 200
) -> Response:
    """Render one ticket, with the reason why a change failed."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        ticket = visible_ticket(principal, uow, ticket_id)
        context = ticket_context(services, uow, principal, ticket, words)
    return renderer_of(request).page(
        request, "ticket.html", principal=principal, failure=failure, status=status, **context
    )


@router.post("/tickets/{ticket_id}/acknowledge")
def acknowledge(request: Request, principal: Office, form: Form, ticket_id: Key) -> Response:
    """Take a ticket up."""
    return move_ticket(request, principal, checked(form, principal), ticket_id, Move.ACKNOWLEDGE)


@router.post("/tickets/{ticket_id}/estimates")
def offer_estimate(request: Request, principal: Staff, form: Form, ticket_id: Key) -> Response:
    """Offer the customer what a repair will cost; the customer decides on the own pages."""
    fields = checked(form, principal)
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_ticket(principal, uow, ticket_id)
    if fields.get("cause") not in causes_of_repairs(services):
        raise Problem("invalid_input")
    try:
        services.fieldwork.estimates.offer(
            principal.tenant,
            TicketId(ticket_id),
            fields.get("item", ""),
            fields["cause"],
            actor=principal.name,
        )
    except (Conflict, InvalidValue) as error:
        failure, status = failure_of(request, principal, error)
        return _ticket_page(request, principal, ticket_id, failure, status)
    return RedirectResponse(f"/tickets/{ticket_id}#estimates", 303)


@router.post("/tickets/{ticket_id}/cancel")
def cancel(request: Request, principal: Office, form: Form, ticket_id: Key) -> Response:
    """Cancel a ticket with a reason."""
    return move_ticket(request, principal, checked(form, principal), ticket_id, Move.CANCEL)


def move_ticket(
    request: Request, principal: Principal, form: dict[str, str], ticket_id: int, move: Move
) -> Response:
    """Make the move and show the ticket again; a collision is explained on the page."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_ticket(principal, uow, ticket_id)
    try:
        services.servicedesk.move(
            principal.tenant,
            TicketId(ticket_id),
            move,
            actor=principal.name,
            note=form.get("reason", "")[:128],
            expected_version=version_of(form),
        )
    except (Conflict, InvalidValue) as error:
        failure, status = failure_of(request, principal, error)
        return _ticket_page(request, principal, ticket_id, failure, status)
    return RedirectResponse(f"/tickets/{ticket_id}", 303)
