"""Relations in memory, with the promises of the database."""

from collections.abc import Sequence
from typing import Any

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
from crm_core.storage.memory_service import Journal
from crm_core.storage.records import MemoryRecords


class MemoryRelationsRepository:
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

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.classes = MemoryRecords(journal, "class_id", _present_key)
        self.contacts = MemoryRecords(journal, "contact_id", _primary_key)
        self.interactions = MemoryRecords(journal, "interaction_id")
        self.tasks = MemoryRecords(
            journal, "task_id", lambda task: (task.kind, task.subject, task.period), indexed="state"
        )
        self.complaints = MemoryRecords(journal, "complaint_id")
        self.surveys = MemoryRecords(journal, "survey_id", lambda each: (each.customer_id, each.subject))
        self.points = MemoryRecords(journal, "entry_id", lambda each: (each.reason, each.evidence))
        self.coupons = MemoryRecords(journal, "coupon_id", lambda each: (each.customer_id, each.origin))
        self.file_changes = MemoryRecords(journal, "change_id")
        self.trainings = MemoryRecords(journal, "training_id", indexed="person")

    def present_classes(self, tenant: TenantId, customer_id: str | None = None) -> Sequence[CustomerClass]:
        rows = self.classes.where(tenant, customer_id=customer_id, limit=10_000_000)
        present = (row for row in rows if row.until is None)
        return sorted(present, key=lambda row: (row.customer_id, row.axis))


def _present_key(row: Any) -> tuple[object, ...] | None:
    return (row.customer_id, row.axis) if row.until is None else None


def _primary_key(row: Any) -> tuple[object, ...] | None:
    return (row.customer_id, row.site_id) if row.primary and row.active else None
