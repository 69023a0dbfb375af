"""Pages for visits that people order or call off: installation, removal, inspection, care."""

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Principal, services_of, visible_bundle
from api.pages.common import Dispatchers, Key, failure_of, renderer_of, words_of
from api.pages.forms import Form, checked, choice_of, version_of
from api.pages.order_view import order_context
from api.pages.ticket_view import place_of
from api.problem import Problem
from api.roster_lists import team_in_sight, visible_technician
from api.service_lists import visible_order
from api.services import ApiServices
from crm_core.domain.errors import Conflict, InvalidValue, NotFound
from crm_core.domain.identity import DeviceId, TechnicianId, WorkOrderId
from crm_core.domain.service import WorkOrder, WorkOrderKind
from crm_core.fieldwork.jobs import ORDERED, Ordered

router = APIRouter(include_in_schema=False)


@router.get("/work-orders/new")
def new_visit(
    request: Request, principal: Dispatchers, device: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """Show the form that orders a visit."""
    return _form(request, principal, {"device": device})


@router.post("/work-orders/new")
def order_visit(request: Request, principal: Dispatchers, form: Form) -> Response:
    """Make the work order and show it; what was refused stands in the form again."""
    checked(form, principal)
    try:
        made = _order(services_of(request), principal, form)
    except (Conflict, InvalidValue) as error:
        failure, status = failure_of(request, principal, error)
        return _form(request, principal, form, failure=f"{failure} {error}", status=status)
    return RedirectResponse(f"/work-orders/{made.work_order_id}", 303)


@router.post("/work-orders/{work_order_id}/cancel")
def cancel_visit(request: Request, principal: Dispatchers, form: Form, work_order_id: Key) -> Response:
    """Call a visit off with its reason; its open tickets wait for a new plan."""
    checked(form, principal)
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        order = visible_order(principal, uow, work_order_id)
    try:
        services.servicedesk.cancel_order(
            principal.tenant,
            WorkOrderId(work_order_id),
            actor=principal.name,
            note=form.get("reason", "")[:128],
            expected_version=version_of(form),
        )
    except (Conflict, InvalidValue) as error:
        failure, status = failure_of(request, principal, error)
        with services.read_uow_factory() as uow:
            context = order_context(services, uow, principal, order, words)
        return renderer_of(request).page(
            request,
            "work_order.html",
            principal=principal,
            failure=f"{failure} {error}",
            status=status,
            **context,
        )
    return RedirectResponse(f"/work-orders/{work_order_id}", 303)


def _order(services: ApiServices, principal: Principal, form: dict[str, str]) -> WorkOrder:
    """Order what a form asks for; a device or person out of sight is answered like one that does not exist."""
    device, person = form.get("device", "").strip(), form.get("technician_id", "")
    try:
        with services.read_uow_factory() as uow:
            visible_bundle(principal, uow, device)
            if person:
                visible_technician(principal, uow, person)
    except (NotFound, Problem):
        raise InvalidValue(
            f"there is no device {device[:64]!r}; take the id from the list of devices"
        ) from None
    wanted = Ordered(
        device_id=DeviceId(device),
        kind=choice_of(WorkOrderKind, form.get("kind", ""), "kind"),
        start=_start(form.get("start", ""), services),
        technician_id=TechnicianId(person) if person else None,
        note=form.get("note", "")[:2000],
    )
    return services.fieldwork.jobs.order(principal.tenant, wanted, actor=principal.name)


def _start(text: str, services: ApiServices) -> datetime | None:
    """Return the instant of a local day and time such as 2026-05-31T14:30; None when nothing stands there."""
    if not text.strip():
        return None
    try:
        local = datetime.fromisoformat(text.strip()[:16])
    except ValueError:
        raise InvalidValue("start: a day and a time such as 2026-05-31 14:30") from None
    return local.replace(tzinfo=ZoneInfo(services.settings.time_zone)).astimezone(UTC)


def _form(
    request: Request,
    principal: Principal,
    sent: dict[str, str],
    *,
    failure: str | None = None,
    status: int = 200,
) -> Response:
    services = services_of(request)
    with services.read_uow_factory() as uow:
        team = team_in_sight(services, principal, uow)
        try:
            bundle = visible_bundle(principal, uow, sent.get("device", ""))
        except (NotFound, Problem):
            bundle = None
    return renderer_of(request).page(
        request,
        "new_visit.html",
        principal=principal,
        status=status,
        failure=failure,
        sent=sent,
        kinds=[kind.value for kind in ORDERED],
        technicians=[row.technician for row in team if row.technician.active],
        place=place_of(bundle) if bundle else "",
        within={kind: limit.days for kind, limit in services.policy.fieldwork.ordered_within.items()},
    )
