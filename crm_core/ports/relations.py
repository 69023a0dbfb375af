"""The port of relations: customer axes and their history, contacts, tasks, complaints, surveys, loyalty."""

from collections.abc import Sequence
from typing import Protocol

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


class RelationsRepository(Protocol):
    """Customer axes and their history, contacts, tasks, complaints, surveys, loyalty, within one transaction.

    Natural keys: one present class for customer and axis; tasks by kind, subject and period; ledger entries by reason
    and evidence; coupons by customer and origin; surveys by customer and subject.
    """

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

    def present_classes(self, tenant: TenantId, customer_id: str | None = None) -> Sequence[CustomerClass]:
        """Return the classes in force, of one customer or of all, ordered by customer and axis."""
        ...
