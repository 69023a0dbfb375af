"""The pages: what people see in the browser. Every page declares its rule like every API operation."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import (
    DISPATCHERS,
    EVERYBODY,
    FIELD,
    LANGUAGE_COOKIE,
    OFFICE,
    SESSION_COOKIE,
    THEME_COOKIE,
    Principal,
    Public,
    authenticate,
    check_same_origin,
    services_of,
    visible_bundle,
)
from api.fleet_lists import visible_bundles
from api.language import THEMES
from api.pages.api_reference import reference_context
from api.pages.device_view import device_context
from api.pages.fleet_view import fleet_context
from api.pages.formats import Formats
from api.pages.forms import Form, checked, local_path, version_of
from api.pages.order_view import day_context, list_context, order_context
from api.pages.rendering import Renderer
from api.pages.supply_view import Words
from api.pages.ticket_view import board_context, ticket_context
from api.problem import Problem, problem_headers, problem_of
from api.schemas.fleet import DeviceRow
from api.service_lists import visible_order, visible_ticket
from api.sessions import clear_session, open_session, set_session
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import TechnicianId, TicketId, WorkOrderId
from crm_core.domain.messages import LANGUAGES
from crm_core.domain.service import Role, TicketLevel
from crm_core.servicedesk import Outcome
from crm_core.ticket_states import Move

router = APIRouter(include_in_schema=False)

_ROWS: Final = 60
_YEAR: Final = 365 * 24 * 3600
Key = Annotated[int, Path(ge=1, le=2**53)]
Anybody = Annotated[Principal, Depends(EVERYBODY)]
Office = Annotated[Principal, Depends(OFFICE)]
Dispatchers = Annotated[Principal, Depends(DISPATCHERS)]
Field = Annotated[Principal, Depends(FIELD)]


def renderer_of(request: Request) -> Renderer:
    """Return the application's renderer."""
    renderer: Renderer = request.app.state.renderer
    return renderer


def words_of(request: Request, principal: Principal) -> Words:
    """Return the language of the page."""
    services, renderer = services_of(request), renderer_of(request)
    language = renderer.language(request, principal)
    formats = Formats(language, renderer.zone, services.clock.now())
    return Words(messages=services.messages, language=language, formats=formats)


# --- the way in and out -------------------------------------------------------------------------------------------


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
    )
    if problem:
        response.headers.update(problem_headers(problem))
    return response


@router.post("/sign-out")
def sign_out(request: Request, principal: Anybody, form: Form) -> Response:
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


@router.get("/static/{name}")
def static(
    request: Request, name: str, _rule: Annotated[None, Depends(Public("style sheet, script and icons"))]
) -> Response:
    """Return a static file; the address carries its fingerprint, so it may be kept for ever."""
    found = renderer_of(request).static_file(name)
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(found.body, media_type=found.media_type, headers=headers)


# --- fleet --------------------------------------------------------------------------------------------------------


@router.get("/")
def home(request: Request, principal: Anybody) -> Response:
    """Show fleet health to the office; technicians come to their work."""
    if principal.role is Role.TECHNICIAN:
        return RedirectResponse("/work", 303)
    services, words = services_of(request), words_of(request, principal)
    overview = services.fleet_health.overview(principal.tenant, principal.regions)
    with services.read_uow_factory() as uow:
        context = fleet_context(services, overview, uow, principal, words)
    return renderer_of(request).page(request, "fleet.html", principal=principal, **context)


