"""The port of agreements: credit assessments, contract lines and terms, consents, requests and proposals."""

from collections.abc import Sequence
from typing import Protocol

from crm_core.domain.contracts import Agreement
from crm_core.domain.credit import CreditAssessment, RentalRequest
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.ports.records import Records


class Agreements(Records[Agreement], Protocol):
    """Rental agreements by contract; a device in two places at a time is a `Conflict` when it is saved."""

    def of_contract(self, tenant: TenantId, contract_id: str) -> Agreement | None: ...

    def of_device(self, tenant: TenantId, device_id: DeviceId) -> Sequence[Agreement]:
        """Return every agreement that names the device, of any state, oldest first."""
        ...


class AgreementsRepository(Protocol):
    """Credit assessments, contract lines and terms, consents, requests and proposals, within one transaction."""

    assessments: Records[CreditAssessment]
    requests: Records[RentalRequest]
    contracts: Agreements
