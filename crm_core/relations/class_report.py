"""What each class of an axis brings: customers, those served now, leads won, invoiced of the last year (requirements 59, 85).

The report by source (online, offline, partner) is this one for the axis `source`; every other axis answers as well.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from crm_core.domain.fleet import Contract
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.ports import Clock, UnitOfWork
from crm_core.relations.money_facts import MoneyFacts, signed_contracts
from crm_core.relations.periods import local_day, months_before
from crm_core.relations.segments import classes_at
from crm_core.relations.truth import Share

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """One class: its customers, how many of them ever signed, how many are served today, what they were invoiced in a year."""

    value: str
    customers: int
    won: Share
    served: int
    invoiced: Decimal


class ClassReport:
    """Adds up customers by class."""

    def __init__(self, clock: Clock, policy: PolicyBook, money: MoneyFacts) -> None:
        self._clock = clock
        self._policy = policy
        self._money = money

    def by_class(
        self, uow: UnitOfWork, tenant: TenantId, axis: str, seen: frozenset[CustomerId]
    ) -> list[ClassFigures]:
        """Return every class of an axis with the customers in `seen`, the largest first; `InvalidValue` names the axes."""
        self._policy.relations.axis(axis)
        today = local_day(self._clock.now(), self._policy.sla.calendar.time_zone)
        held = classes_at(uow.relations.present_classes(tenant))
        money = self._money.of_customers(uow, tenant, months_before(today, 12), today)
        contracts: dict[CustomerId, list[Contract]] = defaultdict(list)
        for contract in signed_contracts(uow, tenant):
            contracts[contract.customer_id].append(contract)
        groups: dict[str, list[CustomerId]] = defaultdict(list)
        for customer in sorted(seen):
            groups[held.get(customer, {}).get(axis, UNKNOWN)].append(customer)
        rows = [
            ClassFigures(
                value=value,
                customers=len(members),
                won=Share(sum(bool(contracts.get(each)) for each in members), len(members)),
                served=sum(_is_served(contracts.get(each, []), today) for each in members),
                invoiced=sum((money[each].invoiced for each in members if each in money), Decimal(0)),
            )
            for value, members in groups.items()
        ]
        return sorted(rows, key=lambda row: (-row.customers, row.value))


def _is_served(contracts: list[Contract], today: date) -> bool:
    return any(each.starts_on <= today <= each.ends_on for each in contracts)
