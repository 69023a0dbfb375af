"""The port of billing: plans, invoices, payments, waiting charges and credits, dunning, repair charges."""

from typing import Protocol

from crm_core.domain.billing import (
    AccountItem,
    BillingPlan,
    DunningStep,
    Invoice,
    InvoiceLink,
    Payment,
    PaymentMethod,
)
from crm_core.domain.charges import RepairCharge
from crm_core.domain.identity import TenantId
from crm_core.domain.meter_statements import MeterStatement
from crm_core.ports.records import Records


class BillingRepository(Protocol):
    """What money is kept of, within one transaction.

    Natural keys: plans by plan and edition; invoices by number and by run key; payments by channel and external
    number; waiting items by key; dunning steps by invoice and level; repair charges by work order;
    meter statements by device, time of reading and total.
    """

    plans: Records[BillingPlan]
    invoices: Records[Invoice]
    payments: Records[Payment]
    items: Records[AccountItem]
    dunning: Records[DunningStep]
    charges: Records[RepairCharge]
    statements: Records[MeterStatement]

    def hold_series(self, tenant: TenantId, series: str) -> None:
        """Let nobody else number in this series until the transaction ends."""
        ...

    def next_number(self, tenant: TenantId, series: str) -> int:
        """Return the next number of the series, from 1; a transaction that is rolled back leaves no gap."""
        ...

    def add_link(self, link: InvoiceLink) -> None: ...

    def find_link(self, token_hash: str) -> InvoiceLink | None: ...


class PaymentChannel(Protocol):
    """A way on which money comes in. `confirm` answers with the number under which the channel knows the payment."""

    @property
    def method(self) -> PaymentMethod:
        """How people pay on it."""
        ...

    def confirm(self, invoice: Invoice, amount: str, external_number: str) -> str:
        """Return the external number; raise `Conflict` when the channel does not know such a payment."""
        ...
