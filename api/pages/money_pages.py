"""The pages of money: contracts, invoices with the evidence of their pages, the month end, ageing, and the open link."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi import Path as PathParameter
from starlette.requests import Request
from starlette.responses import Response

from api.access import MONEY, MONEY_OWNED, WHOLE_MONEY, Principal, Public, services_of
from api.documents.money_papers import invoice_paper, money, usage_lines
from api.money_sight import (
    InvoiceFilter,
    customers_in_sight,
    invoices_in_sight,
    visible_invoice,
)
from api.pages.common import failure_of, renderer_of, words_of
from api.pages.forms import Form, checked
from api.pages.invoice_steps import INVOICE_STEPS, ToldInvoice, invoice_forms
from api.pages.money_common import customer_names
from api.pages.steps import Refusal, Rows, look_or_do
from api.problem import Problem
from api.routes.billing import InvoiceNumber
from api.routes.money_documents import pdf, plain_words
from crm_core.domain.billing import Invoice, InvoiceState, Payment
from crm_core.domain.errors import Conflict, InvalidValue

router = APIRouter(include_in_schema=False)

MoneyRole = Annotated[Principal, Depends(MONEY)]
WholeMoney = Annotated[Principal, Depends(WHOLE_MONEY)]
MoneyOwned = Annotated[Principal, Depends(MONEY_OWNED)]
LinkToken = Annotated[str, PathParameter(min_length=20, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
StepName = Annotated[str, PathParameter(pattern=r"^[a-z-]{3,16}$")]
Month = Annotated[str, Query(pattern=r"^(20[0-9]{2}-(0[1-9]|1[0-2]))?$", max_length=7)]
_ROWS: Final = 60
_BY_LINK: Final = Public("the address is the key: it shows one invoice until it expires")


@router.get("/invoices")
def invoices_page(
    request: Request,
    principal: MoneyOwned,
    state: Annotated[InvoiceState | None, Query()] = None,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """List the invoices in sight, newest first."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        which = InvoiceFilter(state=state, before=before, limit=_ROWS + 1)
        rows = invoices_in_sight(principal, uow, which)
        names = customer_names(uow, principal, rows)
    last = rows[_ROWS - 1].invoice_id if len(rows) > _ROWS else None
    return renderer_of(request).page(
        request,
        "invoices.html",
        principal=principal,
        rows=rows[:_ROWS],
        names=names,
        states=list(InvoiceState),
        chosen=state,
        may_bill=WHOLE_MONEY.admits(principal),
        month=f"{services.money.billing.last_month():%Y-%m}",
        next_href=f"/invoices?before={last}" + (f"&state={state.value}" if state else "") if last else None,
        money=money,
    )


@router.get("/invoices/month-end")
def preview_page(request: Request, principal: WholeMoney, month: Month = "") -> Response:
    """Show what the month end would write."""
    return _month_end(request, principal, month, write=False)


@router.post("/invoices/month-end")
def run_page(request: Request, principal: WholeMoney, form: Form) -> Response:
    """Write the invoices of a month."""
    fields = checked(form, principal)
    return _month_end(request, principal, fields.get("month", ""), write=True)


def _month_end(request: Request, principal: Principal, month: str, *, write: bool) -> Response:
    services = services_of(request)
    billing = services.money.billing
    report, failure, status = None, None, 200
    try:
        first = date.fromisoformat(f"{month}-01") if month else billing.last_month()
        report = (billing.run if write else billing.preview)(principal.tenant, first)
    except (Conflict, InvalidValue) as error:
        failure, status = failure_of(request, principal, error)
    except ValueError:
        raise Problem("invalid_input") from None
    with services.read_uow_factory() as uow:
        names = customer_names(uow, principal, report.invoices if report else ())
    return renderer_of(request).page(
        request,
        "month_end.html",
        principal=principal,
        status=status,
        report=report,
        failure=failure,
        names=names,
        money=money,
    )


@router.get("/invoices/{invoice_number}")
def invoice_page(request: Request, principal: MoneyOwned, invoice_number: InvoiceNumber) -> Response:
    """Show an invoice with its lines, the readings behind its pages, and its payments."""
    return _invoice_page(request, principal, invoice_number)


