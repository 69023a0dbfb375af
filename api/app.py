"""Puts the HTTP side together: routes, pages, error answers and what stands around every request."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from api.fast_lane import FastLane
from api.idempotency import AnswerMemory, Idempotency
from api.manager_figures import manager_figures
from api.middleware import FRAME_HEADERS, BodyLimit, HttpMetrics, RequestFrame
from api.oidc import oidc_client
from api.openapi import describe
from api.overview_cache import LookCache, OverviewCache
from api.pages import (
    account_pages,
    calendar_pages,
    care_pages,
    charge_pages,
    contract_pages,
    desk_pages,
    entry_pages,
    exchange_pages,
    fleet_pages,
    foresight_pages,
    hours_pages,
    insight_pages,
    job_pages,
    label_pages,
    meter_pages,
    money_pages,
    move_pages,
    my_care_pages,
    my_estimate_pages,
    my_pages,
    my_question_pages,
    notice_pages,
    oidc_pages,
    policy_pages,
    quality_of_service,
    roster_pages,
    stock_pages,
    visit_pages,
    work_pages,
)
from api.pages.rendering import Renderer
from api.problem import (
    MEDIA_TYPE,
    Problem,
    api_language,
    body_of,
    field_errors,
    problem_for_status,
    problem_headers,
    problem_of,
)
from api.rate_limit import RateLimit
from api.routes import (
    accounts,
    billing,
    bulk,
    calendars,
    care,
    charges,
    contracts,
    customers,
    dead_letters,
    devices,
    events,
    exchange,
    exports,
    fieldwork,
    fleet,
    foresight,
    incidents,
    insight,
    jobs,
    meters,
    money_documents,
    notices,
    operations,
    policy,
    replays,
    requests,
    roster,
    security,
    service_reports,
    session,
    stock,
    ticket_moves,
    tickets,
    trust,
    work_orders,
)
from api.services import ApiServices
from api.sign_in_guard import SignInGuard
from crm_core.domain.errors import DrumbeatError
from crm_core.exchange.sheets import MOST_BYTES

_log = logging.getLogger("drumbeat.api")
_TEMPLATES: Final = Path(__file__).parent / "pages" / "templates"
_STATIC: Final = Path(__file__).parent / "pages" / "static"

API_PREFIX: Final = "/api/v1"

Handler = Callable[[Request, Any], Awaitable[Response]]
#: Modules under the API's prefix, and modules at the root; their order is that of the documents.
_ROUTES: Final[tuple[Any, ...]] = (
    session,
    fleet,
    foresight,
    devices,
    tickets,
    ticket_moves,
    notices,
    fieldwork,
    roster,
    work_orders,
    contracts,
    billing,
    meters,
    charges,
    money_documents,
    customers,
    care,
    insight,
    requests,
    exports,
    exchange,
    jobs,
    accounts,
    policy,
    replays,
    trust,
    calendars,
    service_reports,
    stock,
    incidents,
    dead_letters,
    security,
    bulk,
    events,
)
_PAGES: Final[tuple[Any, ...]] = (
    operations,
    calendar_pages,
    care_pages,
    hours_pages,
    insight_pages,
    my_care_pages,
    my_estimate_pages,
    desk_pages,
    entry_pages,
    oidc_pages,
    job_pages,
    label_pages,
    fleet_pages,
    foresight_pages,
    account_pages,
    charge_pages,
    contract_pages,
    exchange_pages,
    meter_pages,
    money_pages,
    move_pages,
    my_pages,
    my_question_pages,
    notice_pages,
    policy_pages,
    roster_pages,
    quality_of_service,
    stock_pages,
    visit_pages,
    work_pages,
)


def create_app(services: ApiServices) -> FastAPI:
    """Return the application over these services. It holds no state of its own but the callers' rate limits."""
    app = FastAPI(
        title="Drumbeat",
        version=services.version,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    metrics = HttpMetrics(services.metrics, services.settings.figures_folder)
    app.state.sign_in_guard = SignInGuard(
        services.uow_factory, services.clock, services.settings.sign_in, metrics.sign_in_locked
    )
    app.state.event_feeds = {}
    app.state.open_streams = set()
    app.state.oidc = oidc_client(services.settings)
    app.state.overviews = OverviewCache(services.fleet_health)
    app.state.figures = LookCache(partial(manager_figures, services))
    app.state.renderer = Renderer(services, _TEMPLATES, _STATIC)
    _include_routes(app)
    describe(app)
    _answer_errors(app)
    memory = AnswerMemory(services.uow_factory, services.clock)
    app.add_middleware(Idempotency, application=app, memory=memory, answer_problem=_answer_in(app))
    app.add_middleware(
        BodyLimit,
        max_bytes=services.settings.max_body_bytes,
        larger={
            f"{API_PREFIX}/exchange/imports/": MOST_BYTES,
            "/import": exchange_pages.MOST_FORM_BYTES,
            f"{API_PREFIX}/meter-statements": meter_pages.MOST_FORM_BYTES,
            "/meters/": meter_pages.MOST_FORM_BYTES,
            "/my/report": meter_pages.MOST_FORM_BYTES,
            f"{API_PREFIX}/attachments/": services.policy.fieldwork.photo_bytes_most + 1,
        },
        answer_problem=_answer_in(app),
    )
    app.add_middleware(RateLimit, limits=services.settings.rate_limits, answer_problem=_answer_in(app))
    app.add_middleware(GZipMiddleware, minimum_size=600, compresslevel=6)
    app.add_middleware(RequestFrame, metrics=metrics, secure=services.settings.secure_cookies)
    return app


def _include_routes(app: FastAPI) -> None:
    """Add all routes, with the fast lane in front of them."""
    lane = FastLane(API_PREFIX)
    app.router.routes.insert(0, lane)
    included = [(module.router, API_PREFIX) for module in _ROUTES]
    included += [(calendars.feeds, ""), *((module.router, "") for module in _PAGES)]
    for router, prefix in included:
        app.include_router(router, prefix=prefix)
        lane.add(app.router.routes[-1], router, prefix)


def _answer_errors(app: FastAPI) -> None:
    """Register the handlers that turn every error into a problem."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(DrumbeatError, _on_product_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_input)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_defect)


async def _on_problem(request: Request, error: Exception) -> Response:
    """Answer a problem that a route raised."""
    assert isinstance(error, Problem)
    return answer(request, error)


async def _on_product_error(request: Request, error: Exception) -> Response:
    """Answer an exception of the product."""
    assert isinstance(error, DrumbeatError)
    return answer(request, problem_of(error))


async def _on_invalid_input(request: Request, error: Exception) -> Response:
    """Answer a body, path or query that breaks its model; JSON that cannot be read is a bad request."""
    assert isinstance(error, RequestValidationError)
    rows = error.errors()
    code = "bad_request" if any(row.get("type") == "json_invalid" for row in rows) else "invalid_input"
    return answer(request, Problem(code, errors=field_errors(rows)))


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Answer what the framework refused by itself."""
    assert isinstance(error, HTTPException)
    problem = problem_for_status(error.status_code)
    problem.headers.update(error.headers or {})
    return answer(request, problem)


async def _on_defect(request: Request, error: Exception) -> Response:
    """Answer a defect of ours: the request id leads to the log entry, nothing else leaves the house."""
    _log.error("defect while answering", exc_info=error, extra={"request_id": request_id_of(request.scope)})
    response = answer(request, Problem("internal"))
    response.headers.update(FRAME_HEADERS)  # this answer is made outside the frame
    response.headers["X-Request-Id"] = request_id_of(request.scope)
    return response


def answer(request: Request, problem: Problem) -> Response:
    """Return the problem as JSON for the API and as a page for a browser."""
    if not request.url.path.startswith("/api/") and "text/html" in request.headers.get("Accept", ""):
        return entry_pages.problem_page(request, problem)
    services: ApiServices = request.app.state.services
    body = body_of(
        problem,
        services.messages,
        api_language(request.headers.get("Accept-Language")),
        request.url.path,
        request_id_of(request.scope),
    )
    headers = problem_headers(problem) | {"Vary": "Accept-Language"}
    return JSONResponse(body, problem.status, headers=headers, media_type=MEDIA_TYPE)


def _answer_in(app: FastAPI) -> Callable[[Scope, Problem], Response]:
    """Return `answer` for middleware, which has a scope but no request."""

    def answer_scope(scope: Scope, problem: Problem) -> Response:
        scope.setdefault("app", app)
        return answer(Request(scope), problem)

    return answer_scope


def request_id_of(scope: Scope) -> str:
    """Return the id that the frame gave this request."""
    return str(scope.get("state", {}).get("request_id", ""))
