"""Field work over HTTP: what a visit shows, its files, estimates before the work, the repair report, regular care."""

from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import (
    DISPATCHERS,
    FIELD,
    OFFICE_READ,
    OWNED,
    REPORTERS,
    STAFF,
    Principal,
    services_of,
    visible_bundle,
)
from api.conditional import seen_version, set_etag
from api.direct_route import DirectRoute
from api.documents.estimate import estimate_paper
from api.documents.visit_report import report_of
from api.documents.work_order import render
from api.images import IMAGE, image
from api.language import language_of
from api.pages.formats import Formats
from api.pages.supply_view import Words
from api.problem import Problem
from api.roster_lists import care_in_sight
from api.routes.money_documents import PDF, pdf, plain_words
from api.routes.tickets import IdempotencyKey, IfMatch, TicketKey
from api.routes.work_orders import WorkOrderKey
from api.schemas.fieldwork import (
    AttachmentBody,
    CarePlanBody,
    CarePlanInput,
    CareSwitch,
    EstimateBody,
    EstimateDecision,
    EstimateInput,
    LineBody,
    ReplacementAnswer,
    VisitBody,
    VisitInput,
)
from api.schemas.service import TicketDetail
from api.service_lists import visible_order, visible_ticket
from crm_core.domain.billing import PaymentMethod
from crm_core.domain.charges import RepairPrice
from crm_core.domain.fieldwork import Attachment, AttachmentKind, Estimate, VisitRecord
from crm_core.domain.identity import CustomerId, DeviceId, TicketId, WorkOrderId
from crm_core.domain.service import WorkOrder
from crm_core.fieldwork.plans import used_share
from crm_core.ports import UnitOfWork

router = APIRouter(tags=["field work"], route_class=DirectRoute)

AttachmentKey = Annotated[int, Path(ge=1, le=2**53, description="the file's id")]
EstimateKey = Annotated[int, Path(ge=1, le=2**53, description="the estimate's id")]
PlanKey = Annotated[int, Path(ge=1, le=2**53, description="the plan's id")]
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}


@router.get("/work-orders/{work_order_id}/visit", summary="What a visit shows")
def visit(
    request: Request, principal: Annotated[Principal, Depends(STAFF)], work_order_id: WorkOrderKey
) -> VisitBody:
    """Return checks, parts, time and files of a visit, and what is missing before it may close."""
    with services_of(request).read_uow_factory() as uow:
        order = visible_order(principal, uow, work_order_id)
        return _visit(request, uow, order)


@router.post("/work-orders/{work_order_id}/visit", summary="Note what a visit shows")
def note(
    request: Request,
    principal: Annotated[Principal, Depends(FIELD)],
    work_order_id: WorkOrderKey,
    body: VisitInput,
    _key: IdempotencyKey = None,
) -> VisitBody:
    """Tick points and note parts, time, cause, empties and names; empties taken back give the customer points."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        order = visible_order(principal, uow, work_order_id)
    noted = services.fieldwork.evidence.note(
        principal.tenant, order.work_order_id, body.notes(), actor=principal.name
    )
    if body.empties and order.customer_id is not None:
        services.customers.loyalty.take_back(
            principal.tenant,
            CustomerId(order.customer_id),
            noted.empties,
            visit=f"work_order:{order.work_order_id}",
        )
    with services.read_uow_factory() as uow:
        return _visit(request, uow, order)


@router.post(
    "/attachments/{work_order_id}",
    summary="Add a photo or signature",
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"image/jpeg": _BINARY, "image/png": _BINARY, "image/webp": _BINARY},
        }
    },
)
async def attach(
    request: Request,
    principal: Annotated[Principal, Depends(FIELD)],
    work_order_id: WorkOrderKey,
    kind: Annotated[Literal["photo", "signature"], Query()] = "photo",
    note: Annotated[str, Query(max_length=200)] = "",
    _key: IdempotencyKey = None,
) -> AttachmentBody:
    """Keep the body's bytes; what they are is told from themselves. The same file is kept once."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_order(principal, uow, work_order_id)
    content = await request.body()
    made = services.fieldwork.evidence.attach(
        principal.tenant,
        WorkOrderId(work_order_id),
        AttachmentKind(kind),
        content,
        actor=principal.name,
        note=note,
    )
    return AttachmentBody.of(made)


