"""Tickets: lists, one with its clocks and evidence, and the moves of people."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import OFFICE, OWNED, REPORTERS, Principal, services_of, visible_bundle
from api.conditional import check_if_match, set_etag
from api.direct_route import DirectRoute
from api.images import IMAGE, image
from api.language import language_of
from api.paging import Cursor, Limit, decode_number, encode_cursor
from api.problem import Problem
from api.schemas.base import Page
from api.schemas.service import NoteInput, ReasonInput, ReportInput, TicketDetail, TicketRow
from api.service_lists import list_tickets, visible_ticket
from crm_core.domain.identity import DeviceId, TicketId
from crm_core.domain.service import OPEN_STATES, Ticket, TicketLevel, TicketState
from crm_core.ports import TicketFilter
from crm_core.ticket_states import Move

router = APIRouter(tags=["tickets"], route_class=DirectRoute)

TicketKey = Annotated[int, Path(ge=1, le=2**53, description="the ticket's id")]
IfMatch = Annotated[
    str | None, Header(alias="If-Match", description='the ETag of the version you saw, such as "v3"')
]
IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=128, description="repeats with the same key have one effect"),
]
_ALL: Final = "all"


@router.get("/tickets", summary="Tickets")
def tickets(
    request: Request,
    principal: Annotated[Principal, Depends(OWNED)],
    cursor: Cursor = None,
    limit: Limit = 50,
    state: Annotated[str, Query(pattern=r"^[a-z_]{1,32}$", description="a state, `open` or `all`")] = "open",
    level: TicketLevel | None = None,
    device_id: Annotated[str | None, Query(max_length=64)] = None,
    customer_id: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[TicketRow]:
    """Return the tickets in sight, newest first."""
    services, language = services_of(request), language_of(request)
    before = decode_number(cursor)
    which = TicketFilter(
        states=_states(state),
        level=level,
        device_id=DeviceId(device_id) if device_id else None,
        customer_id=customer_id,
        before=TicketId(before) if before is not None else None,
        limit=limit + 1,
    )
    with services.read_uow_factory() as uow:
        rows = list_tickets(principal, uow, which)
    return Page(
        items=[TicketRow.of(ticket, services.messages, language) for ticket in rows[:limit]],
        next_cursor=encode_cursor(str(rows[limit - 1].ticket_id)) if len(rows) > limit else None,
    )


@router.post("/tickets", summary="Report a fault", status_code=201)
def report(
    request: Request,
    response: Response,
    body: ReportInput,
    principal: Annotated[Principal, Depends(REPORTERS)],
    _key: IdempotencyKey = None,
) -> TicketDetail:
    """Open a ticket for what a person reports; 409 when the same cause is open at the device already."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_bundle(principal, uow, body.device_id)
    ticket = services.servicedesk.report(
        principal.tenant,
        DeviceId(body.device_id),
        level=TicketLevel(body.level),
        category=body.category,
        text=body.text,
        actor=principal.name,
    )
    return _detail(request, response, principal, ticket)


@router.get("/tickets/{ticket_id}", summary="One ticket")
def one_ticket(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(OWNED)],
    ticket_id: TicketKey,
) -> TicketDetail:
    """Return a ticket with its clocks and why they are due then, its evidence and its history."""
    with services_of(request).read_uow_factory() as uow:
        ticket = visible_ticket(principal, uow, ticket_id)
    return _detail(request, response, principal, ticket)


@router.get(
    "/tickets/{ticket_id}/photo",
    summary="The photo of a reported fault",
    response_class=Response,
    responses=IMAGE,
)
def photo(
    request: Request, principal: Annotated[Principal, Depends(OWNED)], ticket_id: TicketKey
) -> Response:
    """Return the photo that came with a report, checked against its hash; 404 when none came."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        ticket = visible_ticket(principal, uow, ticket_id)
    return image(*services.fieldwork.evidence.photo_of(ticket))


@router.post("/tickets/{ticket_id}/acknowledge", summary="Take a ticket up")
def acknowledge(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(OFFICE)],
    ticket_id: TicketKey,
    body: NoteInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> TicketDetail:
    """Say that somebody has taken the ticket up: the first response is given."""
    version = _version(request, principal, ticket_id)
    ticket = services_of(request).servicedesk.acknowledge(
        principal.tenant, TicketId(ticket_id), actor=principal.name, note=body.note, expected_version=version
    )
    return _detail(request, response, principal, ticket)


@router.post("/tickets/{ticket_id}/cancel", summary="Cancel a ticket")
def cancel(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(OFFICE)],
    ticket_id: TicketKey,
    body: ReasonInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> TicketDetail:
    """End a ticket that needs no work; the reason stays with it and its work order is released."""
    version = _version(request, principal, ticket_id)
    ticket = services_of(request).servicedesk.move(
        principal.tenant,
        TicketId(ticket_id),
        Move.CANCEL,
        actor=principal.name,
        note=body.reason,
        expected_version=version,
    )
    return _detail(request, response, principal, ticket)


def _version(request: Request, principal: Principal, ticket_id: int) -> int:
    """Return the version to change after checking that the ticket is in sight and is the one the client saw."""
    with services_of(request).read_uow_factory() as uow:
        ticket = visible_ticket(principal, uow, ticket_id)
    check_if_match(request, ticket.version)
    return ticket.version


def _detail(request: Request, response: Response, principal: Principal, ticket: Ticket) -> TicketDetail:
    """Return the body of one ticket and its entity tag."""
    set_etag(response, ticket.version)
    services = services_of(request)
    inside = principal.bound_to is None
    language = language_of(request)
    return TicketDetail.full(ticket, services.messages, language, services.policy, inside=inside)


def _states(state: str) -> frozenset[TicketState] | None:
    """Return the states that a filter word means; an unknown word is invalid input."""
    if state == _ALL:
        return None
    if state == "open":
        return OPEN_STATES
    try:
        return frozenset({TicketState(state)})
    except ValueError:
        known = ", ".join(("open", _ALL, *(item.value for item in TicketState)))
        raise Problem("invalid_input", f"state is one of {known}") from None
