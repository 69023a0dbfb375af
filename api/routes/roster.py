"""Who works when, over HTTP: technicians, absences, and planning the day again at once."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from api.access import DISPATCHERS, OFFICE_READ, Principal, services_of
from api.direct_route import DirectRoute
from api.language import language_of
from api.problem import Problem
from api.roster_lists import team_in_sight, visible_technician
from api.routes.tickets import IdempotencyKey
from api.schemas.base import Page
from api.schemas.roster import AbsenceAnswer, AbsenceBody, AbsenceInput, PlanBody, TechnicianBody
from crm_core.domain.identity import TechnicianId
from crm_core.domain.roster import AbsenceKind

router = APIRouter(tags=["field work"], route_class=DirectRoute)

TechnicianKey = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="the technician's id")
]
AbsenceKey = Annotated[int, Path(ge=1, le=2**53, description="the absence's id")]
Dispatcher = Annotated[Principal, Depends(DISPATCHERS)]


@router.get("/technicians", summary="Technicians")
def technicians(
    request: Request, principal: Annotated[Principal, Depends(OFFICE_READ)]
) -> Page[TechnicianBody]:
    """Return the technicians in sight with skills, regions, hours, and absences that are not over."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        team = team_in_sight(services, principal, uow)
    return Page(items=[TechnicianBody.of(each.technician, each.absences) for each in team])


@router.post("/technicians/{technician_id}/absences", summary="Report an absence", status_code=201)
def report_absence(
    request: Request,
    principal: Dispatcher,
    technician_id: TechnicianKey,
    body: AbsenceInput,
    _key: IdempotencyKey = None,
) -> AbsenceAnswer:
    """Note that somebody is away and plan the day again: the answer names each promised visit that moved, and why."""
    services = services_of(request)
    if body.starts.tzinfo is None or body.ends.tzinfo is None:
        raise Problem("invalid_input")
    with services.read_uow_factory() as uow:
        visible_technician(principal, uow, technician_id)
    absence = services.fieldwork.roster.note_absence(
        principal.tenant,
        TechnicianId(technician_id),
        body.starts,
        body.ends,
        kind=AbsenceKind(body.kind),
        note=body.note,
        actor=principal.name,
    )
    return AbsenceAnswer(absence=AbsenceBody.of(absence), plan=_planned(request, principal))


@router.post("/absences/{absence_id}/take-back", summary="Take an absence back")
def take_back(
    request: Request, principal: Dispatcher, absence_id: AbsenceKey, _key: IdempotencyKey = None
) -> AbsenceAnswer:
    """Note that somebody is there after all, and plan the day again; visits that went to others stay with them."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        absence = uow.fieldwork.absences.get(principal.tenant, absence_id)
        visible_technician(principal, uow, absence.technician_id)
    taken = services.fieldwork.roster.take_back(principal.tenant, absence_id)
    return AbsenceAnswer(absence=AbsenceBody.of(taken), plan=_planned(request, principal))


@router.post("/plan", summary="Plan the day again")
def plan_again(request: Request, principal: Dispatcher, _key: IdempotencyKey = None) -> PlanBody:
    """Give every open visit a technician and a start where the day has room; promised ones stay."""
    return _planned(request, principal)


def _planned(request: Request, principal: Principal) -> PlanBody:
    services = services_of(request)
    report = services.planner.plan(principal.tenant)
    return PlanBody.of(report, services.messages, language_of(request))
