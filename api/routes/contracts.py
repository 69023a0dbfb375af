"""Rental contracts from draft to end, billing plans, and the price of short rentals."""

from datetime import datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import MONEY, MONEY_OWNED, Principal, Public, check_sees_customer, services_of
from api.conditional import check_if_match, set_etag
from api.money_sight import agreements_in_sight
from api.paging import Cursor, Limit, decode_number, encode_cursor
from api.problem import Problem
from api.routes.tickets import IdempotencyKey, IfMatch
from api.schemas.base import Page
from api.schemas.billing import MoneyReason
from api.schemas.contracts import (
    ConsentInput,
    ContractBody,
    ContractInput,
    ContractRow,
    PlaceInput,
    PlanBody,
    PlanInput,
    ShortRentalBody,
    SuccessorInput,
    TerminatedBody,
    TerminateInput,
    TermsInput,
)
from crm_core.agreements.changes import get_agreement
from crm_core.agreements.contract_money import short_rental_price
from crm_core.agreements.contract_states import ContractMove
from crm_core.domain.contracts import Agreement, ContractState, PriceConsent
from crm_core.domain.identity import DeviceId

router = APIRouter(tags=["contracts"])

ContractKey = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
LineKey = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="a line of the contract")
]
_YEARS: Final = (2000, 2100)
MoneyRole = Annotated[Principal, Depends(MONEY)]
MoneyOwned = Annotated[Principal, Depends(MONEY_OWNED)]


@router.get("/billing/plans", summary="Billing plans")
def plans(request: Request, principal: MoneyRole) -> Page[PlanBody]:
    """Return all editions of all plans and packages."""
    rows = services_of(request).money.plans.plans(principal.tenant)
    return Page(items=[PlanBody.of(row) for row in rows])


@router.post("/billing/plans", summary="Publish a billing plan", status_code=201)
def publish(request: Request, principal: MoneyRole, body: PlanInput) -> PlanBody:
    """Add an edition or change one that no contract uses yet; 409 for one in use."""
    return PlanBody.of(services_of(request).money.plans.publish(body.plan(principal.tenant)))


@router.get("/short-rentals/price", summary="Price of a short rental")
def short_rental(
    request: Request,
    _public: Annotated[None, Depends(Public("published prices of short rentals"))],
    start: Annotated[datetime, Query(description="with or without zone; without one it is local")],
    end: Annotated[datetime, Query(description="as start")],
) -> ShortRentalBody:
    """Return the price by days and weekend packages; Friday 18:00 to Monday 09:00 is one package."""
    policy = services_of(request).policy
    zone = ZoneInfo(policy.sla.calendar.time_zone)
    begin, finish = (
        at.replace(tzinfo=zone) if at.tzinfo is None else at.astimezone(zone) for at in (start, end)
    )
    if not _YEARS[0] <= begin.year <= finish.year <= _YEARS[1]:
        raise Problem("invalid_input", "the years are 2000 to 2100")
    price, packages, days = short_rental_price(begin, finish, policy.agreements.contracts.short_term)
    return ShortRentalBody(price=price, weekend_packages=packages, days=days)


@router.get("/contracts", summary="Contracts")
def contracts(
    request: Request,
    principal: MoneyOwned,
    cursor: Cursor = None,
    limit: Limit = 50,
    customer_id: Annotated[str | None, Query(max_length=64)] = None,
    state: ContractState | None = None,
) -> Page[ContractRow]:
    """Return the agreements in sight, newest first."""
    before = decode_number(cursor)
    with services_of(request).read_uow_factory() as uow:
        rows = agreements_in_sight(principal, uow, customer_id=customer_id, state=state, before=before)
    return Page(
        items=[ContractRow.of(row) for row in rows[:limit]],
        next_cursor=encode_cursor(str(rows[limit - 1].agreement_id)) if len(rows) > limit else None,
    )


@router.post("/contracts", summary="Draft a contract", status_code=201)
def draft(
    request: Request,
    response: Response,
    principal: MoneyRole,
    body: ContractInput,
    _key: IdempotencyKey = None,
) -> ContractBody:
    """Write a draft; the deposit follows from the device values and the share of the assessment."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        check_sees_customer(principal, uow, body.customer_id)
    made = services.money.contracts.draft(principal.tenant, body.draft(), actor=principal.name)
    return _body(response, principal, made)


@router.get("/contracts/{contract_id}", summary="One contract")
def one_contract(
    request: Request, response: Response, principal: MoneyOwned, contract_id: ContractKey
) -> ContractBody:
    """Return a contract with its terms, lines, consents and history."""
    return _body(response, principal, visible_agreement(request, principal, contract_id))


@router.post("/contracts/{contract_id}/offer", summary="Offer a contract")
def offer(
    request: Request,
    response: Response,
    principal: MoneyRole,
    contract_id: ContractKey,
    _if_match: IfMatch = None,
) -> ContractBody:
    """Offer the draft; it stays a draft while something is missing (409)."""
    version = _version(request, principal, contract_id)
    desk = services_of(request).money.contracts
    return _body(
        response, principal, desk.offer(principal.tenant, contract_id, actor=principal.name, version=version)
    )


@router.post("/contracts/{contract_id}/sign", summary="Both sides have signed")
def sign(
    request: Request,
    response: Response,
    principal: MoneyRole,
    contract_id: ContractKey,
    body: ConsentInput,
    _if_match: IfMatch = None,
) -> ContractBody:
    """Make the contract active with the customer's recorded consent."""
    version = _version(request, principal, contract_id)
    desk = services_of(request).money.contracts
    signed = desk.sign(
        principal.tenant, contract_id, _consent(request, body), actor=principal.name, version=version
    )
    return _body(response, principal, signed)


