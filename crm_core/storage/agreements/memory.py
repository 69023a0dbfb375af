"""Agreements in memory, with the promises of the database."""

from crm_core.domain.credit import CreditAssessment, RentalRequest
from crm_core.ports.agreements import Agreements
from crm_core.ports.records import Records
from crm_core.storage.agreements.contracts import MemoryAgreements
from crm_core.storage.memory_service import Journal
from crm_core.storage.records import MemoryRecords


class MemoryAgreementsRepository:
    """Credit assessments, contract lines and terms, consents, requests and proposals (`ports.AgreementsRepository`)."""

    assessments: Records[CreditAssessment]
    requests: Records[RentalRequest]
    contracts: Agreements

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.contracts = MemoryAgreements(journal)
        self.assessments = MemoryRecords(journal, "assessment_id")
        self.requests = MemoryRecords(journal, "request_id")
