"""The deposit in the ledger: invoiced when both sides have signed, offset or paid back when the contract ends (11).

It is the customer's money: no revenue, no points. Its invoices have a series of their own.
"""

from datetime import date, datetime, timedelta
from typing import Final

from crm_core.agreements.succession import predecessor_of
from crm_core.billing.credit_notes import take_back
from crm_core.billing.settling import add_item, blank_invoice, compose, write
from crm_core.domain.billing import (
    AccountItem,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    InvoiceState,
    LineKind,
)
from crm_core.domain.contracts import Agreement
from crm_core.domain.messages import packed
from crm_core.ports import UnitOfWork

RULE: Final = "deposit"


def ask_deposit(uow: UnitOfWork, agreement: Agreement, today: date, now: datetime) -> Invoice | None:
    """Write the invoice of the deposit; the one of the contract that this one follows is set off against it.

    Due with the beginning of the contract, or after its payment days when that is later. None without a deposit.
    """
    earlier = predecessor_of(uow, agreement)
    if earlier is not None:
        return_deposit(uow, earlier, today, now)
    terms = agreement.current
    if not terms.deposit:
        return None
    text = packed("billing.line.deposit", contract=agreement.contract_id)
    line = InvoiceLine(kind=LineKind.DEPOSIT, text=text, amount=terms.deposit, rule=RULE)
    draft = blank_invoice(
        agreement.tenant,
        run_key=_run_key(agreement),
        kind=InvoiceKind.DEPOSIT,
        customer_id=agreement.customer_id,
        issued_on=today,
        due_on=max(terms.starts_on, today + timedelta(days=terms.payment_days)),
        policy_version=terms.policy_version,
        contract_id=agreement.contract_id,
        lines=(line,),
        terms_version=terms.version,
    )
    waiting = uow.billing.items.where(agreement.tenant, customer_id=agreement.customer_id, waiting=True)
    others = frozenset(item.item_key for item in waiting if item.kind is not LineKind.DEPOSIT)
    return write(uow, compose(uow, draft, frozenset(), others), now)


def return_deposit(uow: UnitOfWork, agreement: Agreement, today: date, now: datetime) -> None:
    """Let a paid deposit wait as a credit of the customer; take the invoice of an unpaid one back."""
    found = uow.billing.invoices.where(agreement.tenant, run_key=_run_key(agreement), limit=1)
    if not found or found[0].state is InvoiceState.CREDITED:
        return
    if found[0].state is not InvoiceState.PAID:
        take_back(uow, found[0], "contract ended", actor="drumbeat", today=today, now=now)
        return
    add_item(
        uow,
        AccountItem(
            tenant=agreement.tenant,
            item_key=f"deposit_back:{agreement.contract_id}",
            customer_id=agreement.customer_id,
            contract_id=agreement.contract_id,
            kind=LineKind.DEPOSIT,
            amount=-found[0].lines[0].amount,
            text=packed("billing.line.deposit_back", contract=agreement.contract_id),
            created_at=now,
            rule=RULE,
        ),
    )


def _run_key(agreement: Agreement) -> str:
    return f"deposit:{agreement.contract_id}"
