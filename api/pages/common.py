"""What the modules of pages share: who may enter, the renderer, the language, and how a refusal is worded."""

from typing import Annotated

from fastapi import Depends, Path
from starlette.requests import Request

from api.access import (
    CUSTOMERS,
    DISPATCHERS,
    FIELD,
    FIELD_JOB,
    JOB,
    OFFICE,
    PEOPLE,
    STAFF,
    SUPERVISORS,
    Principal,
    services_of,
)
from api.pages.formats import Formats
from api.pages.rendering import Renderer
from api.pages.supply_view import Words
from api.problem import problem_of
from crm_core.domain.errors import DrumbeatError

Key = Annotated[int, Path(ge=1, le=2**53)]
Person = Annotated[Principal, Depends(PEOPLE)]  # every role that signs in: only for pages about oneself
Staff = Annotated[Principal, Depends(STAFF)]
Customer = Annotated[Principal, Depends(CUSTOMERS)]
Office = Annotated[Principal, Depends(OFFICE)]
Supervisors = Annotated[Principal, Depends(SUPERVISORS)]
Dispatchers = Annotated[Principal, Depends(DISPATCHERS)]
Field = Annotated[Principal, Depends(FIELD)]
Job = Annotated[Principal, Depends(JOB)]  # staff, and who came by the QR code of this job
FieldJob = Annotated[Principal, Depends(FIELD_JOB)]


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


def failure_of(request: Request, principal: Principal, error: DrumbeatError) -> tuple[str, int]:
    """Return the advice and the status for a change that was refused."""
    problem = problem_of(error)
    language = renderer_of(request).language(request, principal)
    return services_of(request).messages.text(language, f"api.advice.{problem.code}"), problem.status
