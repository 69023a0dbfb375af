"""The ports of field work: records of visits, files, maintenance plans and estimates, and the store of the files' bytes."""

from collections.abc import Sequence
from typing import Protocol

from crm_core.domain.fieldwork import Attachment, Estimate, MaintenancePlan, VisitRecord
from crm_core.domain.identity import TenantId, TicketId
from crm_core.domain.roster import Absence
from crm_core.ports.records import Records


class FieldworkRepository(Protocol):
    """What happens at visits, within one transaction.

    Natural keys: visits by work order; attachments by work order and content; plans by device and name.
    Absences have none: somebody may be away twice.
    """

    visits: Records[VisitRecord]
    attachments: Records[Attachment]
    plans: Records[MaintenancePlan]
    estimates: Records[Estimate]
    absences: Records[Absence]

    def visit_of(self, tenant: TenantId, work_order_id: int) -> VisitRecord | None: ...

    def visits_of_ticket(self, tenant: TenantId, ticket_id: TicketId) -> Sequence[VisitRecord]:
        """Return the visits of the work orders that serve or served a ticket, oldest first."""
        ...


class AttachmentStore(Protocol):
    """Bytes by their SHA-256. What is stored never changes; storing the same bytes again does nothing."""

    def save(self, sha256: str, content: bytes) -> None:
        """Keep the bytes durably; `StoreUnavailable` when that is impossible now."""
        ...

    def load(self, sha256: str) -> bytes:
        """Return the bytes; `NotFound` when there are none, `StoreUnavailable` when they do not fit their hash."""
        ...
