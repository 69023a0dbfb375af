"""The simulated people of the demonstration: they answer the phone and go to the machines while history is made.

They work through the same service desk as real people, and what they do at a machine shows in its next readings.
"""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from config.wiring.analysing import Desk
from config.wiring.core import Core
from crm_core.domain.service import Ticket, WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.ports import WorkOrderFilter
from simulators.device.device import SimulatedDevice
from simulators.device.visits import help_now
from simulators.models import COMPONENTS

OPEN_ORDERS: Final = frozenset({WorkOrderState.ASSIGNED, WorkOrderState.EN_ROUTE, WorkOrderState.ON_SITE})
CALL_AFTER: Final = timedelta(minutes=20)
VISIT_AFTER: Final = timedelta(hours=12)
REPLACEMENT_AFTER: Final = timedelta(days=21)  # a new machine takes weeks to order
JOBS_A_ROUND: Final = 5


@dataclass(slots=True)
class Hands:
    """What people do at the simulated machines, noted in a journal so that a restart finds the machines as they were."""

    devices: dict[str, SimulatedDevice]
    journal: Path

    def help(self, device_id: str, tickets: Sequence[Ticket], now: datetime) -> None:
        """Do at a machine what its tickets ask for: change supplies, fit parts, clear and repair."""
        device = self.devices.get(device_id)
        if device is None:
            return
        slots, components = set[int](), set[str]()
        repair = False
        for ticket in tickets:
            family, _, rest = ticket.cause.partition(".")
            if family == "supply":
                slots.update(_slot_of(device, rest))
            elif family in {"life", "failure_risk"} and rest in COMPONENTS:
                components.add(rest)
            else:
                repair = True
        act = {
            "device": device_id,
            "slots": sorted(slots),
            "components": sorted(components),
            "repair": repair,
        }
        with self.journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps({"at": now.isoformat(), **act}) + "\n")
        help_now(
            device.fleet,
            device.number,
            now,
            slots=sorted(slots),
            components=sorted(components),
            repair=repair,
        )

    def repeat(self) -> None:
        """Do again, on fresh machines, what the journal tells; a torn last line is left out."""
        if not self.journal.exists():
            return
        for line in self.journal.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                row = json.loads(line)
                device = self.devices[row["device"]]
                help_now(
                    device.fleet,
                    device.number,
                    datetime.fromisoformat(row["at"]),
                    slots=row["slots"],
                    components=row["components"],
                    repair=row["repair"],
                )


@dataclass(slots=True)
class Staff:
    """Does what is due: phone calls soon, visits on the next working day, at most a few jobs per person and round."""

    core: Core
    desk: Desk
    hands: Hands

    def work(self, now: datetime) -> int:
        """Do the jobs that people would do about now; return how many were done."""
        local = now + timedelta(hours=8)
        working = local.weekday() < 5 and local.date() not in self.core.policy.sla.calendar.holidays
        done: dict[str, int] = {}
        for order, tickets in self._open_orders():
            person = order.technician_id or ""
            if not _is_due(order, now, working=working) or done.get(person, 0) >= JOBS_A_ROUND:
                continue
            done[person] = done.get(person, 0) + 1
            self._do(order, tickets, now)
        return sum(done.values())

    def _open_orders(self) -> list[tuple[WorkOrder, Sequence[Ticket]]]:
        tenant = self.core.tenant
        with self.core.uow_factory() as uow:
            orders = uow.work_orders.list(tenant, WorkOrderFilter(states=OPEN_ORDERS, limit=10_000))
            return [
                (order, [uow.tickets.get(tenant, ticket_id) for ticket_id in order.ticket_ids])
                for order in sorted(orders, key=lambda order: (order.due_at, order.work_order_id))
            ]

    def _do(self, order: WorkOrder, tickets: Sequence[Ticket], now: datetime) -> None:
        actor = order.technician_id or "dispatcher"
        desk, tenant = self.desk.servicedesk, self.core.tenant
        if order.kind is not WorkOrderKind.PHONE:
            desk.arrive(tenant, order.work_order_id, actor=actor)
        self.hands.help(order.device_id, tickets, now)
        cause = tickets[0].cause if tickets else None
        desk.done(tenant, order.work_order_id, actor=actor, confirmed_cause=cause)


def _slot_of(device: SimulatedDevice, supply_index: str) -> list[int]:
    """Return the slot of a supply index such as 1.3: the second number counts the slots from 1."""
    number = supply_index.rpartition(".")[2]
    position = int(number) - 1 if number.isdigit() else -1
    return [position] if 0 <= position < len(device.model.slots) else []


def _is_due(order: WorkOrder, now: datetime, *, working: bool) -> bool:
    age = now - order.created_at
    match order.kind:
        case WorkOrderKind.PHONE:
            return age >= CALL_AFTER and working
        case WorkOrderKind.REPLACEMENT:
            return age >= REPLACEMENT_AFTER and working
        case _:
            return age >= VISIT_AFTER and working
