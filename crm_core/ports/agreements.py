"""The port of agreements: credit assessments, contract lines and terms, consents, requests and proposals."""

from typing import Protocol

from crm_core.domain.credit import CreditAssessment, RentalRequest
from crm_core.ports.records import Records


class AgreementsRepository(Protocol):
    """Credit assessments, contract lines and terms, consents, requests and proposals, within one transaction."""

    assessments: Records[CreditAssessment]
    requests: Records[RentalRequest]
