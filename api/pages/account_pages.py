"""The account of a customer: what waits for the next bill, all invoices, and what can be done: pay out, redeem points."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from api.access import MONEY, Principal, check_sees_customer, services_of
from api.documents.money_papers import money
from api.pages.common import renderer_of, words_of
from api.pages.forms import Form, checked, choice_of, count_of
from api.pages.invoice_steps import channel_field, channel_word
from api.pages.steps import FormCard, FormField, Refusal, Rows, look_or_do
from api.routes.billing import CustomerKey
from crm_core.domain.billing import PaymentMethod
from crm_core.domain.fleet import Customer
from crm_core.domain.identity import CustomerId
from crm_core.relations.loyalty import balance

router = APIRouter(include_in_schema=False)

MoneyRole = Annotated[Principal, Depends(MONEY)]
_EVER = (date(2000, 1, 1), date(2099, 12, 31))


@router.get("/customers/{customer_id}/account")
def account_page(request: Request, principal: MoneyRole, customer_id: CustomerKey) -> Response:
    """Show what waits for the customer's next bill, and all invoices."""
    return _page(request, principal, _visible(request, principal, customer_id))


@router.post("/customers/{customer_id}/account/pay-out")
def pay_out(request: Request, principal: MoneyRole, form: Form, customer_id: CustomerKey) -> Response:
    """Look at paying the customer's credit out, or note that it was paid."""
    sent = checked(form, principal)
    customer = _visible(request, principal, customer_id)

    def act(dry_run: bool) -> Rows:
        method = choice_of(PaymentMethod, sent.get("channel", ""), "channel")
        note = services_of(request).money.payouts.pay_out(
            principal.tenant,
            customer.customer_id,
            method,
            sent.get("external_number", "")[:128],
            actor=principal.name,
            dry_run=dry_run,
        )
        words = words_of(request, principal)
        return _rows(
            words,
            ("customer", customer.name),
            ("paid_out", money(-note.total)),
            ("channel", channel_word(words, method)),
        )

    return _done(request, principal, sent, customer, "pay-out", act)


@router.post("/customers/{customer_id}/account/points")
def redeem(request: Request, principal: MoneyRole, form: Form, customer_id: CustomerKey) -> Response:
    """Look at points redeemed for rent, or redeem them."""
    sent = checked(form, principal)
    customer = _visible(request, principal, customer_id)

    def act(dry_run: bool) -> Rows:
        points = count_of(sent.get("points", ""), "points")
        item = services_of(request).money.payments.redeem_points(
            principal.tenant, customer.customer_id, points, dry_run=dry_run
        )
        words = words_of(request, principal)
        return _rows(
            words, ("customer", customer.name), ("points", str(points)), ("credit", money(item.amount))
        )

    return _done(request, principal, sent, customer, "points", act)


def _done(
    request: Request, principal: Principal, sent: dict[str, str], customer: Customer, key: str, act: Any
) -> Response:
    def again(refusal: Refusal) -> Response:
        return _page(request, principal, customer, refusal)

    back = f"/customers/{customer.customer_id}/account"
    return look_or_do(request, principal, sent, key=key, act=act, back=back, again=again)


def _page(
    request: Request, principal: Principal, customer: Customer, refusal: Refusal | None = None
) -> Response:
    services, words = services_of(request), words_of(request, principal)
    waiting = services.money.payouts.waiting(principal.tenant, customer.customer_id)
    with services.read_uow_factory() as uow:
        points = balance(uow, principal.tenant, customer.customer_id)
    base = f"/customers/{customer.customer_id}/account"
    forms = []
    if waiting.balance < 0:
        fields = (channel_field(words), FormField(name="external_number"))
        forms.append(FormCard(key="pay-out", action=f"{base}/pay-out", fields=fields))
    if points > 0:
        field = FormField(name="points", kind="count", value=str(points))
        forms.append(FormCard(key="points", action=f"{base}/points", fields=(field,)))
    return renderer_of(request).page(
        request,
        "account.html",
        principal=principal,
        status=refusal.status if refusal else 200,
        refusal=refusal,
        customer=customer,
        waiting=waiting,
        statement=services.money.accounts.statement(principal.tenant, customer.customer_id, *_EVER),
        forms=forms,
        money=money,
    )


def _rows(words: Any, *facts: tuple[str, str]) -> Rows:
    return [(words.text(f"money.field.{name}"), text) for name, text in facts]


def _visible(request: Request, principal: Principal, customer_id: str) -> Customer:
    with services_of(request).read_uow_factory() as uow:
        check_sees_customer(principal, uow, customer_id)
        return uow.customers.get(principal.tenant, CustomerId(customer_id))
