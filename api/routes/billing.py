"""Invoices with their evidence, payments, statements, ageing, and the month-end run with its preview."""

from datetime import date
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from api.access import (
    MONEY,
    MONEY_OWNED,
    WHOLE_MONEY,
    Principal,
    Public,
    Rule,
    check_sees_customer,
    services_of,
)
from api.direct_route import DirectRoute
from api.language import language_of
from api.money_sight import InvoiceFilter, customers_in_sight, invoices_in_sight, visible_invoice
from api.paging import Cursor, Limit, decode_number, encode_cursor
from api.routes.tickets import IdempotencyKey
from api.schemas.base import Page
from api.schemas.billing import (
    AgeingBody,
    InstalmentsInput,
    InvoiceBody,
    InvoiceRow,
    LinkBody,
    MoneyReason,
    PaymentBody,
    PaymentInput,
    PayOutInput,
    RedeemInput,
    RepairBalanceBody,
    RunBody,
    RunInput,
    StatementBody,
    WaitingItemBody,
)
from api.schemas.charges import PriceListBody, PriceRow
from crm_core.billing.charges import price_list
from crm_core.domain.billing import InvoiceKind, InvoiceState, PaymentMethod
from crm_core.domain.identity import CustomerId
from crm_core.domain.service import Role

router = APIRouter(tags=["billing"], route_class=DirectRoute)

InvoiceNumber = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,32}$", description="such as INV-2026-000042")]
CustomerKey = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
MoneyRole = Annotated[Principal, Depends(MONEY)]
MoneyOwned = Annotated[Principal, Depends(MONEY_OWNED)]
Sharer = Annotated[Principal, Depends(Rule(MONEY.roles | {Role.CUSTOMER}, owned=True))]


@router.get("/price-list", summary="Price list of repairs")
def prices(
    request: Request, _public: Annotated[None, Depends(Public("published prices of repairs"))]
) -> PriceListBody:
    """Return the price list in force; anybody may read it."""
    services, language = services_of(request), language_of(request)
    policy = services.policy
    return PriceListBody(
        version=policy.version,
        effective_from=policy.effective_from,
        currency="CNY",
        formula=services.messages.text(language, "billing.price_formula"),
        items=[
            PriceRow.of(row, services.messages.text(language, f"billing.item.{row.item}"))
            for row in price_list(policy.billing)
        ],
    )


@router.get("/invoices", summary="Invoices")
def invoices(
    request: Request,
    principal: MoneyOwned,
    cursor: Cursor = None,
    limit: Limit = 50,
    customer_id: Annotated[str | None, Query(max_length=64)] = None,
    contract_id: Annotated[str | None, Query(max_length=64)] = None,
    state: InvoiceState | None = None,
    kind: InvoiceKind | None = None,
) -> Page[InvoiceRow]:
    """Return the invoices in sight, newest first."""
    with services_of(request).read_uow_factory() as uow:
        which = InvoiceFilter(
            customer_id=customer_id,
            contract_id=contract_id,
            state=state,
            kind=kind,
            before=decode_number(cursor),
            limit=limit + 1,
        )
        rows = invoices_in_sight(principal, uow, which)
    return Page(
        items=[InvoiceRow.of(row) for row in rows[:limit]],
        next_cursor=encode_cursor(str(rows[limit - 1].invoice_id)) if len(rows) > limit else None,
    )


@router.get("/invoices/{invoice_number}", summary="One invoice with its evidence")
def one_invoice(request: Request, principal: MoneyOwned, invoice_number: InvoiceNumber) -> InvoiceBody:
    """Return an invoice: each billed page lies between two readings of a device, with their quality."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        invoice = visible_invoice(principal, uow, invoice_number)
    return InvoiceBody.full(invoice, services.messages, language_of(request))


@router.get("/invoices/{invoice_number}/payments", summary="Payments of an invoice")
def payments(request: Request, principal: MoneyOwned, invoice_number: InvoiceNumber) -> Page[PaymentBody]:
    """Return what was paid, newest first."""
    with services_of(request).read_uow_factory() as uow:
        visible_invoice(principal, uow, invoice_number)
        rows = uow.billing.payments.where(principal.tenant, invoice_number=invoice_number)
    return Page(items=[PaymentBody.of(row) for row in rows])


@router.post("/invoices/{invoice_number}/payments", summary="Record a payment", status_code=201)
def pay(
    request: Request,
    principal: MoneyRole,
    invoice_number: InvoiceNumber,
    body: PaymentInput,
    _key: IdempotencyKey = None,
) -> PaymentBody:
    """Record money that came in; the same channel and number again changes nothing."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_invoice(principal, uow, invoice_number)
    payment = services.money.payments.pay(
        principal.tenant,
        invoice_number,
        Decimal(body.amount),
        PaymentMethod(body.channel),
        body.external_number,
        actor=principal.name,
    )
    return PaymentBody.of(payment)


