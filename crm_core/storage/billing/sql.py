"""Billing over the CRM database (`ports.BillingRepository`)."""

from sqlalchemy import Connection


class SqlBillingRepository:
    """Plans, meter epochs, invoices, payments, credits (`ports.BillingRepository`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
