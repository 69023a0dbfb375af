"""Offers to a segment: a task for the responsible person of each customer who agreed to offers, once a month (requirement 80)."""

from dataclasses import dataclass

from crm_core.domain.customer_files import Consent
from crm_core.domain.errors import NotFound
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.relations import Task
from crm_core.ports import Clock, UnitOfWorkFactory
from crm_core.relations.periods import local_day
from crm_core.relations.segments import classes_at, members


@dataclass(frozen=True, slots=True)
class Offered:
    """What became of an offer: new tasks, customers who had it this month already, and those who want no offers."""

    made: tuple[CustomerId, ...]
    already: tuple[CustomerId, ...]
    opted_out: tuple[CustomerId, ...]


class Offers:
    """Brings the offer of a segment to its customers."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy

    def make(self, tenant: TenantId, name: str, *, by: str) -> Offered:
        """Make the tasks of a segment's offer; who did not agree to marketing is left out. `NotFound` for a name."""
        segment = next((each for each in self._policy.relations.segments if each.name == name), None)
        if segment is None:
            raise NotFound(f"there is no segment {name!r}")
        now = self._clock.now()
        month = local_day(now, self._policy.sla.calendar.time_zone).strftime("%Y-%m")
        made: list[CustomerId] = []
        already: list[CustomerId] = []
        opted_out: list[CustomerId] = []
        with self._uow_factory() as uow:
            for customer_id in members(segment, classes_at(uow.relations.present_classes(tenant))):
                customer = uow.customers.get(tenant, customer_id)
                if Consent.MARKETING not in customer.consents:
                    opted_out.append(customer_id)
                    continue
                task = Task(
                    tenant=tenant,
                    task_id=0,
                    kind="offer",
                    subject=f"customer:{customer_id}",
                    period=f"{name}:{month}",
                    customer_id=customer_id,
                    due_at=now + self._policy.relations.care.offer_due,
                    created_at=now,
                    role=self._policy.relations.cadence[customer.tier].role,
                    owner=customer.owner,
                    detail={"segment": name, "offer": segment.offer, "by": by},
                )
                new = uow.relations.tasks.add_once(task) is not None
                (made if new else already).append(customer_id)
            uow.commit()
        return Offered(tuple(made), tuple(already), tuple(opted_out))
