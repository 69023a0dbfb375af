"""Care of customers: contacts, tasks, complaints, points."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import CARE, CUSTOMERS, FIELD, OFFICE_READ, Principal, check_sees_customer, services_of
from api.conditional import check_if_match, set_etag
from api.direct_route import DirectRoute
from api.paging import Cursor, Limit, decode_number, encode_cursor
from api.problem import Problem
from api.routes.customers import CustomerKey, RecordKey, customers_in_sight, visible_customer
from api.routes.tickets import IdempotencyKey, IfMatch
from api.schemas.base import Page
from api.schemas.care import (
    ActionInput,
    ClosingInput,
    ComplaintBody,
    ComplaintInput,
    CouponBody,
    EmptiesInput,
    EntryBody,
    FinishInput,
    InteractionBody,
    InteractionInput,
    MyComplaintInput,
    PointsBody,
    TaskBody,
)
from crm_core.domain.customer_files import Channel
from crm_core.domain.identity import CustomerId
from crm_core.domain.money import Money
from crm_core.domain.relations import Complaint, Task
from crm_core.domain.service import Role
from crm_core.ports import UnitOfWork
from crm_core.relations.loyalty import balance, valid_coupons
from crm_core.relations.reminders import open_tasks

router = APIRouter(tags=["care"], route_class=DirectRoute)

ComplaintKey = Annotated[int, Path(ge=1, le=2**53)]


# --- contacts with customers ---


@router.get("/customers/{customer_id}/interactions", summary="Contacts with a customer")
def interactions(
    request: Request,
    principal: Annotated[Principal, Depends(OFFICE_READ)],
    customer_id: CustomerKey,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[InteractionBody]:
    """Return what was said, newest first."""
    visible_customer(request, principal, customer_id)
    with services_of(request).read_uow_factory() as uow:
        rows = uow.relations.interactions.where(
            principal.tenant, customer_id=customer_id, before=decode_number(cursor), limit=limit + 1
        )
    return Page(
        items=[InteractionBody.model_validate(row) for row in rows[:limit]],
        next_cursor=encode_cursor(str(rows[limit - 1].interaction_id)) if len(rows) > limit else None,
    )


@router.post("/customers/{customer_id}/interactions", summary="Write a contact down", status_code=201)
def record(
    request: Request,
    principal: Annotated[Principal, Depends(CARE)],
    customer_id: CustomerKey,
    body: InteractionInput,
    _key: IdempotencyKey = None,
) -> InteractionBody:
    """Write a contact down; later than a day after it is marked late."""
    visible_customer(request, principal, customer_id)
    made = services_of(request).customers.care.record(
        principal.tenant, body.spoken(customer_id), by=principal.name
    )
    return InteractionBody.model_validate(made)


# --- tasks ---


@router.get("/tasks", summary="Tasks")
def tasks(
    request: Request,
    principal: Annotated[Principal, Depends(CARE)],
    mine: Annotated[bool, Query(description="only the own tasks and those of the own role")] = True,
    kind: Annotated[str | None, Query(max_length=32)] = None,
    customer_id: Annotated[str | None, Query(max_length=64)] = None,
    limit: Limit = 200,
) -> list[TaskBody]:
    """Return open tasks, soonest first."""
    with services_of(request).read_uow_factory() as uow:
        rows = [
            task
            for task in tasks_in_sight(principal, uow, mine=mine)
            if kind in (None, task.kind) and customer_id in (None, task.customer_id)
        ]
    return [TaskBody.model_validate(row) for row in rows[:limit]]


@router.post("/tasks/{task_id}/finish", summary="Finish a task")
def finish(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CARE)],
    task_id: RecordKey,
    body: FinishInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> TaskBody:
    """Finish a task; a renewal is lost only with a reason, a call-back only with what is improved."""
    with services_of(request).read_uow_factory() as uow:
        task = uow.relations.tasks.get(principal.tenant, task_id)
        check_sees_customer(principal, uow, task.customer_id)
    check_if_match(request, task.version)
    done = services_of(request).customers.care.finish(
        principal.tenant,
        task_id,
        by=principal.name,
        outcome=body.outcome,
        reason=body.reason,
        note=body.note,
        expected_version=task.version,
    )
    set_etag(response, done.version)
    return TaskBody.model_validate(done)


def tasks_in_sight(principal: Principal, uow: UnitOfWork, *, mine: bool) -> list[Task]:
    """Return the open tasks of customers in sight; `mine`: the own ones and those that wait for the own role."""
    seen = {each.customer_id for each in customers_in_sight(principal, uow)}
    return [
        task
        for task in open_tasks(uow, principal.tenant)
        if task.customer_id in seen and (not mine or is_mine(principal, task))
    ]


def is_mine(principal: Principal, task: Task) -> bool:
    """Return True for a task that a person or, when it is nobody's own, the person's role is to do."""
    if task.owner is not None:
        return task.owner == principal.name
    return task.role == principal.role.value or principal.role in (Role.ADMIN, Role.MANAGER)


# --- complaints ---


@router.get("/complaints", summary="Complaints")
def complaints(
    request: Request,
    principal: Annotated[Principal, Depends(OFFICE_READ)],
    state: Annotated[str | None, Query(pattern=r"^(open|acting|closed)$")] = None,
    customer_id: Annotated[str | None, Query(max_length=64)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ComplaintBody]:
    """Return complaints of customers in sight, newest first."""
    with services_of(request).read_uow_factory() as uow:
        seen = {each.customer_id for each in customers_in_sight(principal, uow)}
        found = uow.relations.complaints.where(
            principal.tenant, state=state, customer_id=customer_id, before=decode_number(cursor)
        )
    rows = [row for row in found if row.customer_id in seen]
    return Page(
        items=[ComplaintBody.model_validate(row) for row in rows[:limit]],
        next_cursor=encode_cursor(str(rows[limit - 1].complaint_id)) if len(rows) > limit else None,
    )


@router.post("/customers/{customer_id}/complaints", summary="Raise a complaint", status_code=201)
def complain(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CARE)],
    customer_id: CustomerKey,
    body: ComplaintInput,
    _key: IdempotencyKey = None,
) -> ComplaintBody:
    """Raise a complaint: it has an owner and a due time at once."""
    visible_customer(request, principal, customer_id)
    made = services_of(request).customers.care.complain(
        principal.tenant,
        CustomerId(customer_id),
        subject=body.subject,
        text=body.text,
        channel=Channel(body.channel),
        ticket_id=body.ticket_id,
    )
    return _complaint(response, made)


@router.post("/my/complaints", summary="Complain", status_code=201)
def my_complaint(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CUSTOMERS)],
    body: MyComplaintInput,
    _key: IdempotencyKey = None,
) -> ComplaintBody:
    """Complain about anything; the answer says until when somebody calls."""
    made = services_of(request).customers.care.complain(
        principal.tenant,
        CustomerId(principal.bound_to or ""),
        subject=body.subject,
        text=body.text,
        channel=Channel.CHAT,
    )
    return _complaint(response, made)


@router.get("/complaints/{complaint_id}", summary="One complaint")
def one_complaint(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(OFFICE_READ)],
    complaint_id: ComplaintKey,
) -> ComplaintBody:
    """Return a complaint."""
    return _complaint(response, visible_complaint(request, principal, complaint_id))


@router.post("/complaints/{complaint_id}/action", summary="Agree on an action")
def act(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CARE)],
    complaint_id: ComplaintKey,
    body: ActionInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> ComplaintBody:
    """Say what is improved, by whom and until when."""
    known = visible_complaint(request, principal, complaint_id)
    check_if_match(request, known.version)
    changed = services_of(request).customers.care.act(
        principal.tenant, complaint_id, **body.model_dump(), expected_version=known.version
    )
    return _complaint(response, changed)


@router.post("/complaints/{complaint_id}/close", summary="Close a complaint")
def close(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CARE)],
    complaint_id: ComplaintKey,
    body: ClosingInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> ComplaintBody:
    """Close after the call to the customer; without an action it is refused."""
    known = visible_complaint(request, principal, complaint_id)
    check_if_match(request, known.version)
    closed = services_of(request).customers.care.close_complaint(
        principal.tenant,
        complaint_id,
        closing_call=body.closing_call,
        by=principal.name,
        expected_version=known.version,
    )
    return _complaint(response, closed)


def visible_complaint(request: Request, principal: Principal, complaint_id: int) -> Complaint:
    """Return a complaint of a customer in sight, or answer like an absent one."""
    with services_of(request).read_uow_factory() as uow:
        known = uow.relations.complaints.get(principal.tenant, complaint_id)
        check_sees_customer(principal, uow, known.customer_id)
    return known


def _complaint(response: Response, complaint: Complaint) -> ComplaintBody:
    set_etag(response, complaint.version)
    return ComplaintBody.model_validate(complaint)


# --- points ---


@router.get("/customers/{customer_id}/points", summary="Points and coupons of a customer")
def points(
    request: Request, principal: Annotated[Principal, Depends(OFFICE_READ)], customer_id: CustomerKey
) -> PointsBody:
    """Return the ledger: the balance is the sum of its entries."""
    visible_customer(request, principal, customer_id)
    return _points(request, principal, customer_id)


@router.get("/my/points", summary="The own points and coupons")
def my_points(request: Request, principal: Annotated[Principal, Depends(CUSTOMERS)]) -> PointsBody:
    """Return the own ledger."""
    return _points(request, principal, principal.bound_to or "")


@router.post("/customers/{customer_id}/empties", summary="Take back empty cartridges", status_code=201)
def empties(
    request: Request,
    principal: Annotated[Principal, Depends(FIELD)],
    customer_id: CustomerKey,
    body: EmptiesInput,
    _key: IdempotencyKey = None,
) -> list[EntryBody]:
    """Give points for empties by their codes; a code counts once for ever."""
    with services_of(request).read_uow_factory() as uow:
        if not any(each.customer_id == customer_id for each in customers_in_sight(principal, uow)):
            raise Problem("not_found")
    made = services_of(request).customers.loyalty.take_back(
        principal.tenant, CustomerId(customer_id), body.codes, visit=body.visit
    )
    return [EntryBody.model_validate(entry) for entry in made]


def _points(request: Request, principal: Principal, customer_id: str) -> PointsBody:
    services = services_of(request)
    with services.read_uow_factory() as uow:
        held = balance(uow, principal.tenant, CustomerId(customer_id))
        entries = uow.relations.points.where(principal.tenant, customer_id=customer_id, limit=200)
        coupons = valid_coupons(uow, principal.tenant, CustomerId(customer_id), services.clock.now())
    return PointsBody(
        balance=held,
        worth=Money(services.policy.relations.loyalty.point_value * held).rounded().amount,
        entries=[EntryBody.model_validate(each) for each in entries],
        coupons=[CouponBody.model_validate(each) for each in coupons],
    )
