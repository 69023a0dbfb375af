"""What people do with a ticket beside taking it up: offers, waiting, escalation, merging, links, call-backs, messages."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from api.access import OFFICE, OWNED, STAFF_READ, Principal, services_of
from api.conditional import check_if_match, set_etag
from api.direct_route import DirectRoute
from api.language import language_of
from api.routes.tickets import IdempotencyKey, IfMatch, TicketKey
from api.schemas.notices import EscalationBody, LinkInput, MergeInput, MoveInput, NoticeBody, SpokenInput
from api.schemas.service import TicketDetail
from api.service_lists import visible_ticket
from crm_core.domain.identity import TicketId, ticket_number
from crm_core.domain.notices import Channel, Notice, NoticeState, ReceiverKind
from crm_core.domain.service import Ticket
from crm_core.ticket_states import Move

router = APIRouter(tags=["tickets"], route_class=DirectRoute)

_MOST = 200


@router.post("/tickets/{ticket_id}/move", summary="Move a ticket")
def move(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(OFFICE)],
    ticket_id: TicketKey,
    body: MoveInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> TicketDetail:
    """Make one move of the state machine; 409 says which moves are possible now."""
    version = _version(request, principal, ticket_id)
    ticket = services_of(request).servicedesk.move(
        principal.tenant,
        TicketId(ticket_id),
        Move(body.move),
        actor=principal.name,
        note=body.note,
        expected_version=version,
    )
    return _detail(request, response, ticket)


@router.post("/tickets/{ticket_id}/merge", summary="Merge a ticket into another")
def merge(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(OFFICE)],
    ticket_id: TicketKey,
    body: MergeInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> TicketDetail:
    """End a ticket in favour of another open one of the same customer; evidence and links go along."""
    version = _version(request, principal, ticket_id)
    with services_of(request).read_uow_factory() as uow:
        visible_ticket(principal, uow, body.into)
    ticket = services_of(request).servicedesk.merge(
        principal.tenant,
        TicketId(ticket_id),
        TicketId(body.into),
        actor=principal.name,
        note=body.reason,
        expected_version=version,
    )
    return _detail(request, response, ticket)


@router.post("/tickets/{ticket_id}/links", summary="Link two tickets")
def link(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(OFFICE)],
    ticket_id: TicketKey,
    body: LinkInput,
    _key: IdempotencyKey = None,
) -> TicketDetail:
    """Say that two tickets have to do with each other; repeating it changes nothing."""
    with services_of(request).read_uow_factory() as uow:
        visible_ticket(principal, uow, ticket_id)
        visible_ticket(principal, uow, body.ticket_id)
    ticket = services_of(request).servicedesk.link(
        principal.tenant, TicketId(ticket_id), TicketId(body.ticket_id), actor=principal.name
    )
    return _detail(request, response, ticket)


@router.get("/tickets/{ticket_id}/escalations", summary="Who was told of promises at risk")
def escalations(
    request: Request, principal: Annotated[Principal, Depends(STAFF_READ)], ticket_id: TicketKey
) -> list[EscalationBody]:
    """Return each step that was told, oldest first."""
    with services_of(request).read_uow_factory() as uow:
        visible_ticket(principal, uow, ticket_id)
        notes = uow.notices.escalations(principal.tenant, TicketId(ticket_id))
    return [EscalationBody.of(note) for note in notes]


@router.get("/tickets/{ticket_id}/notices", summary="Messages about a ticket")
def messages(
    request: Request, principal: Annotated[Principal, Depends(OWNED)], ticket_id: TicketKey
) -> list[NoticeBody]:
    """Return the messages about a ticket, newest first; customers see those to themselves."""
    services = services_of(request)
    mine = None if principal.bound_to is None else (ReceiverKind.CUSTOMER, principal.bound_to)
    with services.read_uow_factory() as uow:
        visible_ticket(principal, uow, ticket_id)
        found = uow.notices.list(principal.tenant, subject=f"ticket:{ticket_id}", receiver=mine, limit=_MOST)
    inside = principal.bound_to is None
    zone = services.settings.time_zone
    return [NoticeBody.of(each, services.messages, zone, inside=inside) for each in found]


@router.post("/tickets/{ticket_id}/notices", summary="Record what was said", status_code=201)
def record(
    request: Request,
    principal: Annotated[Principal, Depends(OFFICE)],
    ticket_id: TicketKey,
    body: SpokenInput,
    _key: IdempotencyKey = None,
) -> NoticeBody:
    """Record what the customer was told by telephone, chat or at a visit."""
    services = services_of(request)
    now = services.clock.now()
    with services.uow_factory() as uow:
        ticket = visible_ticket(principal, uow, ticket_id)
        spoken = Notice(
            tenant=principal.tenant,
            unique_key=f"spoken:{ticket_id}:{principal.user_id}:{now.isoformat()}",
            channel=Channel(body.channel),
            receiver_kind=ReceiverKind.CUSTOMER,
            receiver_id=ticket.customer_id or "",
            address="",
            topic="ticket.told",
            subject=f"ticket:{ticket_id}",
            text_key="notices.spoken",
            arguments={"number": ticket_number(ticket.ticket_id), "text": body.text},
            created_at=now,
            due_at=now,
            state=NoticeState.RECORDED,
            done_at=now,
            actor=principal.name,
        )
        uow.notices.add([spoken])
        stored = uow.notices.list(principal.tenant, subject=spoken.subject, limit=1)[0]
        uow.commit()
    return NoticeBody.of(stored, services.messages, services.settings.time_zone)


def _version(request: Request, principal: Principal, ticket_id: int) -> int:
    """Return the version to change after checking that the ticket is in sight and is the one the client saw."""
    with services_of(request).read_uow_factory() as uow:
        ticket = visible_ticket(principal, uow, ticket_id)
    check_if_match(request, ticket.version)
    return ticket.version


def _detail(request: Request, response: Response, ticket: Ticket) -> TicketDetail:
    set_etag(response, ticket.version)
    services = services_of(request)
    return TicketDetail.full(ticket, services.messages, language_of(request), services.policy)
