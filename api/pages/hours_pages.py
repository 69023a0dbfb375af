"""The technician's own page of hours: working hours, absences asked for and granted, and what a change moved."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from api.access import TECHNICIANS, Principal, services_of
from api.pages.common import Key, renderer_of, words_of
from api.pages.forms import Form
from api.pages.roster_steps import changed, clock_text, hours_in, note_absence, set_hours, take_absence_back
from api.problem import Problem
from api.roster_lists import changes_in_sight, visible_technician
from crm_core.domain.roster import AbsenceKind
from crm_core.fieldwork.roster import absences_of

router = APIRouter(include_in_schema=False)

Own = Annotated[Principal, Depends(TECHNICIANS)]


@router.get("/hours")
def hours_page(request: Request, principal: Own) -> Response:
    """Show the own hours and absences."""
    return _hours(request, principal)


@router.post("/hours")
def change_hours(request: Request, principal: Own, form: Form) -> Response:
    """Set the own hours and show what that moved."""
    return changed(
        request, principal, form, lambda: set_hours(request, principal, form, _me(principal)), _hours
    )


@router.post("/hours/absences")
def ask_absence(request: Request, principal: Own, form: Form) -> Response:
    """Report to be ill, or ask for days off."""
    return changed(
        request, principal, form, lambda: note_absence(request, principal, form, _me(principal)), _hours
    )


@router.post("/hours/absences/{absence_id}/take-back")
def take_back(request: Request, principal: Own, form: Form, absence_id: Key) -> Response:
    """Be there after all."""
    return changed(
        request, principal, form, lambda: take_absence_back(request, principal, absence_id), _hours
    )


def _me(principal: Principal) -> str:
    if principal.technician_id is None:
        raise Problem("not_found")
    return principal.technician_id


def _hours(
    request: Request,
    principal: Principal,
    *,
    planned: bool = False,
    failure: str | None = None,
    status: int = 200,
) -> Response:
    services, words = services_of(request), words_of(request, principal)
    report = services.planner.plan(principal.tenant) if planned else None
    now, dispatch = services.clock.now(), services.policy.dispatch
    with services.read_uow_factory() as uow:
        person = visible_technician(principal, uow, _me(principal))
        away = absences_of(uow, principal.tenant, now, asked=True)
        moved = changes_in_sight(principal, uow, report) if report else []
    return renderer_of(request).page(
        request,
        "hours.html",
        principal=principal,
        status=status,
        failure=failure,
        planned=planned,
        person=person,
        absences=sorted(
            (each for each in away if each.technician_id == person.technician_id),
            key=lambda each: each.starts,
        ),
        moved=[(change, services.messages.unpacked(words.language, change.reason)) for change in moved],
        kinds=list(AbsenceKind),
        at_once=services.policy.fieldwork.granted_at_once,
        today=now.astimezone(ZoneInfo(services.settings.time_zone)).date().isoformat(),
        hours=hours_in(words),
        clock_text=clock_text,
        firm=f"{clock_text(dispatch.day_starts_minutes)}–{clock_text(dispatch.day_ends_minutes)}",
    )
