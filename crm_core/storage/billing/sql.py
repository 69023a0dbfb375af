"""Billing over the CRM database (`ports.BillingRepository`)."""

from sqlalchemy import Connection, select

from crm_core.domain.billing import AccountItem, BillingPlan, DunningStep, Invoice, InvoiceLink, Payment
from crm_core.domain.charges import RepairCharge
from crm_core.domain.identity import TenantId
from crm_core.domain.meter_statements import MeterStatement
from crm_core.ports.records import Records
from crm_core.storage.billing import tables
from crm_core.storage.records import SqlRecords
from crm_core.storage.rows import entity_of
from crm_core.storage.tables import insert_once


class SqlBillingRepository:
    """Plans, invoices, payments, waiting items, dunning, repair charges (`ports.BillingRepository`)."""

    plans: Records[BillingPlan]
    invoices: Records[Invoice]
    payments: Records[Payment]
    items: Records[AccountItem]
    dunning: Records[DunningStep]
    charges: Records[RepairCharge]
    statements: Records[MeterStatement]

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._links = SqlRecords(connection, tables.invoice_links, InvoiceLink, "link_id")
        self.plans = SqlRecords(connection, tables.billing_plans, BillingPlan, "plan_row")
        self.invoices = SqlRecords(connection, tables.invoices, Invoice, "invoice_id")
        self.payments = SqlRecords(connection, tables.payments, Payment, "payment_id")
        self.items = SqlRecords(connection, tables.account_items, AccountItem, "item_id")
        self.dunning = SqlRecords(connection, tables.dunning_steps, DunningStep, "dunning_id")
        self.charges = SqlRecords(connection, tables.repair_charges, RepairCharge, "charge_id")
        self.statements = SqlRecords(connection, tables.meter_statements, MeterStatement, "statement_id")

    def hold_series(self, tenant: TenantId, series: str) -> None:
        table = tables.invoice_series
        row = {"tenant": tenant, "series": series, "last_number": 0}
        insert_once(self._connection, table, row)
        mine = (table.c.tenant == tenant) & (table.c.series == series)
        self._connection.execute(select(table.c.last_number).where(mine).with_for_update())

    def next_number(self, tenant: TenantId, series: str) -> int:
        self.hold_series(tenant, series)
        table = tables.invoice_series
        change = (
            table.update()
            .where(table.c.tenant == tenant, table.c.series == series)
            .values(last_number=table.c.last_number + 1)
            .returning(table.c.last_number)
        )
        return int(self._connection.execute(change).scalar_one())

    def add_link(self, link: InvoiceLink) -> None:
        self._links.add(link)

    def find_link(self, token_hash: str) -> InvoiceLink | None:
        table = tables.invoice_links
        query = select(table).where(table.c.token_hash == token_hash)
        row = self._connection.execute(query).mappings().first()
        return None if row is None else entity_of(row, InvoiceLink)
