"""Notices in memory, with the promises of the database."""

from crm_core.storage.memory_service import Journal


class MemoryNoticesRepository:
    """Messages to people and machines: outbox, deliveries, webhooks (`ports.NoticesRepository`)."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
