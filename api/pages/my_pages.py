"""What a customer sees after signing in: the own devices, what is wrong with them, and when it will be dealt with."""

from collections.abc import Iterator
from itertools import count
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Principal, services_of, visible_bundle
from api.fleet_lists import states_of, visible_bundles
from api.pages.common import Customer, failure_of, renderer_of, words_of
from api.pages.forms import Form, checked
from api.pages.supply_view import Words
from api.problem import Problem
from api.schemas.fleet import DeviceRow
from api.schemas.meters import photo_bytes
from api.schemas.service import next_clock
from api.service_lists import list_tickets
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import DeviceId
from crm_core.domain.service import OPEN_STATES
from crm_core.ports import TicketFilter

router = APIRouter(include_in_schema=False)

_MOST: Final = 200
_TEXT_MOST: Final = 500


@router.get("/my")
def my_devices(
    request: Request,
    principal: Customer,
    device: Annotated[str, Query(max_length=64)] = "",
    reported: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """Show the customer's devices, known outages and open tickets with the time promised for each."""
    return _page(request, principal, chosen=device, reported=reported)


@router.post("/my/report")
def report(request: Request, principal: Customer, form: Form) -> Response:
    """Open a ticket for what the customer says is wrong; the page then shows when somebody will answer."""
    fields = checked(form, principal)
    services = services_of(request)
    reports = services.policy.relations.reports
    what, text = fields.get("what", ""), fields.get("text", "").strip()
    if what not in reports or not text or len(text) > _TEXT_MOST:
        raise Problem("invalid_input")
    with services.read_uow_factory() as uow:
        bundle = visible_bundle(principal, uow, fields.get("device_id", ""))
    try:
        photo = photo_bytes(fields.get("photo", ""))
        opened = services.servicedesk.report(
            principal.tenant,
            DeviceId(bundle.device.device_id),
            level=reports[what].level,
            category=reports[what].category,
            text=text,
            actor=principal.name,
            photo=services.fieldwork.evidence.keep_photo(photo) if photo else None,
        )
    except (Conflict, InvalidValue) as error:
        failure, status = failure_of(request, principal, error)
        return _page(request, principal, failure, status, chosen=bundle.device.device_id)
    return RedirectResponse(f"/my?reported={opened.ticket_id}#told", 303)


def _page(
    request: Request,
    principal: Principal,
    failure: str | None = None,
    status: int = 200,
    *,
    chosen: str = "",
    reported: int | None = None,
) -> Response:
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        bundles = visible_bundles(principal, uow)
        tickets = list_tickets(principal, uow, TicketFilter(states=OPEN_STATES, limit=_MOST))
        incidents = uow.incidents.open_ones(principal.tenant)
        customer = uow.customers.find(principal.tenant, principal.bound_to or "")
    own = {bundle.device.device_id for bundle in bundles}
    states = states_of(services.store, principal.tenant, bundles[:_MOST])
    rows = [DeviceRow.of(bundle, states.get(bundle.device.device_id)) for bundle in bundles[:_MOST]]
    return renderer_of(request).page(
        request,
        "my_devices.html",
        principal=principal,
        status=status,
        failure=failure,
        customer=customer,
        devices=rows,
        total=len(bundles),
        tickets=[(ticket, next_clock(ticket)) for ticket in tickets],
        models={row.device_id: row.model for row in rows},
        reports=list(services.policy.relations.reports),
        outages=[(row, len(own & set(row.device_ids))) for row in incidents if own & set(row.device_ids)],
        self_help={kind: list(_self_help(words, kind)) for kind in services.policy.relations.reports},
        chosen=chosen,
        opened=next((ticket for ticket in tickets if ticket.ticket_id == reported), None),
        next_clock=next_clock,
    )


def _self_help(words: Words, kind: str) -> Iterator[str]:
    """Yield what a customer can try before anybody comes, step by step, as far as the texts go."""
    known = words.messages.keys(words.language)
    for step in count(1):
        key = f"selfhelp.{kind}.{step}"
        if key not in known:
            return
        yield words.messages.text(words.language, key)
