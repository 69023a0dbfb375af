"""Many changes in one request, each on its own: what one row meets stops no other, and each row has its result."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from api.access import DISPATCHERS, OFFICE, Principal, services_of
from api.direct_route import DirectRoute
from api.problem import Problem, problem_of
from api.routes.tickets import IdempotencyKey
from api.schemas.office import AcknowledgeRows, AssignRows, BulkBody, BulkRow
from api.service_lists import visible_order, visible_ticket
from crm_core.domain.errors import DrumbeatError
from crm_core.domain.identity import TechnicianId, TicketId, WorkOrderId

router = APIRouter(tags=["bulk"], route_class=DirectRoute)


@router.post("/bulk/tickets/acknowledge", summary="Take many tickets up")
def acknowledge(
    request: Request,
    principal: Annotated[Principal, Depends(OFFICE)],
    body: AcknowledgeRows,
    _key: IdempotencyKey = None,
) -> BulkBody:
    """Take tickets up; a row without `version` takes the ticket as it is."""
    services = services_of(request)

    def change(key: int, version: int | None, note: str) -> int:
        with services.read_uow_factory() as uow:
            ticket = visible_ticket(principal, uow, key)
        return services.servicedesk.acknowledge(
            principal.tenant,
            TicketId(key),
            actor=principal.name,
            note=note,
            expected_version=ticket.version if version is None else version,
        ).version

    return _each(
        [(row.ticket_id, partial(change, row.ticket_id, row.version, row.note)) for row in body.rows]
    )


@router.post("/bulk/work-orders/assign", summary="Assign many work orders")
def assign(
    request: Request,
    principal: Annotated[Principal, Depends(DISPATCHERS)],
    body: AssignRows,
    _key: IdempotencyKey = None,
) -> BulkBody:
    """Give work orders to technicians; a row without `version` takes the order as it is."""
    services = services_of(request)

    def change(key: int, technician: str, version: int | None, reason: str) -> int:
        with services.read_uow_factory() as uow:
            order = visible_order(principal, uow, key)
        return services.dispatcher.reassign(
            principal.tenant,
            WorkOrderId(key),
            TechnicianId(technician),
            actor=principal.name,
            reason=reason,
            expected_version=order.version if version is None else version,
        ).version

    return _each(
        [
            (
                row.work_order_id,
                partial(change, row.work_order_id, row.technician_id, row.version, row.reason),
            )
            for row in body.rows
        ]
    )


def _each(changes: list[tuple[int, Callable[[], int]]]) -> BulkBody:
    """Make each change and say what became of it."""
    results = [_result(key, change) for key, change in changes]
    return BulkBody(done=sum(row.status == 200 for row in results), results=results)


def _result(key: int, change: Callable[[], int]) -> BulkRow:
    try:
        return BulkRow(id=key, status=200, code="ok", version=change())
    except DrumbeatError as error:
        problem = problem_of(error)
    except Problem as error:
        problem = error
    return BulkRow(id=key, status=problem.status, code=problem.code, version=None)
