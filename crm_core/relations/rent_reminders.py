"""Rent that falls due soon: the customer is reminded once, some days before, unless they want no reminders (requirement 88)."""

from datetime import timedelta
from typing import Protocol

from crm_core.domain.billing import Invoice, InvoiceState
from crm_core.domain.identity import TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.periods import local_day


class Reminds(Protocol):
    """Sends the reminder within the transaction; it is unique by invoice, so that a repeat changes nothing."""

    def __call__(self, uow: UnitOfWork, invoice: Invoice) -> bool: ...


class RentReminders:
    """Reminds of open invoices before they are due."""

    def __init__(
        self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook, reminds: Reminds
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._reminds = reminds

    def run(self, tenant: TenantId) -> int:
        """Remind of what is due within the policy's days; return how many reminders were new."""
        today = local_day(self._clock.now(), self._policy.sla.calendar.time_zone)
        ahead = timedelta(days=self._policy.relations.care.rent_reminder_days_before)
        made = 0
        with self._uow_factory() as uow:
            for state in (InvoiceState.OPEN, InvoiceState.PART_PAID):
                for invoice in uow.billing.invoices.where(tenant, state=state, limit=1_000_000):
                    if invoice.outstanding > 0 and today <= invoice.due_on <= today + ahead:
                        made += self._reminds(uow, invoice)
            uow.commit()
        return made
