"""Deterministic simulation of the service desk: one integer seed is one run on virtual time, in memory.

Faults come and go on devices; their signals are repeated, late and sometimes mute (sleep); nodes crash before they
commit; technicians fix, fail, and wait. `Simulation.check` states what must hold at every tick, `finish` what must hold
for each fault over the whole run. A failing seed repeats with `Simulation(seed).run()`.
"""

__all__ = ["Broken", "Simulation"]


import random
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any

from crm_core.dispatching import Dispatcher
from crm_core.domain.errors import Conflict
from crm_core.domain.service import (
    Condition,
    Signal,
    SignalOrigin,
    TicketState,
    WorkOrderState,
)
from crm_core.domain.stock import SUPPLIER, inside, shelf_at, van_of
from crm_core.ports import TicketFilter, WorkOrderFilter
from crm_core.servicedesk import Outcome, ServiceDesk
from crm_core.stock.visit_parts import VisitParts
from crm_core.storage.memory import make_memory_uow_factory
from crm_core.ticket_states import PAUSING, Move
from crm_core.triage import Triage
from tests.builders import T0, TENANT, ManualClock, a_condition, a_customer, a_device, a_site, a_technician
from tests.policies import L1, L2, L3, a_book, a_catalogue
from tests.scenarios.simulation_checks import POLICY, Broken, Crash, Fault, Promises
from tests.scenarios.simulation_telling import Telling
from tests.stock_builders import WAREHOUSE, a_move, an_item

CAUSES = {
    "fault.fuser": L3, "fault.motor": L3, "jam.any": L1, "cover.1.1": L1, "supply.1.1": L2, "supply.1.10": L2,
    "supply.1.2": L2,
}  # fmt: skip


