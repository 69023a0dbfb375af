"""Signing in and out over the API, and who am I."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.access import PEOPLE, SIGNED_IN, Principal, Public, check_same_origin
from api.direct_route import DirectRoute
from api.schemas.base import Input, Output, ProblemBody, ShortText
from api.sessions import clear_session, open_session, set_session

router = APIRouter(tags=["session"], route_class=DirectRoute)


class SignInInput(Input):
    """Name and password of a person."""

    name: ShortText
    password: Annotated[str, Field(min_length=1, max_length=128)]


class Me(Output):
    """Who is signed in, what they may do, and the token that changes by cookie must send as X-CSRF-Token."""

    user_id: str
    name: str
    role: str
    regions: list[str]
    technician_id: str | None
    language: str
    csrf_token: str | None
    customer_id: str | None

    @classmethod
    def of(cls, principal: Principal) -> "Me":
        return cls(
            user_id=principal.user_id,
            name=principal.name,
            role=principal.role.value,
            regions=list(principal.regions),
            technician_id=principal.technician_id,
            language=principal.language,
            csrf_token=principal.csrf if principal.by_cookie else None,
            customer_id=principal.customer_id,
        )


@router.post(
    "/sign-in",
    summary="Sign in with name and password",
    responses={401: {"model": ProblemBody}, 429: {"model": ProblemBody}},
)
def sign_in(
    request: Request,
    body: SignInInput,
    response: Response,
    _rule: Annotated[None, Depends(Public("this is how one signs in"))],
) -> Me:
    """Open a session and set its cookie. Repeated failures of an account or address are refused for a while."""
    check_same_origin(request)
    session = open_session(request, body.name, body.password)
    set_session(request, response, session.token)
    return Me.of(session.principal)


@router.post("/sign-out", summary="Sign out", status_code=204)
def sign_out(request: Request, principal: Annotated[Principal, Depends(PEOPLE)]) -> Response:
    """End the session or revoke the token of this request; it is refused from the next request on."""
    response = Response(status_code=204)
    clear_session(request, response, principal)
    return response


@router.get("/me", summary="Who am I")
def me(principal: Annotated[Principal, Depends(SIGNED_IN)]) -> Me:
    """Return the signed-in person."""
    return Me.of(principal)
