"""The nightly classification: every customer on every axis, with reasons, history and a hold against flapping.

The class on the axis `tier` is copied to the customer, where clocks of tickets read it (requirement 47).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from crm_core.domain.errors import InvalidValue
from crm_core.domain.fleet import Customer, CustomerTier
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.relations import CustomerClass, Reason
from crm_core.domain.relations_policy import AxisRule, RelationsPolicy
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.classes import Measured, Subject, Verdict, classify_all, ranks_of
from crm_core.relations.hand_over import HandOver
from crm_core.relations.measures import Measurer

TIER: Final = "tier"


@dataclass(frozen=True, slots=True)
class Move:
    """A customer who changes class on an axis."""

    customer_id: CustomerId
    name: str
    axis: str
    from_value: str
    to_value: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Classification:
    """What one run did: how many customers it looked at and who moved."""

    customers: int
    moves: tuple[Move, ...]


class Classifier:
    """Computes classes, keeps them with their history, and shows what other thresholds would do.

    Measuring takes seconds for a large fleet: `reading` (read-only, where there is such) keeps nobody from writing then.
    """

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        policy: PolicyBook,
        measurer: Measurer,
        reading: UnitOfWorkFactory | None = None,
    ) -> None:
        self._uow_factory = uow_factory
        self._reading = reading or uow_factory
        self._clock = clock
        self._policy = policy
        self._measurer = measurer

    def run(self, tenant: TenantId) -> Classification:
        """Classify all customers now; safe to repeat."""
        now = self._clock.now()
        moves: list[Move] = []
        with self._reading() as uow:
            measured = uow.customers.all(tenant)
            measures = self._measurer.measure(uow, tenant, now)
        verdicts = _verdicts(self._policy.relations, measured, measures)
        with self._uow_factory() as uow:
            customers = [each for each in uow.customers.all(tenant) if each.customer_id in verdicts]
            handing = HandOver(uow, tenant, self._policy.relations)
            present = {(row.customer_id, row.axis): row for row in uow.relations.present_classes(tenant)}
            for customer in customers:
                for axis in self._policy.relations.axes:
                    verdict = verdicts[customer.customer_id][axis.name]
                    row = present.get((customer.customer_id, axis.name))
                    move = self._settle(uow, handing, customer, axis, row, verdict, now)
                    if move is not None:
                        moves.append(move)
            uow.commit()
        return Classification(len(customers), tuple(moves))

    def dry_run(self, tenant: TenantId, changes: Mapping[str, Decimal]) -> Classification:
        """Return who would be in another class with changed thresholds (axis.class.measure -> value); nothing is kept.

        Compares what today's measures give under both policies, without any hold. Requirement 58.
        """
        if not changes:
            raise InvalidValue(
                "name at least one threshold to change, as repair.frequent.device_tickets_90d=2"
            )
        changed = self._policy.relations
        for key, value in changes.items():
            changed = changed.with_threshold(key, value)
        with self._reading() as uow:
            customers = uow.customers.all(tenant)
            measures = self._measurer.measure(uow, tenant, self._clock.now())
        before = _verdicts(self._policy.relations, customers, measures)
        after = _verdicts(changed, customers, measures)
        moves = [
            Move(each.customer_id, each.name, axis, old.value, new.value, new.reasons)
            for each in customers
            for axis, old in before[each.customer_id].items()
            if (new := after[each.customer_id][axis]).value != old.value
        ]
        return Classification(len(customers), tuple(moves))

    def _settle(
        self,
        uow: UnitOfWork,
        handing: HandOver,
        customer: Customer,
        axis: AxisRule,
        row: CustomerClass | None,
        verdict: Verdict,
        now: datetime,
    ) -> Move | None:
        """Keep the class, note a candidate, or move the customer; return the move."""
        if row is not None and row.value == verdict.value:
            if row.candidate is not None or row.reasons != verdict.reasons:
                kept = replace(row, candidate=None, candidate_since=None, reasons=verdict.reasons)
                uow.relations.classes.save(kept)
            return None
        if row is not None:
            better = axis.rank(verdict.value) < axis.rank(row.value)
            hold = axis.hold_up if better else axis.hold_down
            if row.value == axis.unmeasured:
                hold = timedelta()  # what is known for the first time replaces no promise
            since = row.candidate_since if row.candidate == verdict.value else None
            if hold > timedelta() and (since is None or now - since < hold):
                if since is None:
                    uow.relations.classes.save(replace(row, candidate=verdict.value, candidate_since=now))
                return None
            uow.relations.classes.save(replace(row, until=now, candidate=None, candidate_since=None))
        made = self._enter(uow, customer, axis, verdict, now)
        if axis.name == TIER:
            handing.to_tier(customer, CustomerTier(verdict.value), made.class_id, now)
        before = row.value if row is not None else ""
        return Move(customer.customer_id, customer.name, axis.name, before, verdict.value, verdict.reasons)

    def _enter(
        self, uow: UnitOfWork, customer: Customer, axis: AxisRule, verdict: Verdict, now: datetime
    ) -> CustomerClass:
        return uow.relations.classes.add(
            CustomerClass(
                tenant=customer.tenant,
                class_id=0,
                customer_id=customer.customer_id,
                axis=axis.name,
                value=verdict.value,
                reasons=verdict.reasons,
                since=now,
                policy_version=self._policy.version,
            )
        )


def _verdicts(
    policy: RelationsPolicy,
    customers: Sequence[Customer],
    measures: Mapping[CustomerId, Mapping[str, Measured]],
) -> dict[CustomerId, dict[str, Verdict]]:
    ranks = ranks_of(measures)
    return {
        customer.customer_id: classify_all(
            policy,
            Subject(
                kind=customer.kind,
                measures=measures[customer.customer_id],
                ranks=ranks.get(customer.customer_id, {}),
            ),
        )
        for customer in customers
    }
