"""Credits that no bill will use: listed, and paid out to the customer (a deposit at the end, a refund)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from crm_core.billing.settling import Composed, blank_invoice, compose, total_of, write
from crm_core.domain.billing import (
    AccountItem,
    Invoice,
    InvoiceKind,
    InvoiceState,
    Payment,
    PaymentMethod,
)
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits for a customer's next invoice; a balance below zero is owed to the customer."""

    items: Sequence[AccountItem]

    @property
    def balance(self) -> Decimal:
        """Charges less credits, yuan."""
        return sum((item.amount for item in self.items), Decimal("0.00"))


class PayoutDesk:
    """Pays credits out: a credit note over everything that waits, settled by money that goes to the customer."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._version = policy.version
        self._zone = ZoneInfo(policy.sla.calendar.time_zone)

    def waiting(self, tenant: TenantId, customer_id: CustomerId) -> Waiting:
        """Return what waits for a customer, oldest first."""
        with self._uow_factory() as uow:
            return _waiting(uow, tenant, customer_id)

    def pay_out(
        self,
        tenant: TenantId,
        customer_id: CustomerId,
        method: PaymentMethod,
        external_number: str,
        *,
        actor: str,
        dry_run: bool = False,
    ) -> Invoice:
        """Pay the whole balance owed to the customer and return the credit note that says so.

        `InvalidValue` without the number of the payment (the receipt, for cash), `Conflict` when nothing is owed.
        """
        number = external_number.strip()
        if not number:
            raise InvalidValue("a payment to a customer needs the number under which the channel knows it")
        now = self._clock.now()
        today = now.astimezone(self._zone).date()
        with self._uow_factory() as uow:
            uow.customers.get(tenant, customer_id)
            owed = _waiting(uow, tenant, customer_id).balance
            if owed >= 0:
                raise Conflict(f"customer {customer_id} has no credit to pay out")
            made = write(uow, self._note(uow, tenant, customer_id, number, today), now)
            if made is None:
                raise Conflict(f"number {number} was used for a payment to this customer already")
            uow.billing.payments.add(
                Payment(
                    tenant=tenant,
                    invoice_number=made.invoice_number,
                    customer_id=customer_id,
                    amount=owed,
                    channel=method,
                    external_number=number,
                    paid_at=now,
                    recorded_by=actor,
                )
            )
            if not dry_run:
                uow.commit()
        return made

    def _note(
        self, uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId, number: str, today: date
    ) -> Composed:
        draft = blank_invoice(
            tenant,
            run_key=f"payout:{customer_id}:{number}",
            kind=InvoiceKind.CREDIT_NOTE,
            customer_id=customer_id,
            issued_on=today,
            due_on=today,
            policy_version=self._version,
            state=InvoiceState.PAID,
        )
        composed = compose(uow, draft, frozenset())
        lines = composed.invoice.lines[:-1]  # the last one would carry the rest on; here it is paid
        total = total_of(lines)
        note = replace(composed.invoice, lines=lines, total=total, paid=total)
        return Composed(note, composed.items, (), Decimal(0))


def _waiting(uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId) -> Waiting:
    rows = uow.billing.items.where(tenant, customer_id=customer_id, waiting=True)
    return Waiting(items=tuple(reversed(rows)))