@router.get(
    "/attachments/{work_order_id}/{attachment_id}",
    summary="A photo or signature",
    response_class=Response,
    responses=IMAGE,
)
def attachment(
    request: Request,
    principal: Annotated[Principal, Depends(STAFF)],
    work_order_id: WorkOrderKey,
    attachment_id: AttachmentKey,
) -> Response:
    """Return the bytes of a file, checked against their hash."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_order(principal, uow, work_order_id)
        file = uow.fieldwork.attachments.get(principal.tenant, attachment_id)
    if file.work_order_id != work_order_id:
        raise Problem("not_found")
    return image(services.fieldwork.evidence.content(file), file.media_type)


@router.get(
    "/work-orders/{work_order_id}/report",
    summary="The repair report",
    response_class=Response,
    responses=PDF,
)
def report(
    request: Request,
    principal: Annotated[Principal, Depends(OWNED)],
    work_order_id: WorkOrderKey,
    language: Annotated[
        str | None, Query(pattern=r"^(zh-CN|en)$", description="instead of Accept-Language")
    ] = None,
) -> Response:
    """Return what was done, with which parts and in which time, and what it costs: the lines are those of the charge."""
    services = services_of(request)
    spoken = language or language_of(request)
    formats = Formats(spoken, ZoneInfo(services.settings.time_zone), services.clock.now())
    words = Words(messages=services.messages, language=spoken, formats=formats)
    with services.read_uow_factory() as uow:
        order = visible_order(principal, uow, work_order_id)
        record = _record(uow, order)
        files = uow.fieldwork.attachments.where(order.tenant, work_order_id=order.work_order_id)
        paper = report_of(services, uow, order, record, files, words)
    headers = {"Content-Disposition": f'inline; filename="{paper.number}-report.pdf"'}
    return Response(render(paper), media_type="application/pdf", headers=headers)


@router.get("/tickets/{ticket_id}/estimates", summary="Estimates for a ticket")
def estimates(
    request: Request, principal: Annotated[Principal, Depends(OWNED)], ticket_id: TicketKey
) -> list[EstimateBody]:
    """Return the estimates that were offered, newest first."""
    with services_of(request).read_uow_factory() as uow:
        visible_ticket(principal, uow, ticket_id)
        found = uow.fieldwork.estimates.where(principal.tenant, ticket_id=ticket_id)
    return [_estimate(request, each) for each in found]


@router.get(
    "/tickets/{ticket_id}/estimates/{estimate_id}/document",
    summary="An estimate on paper",
    response_class=Response,
    responses=PDF,
)
def estimate_document(
    request: Request,
    principal: Annotated[Principal, Depends(OWNED)],
    ticket_id: TicketKey,
    estimate_id: EstimateKey,
) -> Response:
    """Return an estimate as PDF: lines with their formulas, the likely range, and what is asked of the customer."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_ticket(principal, uow, ticket_id)
        estimate = uow.fieldwork.estimates.get(principal.tenant, estimate_id)
        if estimate.ticket_id != ticket_id:
            raise Problem("not_found")
        return pdf(estimate_paper(services, uow, estimate, plain_words(request)))


