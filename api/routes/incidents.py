"""Incidents: what many devices have in common when they fail together."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from api.access import OFFICE_READ, Principal, services_of
from api.direct_route import DirectRoute
from api.fleet_lists import devices_in_sight
from api.paging import Cursor, Limit, decode_number, encode_cursor
from api.problem import Problem
from api.schemas.base import Page
from api.schemas.office import IncidentBody
from crm_core.domain.service import Incident
from crm_core.ports import DeviceFilter, UnitOfWork

router = APIRouter(tags=["incidents"], route_class=DirectRoute)

_MOST: Final = 2000  # incidents are rare: a few a month


@router.get("/incidents", summary="Incidents")
def incidents(
    request: Request,
    principal: Annotated[Principal, Depends(OFFICE_READ)],
    cursor: Cursor = None,
    limit: Limit = 50,
    state: Annotated[str, Query(pattern=r"^(open|all)$")] = "open",
) -> Page[IncidentBody]:
    """Return the incidents with devices in sight, newest first; `open` are those that are not over."""
    before = decode_number(cursor)
    with services_of(request).read_uow_factory() as uow:
        rows = [
            each
            for each in uow.incidents.all(principal.tenant, _MOST)
            if (before is None or each.incident_id < before)
            and (state == "all" or each.settled_at is None)
            and _in_sight(principal, uow, each)
        ]
    return Page(
        items=[IncidentBody.of(each) for each in rows[:limit]],
        next_cursor=encode_cursor(str(rows[limit - 1].incident_id)) if len(rows) > limit else None,
    )


@router.get("/incidents/{incident_id}", summary="One incident")
def one_incident(
    request: Request,
    principal: Annotated[Principal, Depends(OFFICE_READ)],
    incident_id: Annotated[int, Path(ge=1, le=2**53)],
) -> IncidentBody:
    """Return an incident with its devices and how many tickets it held back."""
    with services_of(request).read_uow_factory() as uow:
        for each in uow.incidents.all(principal.tenant, _MOST):
            if each.incident_id == incident_id and _in_sight(principal, uow, each):
                return IncidentBody.of(each)
    raise Problem("not_found")


def _in_sight(principal: Principal, uow: UnitOfWork, incident: Incident) -> bool:
    """Return True if any device of the incident is in sight."""
    if principal.sees_region(None):
        return True
    which = DeviceFilter(device_ids=frozenset(incident.device_ids), limit=1)
    return bool(devices_in_sight(principal, uow, which))