@router.post("/invoices/{invoice_number}/instalments", summary="Agree on instalments")
def instalments(
    request: Request, principal: MoneyRole, invoice_number: InvoiceNumber, body: InstalmentsInput
) -> InvoiceBody:
    """Split an unpaid invoice into monthly payments that sum to it to the cent."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_invoice(principal, uow, invoice_number)
    invoice = services.money.payments.instalments(principal.tenant, invoice_number, body.number)
    return InvoiceBody.full(invoice, services.messages, language_of(request))


@router.post("/invoices/{invoice_number}/credit-note", summary="Take an invoice back", status_code=201)
def credit_note(
    request: Request,
    principal: MoneyRole,
    invoice_number: InvoiceNumber,
    body: MoneyReason,
    _key: IdempotencyKey = None,
) -> InvoiceBody:
    """Write a credit note over the whole invoice; the invoice itself never changes."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_invoice(principal, uow, invoice_number)
    note = services.money.payments.credit(principal.tenant, invoice_number, body.reason, actor=principal.name)
    return InvoiceBody.full(note, services.messages, language_of(request))


@router.post("/invoices/{invoice_number}/links", summary="Make a link to an invoice", status_code=201)
def link(request: Request, principal: Sharer, invoice_number: InvoiceNumber) -> LinkBody:
    """Return an address that shows this invoice and its state without sign-in until it expires."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_invoice(principal, uow, invoice_number)
    token, expires = services.money.links.make_link(principal.tenant, invoice_number, actor=principal.name)
    return LinkBody(url=f"{services.settings.public_url.rstrip('/')}/i/{token}", expires_at=expires)


@router.post("/billing/runs", summary="Bill a month, or see what would be billed")
def run(
    request: Request,
    principal: Annotated[Principal, Depends(WHOLE_MONEY)],
    body: RunInput,
    dry_run: Annotated[bool, Query(description="compute everything, write nothing")] = False,
    _key: IdempotencyKey = None,
) -> RunBody:
    """Write the invoices of a month that is over; what is written already stays as it is."""
    billing = services_of(request).money.billing
    month = date.fromisoformat(f"{body.month}-01")
    act = billing.preview if dry_run else billing.run
    report = act(principal.tenant, month, body.contract_id)
    return RunBody.of(report, services_of(request).messages, language_of(request))


@router.get("/customers/{customer_id}/statement", summary="Statement of a customer's account")
def statement(
    request: Request,
    principal: MoneyOwned,
    customer_id: CustomerKey,
    first: Annotated[date, Query(description="first day")] = date(2000, 1, 1),
    last: Annotated[date, Query(description="last day, included")] = date(2099, 12, 31),
) -> StatementBody:
    """Return what was open before, what came, and what is open after."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        check_sees_customer(principal, uow, customer_id)
    made = services.money.accounts.statement(principal.tenant, CustomerId(customer_id), first, last)
    return StatementBody.of(made)


@router.post("/customers/{customer_id}/points/redeem", summary="Redeem points for rent", status_code=201)
def redeem_points(
    request: Request,
    principal: MoneyRole,
    customer_id: CustomerKey,
    body: RedeemInput,
    _key: IdempotencyKey = None,
) -> WaitingItemBody:
    """Spend points: their value is a credit on the customer's next invoice."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        check_sees_customer(principal, uow, customer_id)
    item = services.money.payments.redeem_points(principal.tenant, CustomerId(customer_id), body.points)
    return WaitingItemBody(customer_id=item.customer_id, kind=item.kind.value, amount=item.amount)


@router.post("/customers/{customer_id}/account/pay-out", summary="Pay a credit out", status_code=201)
def pay_out(
    request: Request,
    principal: MoneyRole,
    customer_id: CustomerKey,
    body: PayOutInput,
    _key: IdempotencyKey = None,
) -> InvoiceBody:
    """Note that the whole balance owed to a customer was paid; the answer is the credit note that says so."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        check_sees_customer(principal, uow, customer_id)
    note = services.money.payouts.pay_out(
        principal.tenant,
        CustomerId(customer_id),
        PaymentMethod(body.channel),
        body.external_number,
        actor=principal.name,
    )
    return InvoiceBody.full(note, services.messages, language_of(request))


@router.get("/billing/ageing", summary="Ageing of receivables")
def ageing(request: Request, principal: MoneyRole) -> Page[AgeingBody]:
    """Return what each customer owes by days overdue, the most overdue first."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        seen = customers_in_sight(principal, uow)
    rows = services.money.accounts.ageing(principal.tenant)
    return Page(items=[AgeingBody.of(row) for row in rows if seen is None or row.customer_id in seen])


@router.get("/billing/repair-balances", summary="Repair cost against revenue")
def repair_balances(request: Request, principal: MoneyRole) -> Page[RepairBalanceBody]:
    """Return each repaired device's cost and revenue, those with a lasting loss first."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        seen = customers_in_sight(principal, uow)
    rows = services.money.accounts.repair_balances(principal.tenant)
    return Page(items=[RepairBalanceBody.of(row) for row in rows if seen is None or row.customer_id in seen])
