"""A small service desk in memory with a clock that the test moves: what scenario-like unit tests start from."""

from collections.abc import Iterable
from datetime import timedelta

from crm_core.dispatching import Dispatcher
from crm_core.domain.fleet import CustomerTier
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import Condition, Signal, Ticket, TicketState, WorkOrder
from crm_core.ports import TicketFilter, UnitOfWorkFactory, WorkOrderFilter
from crm_core.servicedesk import ServiceDesk
from crm_core.storage.memory import make_memory_uow_factory
from crm_core.triage import Triage, TriageReport
from tests.builders import TENANT, ManualClock, a_signal, a_small_fleet
from tests.policies import a_book, a_catalogue, a_policy


class Desk:
    """Triage, desk and dispatch over one store."""

    def __init__(
        self,
        policy: PolicyBook | None = None,
        devices: int = 1,
        tier: CustomerTier = CustomerTier.ORDINARY,
        uow_factory: UnitOfWorkFactory | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.policy = policy or a_policy()
        self.uow_factory = uow_factory or make_memory_uow_factory()
        a_small_fleet(self.uow_factory, devices, tier)
        book, catalogue = a_book(), a_catalogue()
        self.triage = Triage(self.uow_factory, self.clock, self.policy, book, catalogue)
        self.servicedesk = ServiceDesk(self.uow_factory, self.clock, self.policy)
        self.dispatcher = Dispatcher(self.uow_factory, self.clock, self.policy, catalogue, book)

    def see(self, *conditions: Condition, device_id: str = "d1", **changes: object) -> TriageReport:
        """Let a device report these conditions now, and triage take it in."""
        return self.take([a_signal(*conditions, at=self.clock.now(), device_id=device_id, **changes)])

    def take(self, signals: Iterable[Signal]) -> TriageReport:
        with self.uow_factory() as uow:
            uow.signals.append(list(signals))
            uow.commit()
        return self.triage.run()

    def later(self, **duration: float) -> None:
        self.clock.advance(**duration)

    def tickets(self, *states: TicketState) -> list[Ticket]:
        """Return all tickets, oldest first (of these states, if any are named)."""
        with self.uow_factory() as uow:
            which = TicketFilter(states=frozenset(states) or None, limit=10_000)
            return list(reversed(uow.tickets.list(TENANT, which)))

    def ticket(self) -> Ticket:
        """Return the only ticket."""
        (ticket,) = self.tickets()
        return ticket

    def orders(self) -> list[WorkOrder]:
        with self.uow_factory() as uow:
            return list(reversed(uow.work_orders.list(TENANT, WorkOrderFilter(limit=10_000))))

    def repair(self, ticket_id: int | None = None) -> WorkOrder:
        """Dispatch, drive there, and finish the newest work order."""
        self.dispatcher.dispatch(TENANT)
        order = self.orders()[-1]
        self.servicedesk.depart(TENANT, order.work_order_id, actor="t1")
        self.clock.advance(minutes=30)
        self.servicedesk.arrive(TENANT, order.work_order_id, actor="t1")
        self.clock.advance(minutes=30)
        return self.servicedesk.done(TENANT, order.work_order_id, actor="t1", confirmed_cause="fuser")


HOUR = timedelta(hours=1)