@router.post("/invoices/{invoice_number}/link")
def share(request: Request, principal: MoneyOwned, form: Form, invoice_number: InvoiceNumber) -> Response:
    """Make an address that shows the invoice without sign-in, and show it this once."""
    checked(form, principal)
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_invoice(principal, uow, invoice_number)
    token, _ = services.money.links.make_link(principal.tenant, invoice_number, actor=principal.name)
    address = f"{services.settings.public_url.rstrip('/')}/i/{token}"
    return _invoice_page(request, principal, invoice_number, address=address)


@router.post("/invoices/{invoice_number}/{step}")
def take_step(
    request: Request, principal: MoneyRole, form: Form, invoice_number: InvoiceNumber, step: StepName
) -> Response:
    """Look at a payment, instalments or a credit note, or write it."""
    sent = checked(form, principal)
    taken = INVOICE_STEPS.get(step)
    if taken is None:
        raise Problem("not_found")
    services = services_of(request)
    with services.read_uow_factory() as uow:
        invoice = visible_invoice(principal, uow, invoice_number)
    told = ToldInvoice(services.money.payments, principal, invoice, sent, words_of(request, principal))

    def act(dry_run: bool) -> Rows:
        return taken(told, dry_run)

    def again(refusal: Refusal) -> Response:
        return _invoice_page(request, principal, invoice_number, refusal=refusal)

    back = f"/invoices/{invoice_number}"
    return look_or_do(request, principal, sent, key=step, act=act, back=back, again=again)


def _invoice_page(
    request: Request,
    principal: Principal,
    invoice_number: str,
    *,
    refusal: Refusal | None = None,
    address: str | None = None,
) -> Response:
    services = services_of(request)
    with services.read_uow_factory() as uow:
        invoice = visible_invoice(principal, uow, invoice_number)
        payments = list(uow.billing.payments.where(principal.tenant, invoice_number=invoice_number))
        names = customer_names(uow, principal, [invoice])
    words = words_of(request, principal)
    return renderer_of(request).page(
        request,
        "invoice.html",
        principal=principal,
        status=refusal.status if refusal else 200,
        refusal=refusal,
        address=address,
        inside=principal.bound_to is None,
        forms=invoice_forms(invoice, words) if principal.role in MONEY.roles else [],
        **_shown(request, invoice, payments, names, words),
    )


def _shown(
    request: Request, invoice: Invoice, payments: list[Payment], names: dict[str, str], words: Any
) -> dict[str, Any]:
    """Return what the signed-in page and the open link show alike."""
    messages = services_of(request).messages
    return {
        "invoice": invoice,
        "lines": [(line, messages.unpacked(words.language, line.text)) for line in invoice.lines],
        "evidence": [(used, usage_lines(used, words)) for used in invoice.usage],
        "payments": payments,
        "names": names,
        "money": money,
    }


@router.get("/i/{token}")
def by_link(request: Request, token: LinkToken, _public: Annotated[None, Depends(_BY_LINK)]) -> Response:
    """Show one invoice and its state to whoever has the link (requirement 118)."""
    services = services_of(request)
    invoice = services.money.accounts.by_link(token)
    with services.read_uow_factory() as uow:
        customer = uow.customers.find(invoice.tenant, invoice.customer_id)
    names = {str(invoice.customer_id): customer.name if customer else invoice.customer_id}
    return renderer_of(request).page(
        request, "open_invoice.html", token=token, **_shown(request, invoice, [], names, plain_words(request))
    )


@router.get("/i/{token}/invoice.pdf")
def pdf_by_link(request: Request, token: LinkToken, _public: Annotated[None, Depends(_BY_LINK)]) -> Response:
    """Return the same invoice as PDF."""
    services = services_of(request)
    invoice = services.money.accounts.by_link(token)
    with services.read_uow_factory() as uow:
        customer = uow.customers.find(invoice.tenant, invoice.customer_id)
    return pdf(invoice_paper(services, invoice, customer, plain_words(request)))


@router.get("/ageing")
def ageing_page(request: Request, principal: MoneyRole) -> Response:
    """Show what customers owe by days overdue."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        seen = customers_in_sight(principal, uow)
        names = {row.customer_id: row.name for row in uow.customers.all(principal.tenant)}
    found = services.money.accounts.ageing(principal.tenant)
    rows = [row for row in found if seen is None or row.customer_id in seen]
    sums = [sum((row.by_age[place] for row in rows), Decimal("0.00")) for place in range(5)]
    return renderer_of(request).page(
        request, "ageing.html", principal=principal, rows=rows, sums=sums, names=names, money=money
    )
