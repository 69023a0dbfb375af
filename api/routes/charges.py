"""Repair charges: collected from the visit, computed, explained, confirmed, receipted."""

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from api.access import (
    CARE,
    FIELD,
    MONEY_OWNED,
    Principal,
    check_sees_customer,
    check_sees_order,
    services_of,
)
from api.direct_route import DirectRoute
from api.language import language_of
from api.routes.billing import CustomerKey
from api.routes.tickets import IdempotencyKey
from api.schemas.charges import ChargeBody, ChargeFileBody, ChargeInput, ConfirmInput, ExplainInput
from crm_core.billing.repair_desk import Collected
from crm_core.domain.billing import PaymentMethod
from crm_core.domain.charges import PartCharge, RepairCharge
from crm_core.domain.identity import CustomerId, WorkOrderId

router = APIRouter(tags=["billing"], route_class=DirectRoute)

ChargeKey = Annotated[int, Path(ge=1, le=2**53, description="the charge's id")]
OrderKey = Annotated[int, Path(ge=1, le=2**53, description="the work order's id")]
CareRole = Annotated[Principal, Depends(CARE)]


@router.post("/work-orders/{work_order_id}/charge", summary="Collect a repair charge", status_code=201)
def collect(
    request: Request,
    principal: Annotated[Principal, Depends(FIELD)],
    work_order_id: OrderKey,
    body: ChargeInput,
    _key: IdempotencyKey = None,
) -> ChargeBody:
    """Open the charge of a work order with what the visit found; one for each work order."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        check_sees_order(principal, uow, uow.work_orders.get(principal.tenant, WorkOrderId(work_order_id)))
    found = Collected(
        item=body.item,
        hours=Decimal(body.hours),
        cause=body.cause,
        parts=tuple(
            PartCharge(
                name=part.name,
                unit_price=Decimal(part.unit_price),
                quantity=part.quantity,
                part_number=part.part_number,
                consumable=part.consumable,
            )
            for part in body.parts
        ),
    )
    charge = services.money.repairs.collect(
        principal.tenant, WorkOrderId(work_order_id), found, actor=principal.name
    )
    return _body(request, charge)


@router.get("/charges/{charge_id}", summary="One repair charge")
def one_charge(
    request: Request, principal: Annotated[Principal, Depends(MONEY_OWNED)], charge_id: ChargeKey
) -> ChargeBody:
    """Return a charge with its lines, its formula and the rules that made lines free."""
    return _body(request, visible_charge(request, principal, charge_id))


@router.post("/charges/{charge_id}/compute", summary="Compute a charge")
def compute(request: Request, principal: CareRole, charge_id: ChargeKey) -> ChargeBody:
    """Compute lines and total by the price list in force."""
    visible_charge(request, principal, charge_id)
    repairs = services_of(request).money.repairs
    return _body(request, repairs.compute(principal.tenant, charge_id, actor=principal.name))


@router.post("/charges/{charge_id}/explain", summary="Note that a charge was explained")
def explain(request: Request, principal: CareRole, charge_id: ChargeKey, body: ExplainInput) -> ChargeBody:
    """Note how the customer was given lines and formula."""
    visible_charge(request, principal, charge_id)
    repairs = services_of(request).money.repairs
    return _body(request, repairs.explain(principal.tenant, charge_id, body.note, actor=principal.name))


@router.post("/charges/{charge_id}/confirm", summary="Note the customer's consent to a charge")
def confirm(request: Request, principal: CareRole, charge_id: ChargeKey, body: ConfirmInput) -> ChargeBody:
    """Note who agreed and how they pay; the invoice is written at once."""
    visible_charge(request, principal, charge_id)
    repairs = services_of(request).money.repairs
    charge = repairs.confirm(
        principal.tenant,
        charge_id,
        PaymentMethod(body.payment_method),
        body.agreed_by,
        actor=principal.name,
    )
    return _body(request, charge)


@router.get("/customers/{customer_id}/charges", summary="File of a customer's repairs")
def charge_file(
    request: Request, principal: Annotated[Principal, Depends(MONEY_OWNED)], customer_id: CustomerKey
) -> ChargeFileBody:
    """Return all repairs with their charges; the total is the sum of their invoices."""
    services, language = services_of(request), language_of(request)
    with services.read_uow_factory() as uow:
        check_sees_customer(principal, uow, customer_id)
    rows, total = services.money.accounts.charges(principal.tenant, CustomerId(customer_id))
    return ChargeFileBody(
        total=total, items=[ChargeBody.of(row, services.messages, language) for row in rows]
    )


def visible_charge(request: Request, principal: Principal, charge_id: int) -> RepairCharge:
    """Return a charge of a customer in sight, or raise the problem of an absent one."""
    with services_of(request).read_uow_factory() as uow:
        charge = uow.billing.charges.get(principal.tenant, charge_id)
        check_sees_customer(principal, uow, charge.customer_id)
    return charge


def _body(request: Request, charge: RepairCharge) -> ChargeBody:
    return ChargeBody.of(charge, services_of(request).messages, language_of(request))
