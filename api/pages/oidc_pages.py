"""Signing in with an identity provider: the way there and the way back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Public, services_of
from api.oidc import STATE_COOKIE, STATE_SECONDS, OidcClient
from api.pages.forms import local_path
from api.problem import Problem
from api.sessions import new_session, set_session
from crm_core.domain.service import Role

router = APIRouter(include_in_schema=False)

_PATH = "/sign-in"


@router.get("/sign-in/oidc")
def depart(
    request: Request,
    _rule: Annotated[None, Depends(Public("this is how one signs in"))],
    next: Annotated[str | None, Query(max_length=500)] = None,  # noqa: A002 - the name in the address
) -> Response:
    """Send the browser to the identity provider."""
    departure = _client(request).depart(local_path(next))
    response = RedirectResponse(departure.url, 303)
    response.set_cookie(
        STATE_COOKIE,
        departure.sealed,
        max_age=STATE_SECONDS,
        path=_PATH,
        httponly=True,
        samesite="lax",
        secure=services_of(request).settings.secure_cookies,
    )
    return response


@router.get("/sign-in/oidc/back")
def arrive(
    request: Request,
    _rule: Annotated[None, Depends(Public("the identity provider sends people here"))],
    state: Annotated[str, Query(max_length=500)] = "",
    code: Annotated[str, Query(max_length=2000)] = "",
) -> Response:
    """Open a session for the account that the provider vouches for; it must exist here and be active."""
    client = _client(request)
    sealed = request.cookies.get(STATE_COOKIE, "")
    if not (sealed and state and code):
        raise Problem("wrong_credentials")
    name, target = client.arrive(sealed, state, code)
    services = services_of(request)
    with services.read_uow_factory() as uow:
        user = uow.users.find_by_name(services.settings.tenant, name)
    if user is None or not user.active or user.role is Role.INTEGRATOR:
        raise Problem("wrong_credentials")
    session = new_session(request, user)
    response = RedirectResponse(local_path(target), 303)
    set_session(request, response, session.token)
    response.delete_cookie(STATE_COOKIE, path=_PATH)
    return response


def _client(request: Request) -> OidcClient:
    """Return the client of the provider; without one these addresses do not exist."""
    client: OidcClient | None = request.app.state.oidc
    if client is None:
        raise Problem("not_found")
    return client