@router.post("/contracts/{contract_id}/terms", summary="Change the terms")
def terms(
    request: Request,
    response: Response,
    principal: MoneyRole,
    contract_id: ContractKey,
    body: TermsInput,
    _if_match: IfMatch = None,
) -> ContractBody:
    """Put new terms in force from a month on; a price rise without the customer's consent is refused (409)."""
    agreement = visible_agreement(request, principal, contract_id)
    check_if_match(request, agreement.version)
    changed = services_of(request).money.contracts.change_terms(
        principal.tenant,
        contract_id,
        body.terms(agreement.current),
        actor=principal.name,
        consent=None if body.consent is None else _consent(request, body.consent),
        version=agreement.version,
    )
    return _body(response, principal, changed)


@router.post("/contracts/{contract_id}/lines/{line_id}/device", summary="Put a device on a line")
def place(
    request: Request,
    response: Response,
    principal: MoneyRole,
    contract_id: ContractKey,
    line_id: LineKey,
    body: PlaceInput,
    _if_match: IfMatch = None,
) -> ContractBody:
    """Let a device serve the line from now on; the one that is there ends its stay, its pages are its own."""
    agreement = visible_agreement(request, principal, contract_id)
    check_if_match(request, agreement.version)
    placed = services_of(request).money.contract_devices.swap(
        principal.tenant,
        contract_id,
        line_id,
        DeviceId(body.device_id),
        actor=principal.name,
        end_count=body.end_count,
        start_count=body.start_count,
        version=agreement.version,
    )
    return _body(response, principal, placed)


@router.post("/contracts/{contract_id}/suspend", summary="Suspend a contract")
def suspend(
    request: Request,
    response: Response,
    principal: MoneyRole,
    contract_id: ContractKey,
    body: MoneyReason,
    _if_match: IfMatch = None,
) -> ContractBody:
    """Stop billing until the contract is resumed."""
    return _moved(request, response, principal, contract_id, ContractMove.SUSPEND, body.reason)


@router.post("/contracts/{contract_id}/resume", summary="Resume a contract")
def resume(
    request: Request,
    response: Response,
    principal: MoneyRole,
    contract_id: ContractKey,
    body: MoneyReason,
    _if_match: IfMatch = None,
) -> ContractBody:
    """Make a suspended contract active again."""
    return _moved(request, response, principal, contract_id, ContractMove.RESUME, body.reason)


@router.post("/contracts/{contract_id}/renew", summary="Renew a contract")
def renew(
    request: Request,
    response: Response,
    principal: MoneyRole,
    contract_id: ContractKey,
    body: SuccessorInput,
    _if_match: IfMatch = None,
) -> ContractBody:
    """Note which contract follows this one."""
    version = _version(request, principal, contract_id)
    desk = services_of(request).money.contracts
    renewed = desk.renew(
        principal.tenant, contract_id, body.successor_id, actor=principal.name, version=version
    )
    return _body(response, principal, renewed)


@router.post("/contracts/{contract_id}/end", summary="End a contract that is not renewed")
def end(
    request: Request,
    response: Response,
    principal: MoneyRole,
    contract_id: ContractKey,
    body: MoneyReason,
    _if_match: IfMatch = None,
) -> ContractBody:
    """End a contract with the reason why it was lost."""
    version = _version(request, principal, contract_id)
    desk = services_of(request).money.contracts
    ended = desk.end(principal.tenant, contract_id, body.reason, actor=principal.name, version=version)
    return _body(response, principal, ended)


@router.post("/contracts/{contract_id}/terminate", summary="End a contract before its time")
def terminate(
    request: Request,
    response: Response,
    principal: MoneyRole,
    contract_id: ContractKey,
    body: TerminateInput,
    _if_match: IfMatch = None,
) -> TerminatedBody:
    """End a contract early; half of the fixed rent of the whole months left waits for its last invoice."""
    version = _version(request, principal, contract_id)
    ended, penalty = services_of(request).money.contract_devices.terminate(
        principal.tenant, contract_id, body.last_day, body.reason, actor=principal.name, version=version
    )
    return TerminatedBody(contract=_body(response, principal, ended), penalty=penalty)


def _moved(
    request: Request,
    response: Response,
    principal: Principal,
    contract_id: str,
    move: ContractMove,
    note: str,
) -> ContractBody:
    version = _version(request, principal, contract_id)
    desk = services_of(request).money.contracts
    moved = desk.move(principal.tenant, contract_id, move, actor=principal.name, note=note, version=version)
    return _body(response, principal, moved)


def visible_agreement(request: Request, principal: Principal, contract_id: str) -> Agreement:
    """Return an agreement of a customer in sight; customers do not see drafts."""
    with services_of(request).read_uow_factory() as uow:
        agreement = get_agreement(uow, principal.tenant, contract_id)
        check_sees_customer(principal, uow, agreement.customer_id)
    if principal.bound_to is not None and agreement.state is ContractState.DRAFT:
        raise Problem("not_found")
    return agreement


def _version(request: Request, principal: Principal, contract_id: str) -> int:
    """Return the version to change after checking that the contract is in sight and is the one the client saw."""
    agreement = visible_agreement(request, principal, contract_id)
    check_if_match(request, agreement.version)
    return agreement.version


def _consent(request: Request, body: ConsentInput) -> PriceConsent:
    return PriceConsent(
        given_by=body.given_by,
        given_at=services_of(request).clock.now(),
        channel=body.channel,
        document=body.document,
    )


def _body(response: Response, principal: Principal, agreement: Agreement) -> ContractBody:
    set_etag(response, agreement.version)
    return ContractBody.full(agreement, inside=principal.bound_to is None)