@router.post("/tickets/{ticket_id}/estimates", summary="Offer an estimate", status_code=201)
def offer(
    request: Request,
    principal: Annotated[Principal, Depends(STAFF)],
    ticket_id: TicketKey,
    body: EstimateInput,
    _key: IdempotencyKey = None,
) -> EstimateBody:
    """Offer what a row of the price list will cost, from like repairs of the past where there are enough."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_ticket(principal, uow, ticket_id)
    made = services.fieldwork.estimates.offer(
        principal.tenant, TicketId(ticket_id), body.item, body.cause, actor=principal.name
    )
    return _estimate(request, made)


@router.post("/tickets/{ticket_id}/estimates/{estimate_id}/decision", summary="Accept or decline an estimate")
def decide(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(REPORTERS)],
    ticket_id: TicketKey,
    estimate_id: EstimateKey,
    body: EstimateDecision,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> EstimateBody:
    """Note the customer's decision; chargeable work begins only after consent with a method of payment.

    To decline needs a `note` that says why. 409 when it was decided already, a newer estimate counts or the ticket is over.
    """
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_ticket(principal, uow, ticket_id)
        known = uow.fieldwork.estimates.get(principal.tenant, estimate_id)
        if known.ticket_id != ticket_id:
            raise Problem("not_found")
    version = seen_version(request, known.version)
    desk, tenant, name = services.fieldwork.estimates, principal.tenant, principal.name
    if body.accepted:
        method = None if body.method is None else PaymentMethod(body.method)
        made = desk.accept(tenant, estimate_id, method, actor=name, note=body.note, expected_version=version)
    else:
        made = desk.decline(tenant, estimate_id, actor=name, note=body.note, expected_version=version)
    set_etag(response, made.version)
    return _estimate(request, made)


@router.post("/tickets/{ticket_id}/replacement-answer", summary="Answer the proposal of a replacement")
def answer_replacement(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(REPORTERS)],
    ticket_id: TicketKey,
    body: ReplacementAnswer,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> TicketDetail:
    """Note whether the customer wants a machine replaced that nears the end of its design life (requirement 39).

    To decline needs a `note`; the proposal then rests for `forecasts.life.proposal_rest`. 409 where none waits for an answer.
    """
    services = services_of(request)
    with services.read_uow_factory() as uow:
        version = seen_version(request, visible_ticket(principal, uow, ticket_id).version)
    desk = services.fieldwork.proposals
    answer = desk.accept if body.accepted else desk.decline
    ticket = answer(
        principal.tenant,
        TicketId(ticket_id),
        actor=principal.name,
        note=body.note,
        expected_version=version,
    )
    set_etag(response, ticket.version)
    inside = principal.bound_to is None
    return TicketDetail.full(ticket, services.messages, language_of(request), services.policy, inside=inside)


@router.get("/maintenance-plans", summary="Plans of regular care")
def plans(
    request: Request,
    principal: Annotated[Principal, Depends(OFFICE_READ)],
    device_id: Annotated[str | None, Query(max_length=64)] = None,
) -> list[CarePlanBody]:
    """Return the plans in sight with how far along they are, those that are due first."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        seen = care_in_sight(services, principal, uow, device_id)
    return [CarePlanBody.of(each.plan, each.used) for each in seen]


@router.post("/maintenance-plans", summary="Begin a plan of regular care", status_code=201)
def begin_plan(
    request: Request,
    principal: Annotated[Principal, Depends(DISPATCHERS)],
    body: CarePlanInput,
    _key: IdempotencyKey = None,
) -> CarePlanBody:
    """Begin a plan by pages or days, whichever comes first; 409 when the device has one of that name."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_bundle(principal, uow, body.device_id)
    made = services.fieldwork.plans.make(
        principal.tenant,
        DeviceId(body.device_id),
        name=body.name,
        every_pages=body.every_pages,
        every_days=body.every_days,
        parts=tuple(body.parts),
    )
    return CarePlanBody.of(made, used_share(made, made.last_count, services.clock.now()))


@router.post("/maintenance-plans/{plan_id}/switch", summary="Switch a plan on or off")
def switch(
    request: Request,
    principal: Annotated[Principal, Depends(DISPATCHERS)],
    plan_id: PlanKey,
    body: CareSwitch,
    _key: IdempotencyKey = None,
) -> CarePlanBody:
    """Switch a plan; an order that it made stays."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        plan = uow.fieldwork.plans.get(principal.tenant, plan_id)
        visible_bundle(principal, uow, plan.device_id)
    saved = services.fieldwork.plans.switch(principal.tenant, plan_id, active=body.active)
    return CarePlanBody.of(saved, used_share(saved, None, services.clock.now()))


def _record(uow: UnitOfWork, order: WorkOrder) -> VisitRecord:
    """Return the record of an order's visit, an empty one while nothing was noted."""
    return uow.fieldwork.visit_of(order.tenant, order.work_order_id) or VisitRecord(
        tenant=order.tenant,
        work_order_id=order.work_order_id,
        device_id=order.device_id,
        customer_id=order.customer_id,
    )


def _visit(request: Request, uow: UnitOfWork, order: WorkOrder) -> VisitBody:
    services = services_of(request)
    record = _record(uow, order)
    files: list[Attachment] = list(
        uow.fieldwork.attachments.where(order.tenant, work_order_id=order.work_order_id)
    )
    missing = services.fieldwork.evidence.missing(uow, order, record, services.clock.now())
    done = record.finished_at is not None
    return VisitBody.of(record, [] if done else missing, files, _lines(request, record.price))


def _estimate(request: Request, estimate: Estimate) -> EstimateBody:
    return EstimateBody.of(estimate, _lines(request, estimate.price))


def _lines(request: Request, price: RepairPrice | None) -> list[LineBody]:
    messages, language = services_of(request).messages, language_of(request)
    return [
        LineBody(
            text=messages.unpacked(language, line.text),
            formula=line.formula,
            full_price=str(line.full_price),
            amount=str(line.amount),
            rule=line.rule.value if line.rule else None,
        )
        for line in (price.lines if price is not None else ())
    ]
