"""The desk's pages beside tickets and orders: incidents, and the plan of the day."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import services_of
from api.pages import incident_view, plan_view
from api.pages.common import Key, Office, renderer_of, words_of
from api.problem import Problem

router = APIRouter(include_in_schema=False)

_SOUGHT = 1000


@router.get("/incidents")
def incidents_page(request: Request, principal: Office) -> Response:
    """List incidents, those that run first."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        context = incident_view.list_context(services, uow, principal, words)
    return renderer_of(request).page(request, "incidents.html", principal=principal, **context)


@router.get("/incidents/{incident_id}")
def incident_page(request: Request, principal: Office, incident_id: Key) -> Response:
    """Show one incident with its devices."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        bundles = {bundle.device.device_id: bundle for bundle in uow.devices.bundles(principal.tenant)}
        found = (
            each for each in uow.incidents.all(principal.tenant, _SOUGHT) if each.incident_id == incident_id
        )
        incident = next(found, None)
        if incident is None or not incident_view.in_sight(principal, incident, bundles):
            raise Problem("not_found")
        context = incident_view.incident_context(services, uow, incident, words)
    return renderer_of(request).page(request, "incident.html", principal=principal, **context)


@router.get("/plan")
def plan_page(request: Request, principal: Office, day: Annotated[date | None, Query()] = None) -> Response:
    """Show who is where and when on a day."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        context = plan_view.plan_context(services, uow, principal, words, day)
    return renderer_of(request).page(request, "plan.html", principal=principal, **context)
