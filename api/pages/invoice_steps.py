"""What can be done with an invoice on its page: a payment, instalments, a credit note."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from api.access import Principal
from api.documents.money_papers import money
from api.pages.forms import amount_of, choice_of, count_of
from api.pages.steps import FormCard, FormField, Rows
from api.pages.supply_view import Words
from crm_core.billing.payments import OPEN_STATES, PaymentDesk
from crm_core.domain.billing import Invoice, InvoiceKind, InvoiceState, PaymentMethod
from crm_core.domain.errors import InvalidValue

_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class ToldInvoice:
    """A form that was sent for an invoice."""

    desk: PaymentDesk
    principal: Principal
    invoice: Invoice
    sent: Mapping[str, str]
    words: Words

    def rows(self, *facts: tuple[str, str]) -> Rows:
        """Return facts with their labels in words."""
        say = self.words.text
        return [(say("billing.page.number"), self.invoice.invoice_number)] + [
            (say(f"money.field.{name}"), text) for name, text in facts
        ]


def invoice_forms(invoice: Invoice, words: Words) -> list[FormCard]:
    """Return what can be done with an invoice now."""
    base = f"/invoices/{invoice.invoice_number}"
    forms = []
    if invoice.state in OPEN_STATES and invoice.outstanding > 0:
        pay = (
            FormField(name="amount", kind="amount", value=f"{invoice.outstanding}"),
            channel_field(words),
            FormField(name="external_number", needed=False),
        )
        forms.append(FormCard(key="pay", action=f"{base}/pay", fields=pay))
    if invoice.state is InvoiceState.OPEN and not invoice.instalments:
        parts = FormField(name="parts", kind="count", value=str(_PARTS))
        forms.append(
            FormCard(
                key="instalments", action=f"{base}/instalments", fields=(parts,), version=invoice.version
            )
        )
    if invoice.kind is not InvoiceKind.CREDIT_NOTE and invoice.state is not InvoiceState.CREDITED:
        reason = FormField(name="reason")
        forms.append(FormCard(key="credit", action=f"{base}/credit", fields=(reason,)))
    return forms


def channel_field(words: Words) -> FormField:
    """Return the choice of how money moves."""
    named = ((each.value, words.text(f"billing.channel.{each.value}")) for each in PaymentMethod)
    return FormField(name="channel", kind="choice", choices=tuple(named))


def channel_word(words: Words, method: PaymentMethod) -> str:
    """Return a way of paying in words."""
    return words.text(f"billing.channel.{method.value}")


def _pay(told: ToldInvoice, dry_run: bool) -> Rows:
    amount = amount_of(told.sent.get("amount", ""), "amount")
    method = choice_of(PaymentMethod, told.sent.get("channel", ""), "channel")
    number = told.sent.get("external_number", "")[:128]
    payment = told.desk.pay(
        told.principal.tenant,
        told.invoice.invoice_number,
        amount,
        method,
        number,
        actor=told.principal.name,
        dry_run=dry_run,
    )
    return told.rows(
        ("amount", money(payment.amount)),
        ("channel", channel_word(told.words, payment.channel)),
        ("external_number", payment.external_number),
        ("left", money(told.invoice.outstanding - payment.amount)),
    )


def _instalments(told: ToldInvoice, dry_run: bool) -> Rows:
    version = count_of(told.sent.get("version", ""), "version")
    number = count_of(told.sent.get("parts", ""), "parts")
    split = told.desk.instalments(
        told.principal.tenant, told.invoice.invoice_number, number, version=version, dry_run=dry_run
    )
    parts = tuple(("part", f"{part.due_on} · {money(part.amount)}") for part in split.instalments)
    return told.rows(*parts)


def _credit(told: ToldInvoice, dry_run: bool) -> Rows:
    reason = told.sent.get("reason", "")[:200]
    if not reason.strip():
        raise InvalidValue("reason: say why the invoice is taken back")
    note = told.desk.credit(
        told.principal.tenant, told.invoice.invoice_number, reason, actor=told.principal.name, dry_run=dry_run
    )
    refund = [("refund", money(told.invoice.paid))] if told.invoice.paid else []
    return told.rows(("reason", reason), ("credit_note", money(note.total)), *refund)


#: Step in the address -> what it does.
INVOICE_STEPS: Final[Mapping[str, Callable[[ToldInvoice, bool], Rows]]] = MappingProxyType(
    {"pay": _pay, "instalments": _instalments, "credit": _credit}
)
