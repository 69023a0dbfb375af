"""From lines to an invoice: waiting charges and credits, coupons, no negative bill, a number without gaps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from crm_core.domain.billing import (
    AccountItem,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    InvoiceState,
    LineKind,
)
from crm_core.domain.errors import Conflict, NotFound
from crm_core.domain.identity import TenantId
from crm_core.domain.loyalty import Coupon
from crm_core.domain.messages import packed
from crm_core.domain.money import to_cent
from crm_core.notices.announcing import publish
from crm_core.ports import UnitOfWork

_SERIES: Final = {
    InvoiceKind.RENT: "INV",
    InvoiceKind.REPAIR: "INV",
    InvoiceKind.OTHER: "INV",
    InvoiceKind.DEPOSIT: "DEP",
    InvoiceKind.CREDIT_NOTE: "CN",
}


@dataclass(frozen=True, slots=True)
class Composed:
    """An invoice as it would be written, and what it takes up and leaves over."""

    invoice: Invoice
    items: tuple[AccountItem, ...]
    coupons: tuple[Coupon, ...]
    carried: Decimal  # a credit that is more than the bill: it waits for the next one


def compose(
    uow: UnitOfWork, draft: Invoice, contracts: frozenset[str], taken: frozenset[str] = frozenset()
) -> Composed:
    """Add what waits for the customer; a bill below zero becomes 0.00 and its rest is carried on.

    Items of a contract in `contracts` wait for that contract's own invoice; `taken` are keys that a preview used up.
    """
    waiting = [
        row
        for row in reversed(
            uow.billing.items.where(draft.tenant, customer_id=draft.customer_id, waiting=True)
        )
        if row.item_key not in taken
        and (row.contract_id in (None, draft.contract_id) or row.contract_id not in contracts)
    ]
    lines = [*draft.lines, *(_line_of(item) for item in waiting)]
    coupons = _coupons(uow, draft, taken)
    for coupon in coupons:
        lines.append(_coupon_line(coupon, total_of(lines)))
    total = total_of(lines)
    carried = max(-total, Decimal(0))
    if carried:
        lines.append(
            InvoiceLine(kind=LineKind.CARRIED, text=packed("billing.line.carried_on"), amount=carried)
        )
    invoice = replace(draft, lines=tuple(lines), total=total_of(lines))
    return Composed(invoice, tuple(waiting), tuple(coupons), carried)


def write(uow: UnitOfWork, composed: Composed, now: datetime) -> Invoice | None:
    """Insert the invoice under the next number and settle what it took up; None when its run wrote one already.

    Everything is one transaction: a failure leaves no gap in the numbers and no item half settled.
    """
    invoice = composed.invoice
    if not invoice.total:
        invoice = replace(invoice, state=InvoiceState.PAID)  # nothing is left to pay
    series = f"{_SERIES[invoice.kind]}-{invoice.issued_on.year}"
    uow.billing.hold_series(invoice.tenant, series)
    if uow.billing.invoices.where(invoice.tenant, run_key=invoice.run_key):
        return None
    number = f"{series}-{uow.billing.next_number(invoice.tenant, series):06d}"
    made = uow.billing.invoices.add(replace(invoice, invoice_number=number))
    _tell(uow, made, now)
    for item in composed.items:
        uow.billing.items.save(replace(item, waiting=False, invoice_number=number))
    for coupon in composed.coupons:
        uow.relations.coupons.save(replace(coupon, redeemed_at=now, redeemed_on=number))
    if composed.carried:
        carried = AccountItem(
            tenant=invoice.tenant,
            item_key=f"carried:{number}",
            customer_id=invoice.customer_id,
            contract_id=None,
            kind=LineKind.CARRIED,
            amount=-composed.carried,
            text=packed("billing.line.carried_from", number=number),
            created_at=now,
        )
        add_item(uow, carried)
    return made


def _tell(uow: UnitOfWork, invoice: Invoice, now: datetime) -> None:
    """Tell programs that an invoice is issued; its lines are read over the API."""
    body = {
        "invoice_number": invoice.invoice_number,
        "kind": invoice.kind,
        "customer_id": invoice.customer_id,
        "contract_id": invoice.contract_id,
        "issued_on": invoice.issued_on,
        "due_on": invoice.due_on,
        "total": str(invoice.total),
        "currency": invoice.currency,
    }
    subject = f"invoice:{invoice.invoice_number}"
    publish(uow, invoice.tenant, "invoice.issued", subject=subject, change="issued", body=body, now=now)


def add_item(uow: UnitOfWork, item: AccountItem) -> AccountItem | None:
    """Let a charge or credit wait for the next invoice; None when it waits or was taken up already."""
    return uow.billing.items.add_once(replace(item, amount=to_cent(item.amount)))


def get_invoice(uow: UnitOfWork, tenant: TenantId, number: str) -> Invoice:
    """Return an invoice by its number, or raise `NotFound`."""
    found = uow.billing.invoices.where(tenant, invoice_number=number, limit=1)
    if not found:
        raise NotFound(f"there is no invoice {number[:32]!r}; list the invoices to see them")
    return found[0]


def total_of(lines: Sequence[InvoiceLine]) -> Decimal:
    """Return the sum of the lines."""
    return sum((line.amount for line in lines), Decimal("0.00"))


def blank_invoice(
    tenant: TenantId,
    *,
    run_key: str,
    kind: InvoiceKind,
    customer_id: str,
    issued_on: date,
    due_on: date,
    policy_version: str,
    **more: object,
) -> Invoice:
    """Return an invoice without lines, to be composed."""
    fields: dict[str, object] = {
        "invoice_number": "",
        "contract_id": None,
        "period_from": issued_on,
        "period_to": issued_on,
        "lines": (),
        "total": Decimal("0.00"),
        **more,
    }
    if due_on < issued_on:
        raise Conflict("an invoice is not due before it is issued")
    return Invoice(
        tenant=tenant,
        run_key=run_key,
        kind=kind,
        customer_id=customer_id,  # type: ignore[arg-type]  # a text that the caller read from a customer
        issued_on=issued_on,
        due_on=due_on,
        policy_version=policy_version,
        **fields,  # type: ignore[arg-type]  # fields of Invoice by name
    )


def _line_of(item: AccountItem) -> InvoiceLine:
    return InvoiceLine(
        kind=item.kind,
        text=item.text,
        amount=item.amount,
        device_id=item.device_id,
        rule=item.rule or item.item_key,
    )


def _coupons(uow: UnitOfWork, draft: Invoice, taken: frozenset[str]) -> list[Coupon]:
    """Return coupons that are valid on the day of issue, the oldest first; only rent is paid with them (31)."""
    if draft.kind is not InvoiceKind.RENT:
        return []
    rows = uow.relations.coupons.where(draft.tenant, customer_id=draft.customer_id)
    valid = [
        row
        for row in reversed(rows)
        if row.redeemed_at is None
        and row.issued_on <= draft.issued_on <= row.valid_until
        and f"coupon:{row.coupon_id}" not in taken
    ]
    return valid if total_of(draft.lines) > 0 else []


def _coupon_line(coupon: Coupon, total: Decimal) -> InvoiceLine:
    amount = coupon.amount or to_cent(max(total, Decimal(0)) * coupon.percent / 100)
    return InvoiceLine(
        kind=LineKind.COUPON,
        text=packed("billing.line.coupon", origin=coupon.origin),
        amount=-to_cent(amount),
        rule=f"coupon:{coupon.coupon_id}",
    )
