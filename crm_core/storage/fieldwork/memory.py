"""Field work in memory, with the promises of the database."""

from collections.abc import Sequence

from crm_core.domain.fieldwork import Attachment, Estimate, MaintenancePlan, VisitRecord
from crm_core.domain.identity import TenantId, TicketId
from crm_core.domain.roster import Absence
from crm_core.ports import WorkOrderFilter, WorkOrderRepository
from crm_core.ports.records import Records
from crm_core.storage.memory_service import Journal
from crm_core.storage.records import MemoryRecords

_ALL = 1_000_000


class MemoryFieldworkRepository:
    """Maintenance plans, visits with their evidence, estimates, repair reports (`ports.FieldworkRepository`)."""

    visits: Records[VisitRecord]
    attachments: Records[Attachment]
    plans: Records[MaintenancePlan]
    estimates: Records[Estimate]
    absences: Records[Absence]

    def __init__(self, journal: Journal, orders: WorkOrderRepository) -> None:
        self._orders = orders
        self.visits = MemoryRecords(
            journal, "visit_id", lambda each: (each.work_order_id,), indexed="work_order_id"
        )
        self.attachments = MemoryRecords(
            journal,
            "attachment_id",
            lambda each: (each.work_order_id, each.sha256),
            indexed="work_order_id",
        )
        self.plans = MemoryRecords(
            journal, "plan_id", lambda each: (each.device_id, each.name), indexed="device_id"
        )
        self.estimates = MemoryRecords(journal, "estimate_id", indexed="ticket_id")
        self.absences = MemoryRecords(journal, "absence_id", indexed="technician_id")

    def visit_of(self, tenant: TenantId, work_order_id: int) -> VisitRecord | None:
        found = self.visits.where(tenant, work_order_id=work_order_id, limit=1)
        return found[0] if found else None

    def visits_of_ticket(self, tenant: TenantId, ticket_id: TicketId) -> Sequence[VisitRecord]:
        visits = reversed(self.visits.where(tenant))
        serving = {
            order.work_order_id
            for order in self._orders.list(tenant, WorkOrderFilter(limit=_ALL))
            if ticket_id in order.ticket_ids
        }
        return [visit for visit in visits if visit.work_order_id in serving]
