"""Billing in memory, with the promises of the database."""

from crm_core.domain.billing import AccountItem, BillingPlan, DunningStep, Invoice, InvoiceLink, Payment
from crm_core.domain.charges import RepairCharge
from crm_core.domain.errors import Conflict
from crm_core.domain.identity import TenantId
from crm_core.domain.meter_statements import MeterStatement
from crm_core.ports.records import Records
from crm_core.storage.memory_service import Journal, Table
from crm_core.storage.records import MemoryRecords


class _Invoices(MemoryRecords[Invoice]):
    """Invoices have two keys: the run that wrote them, and their number."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal, "invoice_id", lambda each: (each.run_key,))
        self._table.index("number", lambda each: (each.tenant, each.invoice_number))

    def add_once(self, entity: Invoice) -> Invoice | None:
        if self._table.by("number", (entity.tenant, entity.invoice_number)):
            raise Conflict(f"there is an invoice {entity.invoice_number} already")
        return super().add_once(entity)


class MemoryBillingRepository:
    """Plans, invoices, payments, waiting items, dunning, repair charges (`ports.BillingRepository`)."""

    plans: Records[BillingPlan]
    invoices: Records[Invoice]
    payments: Records[Payment]
    items: Records[AccountItem]
    dunning: Records[DunningStep]
    charges: Records[RepairCharge]
    statements: Records[MeterStatement]

    def __init__(self, journal: Journal) -> None:
        self._series: Table[int] = Table(journal)
        self._links: Table[InvoiceLink] = Table(journal)
        self.plans = MemoryRecords(
            journal, "plan_row", lambda each: (each.plan_id, each.edition), indexed="plan_id"
        )
        self.invoices = _Invoices(journal)
        self.payments = MemoryRecords(
            journal, "payment_id", lambda each: (each.channel, each.external_number)
        )
        self.items = MemoryRecords(journal, "item_id", lambda each: (each.item_key,))
        self.dunning = MemoryRecords(journal, "dunning_id", lambda each: (each.invoice_number, each.level))
        self.charges = MemoryRecords(
            journal,
            "charge_id",
            lambda each: None if each.work_order_id is None else (each.work_order_id,),
        )
        self.statements = MemoryRecords(
            journal,
            "statement_id",
            lambda each: (each.device_id, each.read_at, each.total),
            indexed="device_id",
        )

    def hold_series(self, tenant: TenantId, series: str) -> None:
        """One transaction at a time holds the lock of the memory anyway."""

    def next_number(self, tenant: TenantId, series: str) -> int:
        number = self._series.rows.get((tenant, series), 0) + 1
        self._series.put((tenant, series), number)
        return number

    def add_link(self, link: InvoiceLink) -> None:
        self._links.put((link.token_hash,), link)

    def find_link(self, token_hash: str) -> InvoiceLink | None:
        return self._links.rows.get((token_hash,))
