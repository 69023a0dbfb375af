"""Who works when, over HTTP: technicians, absences, and planning the day again at once."""

from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from api.access import DISPATCHERS, FIELD, OFFICE_READ, STAFF, Principal, services_of
from api.direct_route import DirectRoute
from api.language import language_of
from api.problem import Problem
from api.roster_lists import changes_in_sight, own_or_visible, team_in_sight
from api.routes.tickets import IdempotencyKey
from api.schemas.base import Page
from api.schemas.roster import (
    AbsenceAnswer,
    AbsenceBody,
    AbsenceDecision,
    AbsenceInput,
    HoursAnswer,
    HoursInput,
    PlanBody,
    TechnicianBody,
)
from api.service_lists import list_orders
from crm_core.domain.identity import TechnicianId
from crm_core.domain.roster import Absence, AbsenceKind
from crm_core.domain.service import Role
from crm_core.fieldwork.roster import absences_of
from crm_core.ports import WorkOrderFilter

_ALL: Final = 100_000

router = APIRouter(tags=["field work"], route_class=DirectRoute)

TechnicianKey = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="the technician's id")
]
AbsenceKey = Annotated[int, Path(ge=1, le=2**53, description="the absence's id")]
Dispatcher = Annotated[Principal, Depends(DISPATCHERS)]
Fielder = Annotated[Principal, Depends(FIELD)]  # technicians for themselves


@router.get("/technicians", summary="Technicians")
def technicians(
    request: Request, principal: Annotated[Principal, Depends(OFFICE_READ)]
) -> Page[TechnicianBody]:
    """Return the technicians in sight with skills, regions, hours, and absences that are not over."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        team = team_in_sight(services, principal, uow)
    return Page(items=[TechnicianBody.of(each.technician, each.absences) for each in team])


@router.get("/technicians/{technician_id}", summary="One technician")
def technician(
    request: Request, principal: Annotated[Principal, Depends(STAFF)], technician_id: TechnicianKey
) -> TechnicianBody:
    """Return hours and absences, also those that wait for a dispatcher's word; technicians see themselves."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        person = own_or_visible(principal, uow, technician_id)
        away = absences_of(uow, principal.tenant, services.clock.now(), asked=True)
    return TechnicianBody.of(person, [each for each in away if each.technician_id == technician_id])


@router.post("/technicians/{technician_id}/hours", summary="Set working hours")
def set_hours(
    request: Request,
    principal: Fielder,
    technician_id: TechnicianKey,
    body: HoursInput,
    _key: IdempotencyKey = None,
) -> HoursAnswer:
    """Set somebody's hours, technicians their own, and plan the day again."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        own_or_visible(principal, uow, technician_id)
    person = services.fieldwork.roster.set_hours(
        principal.tenant, TechnicianId(technician_id), body.starts_minutes, body.ends_minutes
    )
    return HoursAnswer(technician=TechnicianBody.of(person, []), plan=_planned(request, principal))


@router.post("/technicians/{technician_id}/absences", summary="Report an absence", status_code=201)
def report_absence(
    request: Request,
    principal: Fielder,
    technician_id: TechnicianKey,
    body: AbsenceInput,
    _key: IdempotencyKey = None,
) -> AbsenceAnswer:
    """Note that somebody is away and plan the day again: the answer names each promised visit that moved, and why.

    What a technician asks for, illness apart, waits for a dispatcher's word and moves nothing before it.
    """
    services = services_of(request)
    if body.starts.tzinfo is None or body.ends.tzinfo is None:
        raise Problem("invalid_input")
    with services.read_uow_factory() as uow:
        own_or_visible(principal, uow, technician_id)
    absence = services.fieldwork.roster.note_absence(
        principal.tenant,
        TechnicianId(technician_id),
        body.starts,
        body.ends,
        kind=AbsenceKind(body.kind),
        note=body.note,
        actor=principal.name,
        asked=principal.role is Role.TECHNICIAN,
    )
    return AbsenceAnswer(absence=AbsenceBody.of(absence), plan=_planned(request, principal))


@router.post("/absences/{absence_id}/decision", summary="Grant or refuse an absence")
def decide_absence(
    request: Request,
    principal: Dispatcher,
    absence_id: AbsenceKey,
    body: AbsenceDecision,
    _key: IdempotencyKey = None,
) -> AbsenceAnswer:
    """Say yes or no to what a technician asked for, once, and plan the day again."""
    visible_absence(request, principal, absence_id)
    decided = services_of(request).fieldwork.roster.decide(
        principal.tenant, absence_id, granted=body.granted, actor=principal.name
    )
    return AbsenceAnswer(absence=AbsenceBody.of(decided), plan=_planned(request, principal))


@router.post("/absences/{absence_id}/take-back", summary="Take an absence back")
def take_back(
    request: Request, principal: Fielder, absence_id: AbsenceKey, _key: IdempotencyKey = None
) -> AbsenceAnswer:
    """Note that somebody is there after all, and plan the day again; visits that went to others stay with them."""
    visible_absence(request, principal, absence_id)
    taken = services_of(request).fieldwork.roster.take_back(principal.tenant, absence_id)
    return AbsenceAnswer(absence=AbsenceBody.of(taken), plan=_planned(request, principal))


def visible_absence(request: Request, principal: Principal, absence_id: int) -> Absence:
    """Return the absence of somebody in sight; for a technician only the own ones."""
    with services_of(request).read_uow_factory() as uow:
        absence = uow.fieldwork.absences.get(principal.tenant, absence_id)
        own_or_visible(principal, uow, absence.technician_id)
    return absence


@router.post("/plan", summary="Plan the day again")
def plan_again(request: Request, principal: Dispatcher, _key: IdempotencyKey = None) -> PlanBody:
    """Give every open visit a technician and a start where the day has room; promised ones stay."""
    return _planned(request, principal)


def _planned(request: Request, principal: Principal) -> PlanBody:
    """Plan the day again and return what changed for whom the person may see."""
    services = services_of(request)
    report = services.planner.plan(principal.tenant)
    with services.read_uow_factory() as uow:
        report = replace(report, changes=tuple(changes_in_sight(principal, uow, report)))
        seen = {order.work_order_id for order in list_orders(principal, uow, WorkOrderFilter(limit=_ALL))}
    left_out = {key: why for key, why in report.left_out.items() if key in seen}
    return PlanBody.of(replace(report, left_out=left_out), services.messages, language_of(request))
