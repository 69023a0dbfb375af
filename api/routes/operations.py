"""For operators: is it alive, can it serve, and what do the figures say."""

from typing import Annotated

from fastapi import APIRouter, Depends
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.access import Public, services_of
from api.direct_route import DirectRoute
from api.installation import broken_parts
from api.schemas.base import Output

router = APIRouter(tags=["operations"], route_class=DirectRoute)


class Health(Output):
    """The process answers."""

    status: str
    version: str


class Readiness(Output):
    """Whether each part can serve; the value is 'ok' or says what is wrong.

    `notes` say what does not keep the process from serving: the MQTT protocol in use, agents that are off-line, the disk.
    """

    status: str
    parts: dict[str, str]
    notes: dict[str, str]


@router.get("/healthz", summary="Is the process alive")
def healthz(request: Request, _rule: Annotated[None, Depends(Public("probes have no token"))]) -> Health:
    """Answer 200 as long as the process serves requests; asks no other part."""
    return Health(status="ok", version=services_of(request).version)


@router.get(
    "/readyz",
    summary="Can the parts behind it serve",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "at least one part cannot serve now"}},
)
def readyz(request: Request, _rule: Annotated[None, Depends(Public("probes have no token"))]) -> Response:
    """Ask every part that this process needs; 503 when one cannot serve."""
    broken = broken_parts(services_of(request))
    parts = {name: broken.get(name, "ok") for name in services_of(request).readiness}
    notes = dict(services_of(request).notes())
    body = Readiness(status="not ready" if broken else "ok", parts=parts, notes=notes)
    return JSONResponse(body.model_dump(), 503 if broken else 200)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "text format"}
    },
)
def metrics(
    request: Request, _rule: Annotated[None, Depends(Public("figures name no person or device"))]
) -> Response:
    """Return all metrics in Prometheus' text format; those of HTTP are sums over all workers."""
    return Response(generate_latest(services_of(request).metrics), media_type=CONTENT_TYPE_LATEST)