class Simulation(Promises):
    """One run. `devices` at one site, `days` of virtual time, `nodes` that triage in turn.

    With `telling` (unless told, in every eighth seed) people are told too: escalations and notices.
    """

    def __init__(
        self, seed: int, devices: int = 20, days: int = 30, nodes: int = 2, *, telling: bool | None = None
    ) -> None:
        self.seed, self.days = seed, days
        self.random = random.Random(seed)
        self.clock = ManualClock(T0)
        self.store = make_memory_uow_factory()
        self.crash_next = False
        self.nodes = [
            Triage(self._crashing, self.clock, POLICY, a_book(), a_catalogue()) for _ in range(nodes)
        ]
        self.dispatcher = Dispatcher(self._crashing, self.clock, POLICY, a_catalogue(), a_book())
        self.desk = ServiceDesk(self.store, self.clock, POLICY)
        self.device_ids = [f"d{number}" for number in range(devices)]
        self.faults: list[Fault] = []
        self.active: dict[str, dict[str, Fault]] = defaultdict(dict)
        self._agenda: list[tuple[datetime, int, str, Any]] = []
        self._number = 0
        self._read_soon: set[str] = set()
        self._truth_next: set[str] = set()
        self._spoke: dict[str, bool] = {}
        self._said: dict[str, datetime] = {}
        self.end = T0 + timedelta(days=days)
        self.telling: Telling | None = None
        if telling or (telling is None and seed % 8 == 0):
            self.telling = Telling(seed, self.store, self._crashing, self.clock, self._at)
        self.latest = {}
        self._checked, self._open, self._news = {}, {}, True
        self._set_up()

    def _crashing(self) -> Any:
        """Return a unit of work that may die at its commit."""
        work = self.store()
        if self.crash_next:
            self.crash_next = False

            def die(*_: object) -> None:
                raise Crash

            work._listeners = [*work._listeners, die]  # all is written, nothing is durable
        return work

    def _set_up(self) -> None:
        self.store.on_commit(VisitParts(self.clock))
        self.store.on_commit(self.note)
        with self.store() as uow:
            uow.customers.save(a_customer())
            uow.sites.save(a_site())
            uow.technicians.save(a_technician("t1"))
            uow.stock.save_item(an_item())
            uow.stock.post([a_move(4, target=van_of("t1"), effect="van"), a_move(2, target=WAREHOUSE)])
            for device_id in self.device_ids:
                uow.devices.save(a_device(device_id))
            if self.telling is not None:
                self.telling.set_up(uow)
            uow.commit()
        for device_id in self.device_ids:
            self._plan_faults(device_id)
            for day in range(self.days):
                self._at(T0 + timedelta(days=day, minutes=self.random.randrange(1440)), "read", device_id)
        for tick in range(self.days * 8):
            self._at(T0 + timedelta(hours=3 * tick), "tick", None)

    def _plan_faults(self, device_id: str) -> None:
        """Draw the true faults and the blinks of one device; the same cause rests for two days between faults."""
        draw = self.random
        at = T0 + timedelta(hours=draw.uniform(0, 24 * 40))
        while at < self.end - timedelta(days=2):
            cause = draw.choice(list(CAUSES))
            lasts = timedelta(hours=draw.uniform(9, 60)) if draw.random() < 0.4 else None
            worse = timedelta(hours=6) if cause == "jam.any" and draw.random() < 0.5 else None
            self._at(at, "begin", Fault(device_id, cause, CAUSES[cause], at, lasts, worse))
            if draw.random() < 0.3:
                self._at(
                    at + timedelta(minutes=20), "begin", Fault(device_id, "supply.1.10", L2, at, None, None)
                )
            if draw.random() < 0.3:
                self._at(
                    at + timedelta(hours=1), "begin", Fault(device_id, "fault.motor", L3, at, None, None)
                )
            at += timedelta(hours=draw.uniform(24 * 6, 24 * 30))
        if draw.random() < 0.4:
            self._at(T0 + timedelta(hours=draw.uniform(0, 24 * self.days - 24)), "blink", device_id)

    def _at(self, when: datetime, what: str, subject: object) -> None:
        self._number += 1
        heappush(self._agenda, (when, self._number, what, subject))

    # --- the run ---

    def run(self) -> "Simulation":
        """Live through all events; raise `Broken` at the first broken promise."""
        while self._agenda:
            when, _, what, subject = heappop(self._agenda)
            if when > self.end:
                break
            self.clock.move_to(when)
            getattr(self, f"_{what}")(subject)
        self.finish()
        if self.telling is not None:
            self.telling.finish(self.tickets(), self.end)
        return self

    def _begin(self, fault: Fault) -> None:
        if fault.cause in self.active[fault.device_id] or self._rests(fault):
            return
        fault.start = self.clock.now()
        self.faults.append(fault)
        self.latest[f"{fault.device_id}:{fault.cause}"] = fault
        self.active[fault.device_id][fault.cause] = fault
        if fault.lasts is not None:
            self._at(self.clock.now() + fault.lasts, "over", fault)
        self._read(fault.device_id)

    def _rests(self, fault: Fault) -> bool:
        return any(
            each.device_id == fault.device_id
            and each.cause == fault.cause
            and (each.end is None or self.clock.now() - each.end < timedelta(days=2))
            for each in self.faults
        )

    def _over(self, fault: Fault) -> None:
        if fault.end is None:
            fault.end = self.clock.now()
            del self.active[fault.device_id][fault.cause]
            self._read(fault.device_id)

    def _blink(self, device_id: str) -> None:
        """Open a cover for one look: no fault."""
        if "cover.1.1" in self.active[device_id]:
            return
        self._truth_next.add(device_id)
        on = [self._condition(fault) for fault in self.active[device_id].values()]
        self._say(device_id, [*on, a_condition("cover.1.1", L1)])
        self._at(self.clock.now() + timedelta(minutes=5), "read", device_id)

    def _read(self, device_id: str) -> None:
        """Report what is wrong now; while something is, the device is read every two hours."""
        now, draw = self.clock.now(), self.random
        on = self.active[device_id]
        if on and device_id not in self._read_soon:
            self._read_soon.add(device_id)
            self._at(now + timedelta(hours=2), "read_again", device_id)
        if not on and not self._spoke.get(device_id):
            return
        if device_id in self._truth_next:
            self._truth_next.discard(device_id)  # after a flicker or a nap the device tells the truth
        elif on and draw.random() < 0.1:
            self._truth_next.add(device_id)
            self._say(device_id, [], unknown=("",))  # asleep
            return
        elif (
            on and draw.random() < 0.05
        ):  # one condition is missing at one look and there again ten minutes later
            self._truth_next.add(device_id)
            self._say(
                device_id, [self._condition(fault) for fault in on.values()][1:], unknown=("supply.1.1",)
            )
            self._at(now + timedelta(minutes=10), "read", device_id)
            return
        self._say(device_id, [self._condition(fault) for fault in on.values()])
        if not on:
            self._say(device_id, [], at=now + timedelta(seconds=1))

    def _read_again(self, device_id: str) -> None:
        self._read_soon.discard(device_id)
        if self.active[device_id]:
            self._read(device_id)

    def _condition(self, fault: Fault) -> Condition:
        worse = fault.worse_after is not None and self.clock.now() - fault.start >= fault.worse_after
        family, _, index = fault.cause.partition(".")
        supply = {"supply_index": index, "kind": "toner", "colour": "black", "label": "x"}
        about = {"detail": supply} if family == "supply" else {}
        return a_condition(fault.cause, L3 if worse else fault.level, **about)

    def _say(
        self,
        device_id: str,
        conditions: list[Condition],
        unknown: tuple[str, ...] = (),
        at: datetime | None = None,
    ) -> None:
        """Deliver a signal soon, perhaps twice; sometimes an extra copy of this moment comes hours late."""
        at = at or self.clock.now()
        if (
            device_id in self._said
        ):  # two looks are never at the same instant: the second would pass for a repeat of the first
            at = max(at, self._said[device_id] + timedelta(milliseconds=2))
        self._said[device_id] = at
        self._spoke[device_id] = bool(conditions or unknown)
        signal = Signal(
            tenant=TENANT, device_id=device_id, observed_at=at, origin=SignalOrigin.TELEMETRY,
            evidence=f"t:{at.timestamp():.3f}:{len(conditions)}", conditions=tuple(conditions), unknown=unknown,
        )  # fmt: skip
        self._at(at + timedelta(seconds=self.random.uniform(1, 120)), "deliver", signal)
        if self.random.random() < 0.1:
            self._at(at + timedelta(minutes=3), "deliver", signal)
        if self.random.random() < 0.15:
            late = replace(signal, evidence=signal.evidence + ":late", observed_at=at - timedelta(seconds=1))
            self._at(at + timedelta(hours=self.random.uniform(1, 40)), "deliver", late)

    def _deliver(self, signal: Signal) -> None:
        with self.store() as uow:
            uow.signals.append([signal])
            uow.commit()
        self._triage()

    def _triage(self) -> None:
        self.crash_next = self.random.random() < 0.05
        try:
            self.random.choice(self.nodes).run_all()
        except Crash:
            self._at(self.clock.now() + timedelta(minutes=1), "again", None)
        self.crash_next = False
        self._tell()

    def _tell(self) -> None:
        """Let the round that changed something look for the next step of its promises."""
        if self.telling is not None and self.telling.changed:
            self.crash_next = self.random.random() < 0.05
            self.telling.look()
            self.crash_next = False

    def _escalate(self, timer: tuple[int, datetime]) -> None:
        if self.telling is not None:
            self.crash_next = self.random.random() < 0.05
            self.telling.woken(*timer)
            self.crash_next = False

    def _again(self, _: object) -> None:
        self._triage()

    def _tick(self, _: object) -> None:
        """Every three hours: triage settles, work is dispatched and done, and every promise is checked."""
        self._triage()
        self.crash_next = self.random.random() < 0.05
        with suppress(Crash):
            self.dispatcher.dispatch(TENANT)
        self.crash_next = False
        self._work()
        self._handle_stock()
        if self.telling is not None:
            self._tell()
            self.telling.deliver()
        self.check()

    def _handle_stock(self) -> None:
        """Goods come and go between warehouse, van and shelf: by chance, sometimes twice, sometimes too many."""
        draw, number = self.random, self.random.randrange(200)
        self._use_the_shelf()
        places = [SUPPLIER, WAREHOUSE, van_of("t1"), shelf_at("s1")]
        source, target = draw.sample(places, 2)
        if target == SUPPLIER or draw.random() < 0.7:
            return
        move = a_move(draw.randint(1, 2), source, target, effect=f"chance:{number}", at=self.clock.now())
        with suppress(Conflict), self.store() as uow:
            uow.stock.post([move])
            uow.commit()

    def _use_the_shelf(self) -> None:
        """Let people at the site take what is meant for their machine, now and then."""
        with self.store() as uow:
            for promise in uow.stock.reservations(TENANT, place=shelf_at("s1")):
                _, device_id, cause = promise.holder.split(":")
                fault = self.active[device_id].get(cause)
                if fault is None or self.random.random() < 0.8:
                    continue
                uow.stock.release(promise)
                effect = f"swap:{promise.holder}:{fault.start.isoformat()}"
                uow.stock.post([a_move(1, shelf_at("s1"), inside(device_id), effect=effect)])
                uow.commit()
                self._over(fault)
                return

    # --- people ---

    def _work(self) -> None:
        with self.store() as uow:
            active = frozenset({WorkOrderState.ASSIGNED, WorkOrderState.EN_ROUTE, WorkOrderState.ON_SITE})
            orders = uow.work_orders.list(TENANT, WorkOrderFilter(states=active))
        for order in orders:
            luck = self.random.random()
            if order.state is WorkOrderState.ASSIGNED and luck < 0.4:
                self.desk.depart(TENANT, order.work_order_id, actor="t1")
            elif order.state is WorkOrderState.EN_ROUTE and luck < 0.7:
                self.desk.arrive(TENANT, order.work_order_id, actor="t1")
            elif order.state is WorkOrderState.ON_SITE and luck < 0.7:
                self._finish_visit(order.work_order_id, order.ticket_ids, order.device_id)
        with self.store() as uow:
            waiting = uow.tickets.list(
                TENANT, TicketFilter(states=frozenset({*PAUSING, TicketState.WAITING_PARTS}))
            )
            fresh = uow.tickets.list(TENANT, TicketFilter(states=frozenset({TicketState.SCHEDULED})))
        for ticket in waiting:
            if self.random.random() < 0.3:
                self.desk.move(TENANT, ticket.ticket_id, Move.RESUME, actor="li")
        for ticket in fresh:
            order = self._order_of(ticket)
            if self.random.random() < 0.02 and order is not None and len(order.ticket_ids) == 1:
                self.desk.cancel_order(TENANT, order.work_order_id, actor="li", note="customer is away")
                self.desk.move(TENANT, ticket.ticket_id, Move.WAIT_CUSTOMER, actor="li")

    def _finish_visit(self, work_order_id: Any, ticket_ids: Any, device_id: str) -> None:
        luck = self.random.random()
        outcome = Outcome.FIXED if luck < 0.8 else Outcome.NOT_FIXED if luck < 0.9 else Outcome.PARTS_NEEDED
        self.desk.done(TENANT, work_order_id, actor="t1", outcome=outcome)
        if outcome is not Outcome.FIXED or self.random.random() < 0.15:
            return  # nothing is better, whatever the report says
        with self.store() as uow:
            tickets = [uow.tickets.get(TENANT, each) for each in ticket_ids]
        for ticket in tickets:
            fault = self.active[ticket.device_id].get(ticket.cause)
            if fault is not None:
                self._over(fault)
