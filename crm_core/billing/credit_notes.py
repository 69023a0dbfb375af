"""An invoice taken back as a whole: a credit note over its lines, and everything that it took up waits again."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from crm_core.billing.settling import Composed, add_item, blank_invoice, write
from crm_core.domain.billing import AccountItem, Invoice, InvoiceKind, InvoiceState, LineKind
from crm_core.domain.errors import Conflict
from crm_core.domain.loyalty import PointsReason
from crm_core.domain.messages import packed
from crm_core.ports import UnitOfWork


def take_back(
    uow: UnitOfWork, invoice: Invoice, reason: str, *, actor: str, today: date, now: datetime
) -> Invoice:
    """Write the credit note and return it; what was paid waits as a credit, charges and coupons wait again.

    `Conflict` for a credit note, for an invoice that was taken back, and when a rest that it carried on was spent.
    """
    number = invoice.invoice_number
    if invoice.kind is InvoiceKind.CREDIT_NOTE or invoice.state is InvoiceState.CREDITED:
        raise Conflict(f"invoice {number} cannot be taken back again")
    note = blank_invoice(
        invoice.tenant,
        run_key=f"credit:{number}",
        kind=InvoiceKind.CREDIT_NOTE,
        customer_id=invoice.customer_id,
        issued_on=today,
        due_on=today,
        policy_version=invoice.policy_version,
        contract_id=invoice.contract_id,
        period_from=invoice.period_from,
        period_to=invoice.period_to,
        lines=tuple(replace(line, amount=-line.amount) for line in invoice.lines),
        total=-invoice.total,
        corrects=number,
        state=InvoiceState.PAID,
    )
    made = write(uow, Composed(note, (), (), Decimal(0)), now)
    if made is None:
        raise Conflict(f"invoice {number} was taken back already")
    _release(uow, invoice, made.invoice_number)
    _reverse_points(uow, invoice, now)
    uow.billing.invoices.save(
        replace(invoice, state=InvoiceState.CREDITED, credited=invoice.total - invoice.paid)
    )
    if invoice.paid:
        add_item(uow, _refund(invoice, reason, actor, now))
    return made


def _release(uow: UnitOfWork, invoice: Invoice, note_number: str) -> None:
    """Let what the invoice took up wait again, and take back the rest that it carried on."""
    number = invoice.invoice_number
    for item in uow.billing.items.where(invoice.tenant, customer_id=invoice.customer_id):
        if item.invoice_number == number:
            uow.billing.items.save(replace(item, waiting=True, invoice_number=None))
        elif item.item_key == f"carried:{number}":
            if not item.waiting:
                raise Conflict(f"its rest went to {item.invoice_number}; take that one back first")
            uow.billing.items.save(replace(item, waiting=False, invoice_number=note_number))
    for coupon in uow.relations.coupons.where(invoice.tenant, customer_id=invoice.customer_id):
        if coupon.redeemed_on == number:
            uow.relations.coupons.save(replace(coupon, redeemed_at=None, redeemed_on=None))


def _reverse_points(uow: UnitOfWork, invoice: Invoice, now: datetime) -> None:
    """Take back the points that a paid invoice gave (requirement 30)."""
    evidence = f"invoice:{invoice.invoice_number}"
    for entry in uow.relations.points.where(invoice.tenant, customer_id=invoice.customer_id):
        if entry.evidence == evidence and entry.reason is PointsReason.PAID:
            uow.relations.points.add_once(
                replace(
                    entry, entry_id=0, at=now, points=-entry.points, reason=PointsReason.REVERSED, version=1
                )
            )


def _refund(invoice: Invoice, reason: str, actor: str, now: datetime) -> AccountItem:
    return AccountItem(
        tenant=invoice.tenant,
        item_key=f"refund:{invoice.invoice_number}",
        customer_id=invoice.customer_id,
        contract_id=None,
        kind=LineKind.GOODWILL,
        amount=-invoice.paid,
        text=packed("billing.line.refund", number=invoice.invoice_number, reason=reason.strip(), actor=actor),
        created_at=now,
        rule="refund",
    )
