"""Field work over the CRM database (`ports.FieldworkRepository`)."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from crm_core.domain.fieldwork import Attachment, Estimate, MaintenancePlan, VisitRecord
from crm_core.domain.identity import TenantId, TicketId
from crm_core.domain.roster import Absence
from crm_core.ports.records import Records
from crm_core.storage import schema
from crm_core.storage.fieldwork import tables
from crm_core.storage.records import SqlRecords
from crm_core.storage.rows import entity_of


class SqlFieldworkRepository:
    """Maintenance plans, visits with their evidence, estimates, repair reports (`ports.FieldworkRepository`)."""

    visits: Records[VisitRecord]
    attachments: Records[Attachment]
    plans: Records[MaintenancePlan]
    estimates: Records[Estimate]
    absences: Records[Absence]

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.visits = SqlRecords(connection, tables.visits, VisitRecord, "visit_id")
        self.attachments = SqlRecords(connection, tables.attachments, Attachment, "attachment_id")
        self.plans = SqlRecords(connection, tables.plans, MaintenancePlan, "plan_id")
        self.estimates = SqlRecords(connection, tables.estimates, Estimate, "estimate_id")
        self.absences = SqlRecords(connection, tables.absences, Absence, "absence_id")

    def visit_of(self, tenant: TenantId, work_order_id: int) -> VisitRecord | None:
        found = self.visits.where(tenant, work_order_id=work_order_id, limit=1)
        return found[0] if found else None

    def visits_of_ticket(self, tenant: TenantId, ticket_id: TicketId) -> Sequence[VisitRecord]:
        link, visit = schema.work_order_tickets.c, tables.visits
        orders = select(link.work_order_id).where(link.ticket_id == ticket_id)
        query = (
            select(visit)
            .where(visit.c.tenant == tenant, visit.c.work_order_id.in_(orders))
            .order_by(visit.c.visit_id)
        )
        return [entity_of(row, VisitRecord) for row in self._connection.execute(query).mappings()]
