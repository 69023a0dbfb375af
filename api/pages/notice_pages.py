"""Pages about messages: the outbox with what is dead, and what people do with a ticket beside taking it up."""

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Principal, services_of
from api.pages.common import Key, Office, Person, Supervisors, renderer_of, words_of
from api.pages.fleet_pages import move_ticket
from api.pages.forms import Form, checked
from api.pages.receivers import receiver_names
from api.pages.ticket_view import BY_HAND
from api.problem import Problem
from api.routes.notices import is_in_sight
from api.schemas.notices import NoticeBody
from crm_core.domain.notices import NoticeState, ReceiverKind
from crm_core.domain.service import Role
from crm_core.notices.delivery import send_again
from crm_core.ticket_states import Move

router = APIRouter(include_in_schema=False)

_ROWS: Final = 100


@router.get("/notices")
def notices_page(
    request: Request, principal: Office, state: Annotated[NoticeState | None, Query()] = None
) -> Response:
    """Show what waits, what was sent, and what is dead."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        depth = uow.notices.depth(principal.tenant)
        found = uow.notices.list(principal.tenant, states=() if state is None else (state,), limit=_ROWS)
        shown = [each for each in found if is_in_sight(principal, uow, each)]
        rows = [NoticeBody.of(each, words.messages, services.settings.time_zone) for each in shown]
        names = receiver_names(uow, principal.tenant, rows)
    context: dict[str, Any] = {
        "rows": rows,
        "receivers": names,
        "depth": depth,
        "chosen": state,
        "states": list(NoticeState),
    }
    return renderer_of(request).page(request, "notices.html", principal=principal, **context)


@router.get("/messages")
def own_messages(request: Request, principal: Person) -> Response:
    """Show what was told to the reader: what no channel could send stands here and nowhere else."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        found = [
            notice
            for receiver in _receivers_of(principal)
            for notice in uow.notices.list(principal.tenant, receiver=receiver, limit=_ROWS)
        ]
    newest = sorted(found, key=lambda each: (each.created_at, each.notice_id), reverse=True)[:_ROWS]
    rows = [
        NoticeBody.of(
            replace(each, language=words.language),
            words.messages,
            services.settings.time_zone,
            inside=principal.role is not Role.CUSTOMER,
        )
        for each in newest
    ]
    return renderer_of(request).page(request, "own_messages.html", principal=principal, rows=rows)


def _receivers_of(principal: Principal) -> list[tuple[ReceiverKind, str]]:
    """Return under which names a person is told of things: the account, the technician, the customer."""
    names = (
        (ReceiverKind.USER, principal.user_id),
        (ReceiverKind.TECHNICIAN, principal.technician_id),
        (ReceiverKind.CUSTOMER, principal.bound_to),
    )
    return [(kind, str(name)) for kind, name in names if name]


@router.post("/notices/{notice_id}/resend")
def resend(request: Request, principal: Supervisors, form: Form, notice_id: Key) -> Response:
    """Put a dead message back into the outbox."""
    checked(form, principal)
    services = services_of(request)
    with services.read_uow_factory() as uow:
        if not is_in_sight(principal, uow, uow.notices.get(principal.tenant, notice_id)):
            raise Problem("not_found")
    send_again(services.uow_factory, principal.tenant, notice_id, services.clock.now())
    return RedirectResponse("/notices", 303)


@router.post("/tickets/{ticket_id}/move")
def move(request: Request, principal: Office, form: Form, ticket_id: Key) -> Response:
    """Make the chosen move of a ticket."""
    fields = checked(form, principal)
    chosen = fields.get("move", "")
    if chosen not in BY_HAND:
        raise Problem("invalid_input")
    return move_ticket(request, principal, fields, ticket_id, Move(chosen))
