"""Pages of the team and of regular care: who is away and what that changed, which machines are cared for and when."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import DISPATCHERS, Principal, services_of, visible_bundle
from api.pages.common import Dispatchers, Key, Office, failure_of, renderer_of, words_of
from api.pages.forms import Form, checked, count_of
from api.pages.roster_steps import changed, clock_text, hours_in, note_absence, set_hours, take_absence_back
from api.pages.ticket_view import place_of
from api.problem import Problem
from api.roster_lists import care_in_sight, changes_in_sight, team_in_sight
from api.routes.roster import TechnicianKey, visible_absence
from api.services import ApiServices
from crm_core.domain.errors import Conflict, InvalidValue, NotFound
from crm_core.domain.identity import DeviceId
from crm_core.domain.roster import AbsenceKind

router = APIRouter(include_in_schema=False)

DeviceWord = Annotated[str, Query(max_length=64)]
_SHOWN = 500


@router.get("/team")
def team_page(request: Request, principal: Office) -> Response:
    """Show who works where, and who is away."""
    return _team(request, principal)


@router.post("/team/{technician_id}/absences")
def report_absence(
    request: Request, principal: Dispatchers, form: Form, technician_id: TechnicianKey
) -> Response:
    """Note an absence, plan the day again, and show what that changed."""
    return changed(
        request, principal, form, lambda: note_absence(request, principal, form, technician_id), _team
    )


@router.post("/team/{technician_id}/hours")
def change_hours(
    request: Request, principal: Dispatchers, form: Form, technician_id: TechnicianKey
) -> Response:
    """Set somebody's hours, plan the day again, and show what that changed."""
    return changed(
        request, principal, form, lambda: set_hours(request, principal, form, technician_id), _team
    )


@router.post("/team/absences/{absence_id}/take-back")
def take_back(request: Request, principal: Dispatchers, form: Form, absence_id: Key) -> Response:
    """Note that somebody is there after all."""
    return changed(request, principal, form, lambda: take_absence_back(request, principal, absence_id), _team)


@router.post("/team/absences/{absence_id}/decision")
def decide(request: Request, principal: Dispatchers, form: Form, absence_id: Key) -> Response:
    """Grant or refuse what a technician asked for, and plan the day again."""

    def change() -> None:
        visible_absence(request, principal, absence_id)
        services_of(request).fieldwork.roster.decide(
            principal.tenant, absence_id, granted=form.get("granted") == "yes", actor=principal.name
        )

    return changed(request, principal, form, change, _team)


@router.post("/team/plan")
def plan_again(request: Request, principal: Dispatchers, form: Form) -> Response:
    """Plan the day again and show what that changed."""
    checked(form, principal)
    return _team(request, principal, planned=True)


def _team(
    request: Request,
    principal: Principal,
    *,
    planned: bool = False,
    failure: str | None = None,
    status: int = 200,
) -> Response:
    services, words = services_of(request), words_of(request, principal)
    report = services.planner.plan(principal.tenant) if planned else None
    now = services.clock.now()
    with services.read_uow_factory() as uow:
        moved = changes_in_sight(principal, uow, report) if report else []
        team = team_in_sight(services, principal, uow)
        names = {each.technician_id: each.name for each in uow.technicians.all(principal.tenant)}
        bundles = {each.device.device_id: each for each in uow.devices.bundles(principal.tenant)}
    changes = [
        (
            change,
            place_of(bundles.get(change.device_id)),
            services.messages.unpacked(words.language, change.reason),
        )
        for change in moved
    ]
    return renderer_of(request).page(
        request,
        "team.html",
        principal=principal,
        status=status,
        failure=failure,
        team=team,
        away={row.technician.technician_id for row in team if any(each.covers(now) for each in row.absences)},
        names=names,
        report=report,
        changes=changes,
        kinds=list(AbsenceKind),
        today=now.astimezone(ZoneInfo(services.settings.time_zone)).date().isoformat(),
        may_change=principal.role in DISPATCHERS.roles,
        hours=hours_in(words),
        clock_text=clock_text,
    )


# --- regular care ---


@router.get("/regular-care")
def care_page(request: Request, principal: Office, device: DeviceWord = "") -> Response:
    """Show the plans of regular care, those that are due first."""
    return _care(request, principal, device=device)


@router.post("/regular-care")
def begin_care(request: Request, principal: Dispatchers, form: Form) -> Response:
    """Begin a plan for a device."""
    checked(form, principal)
    services = services_of(request)
    device_id = form.get("device", "").strip()
    try:
        services.fieldwork.plans.make(
            principal.tenant,
            _named_device(services, principal, device_id),
            every_pages=count_of(form["pages"], "pages") if form.get("pages", "").strip() else None,
            every_days=count_of(form["days"], "days") if form.get("days", "").strip() else None,
        )
    except (InvalidValue, Conflict) as error:
        failure, status = failure_of(request, principal, error)
        return _care(request, principal, device=device_id, failure=f"{failure} {error}", status=status)
    return RedirectResponse("/regular-care", 303)


@router.post("/regular-care/{plan_id}/switch")
def switch_care(request: Request, principal: Dispatchers, form: Form, plan_id: Key) -> Response:
    """Pause a plan or let it go on."""
    checked(form, principal)
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_bundle(principal, uow, uow.fieldwork.plans.get(principal.tenant, plan_id).device_id)
    services.fieldwork.plans.switch(principal.tenant, plan_id, active=form.get("active") == "yes")
    return RedirectResponse("/regular-care", 303)


def _named_device(services: ApiServices, principal: Principal, device_id: str) -> DeviceId:
    """Return the device that somebody typed; one out of sight is answered like one that does not exist."""
    try:
        with services.read_uow_factory() as uow:
            return visible_bundle(principal, uow, device_id).device.device_id
    except (NotFound, Problem):
        raise InvalidValue(
            f"there is no device {device_id[:64]!r}; take the id from the list of devices"
        ) from None


def _care(
    request: Request, principal: Principal, *, device: str = "", failure: str | None = None, status: int = 200
) -> Response:
    services = services_of(request)
    with services.read_uow_factory() as uow:
        rows = care_in_sight(services, principal, uow)
    return renderer_of(request).page(
        request,
        "regular_care.html",
        principal=principal,
        status=status,
        failure=failure,
        rows=rows[:_SHOWN],
        total=len(rows),
        due=sum(row.plan.active and row.used >= 1 for row in rows),
        device=device,
        policy=services.policy.fieldwork,
        may_change=principal.role in DISPATCHERS.roles,
        place_of=place_of,
    )
