"""Work orders: lists, one with everything for the job, assigning, and the technician's three steps."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import DISPATCHERS, FIELD_JOB, OWNED, STAFF, Principal, services_of, visible_bundle
from api.conditional import check_if_match, set_etag
from api.direct_route import DirectRoute
from api.documents.work_order import render
from api.documents.work_order_text import paper_of
from api.job_links import link_to_job
from api.language import language_of
from api.pages.formats import Formats
from api.pages.supply_view import Words
from api.paging import Cursor, Limit, decode_number, encode_cursor
from api.problem import Problem
from api.roster_lists import visible_technician
from api.routes.tickets import IdempotencyKey, IfMatch
from api.schemas.base import Page
from api.schemas.service import (
    AssignInput,
    CompleteInput,
    NoteInput,
    ReasonInput,
    VisitOrder,
    WorkOrderDetail,
    WorkOrderRow,
)
from api.service_lists import ACTIVE_ORDERS, list_orders, visible_order
from crm_core.domain.identity import DeviceId, TechnicianId, WorkOrderId
from crm_core.domain.service import WorkOrder, WorkOrderState
from crm_core.ports import WorkOrderFilter
from crm_core.servicedesk import Outcome

router = APIRouter(tags=["work orders"], route_class=DirectRoute)

WorkOrderKey = Annotated[int, Path(ge=1, le=2**53, description="the work order's id")]


@router.get("/work-orders", summary="Work orders")
def work_orders(
    request: Request,
    principal: Annotated[Principal, Depends(OWNED)],
    cursor: Cursor = None,
    limit: Limit = 50,
    state: Annotated[str, Query(pattern=r"^[a-z_]{1,32}$", description="a state, `open` or `all`")] = "open",
    technician_id: Annotated[str | None, Query(max_length=64)] = None,
    device_id: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[WorkOrderRow]:
    """Return the work orders in sight, newest first; technicians see their own."""
    before = decode_number(cursor)
    which = WorkOrderFilter(
        states=_states(state),
        technician_id=TechnicianId(technician_id) if technician_id else None,
        device_id=DeviceId(device_id) if device_id else None,
        before=WorkOrderId(before) if before is not None else None,
        limit=limit + 1,
    )
    with services_of(request).read_uow_factory() as uow:
        rows = list_orders(principal, uow, which)
    return Page(
        items=[WorkOrderRow.of(order) for order in rows[:limit]],
        next_cursor=encode_cursor(str(rows[limit - 1].work_order_id)) if len(rows) > limit else None,
    )


@router.get("/work-orders/{work_order_id}", summary="One work order")
def one_work_order(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(OWNED)],
    work_order_id: WorkOrderKey,
) -> WorkOrderDetail:
    """Return a work order with parts to bring, guide steps and outcome."""
    with services_of(request).read_uow_factory() as uow:
        order = visible_order(principal, uow, work_order_id)
    return _detail(request, response, principal, order)


@router.get(
    "/work-orders/{work_order_id}/document",
    summary="A work order on paper",
    response_class=Response,
    responses={
        200: {
            "description": "PDF in the language of Accept-Language, with a QR code that opens the job",
            "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
def work_order_document(
    request: Request,
    principal: Annotated[Principal, Depends(STAFF)],
    work_order_id: WorkOrderKey,
    language: Annotated[
        str | None, Query(pattern=r"^(zh-CN|en)$", description="instead of Accept-Language")
    ] = None,
) -> Response:
    """Return the work order as PDF."""
    services = services_of(request)
    spoken = language or language_of(request)
    formats = Formats(spoken, ZoneInfo(services.settings.time_zone), services.clock.now())
    words = Words(messages=services.messages, language=spoken, formats=formats)
    with services.read_uow_factory() as uow:
        order = visible_order(principal, uow, work_order_id)
        reading = services.store.newest(principal.tenant, order.device_id)
        paper = paper_of(services, uow, order, reading, words, link_to_job(services, order))
    headers = {"Content-Disposition": f'inline; filename="{paper.number}.pdf"'}
    return Response(render(paper), media_type="application/pdf", headers=headers)


@router.post("/work-orders", summary="Order a visit", status_code=201)
def order_visit(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(DISPATCHERS)],
    body: VisitOrder,
    _key: IdempotencyKey = None,
) -> WorkOrderDetail:
    """Order an installation, a removal, an inspection or care; with a start it is agreed, else the plan finds one."""
    if body.start is not None and body.start.tzinfo is None:
        raise Problem("invalid_input", "start is an instant with its zone")
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_bundle(principal, uow, body.device_id)
        if body.technician_id is not None:
            visible_technician(principal, uow, body.technician_id)
    made = services.fieldwork.jobs.order(principal.tenant, body.ordered(), actor=principal.name)
    return _detail(request, response, principal, made)


@router.post("/work-orders/{work_order_id}/cancel", summary="Call a visit off")
def cancel_visit(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(DISPATCHERS)],
    work_order_id: WorkOrderKey,
    body: ReasonInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> WorkOrderDetail:
    """Call a visit off with its reason; open tickets of it wait for a new plan."""
    version = _version(request, principal, work_order_id)
    order = services_of(request).servicedesk.cancel_order(
        principal.tenant,
        WorkOrderId(work_order_id),
        actor=principal.name,
        note=body.reason,
        expected_version=version,
    )
    return _detail(request, response, principal, order)


@router.post("/work-orders/{work_order_id}/assign", summary="Assign to a technician")
def assign(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(DISPATCHERS)],
    work_order_id: WorkOrderKey,
    body: AssignInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> WorkOrderDetail:
    """Give the work order to a technician; the reason is kept with it."""
    version = _version(request, principal, work_order_id)
    order = services_of(request).dispatcher.reassign(
        principal.tenant,
        WorkOrderId(work_order_id),
        TechnicianId(body.technician_id),
        actor=principal.name,
        reason=body.reason,
        expected_version=version,
    )
    return _detail(request, response, principal, order)


@router.post("/work-orders/{work_order_id}/start", summary="On the way")
def start(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(FIELD_JOB)],
    work_order_id: WorkOrderKey,
    _body: NoteInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> WorkOrderDetail:
    """Depart to the device: the tickets are in progress."""
    version = _version(request, principal, work_order_id)
    order = services_of(request).servicedesk.depart(
        principal.tenant, WorkOrderId(work_order_id), actor=principal.name, expected_version=version
    )
    return _detail(request, response, principal, order)


@router.post("/work-orders/{work_order_id}/arrive", summary="On site")
def arrive(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(FIELD_JOB)],
    work_order_id: WorkOrderKey,
    _body: NoteInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> WorkOrderDetail:
    """Arrive at the device: the arrival promise is met."""
    version = _version(request, principal, work_order_id)
    order = services_of(request).servicedesk.arrive(
        principal.tenant, WorkOrderId(work_order_id), actor=principal.name, expected_version=version
    )
    return _detail(request, response, principal, order)


@router.post("/work-orders/{work_order_id}/complete", summary="Done")
def complete(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(FIELD_JOB)],
    work_order_id: WorkOrderKey,
    body: CompleteInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> WorkOrderDetail:
    """End the visit. Telemetry confirms the repair afterwards; until then the tickets wait as unverified."""
    version = _version(request, principal, work_order_id)
    order = services_of(request).servicedesk.done(
        principal.tenant,
        WorkOrderId(work_order_id),
        actor=principal.name,
        outcome=Outcome(body.outcome),
        confirmed_cause=body.confirmed_cause,
        note=body.note,
        count_after=body.count_after,
        expected_version=version,
    )
    return _detail(request, response, principal, order)


def _version(request: Request, principal: Principal, work_order_id: int) -> int:
    """Return the version to change after checking that the order is in sight and is the one the client saw."""
    with services_of(request).read_uow_factory() as uow:
        order = visible_order(principal, uow, work_order_id)
    check_if_match(request, order.version)
    return order.version


def _detail(request: Request, response: Response, principal: Principal, order: WorkOrder) -> WorkOrderDetail:
    """Return the body of one work order and its entity tag."""
    set_etag(response, order.version)
    inside = principal.bound_to is None
    return WorkOrderDetail.full(order, services_of(request).messages, language_of(request), inside=inside)


def _states(state: str) -> frozenset[WorkOrderState] | None:
    """Return the states that a filter word means; an unknown word is invalid input."""
    if state == "all":
        return None
    if state == "open":
        return ACTIVE_ORDERS
    try:
        return frozenset({WorkOrderState(state)})
    except ValueError:
        known = ", ".join(("open", "all", *(item.value for item in WorkOrderState)))
        raise Problem("invalid_input", f"state is one of {known}") from None
