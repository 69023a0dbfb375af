"""Devices that break often get a plan of regular care, so that somebody comes before the next fault (requirement 55)."""

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from crm_core.domain.errors import Conflict
from crm_core.domain.identity import DeviceId, TenantId, TicketId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import WorkOrderState
from crm_core.fieldwork.plans import CarePlans
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.measures import is_repair, orders_since, tickets_since
from crm_core.relations.segments import treatments_of

PLAN: Final = "frequent_repairs"
_ORDERS: Final = timedelta(days=365)


class Prevention:
    """Makes the plans that the class "frequent" brings."""

    def __init__(
        self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook, plans: CarePlans
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._plans = plans

    def run(self, tenant: TenantId) -> list[DeviceId]:
        """Begin a plan for each device that reached the threshold and has none yet; return those devices."""
        treatment = treatments_of(self._policy.relations, {"repair": "frequent"}).get("maintenance_plan")
        if treatment is None:
            return []
        with self._uow_factory() as uow:
            devices = frequent_devices(uow, tenant, self._policy, self._clock.now())
        made = []
        for device_id in devices:
            try:
                self._plans.make(tenant, device_id, name=PLAN, every_days=max(int(treatment.amount), 1))
            except Conflict:
                continue  # it has its plan already
            made.append(device_id)
        return made


def frequent_devices(uow: UnitOfWork, tenant: TenantId, policy: PolicyBook, now: datetime) -> list[DeviceId]:
    """Return the devices with as many equipment tickets lately as the class asks for, by id."""
    rules = policy.relations.axis("repair").classes
    least = next(
        (
            each.value
            for rule in rules
            if rule.name == "frequent"
            for each in rule.any_of
            if isinstance(each.value, Decimal)
        ),
        None,
    )
    if least is None:
        return []
    confirmed: dict[TicketId, str] = {}
    for order in orders_since(uow, tenant, now - _ORDERS):
        if order.state is WorkOrderState.DONE:
            confirmed |= dict.fromkeys(order.ticket_ids, order.confirmed_cause or "")
    counts = Counter(
        ticket.device_id
        for ticket in tickets_since(uow, tenant, now - policy.relations.care.repairs_within)
        if is_repair(policy.relations, ticket, confirmed)
    )
    return sorted(device_id for device_id, count in counts.items() if count >= least)
