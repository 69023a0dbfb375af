"""Relations over the CRM database (`ports.RelationsRepository`)."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from crm_core.domain.customer_files import Contact
from crm_core.domain.identity import TenantId
from crm_core.domain.loyalty import Coupon, LoyaltyEntry
from crm_core.domain.relations import (
    Complaint,
    CustomerClass,
    FileChange,
    Interaction,
    Survey,
    Task,
    Training,
)
from crm_core.ports.records import Records
from crm_core.storage.records import SqlRecords
from crm_core.storage.relations import tables
from crm_core.storage.rows import entity_of


class SqlRelationsRepository:
    """Customer axes and their history, contacts, tasks, complaints, surveys, loyalty (`ports.RelationsRepository`)."""

    classes: Records[CustomerClass]
    contacts: Records[Contact]
    interactions: Records[Interaction]
    tasks: Records[Task]
    complaints: Records[Complaint]
    surveys: Records[Survey]
    points: Records[LoyaltyEntry]
    coupons: Records[Coupon]
    file_changes: Records[FileChange]
    trainings: Records[Training]

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.classes = SqlRecords(connection, tables.customer_classes, CustomerClass, "class_id")
        self.contacts = SqlRecords(connection, tables.contacts, Contact, "contact_id", _primary_of)
        self.interactions = SqlRecords(connection, tables.interactions, Interaction, "interaction_id")
        self.tasks = SqlRecords(connection, tables.tasks, Task, "task_id")
        self.complaints = SqlRecords(connection, tables.complaints, Complaint, "complaint_id")
        self.surveys = SqlRecords(connection, tables.surveys, Survey, "survey_id")
        self.points = SqlRecords(connection, tables.loyalty_entries, LoyaltyEntry, "entry_id")
        self.coupons = SqlRecords(connection, tables.coupons, Coupon, "coupon_id")
        self.file_changes = SqlRecords(connection, tables.file_changes, FileChange, "change_id")
        self.trainings = SqlRecords(connection, tables.trainings, Training, "training_id")

    def present_classes(self, tenant: TenantId, customer_id: str | None = None) -> Sequence[CustomerClass]:
        table = tables.customer_classes
        query = select(table).where(table.c.tenant == tenant, table.c.until.is_(None))
        if customer_id is not None:
            query = query.where(table.c.customer_id == customer_id)
        rows = self._connection.execute(query.order_by(table.c.customer_id, table.c.axis)).mappings()
        return [entity_of(row, CustomerClass) for row in rows]


def _primary_of(contact: Contact) -> dict[str, object]:
    """Return the column that keeps one primary contact for each site."""
    return {"primary_of": (contact.site_id or "") if contact.primary and contact.active else None}
