"""One customer in memory with every service of relations over it, for tests of care and classification."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from crm_core.domain.identity import CustomerId
from crm_core.domain.money import Money
from crm_core.domain.relations import TaskState
from crm_core.relations.care import CareDesk
from crm_core.relations.classifier import Classifier
from crm_core.relations.customers import CustomerDesk
from crm_core.relations.loyalty import Loyalty
from crm_core.relations.measures import Measurer
from crm_core.relations.money_facts import BillingMoney
from crm_core.relations.reminders import Reminders
from crm_core.relations.segments import classes_at
from crm_core.storage.memory import make_memory_uow_factory
from tests.builders import TENANT, ManualClock, a_contract
from tests.policies import a_catalogue, a_policy

C1 = CustomerId("c1")


class Firm:
    """One customer in memory with every service of relations over it."""

    def __init__(self) -> None:
        self.uow = make_memory_uow_factory()
        self.clock = ManualClock()
        self.policy = a_policy()
        self.customers = CustomerDesk(self.uow, self.clock, self.policy)
        self.care = CareDesk(self.uow, self.clock, self.policy)
        self.reminders = Reminders(self.uow, self.clock, self.policy)
        self.loyalty = Loyalty(self.uow, self.clock, self.policy)
        measurer = Measurer(self.policy, a_catalogue(), BillingMoney(30))
        self.classifier = Classifier(self.uow, self.clock, self.policy, measurer)

    def save(self, *things) -> None:
        with self.uow() as uow:
            for thing in things:
                {"Customer": uow.customers, "Contract": uow.contracts, "User": uow.users}[
                    type(thing).__name__
                ].save(thing)
            uow.commit()

    def tasks(self, kind: str | None = None) -> list:
        with self.uow() as uow:
            return list(uow.relations.tasks.where(TENANT, kind=kind, state=TaskState.OPEN))

    def classes(self) -> dict[str, str]:
        with self.uow() as uow:
            return classes_at(uow.relations.present_classes(TENANT))[C1]

    def customer(self):
        with self.uow() as uow:
            return uow.customers.get(TENANT, C1)

    def at(self, *day: int, hour: int = 2) -> None:
        self.clock.move_to(datetime(*day, hour, tzinfo=UTC))


def rented(monthly: str, starts: date = date(2025, 1, 1), ends: date = date(2027, 12, 31), name: str = "k1"):
    return replace(a_contract(name), monthly_rent=Money(Decimal(monthly)), starts_on=starts, ends_on=ends)