@router.get("/devices")
def devices_page(
    request: Request,
    principal: Anybody,
    q: Annotated[str, Query(max_length=64)] = "",
    after: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """List the devices in sight."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        found = visible_bundles(principal, uow, q=q)
    rest = [bundle for bundle in found if bundle.device.device_id > after]
    states = {state.device_id: state for state in services.store.states(principal.tenant)}
    rows = [DeviceRow.of(bundle, states.get(bundle.device.device_id)) for bundle in rest[:_ROWS]]
    following = {"q": q, "after": rows[-1].device_id} if len(rest) > _ROWS else None
    return renderer_of(request).page(
        request,
        "devices.html",
        principal=principal,
        rows=rows,
        total=len(found),
        q=q,
        next_href=f"/devices?{urlencode(following)}" if following else None,
    )


@router.get("/devices/{device_id}")
def device_page(request: Request, principal: Anybody, device_id: str) -> Response:
    """Show one device."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        bundle = visible_bundle(principal, uow, device_id)
    health = services.fleet_health.device(principal.tenant, bundle.device.device_id)
    with services.read_uow_factory() as uow:
        context = device_context(services, uow, health, words)
    return renderer_of(request).page(request, "device.html", principal=principal, **context)


# --- tickets ------------------------------------------------------------------------------------------------------


@router.get("/tickets")
def tickets_page(request: Request, principal: Anybody, level: TicketLevel | None = None) -> Response:
    """Show the board."""
    with services_of(request).read_uow_factory() as uow:
        context = board_context(uow, principal, words_of(request, principal), level)
    return renderer_of(request).page(request, "tickets.html", principal=principal, **context)


@router.get("/tickets/{ticket_id}")
def ticket_page(request: Request, principal: Anybody, ticket_id: Key) -> Response:
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
    return _move_ticket(request, principal, checked(form, principal), ticket_id, Move.ACKNOWLEDGE)


@router.post("/tickets/{ticket_id}/cancel")
def cancel(request: Request, principal: Office, form: Form, ticket_id: Key) -> Response:
    """Cancel a ticket with a reason."""
    return _move_ticket(request, principal, checked(form, principal), ticket_id, Move.CANCEL)


def _move_ticket(
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
        failure, status = _failure(request, principal, error)
        return _ticket_page(request, principal, ticket_id, failure, status)
    return RedirectResponse(f"/tickets/{ticket_id}", 303)


# --- work orders --------------------------------------------------------------------------------------------------


@router.get("/work")
def my_work(request: Request, principal: Field) -> Response:
    """Show the technician's day."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        context = day_context(services, uow, principal, words)
    return renderer_of(request).page(request, "my_work.html", principal=principal, **context)


@router.get("/work-orders")
def work_orders_page(
    request: Request,
    principal: Office,
    show: Annotated[str, Query(max_length=8)] = "",
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """List the work orders in sight."""
    services, words = services_of(request), words_of(request, principal)
    cursor = WorkOrderId(before) if before is not None else None
    with services.read_uow_factory() as uow:
        context = list_context(
            uow, principal, words, services.clock.now(), done=show == "done", before=cursor
        )
    return renderer_of(request).page(request, "work_orders.html", principal=principal, **context)


@router.get("/work-orders/{work_order_id}")
def work_order_page(request: Request, principal: Anybody, work_order_id: Key) -> Response:
    """Show one job."""
    return _order_page(request, principal, work_order_id)


def _order_page(
    request: Request, principal: Principal, work_order_id: int, failure: str | None = None, status: int = 200
) -> Response:
    """Render one job, with the reason why a change failed."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        order = visible_order(principal, uow, work_order_id)
        context = order_context(services, uow, principal, order, words)
    return renderer_of(request).page(
        request, "work_order.html", principal=principal, failure=failure, status=status, **context
    )


@router.post("/work-orders/{work_order_id}/start")
def start(request: Request, principal: Field, form: Form, work_order_id: Key) -> Response:
    """Depart to the device."""
    return _step(request, principal, checked(form, principal), work_order_id, "start")


@router.post("/work-orders/{work_order_id}/arrive")
def arrive(request: Request, principal: Field, form: Form, work_order_id: Key) -> Response:
    """Arrive at the device."""
    return _step(request, principal, checked(form, principal), work_order_id, "arrive")


@router.post("/work-orders/{work_order_id}/complete")
def complete(request: Request, principal: Field, form: Form, work_order_id: Key) -> Response:
    """End the visit."""
    return _step(request, principal, checked(form, principal), work_order_id, "complete")


@router.post("/work-orders/{work_order_id}/assign")
def assign(request: Request, principal: Dispatchers, form: Form, work_order_id: Key) -> Response:
    """Give the job to somebody else."""
    return _step(request, principal, checked(form, principal), work_order_id, "assign")


def _step(
    request: Request, principal: Principal, form: dict[str, str], work_order_id: int, step: str
) -> Response:
    """Make one step of a job and show it again; a collision is explained on the page."""
    with services_of(request).read_uow_factory() as uow:
        visible_order(principal, uow, work_order_id)
    try:
        _make_step(request, principal, form, WorkOrderId(work_order_id), step)
    except (Conflict, InvalidValue) as error:
        failure, status = _failure(request, principal, error)
        return _order_page(request, principal, work_order_id, failure, status)
    done = step == "complete" and principal.role is Role.TECHNICIAN
    return RedirectResponse("/work" if done else f"/work-orders/{work_order_id}", 303)


def _make_step(
    request: Request, principal: Principal, form: dict[str, str], key: WorkOrderId, step: str
) -> None:
    """Call the service desk or the dispatcher for one step."""
    services, tenant = services_of(request), principal.tenant
    actor, version = principal.name, version_of(form)
    match step:
        case "start":
            services.servicedesk.depart(tenant, key, actor=actor, expected_version=version)
        case "arrive":
            services.servicedesk.arrive(tenant, key, actor=actor, expected_version=version)
        case "complete":
            services.servicedesk.done(
                tenant,
                key,
                actor=actor,
                outcome=_outcome(form),
                note=form.get("note", "")[:2000],
                expected_version=version,
            )
        case _:
            services.dispatcher.reassign(
                tenant,
                key,
                TechnicianId(form.get("technician_id", "")),
                actor=actor,
                reason=form.get("reason", "")[:128],
                expected_version=version,
            )


def _outcome(form: dict[str, str]) -> Outcome:
    """Return the outcome that the form states; the usual one when the technician opened no details."""
    try:
        return Outcome(form.get("outcome", Outcome.FIXED.value))
    except ValueError:
        raise Problem("invalid_input") from None


def _failure(request: Request, principal: Principal, error: Conflict | InvalidValue) -> tuple[str, int]:
    """Return the advice and the status for a change that was refused."""
    problem = problem_of(error)
    language = renderer_of(request).language(request, principal)
    return services_of(request).messages.text(language, f"api.advice.{problem.code}"), problem.status


# --- the rest -----------------------------------------------------------------------------------------------------


@router.get("/docs")
def api_reference(
    request: Request, _rule: Annotated[None, Depends(Public("the interface is no secret"))]
) -> Response:
    """Show the reference of the HTTP API, rendered from the OpenAPI document."""
    context = reference_context(request.app.openapi())
    return renderer_of(request).page(request, "api_reference.html", principal=_visitor(request), **context)


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
        principal=_visitor(request),
        **context,
    )
    response.headers.update(problem_headers(problem))
    return response


def _visitor(request: Request) -> Principal | None:
    """Return who looks at a public page, if anybody is signed in."""
    try:
        return authenticate(request)
    except Problem:
        return None
