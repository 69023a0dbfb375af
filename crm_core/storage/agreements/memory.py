"""Agreements in memory, with the promises of the database."""

from crm_core.storage.memory_service import Journal


class MemoryAgreementsRepository:
    """Credit assessments, contract lines and terms, consents, requests and proposals (`ports.AgreementsRepository`)."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
