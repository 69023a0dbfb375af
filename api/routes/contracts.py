"""Rental contracts from draft to end, billing plans, and the price of short rentals."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, TypedDict
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import MONEY, MONEY_OWNED, Principal, Public, check_sees_customer, services_of
from api.conditional import check_if_match, set_etag
from api.direct_route import DirectRoute
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
    LostBody,
    LostInput,
    PlaceInput,
    PlanBody,
    PlanInput,
    SettleInput,
    ShortRentalBody,
    SuccessorInput,
    TakeAwayInput,
    TerminatedBody,
    TerminateInput,
    TermsInput,
)
from crm_core.agreements.changes import get_agreement
from crm_core.agreements.contract_money import short_rental_price
from crm_core.agreements.contract_states import ContractMove
from crm_core.billing.services import MoneyServices
from crm_core.domain.contracts import Agreement, ContractState, PriceConsent
from crm_core.domain.identity import ContractId, DeviceId, TenantId

router = APIRouter(tags=["contracts"], route_class=DirectRoute)

ContractKey = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
LineKey = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="a line of the contract")
]
_YEARS: Final = (2000, 2100)
MoneyRole = Annotated[Principal, Depends(MONEY)]
MoneyOwned = Annotated[Principal, Depends(MONEY_OWNED)]


class By(TypedDict):
    """Who changes which version."""

    actor: str
    version: int


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


@dataclass(frozen=True, slots=True)
class Held:
    """A contract that is about to be changed: in sight of the principal, and the version that the client saw."""

    request: Request
    response: Response
    principal: Principal
    agreement: Agreement

    @property
    def money(self) -> MoneyServices:
        """The services of money."""
        return services_of(self.request).money

    @property
    def whose(self) -> tuple[TenantId, ContractId]:
        """Tenant and contract."""
        return self.principal.tenant, self.agreement.contract_id

    @property
    def by(self) -> By:
        """Who changes which version."""
        return {"actor": self.principal.name, "version": self.agreement.version}

    def answer(self, changed: Agreement) -> ContractBody:
        """Return the body of the changed contract with its new tag."""
        return _body(self.response, self.principal, changed)


def held_contract(
    request: Request,
    response: Response,
    principal: MoneyRole,
    contract_id: ContractKey,
    _if_match: IfMatch = None,
) -> Held:
    """Return the contract to change; one out of sight is absent, another version than the client's is refused."""
    agreement = visible_agreement(request, principal, contract_id)
    check_if_match(request, agreement.version)
    return Held(request, response, principal, agreement)


@router.post("/contracts/{contract_id}/offer", summary="Offer a contract")
def offer(held: Annotated[Held, Depends(held_contract)]) -> ContractBody:
    """Offer the draft; it stays a draft while something is missing (409)."""
    return held.answer(held.money.contracts.offer(*held.whose, **held.by))


@router.post("/contracts/{contract_id}/sign", summary="Both sides have signed")
def sign(held: Annotated[Held, Depends(held_contract)], body: ConsentInput) -> ContractBody:
    """Make the contract active with the customer's recorded consent; its deposit is invoiced."""
    consent = _consent(held.request, body)
    return held.answer(held.money.contracts.sign(*held.whose, consent, **held.by))


@router.post("/contracts/{contract_id}/terms", summary="Change the terms")
def terms(held: Annotated[Held, Depends(held_contract)], body: TermsInput) -> ContractBody:
    """Put new terms in force from a month on; a price rise without the customer's consent is refused (409)."""
    consent = None if body.consent is None else _consent(held.request, body.consent)
    wanted = body.terms(held.agreement.current)
    return held.answer(held.money.contracts.change_terms(*held.whose, wanted, consent=consent, **held.by))


@router.post("/contracts/{contract_id}/lines/{line_id}/device", summary="Put a device on a line")
def place(held: Annotated[Held, Depends(held_contract)], line_id: LineKey, body: PlaceInput) -> ContractBody:
    """Let a device serve the line from now on; the one that is there ends its stay, its pages are its own."""
    placed = held.money.contract_devices.swap(
        *held.whose,
        line_id,
        DeviceId(body.device_id),
        end_count=body.end_count,
        start_count=body.start_count,
        **held.by,
    )
    return held.answer(placed)


