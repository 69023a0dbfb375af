"""What administrators watch: alarms about failed sign-ins, accounts to unlock, and the tokens that are about."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from api.access import ADMINS, Principal, services_of
from api.direct_route import DirectRoute
from api.paging import Cursor, Limit, decode_number, encode_cursor
from api.schemas.base import Page
from api.schemas.office import AlarmBody, TokenRow
from api.sessions import guard_of

router = APIRouter(tags=["accounts"], route_class=DirectRoute)

UserKey = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


@router.get("/tokens", summary="Tokens of machines")
def tokens(request: Request, principal: Annotated[Principal, Depends(ADMINS)]) -> Page[TokenRow]:
    """Return all tokens of machines, oldest first; none of them can be read again."""
    services = services_of(request)
    now = services.clock.now()
    with services.read_uow_factory() as uow:
        rows = uow.users.tokens(principal.tenant, "api")
        names = {user.user_id: user.name for user in uow.users.all(principal.tenant)}
    return Page(
        items=[
            TokenRow.of(each, names.get(each.user_id, ""), expired=each.expires_at <= now) for each in rows
        ]
    )


@router.get("/security/alarms", summary="Alarms about sign-ins")
def alarms(
    request: Request,
    principal: Annotated[Principal, Depends(ADMINS)],
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[AlarmBody]:
    """Return accounts and addresses that were locked after repeated failures, newest first."""
    with services_of(request).read_uow_factory() as uow:
        rows = uow.accounts.alarms(principal.tenant, decode_number(cursor), limit + 1)
    following = encode_cursor(str(rows[limit - 1].alarm_id)) if len(rows) > limit else None
    return Page(items=[AlarmBody.of(each) for each in rows[:limit]], next_cursor=following)


@router.post("/users/{user_id}/unlock", summary="Unlock an account", status_code=204)
def unlock(request: Request, principal: Annotated[Principal, Depends(ADMINS)], user_id: UserKey) -> Response:
    """Let a person sign in at once although the account was locked after repeated failures."""
    with services_of(request).read_uow_factory() as uow:
        user = uow.users.get(principal.tenant, user_id)
    guard_of(request).unlock(principal.tenant, user.name)
    return Response(status_code=204)
