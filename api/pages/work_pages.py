"""The pages of work orders: the technician's day, the office's list, one job and its steps."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Principal, services_of
from api.pages.common import (
    Dispatchers,
    Field,
    FieldJob,
    Job,
    Key,
    Office,
    failure_of,
    renderer_of,
    words_of,
)
from api.pages.forms import Form, checked, version_of
from api.pages.order_view import day_context, list_context, order_context
from api.problem import Problem
from api.service_lists import visible_order
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import TechnicianId, WorkOrderId
from crm_core.domain.service import Role
from crm_core.servicedesk import Outcome

router = APIRouter(include_in_schema=False)


@router.get("/work")
def my_work(request: Request, principal: Field) -> Response:
    """Show the technician's day."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        context = day_context(services, uow, principal, words)
    return renderer_of(request).page(request, "my_work.html", principal=principal, **context)


@router.get("/work-orders")
def work_orders_page(
    request: Request,
    principal: Office,
    show: Annotated[str, Query(max_length=8)] = "",
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """List the work orders in sight."""
    services, words = services_of(request), words_of(request, principal)
    cursor = WorkOrderId(before) if before is not None else None
    with services.read_uow_factory() as uow:
        context = list_context(
            uow, principal, words, services.clock.now(), done=show == "done", before=cursor
        )
    return renderer_of(request).page(request, "work_orders.html", principal=principal, **context)


@router.get("/work-orders/{work_order_id}")
def work_order_page(request: Request, principal: Job, work_order_id: Key) -> Response:
    """Show one job."""
    return _order_page(request, principal, work_order_id)


def _order_page(
    request: Request, principal: Principal, work_order_id: int, failure: str | None = None, status: int = 200
) -> Response:
    """Render one job, with the reason why a change failed."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        order = visible_order(principal, uow, work_order_id)
        context = order_context(services, uow, principal, order, words)
    return renderer_of(request).page(
        request, "work_order.html", principal=principal, failure=failure, status=status, **context
    )


@router.post("/work-orders/{work_order_id}/start")
def start(request: Request, principal: FieldJob, form: Form, work_order_id: Key) -> Response:
    """Depart to the device."""
    return _step(request, principal, checked(form, principal), work_order_id, "start")


@router.post("/work-orders/{work_order_id}/arrive")
def arrive(request: Request, principal: FieldJob, form: Form, work_order_id: Key) -> Response:
    """Arrive at the device."""
    return _step(request, principal, checked(form, principal), work_order_id, "arrive")


@router.post("/work-orders/{work_order_id}/complete")
def complete(request: Request, principal: FieldJob, form: Form, work_order_id: Key) -> Response:
    """End the visit."""
    return _step(request, principal, checked(form, principal), work_order_id, "complete")


@router.post("/work-orders/{work_order_id}/assign")
def assign(request: Request, principal: Dispatchers, form: Form, work_order_id: Key) -> Response:
    """Give the job to somebody else."""
    return _step(request, principal, checked(form, principal), work_order_id, "assign")


def _step(
    request: Request, principal: Principal, form: dict[str, str], work_order_id: int, step: str
) -> Response:
    """Make one step of a job and show it again; a collision is explained on the page."""
    with services_of(request).read_uow_factory() as uow:
        visible_order(principal, uow, work_order_id)
    try:
        _make_step(request, principal, form, WorkOrderId(work_order_id), step)
    except (Conflict, InvalidValue) as error:
        failure, status = failure_of(request, principal, error)
        return _order_page(request, principal, work_order_id, failure, status)
    done = step == "complete" and principal.role is Role.TECHNICIAN and principal.only_order is None
    return RedirectResponse("/work" if done else f"/work-orders/{work_order_id}", 303)


def _make_step(
    request: Request, principal: Principal, form: dict[str, str], key: WorkOrderId, step: str
) -> None:
    """Call the service desk or the dispatcher for one step."""
    services, tenant = services_of(request), principal.tenant
    actor, version = principal.name, version_of(form)
    match step:
        case "start":
            services.servicedesk.depart(tenant, key, actor=actor, expected_version=version)
        case "arrive":
            services.servicedesk.arrive(tenant, key, actor=actor, expected_version=version)
        case "complete":
            services.servicedesk.done(
                tenant,
                key,
                actor=actor,
                outcome=_outcome(form),
                note=form.get("note", "")[:2000],
                expected_version=version,
            )
        case _:
            services.dispatcher.reassign(
                tenant,
                key,
                TechnicianId(form.get("technician_id", "")),
                actor=actor,
                reason=form.get("reason", "")[:128],
                expected_version=version,
            )


def _outcome(form: dict[str, str]) -> Outcome:
    """Return the outcome that the form states; the usual one when the technician opened no details."""
    try:
        return Outcome(form.get("outcome", Outcome.FIXED.value))
    except ValueError:
        raise Problem("invalid_input") from None
