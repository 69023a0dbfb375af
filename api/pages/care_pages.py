"""Pages of customers' care: one customer with everything known, tasks, complaints, segments, outcomes, survey links."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import CARE, MANAGERS, OFFICE, Principal, Public, services_of
from api.pages import care_view
from api.pages.common import Key, failure_of, renderer_of, words_of
from api.pages.forms import Form, checked, version_of
from api.problem import Problem
from api.routes.care import tasks_in_sight, visible_complaint
from api.routes.customers import customers_in_sight, visible_customer
from crm_core.domain.customer_files import Channel
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import CustomerId
from crm_core.relations.care import Spoken

router = APIRouter(include_in_schema=False)

OfficePerson = Annotated[Principal, Depends(OFFICE)]
Carer = Annotated[Principal, Depends(CARE)]
Manager = Annotated[Principal, Depends(MANAGERS)]
CustomerKey = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Token = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{8,100}$")]
MonthWord = Annotated[str, Query(pattern=r"^(20[0-9]{2}-(0[1-9]|1[0-2]))?$")]
_LINK = Public("the link of a question to a customer is the key to it")


# --- one customer ---


@router.get("/customers/{customer_id}")
def customer_page(request: Request, principal: OfficePerson, customer_id: CustomerKey) -> Response:
    """Show one customer: classes with reasons, contracts, service, contacts, tasks, money, requests."""
    return _customer_page(request, principal, customer_id)


@router.post("/customers/{customer_id}/interactions")
def record(request: Request, principal: Carer, form: Form, customer_id: CustomerKey) -> Response:
    """Write a contact down."""
    checked(form, principal)
    services = services_of(request)
    visible_customer(request, principal, customer_id)

    def work() -> None:
        services.customers.care.record(
            principal.tenant,
            Spoken(
                customer_id=CustomerId(customer_id),
                channel=Channel(form.get("channel", "phone")),
                at=_instant(form.get("at", ""), services.settings.time_zone) or services.clock.now(),
                content=form.get("content", "")[:2000],
                needs=form.get("needs", "")[:2000],
                feedback=form.get("feedback", "")[:2000],
                follow_up_on=_day(form.get("follow_up_on", "")),
            ),
            by=principal.name,
        )

    return _done_on_customer(request, principal, customer_id, work)


@router.post("/customers/{customer_id}/complaints")
def complain(request: Request, principal: Carer, form: Form, customer_id: CustomerKey) -> Response:
    """Raise a complaint."""
    checked(form, principal)
    services = services_of(request)
    visible_customer(request, principal, customer_id)

    def work() -> None:
        services.customers.care.complain(
            principal.tenant,
            CustomerId(customer_id),
            subject=form.get("subject", "")[:128],
            text=form.get("text", "")[:2000],
            channel=Channel.PHONE,
        )

    return _done_on_customer(request, principal, customer_id, work)


def _done_on_customer(
    request: Request, principal: Principal, customer_id: str, work: Callable[[], None]
) -> Response:
    """Do the work and show the customer again; a refusal is explained there."""
    try:
        work()
    except ValueError as error:
        refused = error if isinstance(error, InvalidValue) else InvalidValue(str(error))
        failure, status = failure_of(request, principal, refused)
        return _customer_page(request, principal, customer_id, f"{failure} {refused}", status)
    return RedirectResponse(f"/customers/{customer_id}", 303)


def _customer_page(
    request: Request, principal: Principal, customer_id: str, failure: str | None = None, status: int = 200
) -> Response:
    services, words = services_of(request), words_of(request, principal)
    customer = visible_customer(request, principal, customer_id)
    with services.read_uow_factory() as uow:
        context = care_view.customer_context(services, uow, principal, customer, words)
    return renderer_of(request).page(
        request, "customer.html", principal=principal, status=status, failure=failure, **context
    )


# --- tasks ---


@router.get("/tasks")
def tasks_page(request: Request, principal: Carer, everybody: Annotated[bool, Query()] = False) -> Response:
    """List the own tasks, or everybody's."""
    return _tasks_page(request, principal, everybody=everybody)


@router.post("/tasks/{task_id}/finish")
def finish(request: Request, principal: Carer, form: Form, task_id: Key) -> Response:
    """Finish a task; a refusal is explained on the list."""
    checked(form, principal)
    services = services_of(request)
    with services.read_uow_factory() as uow:
        if not any(task.task_id == task_id for task in tasks_in_sight(principal, uow, mine=False)):
            raise Problem("not_found")
    try:
        services.customers.care.finish(
            principal.tenant,
            task_id,
            by=principal.name,
            outcome=form.get("outcome", "")[:32],
            reason=form.get("reason", "")[:32],
            note=form.get("note", "")[:500],
            expected_version=version_of(form),
        )
    except (Conflict, InvalidValue) as error:
        failure, status = failure_of(request, principal, error)
        return _tasks_page(request, principal, failure=f"{failure} {error}", status=status)
    return RedirectResponse("/tasks", 303)


