"""Who looks after a customer: chosen by tier, and handed over with a note when the tier changes (requirement 44)."""

from collections import Counter
from dataclasses import replace
from datetime import datetime

from crm_core.domain.fleet import Customer, CustomerTier
from crm_core.domain.identity import TenantId
from crm_core.domain.relations import Task
from crm_core.domain.relations_policy import RelationsPolicy
from crm_core.ports import UnitOfWork


class HandOver:
    """Gives customers to responsible people within one transaction; reads people and their load once."""

    def __init__(self, uow: UnitOfWork, tenant: TenantId, policy: RelationsPolicy) -> None:
        self._uow = uow
        self._policy = policy
        self._people = [(user.name, user.role.value) for user in uow.users.all(tenant) if user.active]
        self._load = Counter(each.owner for each in uow.customers.all(tenant))

    def to_tier(self, customer: Customer, tier: CustomerTier, class_id: int, now: datetime) -> None:
        """Give the customer the tier and its responsible person, and leave a note for whoever takes over.

        The first classification of a customer whose tier was right already leaves no note.
        """
        if customer.tier is tier and customer.owner is not None:
            return
        cadence = self._policy.cadence[tier]
        owner = self._least_loaded(customer, cadence.role)
        if (owner, tier) != (customer.owner, customer.tier):
            self._load[customer.owner] -= 1
            self._load[owner] += 1
            self._uow.customers.save(replace(customer, tier=tier, owner=owner, version=customer.version + 1))
        if customer.tier is not tier:
            self._uow.relations.tasks.add_once(self._note(customer, tier, owner, class_id, now))

    def _note(
        self, customer: Customer, tier: CustomerTier, owner: str | None, class_id: int, now: datetime
    ) -> Task:
        cadence = self._policy.cadence[tier]
        return Task(
            tenant=customer.tenant,
            task_id=0,
            kind="hand_over",
            subject=f"customer:{customer.customer_id}",
            period=f"class-{class_id}",
            customer_id=customer.customer_id,
            due_at=now + self._policy.care.hand_over_due,
            created_at=now,
            role=cadence.role,
            owner=owner,
            detail={
                "from_tier": customer.tier.value,
                "to_tier": tier.value,
                "from_owner": customer.owner or "",
                "to_owner": owner or "",
                "title": cadence.title,
            },
        )

    def _least_loaded(self, customer: Customer, role: str) -> str | None:
        """Return the person of that role with the fewest customers, rather somebody new; nobody: as before."""
        people = sorted(name for name, held in self._people if held == role)
        return min(
            people,
            key=lambda name: (self._load[name] - (name == customer.owner), name == customer.owner, name),
            default=customer.owner,
        )
