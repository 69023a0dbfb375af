"""The way in and out, the choices of a browser, static files, the API's reference, and problems as pages."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import (
    LANGUAGE_COOKIE,
    SESSION_COOKIE,
    THEME_COOKIE,
    Principal,
    Public,
    authenticate,
    check_same_origin,
    services_of,
)
from api.language import THEMES
from api.pages.api_reference import reference_context
from api.pages.common import Person, renderer_of
from api.pages.forms import Form, checked, local_path
from api.problem import Problem, problem_headers
from api.sessions import clear_session, open_session, set_session
from crm_core.domain.messages import LANGUAGES

router = APIRouter(include_in_schema=False)

_YEAR: Final = 365 * 24 * 3600


@router.get("/sign-in")
def sign_in_page(
    request: Request,
    _rule: Annotated[None, Depends(Public("this is how one signs in"))],
    next: Annotated[str | None, Query(max_length=500)] = None,  # noqa: A002 - the name in the address
) -> Response:
    """Show the form."""
    return _sign_in_page(request, local_path(next))


@router.post("/sign-in")
def sign_in(
    request: Request, form: Form, _rule: Annotated[None, Depends(Public("this is how one signs in"))]
) -> Response:
    """Sign in and go where one wanted to go; a failure shows the form again."""
    check_same_origin(request)
    target = local_path(form.get("next"))
    try:
        session = open_session(request, form.get("name", "")[:128], form.get("password", ""))
    except Problem as problem:
        return _sign_in_page(request, target, problem=problem, name=form.get("name", "")[:128])
    response = RedirectResponse(target, 303)
    set_session(request, response, session.token)
    return response


def _sign_in_page(
    request: Request, target: str, *, problem: Problem | None = None, name: str = ""
) -> Response:
    """Render the sign-in form, with the reason of a failure."""
    services, renderer = services_of(request), renderer_of(request)
    language = renderer.language(request, None)
    failure = services.messages.text(language, f"api.advice.{problem.code}") if problem else None
    response = renderer.page(
        request,
        "sign_in.html",
        status=problem.status if problem else 200,
        next=target,
        name=name,
        failure=failure,
        hint=services.settings.sign_in_hint,
        provider=services.settings.oidc.label if services.settings.oidc else None,
        provider_href=f"/sign-in/oidc?{urlencode({'next': target})}",
    )
    if problem:
        response.headers.update(problem_headers(problem))
    return response


@router.post("/sign-out")
def sign_out(request: Request, principal: Person, form: Form) -> Response:
    """End the session."""
    checked(form, principal)
    response = RedirectResponse("/sign-in", 303)
    clear_session(request, response, principal)
    return response


@router.post("/preferences")
def preferences(
    request: Request,
    form: Form,
    _rule: Annotated[None, Depends(Public("language and theme of this browser"))],
) -> Response:
    """Remember language or theme in this browser."""
    check_same_origin(request)
    response = RedirectResponse(local_path(form.get("back")), 303)
    secure = services_of(request).settings.secure_cookies
    for cookie, value, allowed in (
        (LANGUAGE_COOKIE, form.get("language"), LANGUAGES),
        (THEME_COOKIE, form.get("theme"), THEMES),
    ):
        if value in allowed:
            response.set_cookie(
                cookie, str(value), max_age=_YEAR, samesite="lax", httponly=True, secure=secure
            )
    return response


@router.get("/worker.js")
def worker(
    request: Request, _rule: Annotated[None, Depends(Public("the service worker, whose scope is its folder"))]
) -> Response:
    """Return the service worker; browsers ask for it anew each time."""
    found = renderer_of(request).static_file("worker.js")
    return Response(found.body, media_type=found.media_type, headers={"Cache-Control": "no-cache"})


@router.get("/static/{name}")
def static(
    request: Request, name: str, _rule: Annotated[None, Depends(Public("style sheet, script and icons"))]
) -> Response:
    """Return a static file; the address carries its fingerprint, so it may be kept for ever."""
    found = renderer_of(request).static_file(name)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if found.packed and "gzip" in request.headers.get("Accept-Encoding", ""):
        packed = headers | {"Content-Encoding": "gzip"}
        return Response(found.packed, media_type=found.media_type, headers=packed)
    return Response(found.body, media_type=found.media_type, headers=headers)


@router.get("/docs")
def api_reference(
    request: Request, _rule: Annotated[None, Depends(Public("the interface is no secret"))]
) -> Response:
    """Show the reference of the HTTP API, rendered from the OpenAPI document."""
    context = reference_context(request.app.openapi())
    return renderer_of(request).page(request, "api_reference.html", principal=visitor_of(request), **context)


def problem_page(request: Request, problem: Problem) -> Response:
    """Return a problem as a page; who is not signed in is led to the form."""
    if problem.code == "unauthenticated":
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        target = (
            f"/sign-in?{urlencode({'next': here})}" if request.method == "GET" and here != "/" else "/sign-in"
        )
        response: Response = RedirectResponse(target, 303)
        if SESSION_COOKIE in request.cookies:
            response.delete_cookie(SESSION_COOKIE, path="/")
        return response
    services, renderer = services_of(request), renderer_of(request)
    language = renderer.language(request, None)
    context: dict[str, Any] = {
        "heading": services.messages.text(language, f"api.problem.{problem.code}"),
        "advice": services.messages.text(language, f"api.advice.{problem.code}"),
        "request_id": request.scope.get("state", {}).get("request_id", ""),
    }
    response = renderer.page(
        request,
        "problem.html",
        status=problem.status,
        problem_status=problem.status,
        principal=visitor_of(request),
        **context,
    )
    response.headers.update(problem_headers(problem))
    return response


def visitor_of(request: Request) -> Principal | None:
    """Return who looks at a public page, if anybody is signed in."""
    try:
        return authenticate(request)
    except Problem:
        return None
