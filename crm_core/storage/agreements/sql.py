"""Agreements over the CRM database (`ports.AgreementsRepository`)."""

from sqlalchemy import Connection

from crm_core.domain.credit import CreditAssessment, RentalRequest
from crm_core.ports.agreements import Agreements
from crm_core.ports.records import Records
from crm_core.storage.agreements import credit_tables
from crm_core.storage.agreements.contracts import SqlAgreements
from crm_core.storage.records import SqlRecords


class SqlAgreementsRepository:
    """Credit assessments, contract lines and terms, consents, requests and proposals (`ports.AgreementsRepository`)."""

    assessments: Records[CreditAssessment]
    requests: Records[RentalRequest]
    contracts: Agreements

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.contracts = SqlAgreements(connection)
        self.assessments = SqlRecords(
            connection, credit_tables.credit_assessments, CreditAssessment, "assessment_id"
        )
        self.requests = SqlRecords(connection, credit_tables.rental_requests, RentalRequest, "request_id")