@router.post("/contracts/{contract_id}/lines/{line_id}/take-away", summary="Take the device of a line away")
def take_away(
    held: Annotated[Held, Depends(held_contract)], line_id: LineKey, body: TakeAwayInput
) -> ContractBody:
    """End the present device's stay on the line with its last count."""
    desk = held.money.contract_devices
    return held.answer(desk.take_away(*held.whose, line_id, end_count=body.end_count, **held.by))


@router.post("/contracts/{contract_id}/lost", summary="A device was lost")
def report_lost(held: Annotated[Held, Depends(held_contract)], body: LostInput) -> LostBody:
    """Charge the depreciated value of a lost device on the next invoice, once."""
    device = DeviceId(body.device_id)
    amount = held.money.contract_devices.report_lost(
        *held.whose, device, actor=held.principal.name, on=body.lost_on
    )
    changed = visible_agreement(held.request, held.principal, held.agreement.contract_id)
    return LostBody(contract=held.answer(changed), compensation=amount)


@router.post("/contracts/{contract_id}/settle", summary="What was missing is there")
def settle(held: Annotated[Held, Depends(held_contract)], body: SettleInput) -> ContractBody:
    """Note that something which kept the draft back is there now, a guarantor for example."""
    desk, who = held.money.contracts, held.principal.name
    return held.answer(desk.settle_missing(*held.whose, body.what, actor=who))


@router.post("/contracts/{contract_id}/suspend", summary="Suspend a contract")
def suspend(held: Annotated[Held, Depends(held_contract)], body: MoneyReason) -> ContractBody:
    """Stop billing until the contract is resumed."""
    desk = held.money.contracts
    return held.answer(desk.move(*held.whose, ContractMove.SUSPEND, note=body.reason, **held.by))


@router.post("/contracts/{contract_id}/resume", summary="Resume a contract")
def resume(held: Annotated[Held, Depends(held_contract)], body: MoneyReason) -> ContractBody:
    """Make a suspended contract active again."""
    desk = held.money.contracts
    return held.answer(desk.move(*held.whose, ContractMove.RESUME, note=body.reason, **held.by))


@router.post("/contracts/{contract_id}/renew", summary="Renew a contract")
def renew(held: Annotated[Held, Depends(held_contract)], body: SuccessorInput) -> ContractBody:
    """Note which contract follows this one."""
    return held.answer(held.money.contracts.renew(*held.whose, body.successor_id, **held.by))


@router.post("/contracts/{contract_id}/end", summary="End a contract that is not renewed")
def end(held: Annotated[Held, Depends(held_contract)], body: MoneyReason) -> ContractBody:
    """End a contract with the reason why it was lost; a paid deposit is set off against the last bill."""
    return held.answer(held.money.contracts.end(*held.whose, body.reason, **held.by))


@router.post("/contracts/{contract_id}/terminate", summary="End a contract before its time")
def terminate(held: Annotated[Held, Depends(held_contract)], body: TerminateInput) -> TerminatedBody:
    """End a contract early; half of the fixed rent of the whole months left waits for its last invoice."""
    devices = held.money.contract_devices
    ended, penalty = devices.terminate(*held.whose, body.last_day, body.reason, **held.by)
    return TerminatedBody(contract=held.answer(ended), penalty=penalty)


def visible_agreement(request: Request, principal: Principal, contract_id: str) -> Agreement:
    """Return an agreement of a customer in sight; customers do not see drafts."""
    with services_of(request).read_uow_factory() as uow:
        agreement = get_agreement(uow, principal.tenant, contract_id)
        check_sees_customer(principal, uow, agreement.customer_id)
    if principal.bound_to is not None and agreement.state is ContractState.DRAFT:
        raise Problem("not_found")
    return agreement


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
