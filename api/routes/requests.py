"""Credit assessments, and rental requests on their way to a contract."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import CARE, CUSTOMERS, MONEY, Principal, check_sees_customer, services_of
from api.conditional import check_if_match, set_etag
from api.direct_route import DirectRoute
from api.documents.proposal import proposal_paper
from api.paging import Cursor, Limit, decode_number, encode_cursor
from api.problem import Problem
from api.routes.customers import CustomerKey, customers_in_sight, visible_customer
from api.routes.money_documents import PDF, pdf, plain_words
from api.routes.tickets import IdempotencyKey, IfMatch
from api.schemas.base import Page
from api.schemas.requests import (
    AcceptanceInput,
    AssessmentBody,
    AssessmentInput,
    ProposalInput,
    RecommendationBody,
    RequestBody,
    RequestInput,
)
from api.schemas.service import ReasonInput
from crm_core.domain.credit import RentalRequest
from crm_core.domain.identity import ContractId, CustomerId

router = APIRouter(tags=["requests"], route_class=DirectRoute)

RequestKey = Annotated[int, Path(ge=1, le=2**53)]


@router.get("/customers/{customer_id}/assessments", summary="Credit assessments of a customer")
def assessments(
    request: Request, principal: Annotated[Principal, Depends(MONEY)], customer_id: CustomerKey
) -> list[AssessmentBody]:
    """Return all assessments, newest first; the first that is valid counts."""
    visible_customer(request, principal, customer_id)
    with services_of(request).read_uow_factory() as uow:
        rows = uow.agreements.assessments.where(principal.tenant, customer_id=customer_id, limit=100)
    return [AssessmentBody.of(row) for row in rows]


@router.post("/customers/{customer_id}/assessments", summary="Assess a customer's credit", status_code=201)
def assess(
    request: Request,
    principal: Annotated[Principal, Depends(MONEY)],
    customer_id: CustomerKey,
    body: AssessmentInput,
    _key: IdempotencyKey = None,
) -> AssessmentBody:
    """Assess from the file, or take an agency's score; deposit and payment follow from it."""
    visible_customer(request, principal, customer_id)
    made = services_of(request).customers.credit.assess(
        principal.tenant,
        CustomerId(customer_id),
        assessor=principal.name,
        stated_score=body.stated_score,
        note=body.note,
    )
    return AssessmentBody.of(made)


@router.get("/rental-requests", summary="Rental requests")
def requests(
    request: Request,
    principal: Annotated[Principal, Depends(CARE)],
    state: Annotated[str | None, Query(pattern=r"^(open|proposed|accepted|declined)$")] = None,
    customer_id: Annotated[str | None, Query(max_length=64)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[RequestBody]:
    """Return requests of customers in sight, newest first."""
    with services_of(request).read_uow_factory() as uow:
        seen = {each.customer_id for each in customers_in_sight(principal, uow)}
        found = uow.agreements.requests.where(
            principal.tenant, state=state, customer_id=customer_id, before=decode_number(cursor)
        )
    rows = [row for row in found if row.customer_id in seen]
    return Page(
        items=[RequestBody.of(row) for row in rows[:limit]],
        next_cursor=encode_cursor(str(rows[limit - 1].request_id)) if len(rows) > limit else None,
    )


@router.post("/customers/{customer_id}/rental-requests", summary="Take a rental request", status_code=201)
def take(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CARE)],
    customer_id: CustomerKey,
    body: RequestInput,
    _key: IdempotencyKey = None,
) -> RequestBody:
    """Take a request: the proposal is due by the customer's tier."""
    visible_customer(request, principal, customer_id)
    made = services_of(request).customers.requests.raise_request(
        principal.tenant, body.wish(customer_id), by=principal.name
    )
    return _answer(response, made)


@router.post("/my/rental-requests", summary="Ask for a device", status_code=201)
def ask(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CUSTOMERS)],
    body: RequestInput,
    _key: IdempotencyKey = None,
) -> RequestBody:
    """Ask for a device from the own page; the answer says when the proposal is due."""
    made = services_of(request).customers.requests.raise_request(
        principal.tenant, body.wish(principal.bound_to or ""), by=principal.name
    )
    return _answer(response, made)


@router.get("/rental-requests/{request_id}", summary="One rental request")
def one_request(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CARE)],
    request_id: RequestKey,
) -> RequestBody:
    """Return a request."""
    return _answer(response, visible_request(request, principal, request_id))


@router.get("/rental-requests/{request_id}/ranking", summary="Models that answer a request, with reasons")
def ranking(
    request: Request, principal: Annotated[Principal, Depends(CARE)], request_id: RequestKey
) -> list[RecommendationBody]:
    """Return every model of the catalogue, the best first; refused ones last with why."""
    known = visible_request(request, principal, request_id)
    return [RecommendationBody.of(row) for row in services_of(request).customers.requests.ranking(known)]


@router.post("/rental-requests/{request_id}/proposal", summary="Propose a device")
def propose(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CARE)],
    request_id: RequestKey,
    body: ProposalInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> RequestBody:
    """Propose a model with its money; needs a valid credit assessment."""
    known = visible_request(request, principal, request_id)
    check_if_match(request, known.version)
    made = services_of(request).customers.requests.propose(
        principal.tenant, request_id, body.choice(), by=principal.name, expected_version=known.version
    )
    return _answer(response, made)


@router.get(
    "/rental-requests/{request_id}/proposal/pdf",
    summary="A proposal on paper",
    response_class=Response,
    responses=PDF,
)
def proposal_pdf(
    request: Request, principal: Annotated[Principal, Depends(CARE)], request_id: RequestKey
) -> Response:
    """Return the proposal as PDF: needs with their priority, the device with its reasons, the money."""
    services = services_of(request)
    known = visible_request(request, principal, request_id)
    if known.proposal is None:
        raise Problem("not_found", "nothing was proposed yet")
    with services.read_uow_factory() as uow:
        customer = uow.customers.find(principal.tenant, known.customer_id)
    return pdf(proposal_paper(services, known, known.proposal, customer, plain_words(request)))


@router.post("/rental-requests/{request_id}/acceptance", summary="The customer takes the proposal")
def accept(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CARE)],
    request_id: RequestKey,
    body: AcceptanceInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> RequestBody:
    """Write the draft of the contract; it stays a draft while something is missing (a guarantor)."""
    known = visible_request(request, principal, request_id)
    check_if_match(request, known.version)
    accepted, _ = services_of(request).customers.requests.accept(
        principal.tenant,
        request_id,
        ContractId(body.contract_id),
        by=principal.name,
        expected_version=known.version,
    )
    return _answer(response, accepted)


@router.post("/rental-requests/{request_id}/decline", summary="The customer does not want it")
def decline(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CARE)],
    request_id: RequestKey,
    body: ReasonInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> RequestBody:
    """Keep the no with its reason."""
    known = visible_request(request, principal, request_id)
    check_if_match(request, known.version)
    declined = services_of(request).customers.requests.decline(
        principal.tenant, request_id, body.reason, expected_version=known.version
    )
    return _answer(response, declined)


def visible_request(request: Request, principal: Principal, request_id: int) -> RentalRequest:
    """Return a request of a customer in sight, or answer like an absent one."""
    with services_of(request).read_uow_factory() as uow:
        known = uow.agreements.requests.get(principal.tenant, request_id)
        check_sees_customer(principal, uow, known.customer_id)
    return known


def _answer(response: Response, row: RentalRequest) -> RequestBody:
    set_etag(response, row.version)
    return RequestBody.of(row)