def _tasks_page(
    request: Request,
    principal: Principal,
    *,
    everybody: bool = False,
    failure: str | None = None,
    status: int = 200,
) -> Response:
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        names = {each.customer_id: each.name for each in customers_in_sight(principal, uow)}
        tasks = tasks_in_sight(principal, uow, mine=not everybody)
    rows = [care_view.task_row(words, task, names) for task in tasks[:200]]
    return renderer_of(request).page(
        request,
        "tasks.html",
        principal=principal,
        status=status,
        rows=rows,
        total=len(tasks),
        everybody=everybody,
        failure=failure,
    )


# --- complaints ---


@router.get("/complaints")
def complaints_page(request: Request, principal: Carer) -> Response:
    """List complaints, open ones first."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        names = {each.customer_id: each.name for each in customers_in_sight(principal, uow)}
        found = uow.relations.complaints.where(principal.tenant, limit=500)
    rows = sorted(
        (row for row in found if row.customer_id in names),
        key=lambda row: (row.state == "closed", row.due_at),
    )
    return renderer_of(request).page(
        request,
        "complaints.html",
        principal=principal,
        rows=rows,
        names=names,
        word=lambda family, value: care_view.word(words, family, str(value)),
    )


@router.get("/complaints/{complaint_id}")
def complaint_page(request: Request, principal: Carer, complaint_id: Key) -> Response:
    """Show one complaint with what may be done."""
    return _complaint_page(request, principal, complaint_id)


@router.post("/complaints/{complaint_id}/action")
def act(request: Request, principal: Carer, form: Form, complaint_id: Key) -> Response:
    """Agree on an action."""
    checked(form, principal)
    services = services_of(request)

    def work() -> None:
        services.customers.care.act(
            principal.tenant,
            complaint_id,
            cause=form.get("cause", "")[:2000],
            action=form.get("action", "")[:2000],
            action_owner=form.get("action_owner", "")[:128],
            action_due=_day(form.get("action_due", "")) or services.customers.requests.today(),
            expected_version=version_of(form),
        )

    return _done_on_complaint(request, principal, complaint_id, work)


@router.post("/complaints/{complaint_id}/close")
def close(request: Request, principal: Carer, form: Form, complaint_id: Key) -> Response:
    """Close after the call."""
    checked(form, principal)
    services = services_of(request)

    def work() -> None:
        services.customers.care.close_complaint(
            principal.tenant,
            complaint_id,
            closing_call=form.get("closing_call", "")[:2000],
            by=principal.name,
            expected_version=version_of(form),
        )

    return _done_on_complaint(request, principal, complaint_id, work)


def _done_on_complaint(
    request: Request, principal: Principal, complaint_id: int, work: Callable[[], None]
) -> Response:
    visible_complaint(request, principal, complaint_id)
    try:
        work()
    except (Conflict, InvalidValue) as error:
        failure, status = failure_of(request, principal, error)
        return _complaint_page(request, principal, complaint_id, f"{failure} {error}", status)
    return RedirectResponse(f"/complaints/{complaint_id}", 303)


def _complaint_page(
    request: Request, principal: Principal, complaint_id: int, failure: str | None = None, status: int = 200
) -> Response:
    words = words_of(request, principal)
    complaint = visible_complaint(request, principal, complaint_id)
    customer = visible_customer(request, principal, complaint.customer_id)
    return renderer_of(request).page(
        request,
        "complaint.html",
        principal=principal,
        status=status,
        complaint=complaint,
        customer=customer,
        failure=failure,
        word=lambda family, value: care_view.word(words, family, str(value)),
    )


# --- words of forms ---


def _day(text: str) -> date | None:
    """Return the day of a form field, None for an empty one."""
    try:
        return date.fromisoformat(text) if text.strip() else None
    except ValueError:
        raise InvalidValue("a day is written as 2026-11-22") from None


def _instant(text: str, time_zone: str) -> datetime | None:
    """Return the instant of a local date and time, None for an empty field."""
    try:
        told = datetime.fromisoformat(text) if text.strip() else None
    except ValueError:
        raise InvalidValue("a time is written as 2026-11-22T09:00") from None
    if told is None:
        return None
    return (told if told.tzinfo else told.replace(tzinfo=ZoneInfo(time_zone))).astimezone(UTC)
