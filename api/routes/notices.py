"""The outbox of notices, how people want to be told, and the subscriptions of programs."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from api.access import ADMINS, CARE, OFFICE, SUPERVISORS, Principal, check_sees_customer, services_of
from api.direct_route import DirectRoute
from api.paging import Cursor, Limit, decode_number, encode_cursor
from api.problem import Problem
from api.routes.tickets import IdempotencyKey
from api.schemas.base import Page
from api.schemas.notices import (
    NoticeBody,
    ReceiverBody,
    ReceiverInput,
    Replayed,
    ReplayInput,
    WebhookBody,
    WebhookInput,
)
from api.service_lists import visible_order, visible_ticket
from crm_core.domain.errors import NotFound
from crm_core.domain.notices import Channel, Notice, NoticeState, Receiver, ReceiverKind, Webhook
from crm_core.domain.opaque import new_secret
from crm_core.notices.addressing import Addressing
from crm_core.notices.delivery import send_again
from crm_core.notify.webhooks import checked_url
from crm_core.ports import UnitOfWork

router = APIRouter(tags=["notices"], route_class=DirectRoute)

NoticeKey = Annotated[int, Path(ge=1, le=2**53, description="the notice's number")]
WebhookKey = Annotated[int, Path(ge=1, le=2**53, description="the subscription's number")]
ReceiverKey = Annotated[str, Path(max_length=64, description="id of the customer, technician or user")]
_REPLAYED_AT_ONCE = 10_000


@router.get("/notices", summary="Messages to people and programs")
def notices(
    request: Request,
    principal: Annotated[Principal, Depends(OFFICE)],
    cursor: Cursor = None,
    limit: Limit = 50,
    state: Annotated[NoticeState | None, Query(description="only these, such as `dead`")] = None,
    channel: Channel | None = None,
) -> Page[NoticeBody]:
    """Return the outbox, newest first, as far as its subjects are in sight."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        found = uow.notices.list(
            principal.tenant,
            states=() if state is None else (state,),
            channel=channel,
            before=decode_number(cursor),
            limit=limit + 1,
        )
        shown = [each for each in found[:limit] if is_in_sight(principal, uow, each)]
    zone = services.settings.time_zone
    return Page(
        items=[NoticeBody.of(each, services.messages, zone) for each in shown],
        next_cursor=encode_cursor(str(found[limit - 1].notice_id)) if len(found) > limit else None,
    )


@router.post("/notices/{notice_id}/resend", summary="Send a message again")
def resend(
    request: Request,
    principal: Annotated[Principal, Depends(SUPERVISORS)],
    notice_id: NoticeKey,
    _key: IdempotencyKey = None,
) -> NoticeBody:
    """Put a dead or sent message back into the outbox; 409 while it waits, or when it was never to be sent."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        if not is_in_sight(principal, uow, uow.notices.get(principal.tenant, notice_id)):
            raise Problem("not_found")
    again = send_again(services.uow_factory, principal.tenant, notice_id, services.clock.now())
    return NoticeBody.of(again, services.messages, services.settings.time_zone)


@router.get("/receivers/{kind}/{receiver_id}", summary="How somebody is told")
def receiver(
    request: Request,
    principal: Annotated[Principal, Depends(CARE)],
    kind: ReceiverKind,
    receiver_id: ReceiverKey,
) -> ReceiverBody:
    """Return addresses, language and quiet hours: the own wishes, or what the files know."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        _check_receiver(principal, uow, kind, receiver_id)
        addressing = Addressing(services.policy, (), services.settings.time_zone)
        own = uow.notices.receiver(principal.tenant, kind, receiver_id) is not None
        found = addressing.receiver(uow, principal.tenant, kind, receiver_id)
    return ReceiverBody.of(found, own=own)


@router.put("/receivers/{kind}/{receiver_id}", summary="Say how somebody is told")
def save_receiver(
    request: Request,
    principal: Annotated[Principal, Depends(CARE)],
    kind: ReceiverKind,
    receiver_id: ReceiverKey,
    body: ReceiverInput,
) -> ReceiverBody:
    """Replace addresses (in order of preference), language, quiet hours and muted topics."""
    services = services_of(request)
    with services.uow_factory() as uow:
        _check_receiver(principal, uow, kind, receiver_id)
        wishes = Receiver(
            tenant=principal.tenant,
            kind=kind,
            receiver_id=receiver_id,
            addresses=tuple((Channel(each.channel), each.address) for each in body.addresses),
            language=body.language,
            time_zone=services.settings.time_zone,
            quiet_from=body.quiet_from,
            quiet_to=body.quiet_to,
            muted=tuple(body.muted),
        )
        uow.notices.save_receiver(wishes)
        uow.commit()
    return ReceiverBody.of(wishes, own=True)


