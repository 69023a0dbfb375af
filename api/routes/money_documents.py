"""Invoices, receipts, contract summaries and the price list as PDF."""

from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from api.access import LANGUAGE_COOKIE, Public, check_sees_customer, services_of
from api.documents.money_papers import contract_paper, invoice_paper, price_list_paper, receipt_paper
from api.documents.work_order import Paper, render
from api.language import language_of
from api.money_sight import visible_invoice
from api.pages.formats import Formats
from api.pages.supply_view import Words
from api.routes.billing import InvoiceNumber, MoneyOwned
from api.routes.contracts import ContractKey, visible_agreement
from crm_core.billing.charges import price_list
from crm_core.billing.settling import get_invoice
from crm_core.domain.messages import LANGUAGES

router = APIRouter(tags=["billing"])

PaymentKey = Annotated[int, Path(ge=1, le=2**53, description="the payment's id")]
PDF: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "the paper",
        "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get(
    "/price-list/pdf", summary="Price list of repairs on paper", response_class=Response, responses=PDF
)
def price_list_pdf(
    request: Request, _public: Annotated[None, Depends(Public("published prices of repairs"))]
) -> Response:
    """Return the price list in force as PDF; anybody may read it."""
    services = services_of(request)
    policy = services.policy
    rows = price_list(policy.billing)
    return pdf(price_list_paper(services, rows, policy.version, policy.effective_from, plain_words(request)))


@router.get(
    "/invoices/{invoice_number}/pdf", summary="An invoice on paper", response_class=Response, responses=PDF
)
def invoice_pdf(request: Request, principal: MoneyOwned, invoice_number: InvoiceNumber) -> Response:
    """Return an invoice as PDF with the readings behind its pages."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        invoice = visible_invoice(principal, uow, invoice_number)
        customer = uow.customers.find(principal.tenant, invoice.customer_id)
    return pdf(invoice_paper(services, invoice, customer, plain_words(request)))


@router.get(
    "/payments/{payment_id}/receipt", summary="A receipt on paper", response_class=Response, responses=PDF
)
def receipt_pdf(request: Request, principal: MoneyOwned, payment_id: PaymentKey) -> Response:
    """Return the receipt of a payment as PDF."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        payment = uow.billing.payments.get(principal.tenant, payment_id)
        check_sees_customer(principal, uow, payment.customer_id)
        invoice = get_invoice(uow, principal.tenant, payment.invoice_number)
        customer = uow.customers.find(principal.tenant, payment.customer_id)
    return pdf(receipt_paper(services, payment, invoice, customer, plain_words(request)))


@router.get(
    "/contracts/{contract_id}/pdf",
    summary="A contract summary on paper",
    response_class=Response,
    responses=PDF,
)
def contract_pdf(request: Request, principal: MoneyOwned, contract_id: ContractKey) -> Response:
    """Return the summary of a contract as PDF."""
    services = services_of(request)
    agreement = visible_agreement(request, principal, contract_id)
    with services.read_uow_factory() as uow:
        customer = uow.customers.find(principal.tenant, agreement.customer_id)
    return pdf(contract_paper(services, agreement, customer, plain_words(request)))


def plain_words(request: Request) -> Words:
    """Return the language of the page that the paper was opened from, else that of the Accept-Language header."""
    services = services_of(request)
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    language = chosen if chosen in LANGUAGES else language_of(request)
    formats = Formats(language, ZoneInfo(services.settings.time_zone), services.clock.now())
    return Words(messages=services.messages, language=language, formats=formats)


def pdf(paper: Paper) -> Response:
    """Return the paper as an answer."""
    headers = {"Content-Disposition": f'inline; filename="{paper.number}.pdf"'}
    return Response(render(paper), media_type="application/pdf", headers=headers)
