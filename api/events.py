"""What changed, as a stream: one look at the database a second and process serves all open pages of a tenant.

Nothing is kept for a page beyond its connection: tickets tell when they changed (`changed_at`), active work orders by
their version, and what the database says is compared with what it said a second ago. A page that was away names the
last event that it saw (`Last-Event-ID`, an instant); tickets changed since then are told again, or `reset` when that is
too long ago, and the page loads anew. Queues are bounded: who reads too slowly gets `reset` as well.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from api.access import Principal
from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.identity import TenantId
from crm_core.domain.service import Role, Ticket, WorkOrder, WorkOrderState
from crm_core.ports import Clock, TicketFilter, UnitOfWork, UnitOfWorkFactory, WorkOrderFilter

LOOK_SECONDS: Final = 1.0
QUEUE: Final = 200
CATCH_UP: Final = timedelta(minutes=15)
_MOST: Final = 500  # changes of one look; beyond it pages load anew
_MOST_ORDERS: Final = 20_000
_ACTIVE: Final = frozenset(WorkOrderState) - {WorkOrderState.DONE, WorkOrderState.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change; `region`, `customer_id` and `technician_id` decide who is told, the rest is what they are told."""

    name: str  # ticket, work_order or reset
    at: datetime
    body: Mapping[str, Any] = field(default_factory=dict)
    region: str | None = None
    customer_id: str | None = None
    technician_id: str | None = None

    def is_for(self, principal: Principal) -> bool:
        """Return True if the principal sees what changed."""
        if self.name == "reset":
            return True
        if principal.bound_to is not None:
            return self.customer_id == principal.bound_to
        if principal.role is Role.TECHNICIAN and self.name == "work_order":
            return principal.technician_id is not None and self.technician_id == principal.technician_id
        return principal.sees_region(self.region)

    def encoded(self) -> bytes:
        """Return the event as a server-sent event."""
        data = json.dumps(self.body, separators=(",", ":"))
        return f"id: {self.at.isoformat()}\nevent: {self.name}\ndata: {data}\n\n".encode()


class EventFeed:
    """Looks at the database for one tenant while somebody listens, and hands events to the listeners."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, tenant: TenantId) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._tenant = tenant
        self._queues: set[asyncio.Queue[Event]] = set()
        self._task: asyncio.Task[None] | None = None
        self._since = clock.now()
        self._seen: set[tuple[int, int]] = set()  # tickets with their version, of the last instant
        self._orders: dict[int, WorkOrder] = {}

    async def listen(self) -> AsyncIterator[Event | None]:
        """Yield events as they come; None about every second without one. Ends with its consumer."""
        queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE)
        self._queues.add(queue)
        try:
            if self._task is None or self._task.done():
                await run_in_threadpool(self._begin)
                self._task = asyncio.create_task(self._look_on())
            while True:
                try:
                    yield await asyncio.wait_for(queue.get(), LOOK_SECONDS)
                except TimeoutError:
                    yield None
        finally:
            self._queues.discard(queue)

    def changed_since(self, instant: datetime) -> list[Event] | None:
        """Return the tickets changed since an instant, oldest first; None when that is too long ago or too much."""
        if instant < self._clock.now() - CATCH_UP:
            return None
        with self._uow_factory() as uow:
            rows = uow.tickets.list(self._tenant, TicketFilter(changed_since=instant, limit=_MOST + 1))
            return None if len(rows) > _MOST else [self._of_ticket(uow, each) for each in _in_order(rows)]

    def _begin(self) -> None:
        """Remember how things are, so that only changes from now on are told."""
        self._since, self._seen = self._clock.now(), set()
        with self._uow_factory() as uow:
            self._orders = self._active(uow)

    async def _look_on(self) -> None:
        while self._queues:
            await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(StoreUnavailable):  # told with the next look
                for event in await run_in_threadpool(self._look):
                    self._hand_out(event)

    def _hand_out(self, event: Event) -> None:
        for queue in self._queues:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(Event(name="reset", at=event.at))
            else:
                queue.put_nowait(event)

    def _look(self) -> list[Event]:
        """Return what changed since the last look."""
        with self._uow_factory() as uow:
            rows = uow.tickets.list(self._tenant, TicketFilter(changed_since=self._since, limit=_MOST + 1))
            if len(rows) > _MOST:
                self._since = self._clock.now()
                return [Event(name="reset", at=self._since)]
            fresh = [each for each in _in_order(rows) if (each.ticket_id, each.version) not in self._seen]
            events = [self._of_ticket(uow, each) for each in fresh]
            if rows:
                self._since = max(each.changed_at for each in rows)
                self._seen = {
                    (each.ticket_id, each.version) for each in rows if each.changed_at == self._since
                }
            return events + self._orders_changed(uow)

    def _orders_changed(self, uow: UnitOfWork) -> list[Event]:
        now, before = self._active(uow), self._orders
        self._orders = now
        changed = [
            each for key, each in now.items() if key not in before or before[key].version != each.version
        ]
        gone = [
            uow.work_orders.get(self._tenant, each.work_order_id)
            for key, each in before.items()
            if key not in now
        ]
        return [self._of_order(uow, each) for each in (*changed, *gone)]

    def _active(self, uow: UnitOfWork) -> dict[int, WorkOrder]:
        rows = uow.work_orders.list(self._tenant, WorkOrderFilter(states=_ACTIVE, limit=_MOST_ORDERS))
        return {each.work_order_id: each for each in rows}

    def _of_ticket(self, uow: UnitOfWork, ticket: Ticket) -> Event:
        body = {
            "ticket_id": ticket.ticket_id, "version": ticket.version, "state": ticket.state.value,
            "level": ticket.level.value, "device_id": ticket.device_id,
        }  # fmt: skip
        region = self._region(uow, ticket.site_id)
        return Event(
            name="ticket", at=ticket.changed_at, body=body, region=region, customer_id=ticket.customer_id
        )

    def _of_order(self, uow: UnitOfWork, order: WorkOrder) -> Event:
        body = {
            "work_order_id": order.work_order_id, "version": order.version, "state": order.state.value,
            "technician_id": order.technician_id, "device_id": order.device_id,
        }  # fmt: skip
        return Event(
            name="work_order",
            at=self._clock.now(),
            body=body,
            region=self._region(uow, order.site_id),
            customer_id=order.customer_id,
            technician_id=order.technician_id,
        )

    def _region(self, uow: UnitOfWork, site_id: str | None) -> str | None:
        site = uow.sites.find(self._tenant, site_id) if site_id else None
        return site.region if site else None


def _in_order(tickets: Any) -> list[Ticket]:
    return sorted(tickets, key=lambda each: (each.changed_at, each.ticket_id))