@router.get("/webhooks", summary="Subscriptions of programs")
def webhooks(request: Request, principal: Annotated[Principal, Depends(ADMINS)]) -> list[WebhookBody]:
    """Return all subscriptions, those that are switched off too."""
    with services_of(request).read_uow_factory() as uow:
        return [WebhookBody.of(hook) for hook in uow.notices.webhooks(principal.tenant)]


@router.post("/webhooks", summary="Subscribe a program", status_code=201)
def subscribe(
    request: Request,
    principal: Annotated[Principal, Depends(ADMINS)],
    body: WebhookInput,
    _key: IdempotencyKey = None,
) -> WebhookBody:
    """Make a subscription and answer its secret: it is never shown again."""
    services = services_of(request)
    checked_url(body.url, private_allowed=services.settings.private_webhooks)
    secret = new_secret()
    hook = Webhook(
        tenant=principal.tenant,
        url=body.url,
        secret=services.hook_secrets.sealed(principal.tenant, body.url, secret),
        events=tuple(body.events),
        created_at=services.clock.now(),
        created_by=principal.name,
        note=body.note,
    )
    with services.uow_factory() as uow:
        saved = uow.notices.save_webhook(hook)
        uow.commit()
    return WebhookBody.of(saved, secret=secret)


@router.delete("/webhooks/{webhook_id}", summary="Switch a subscription off")
def unsubscribe(
    request: Request, principal: Annotated[Principal, Depends(ADMINS)], webhook_id: WebhookKey
) -> WebhookBody:
    """Switch a subscription off; what still waits for it becomes dead."""
    with services_of(request).uow_factory() as uow:
        hook = replace(_hook(uow, principal, webhook_id), active=False)
        uow.notices.save_webhook(hook)
        uow.commit()
    return WebhookBody.of(hook)


@router.post("/webhooks/{webhook_id}/replay", summary="Send events again")
def replay(
    request: Request,
    principal: Annotated[Principal, Depends(ADMINS)],
    webhook_id: WebhookKey,
    body: ReplayInput,
    _key: IdempotencyKey = None,
) -> Replayed:
    """Send the subscription's events since an instant again, in their order and with their ids."""
    services, since = services_of(request), _instant(body.since)
    now, again = services.clock.now(), 0
    with services.uow_factory() as uow:
        hook = _hook(uow, principal, webhook_id)
        told = uow.notices.list(
            principal.tenant,
            states=(NoticeState.SENT, NoticeState.DEAD),
            receiver=(ReceiverKind.PROGRAM, str(hook.webhook_id)),
            limit=_REPLAYED_AT_ONCE,
        )
        for notice in told:
            if notice.created_at >= since:
                uow.notices.save(
                    replace(notice, state=NoticeState.WAITING, attempts=0, due_at=now, done_at=None)
                )
                again += 1
        uow.commit()
    return Replayed(events=again)


def _hook(uow: UnitOfWork, principal: Principal, webhook_id: int) -> Webhook:
    for hook in uow.notices.webhooks(principal.tenant):
        if hook.webhook_id == webhook_id:
            return hook
    raise Problem("not_found")


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Problem("invalid_input", "since must be an instant with zone, such as 2026-03-02T01:00:00Z")
    return found


def _check_receiver(principal: Principal, uow: UnitOfWork, kind: ReceiverKind, receiver_id: str) -> None:
    """Raise `not_found` unless the receiver exists and is in sight."""
    if kind is ReceiverKind.CUSTOMER:
        check_sees_customer(principal, uow, receiver_id)
    elif kind is ReceiverKind.TECHNICIAN:
        uow.technicians.get(principal.tenant, receiver_id)
    elif kind is ReceiverKind.USER:
        uow.users.get(principal.tenant, receiver_id)
    else:
        raise Problem("not_found")


def is_in_sight(principal: Principal, uow: UnitOfWork, notice: Notice) -> bool:
    """Return True if the notice's subject is in the sight of the account."""
    if not principal.regions:
        return True
    kind, _, number = notice.subject.partition(":")
    try:
        if kind == "ticket":
            visible_ticket(principal, uow, int(number))
        elif kind == "work_order":
            visible_order(principal, uow, int(number))
        else:
            return False
    except (NotFound, Problem):
        return False
    return True
