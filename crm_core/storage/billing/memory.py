"""Billing in memory, with the promises of the database."""

from crm_core.storage.memory_service import Journal


class MemoryBillingRepository:
    """Plans, meter epochs, invoices, payments, credits (`ports.BillingRepository`)."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
