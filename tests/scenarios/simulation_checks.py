"""What the service desk promises, as checks over a simulation: at every tick, and for each fault over the whole run."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from crm_core.domain.errors import Conflict, DrumbeatError
from crm_core.domain.service import OPEN_STATES, ClockKind, Ticket, TicketLevel, TicketState
from crm_core.domain.stock import is_external
from crm_core.ports import Changes, TicketFilter, UnitOfWorkFactory
from crm_core.sla import recomputed
from crm_core.ticket_states import PAUSING, Move, last_event, pauses_of
from tests.builders import TENANT, ManualClock
from tests.policies import L3, a_policy, a_rule, a_triage_policy

POLICY = a_policy(
    a_triage_policy(
        [
            a_rule("fault.", n=1, clear_n=2, clear_minutes=30),
            a_rule("cover.", n=2, minutes=10, clear_n=1, clear_minutes=30),
            a_rule("jam.", n=1, clear_n=1, clear_minutes=30),
            a_rule("supply.", n=1, clear_n=2, clear_minutes=30),
        ],
        jam_count_for_ticket=99,
        campaign_devices=10**6,  # the same fault on several devices is chance here
        max_automatic_tickets_per_device_day=1,
        max_automatic_tickets_per_site_day=50,
    )
)
COVERED_WITHIN = timedelta(hours=8)  # a fault that is on for so long has its ticket
GONE_WITHIN = timedelta(hours=12)  # a ticket nobody works on is closed so long after its fault
UNPLANNED = frozenset(
    {
        TicketState.NEW,
        TicketState.TRIAGED,
        TicketState.ESCALATED,
        TicketState.IN_PROGRESS,
        TicketState.SCHEDULED,
    }
)
HELD_WITHIN = timedelta(hours=30)


class Broken(AssertionError):
    """A promise of the service desk was broken; the message says which."""


class Crash(DrumbeatError):
    """A node dies just before its transaction becomes durable."""


@dataclass(slots=True)
class Fault:
    """One true fault of a device; `end` is None while it lasts."""

    device_id: str
    cause: str
    level: TicketLevel
    start: datetime
    lasts: timedelta | None  # None: until somebody repairs it
    worse_after: timedelta | None
    end: datetime | None = None


def noticed_in(make: Callable[[int], Any], bug: str, tries: int = 60) -> None:
    """Run the simulations that `make` gives for seeds until one says what is broken; fail when none does."""
    for seed in range(tries):
        try:
            make(seed).run()
        except (Broken, Conflict) as broken:
            print(f"\n{bug}: seed {seed}: {broken}")
            return
    raise AssertionError(f"{bug} was not noticed in {tries} seeds")


class Promises:
    """The checks; a simulation brings its clock, its store and the true faults."""

    clock: ManualClock
    store: UnitOfWorkFactory
    faults: list[Fault]
    latest: dict[str, Fault]  # of each device and cause
    active: dict[str, dict[str, Fault]]
    end: datetime
    _news: bool
    _open: dict[str, Ticket]  # by what they are about, as of the last look
    _checked: dict[int, Ticket]
    _agenda: list[tuple[datetime, int, str, Any]]

    def _order_of(self, ticket: Ticket) -> Any:
        with self.store() as uow:
            return uow.work_orders.active_for_ticket(TENANT, ticket.ticket_id)

    def tickets(self) -> list[Ticket]:
        with self.store() as uow:
            return list(reversed(uow.tickets.list(TENANT, TicketFilter(limit=100_000))))

    def check(self) -> None:
        """State what must hold at any time."""
        now = self.clock.now()
        if self._news:
            self._look_at_tickets()
        for key, fault in self.latest.items():
            if fault.end is None and now - fault.start > COVERED_WITHIN:
                self._check_covered(fault, self._open.get(key))
            elif fault.end is not None and key in self._open and now - fault.end > GONE_WITHIN:
                self._check_gone(self._open[key])
        self._check_stock()

    def _look_at_tickets(self) -> None:
        """Read all tickets from the store; without a commit that changed one they say what they said."""
        self._news = False
        tickets = self.tickets()
        open_ones = [ticket for ticket in tickets if ticket.state in OPEN_STATES]
        self._open = {ticket.dedup_key: ticket for ticket in open_ones}
        if len(open_ones) != len(self._open):
            raise Broken("two open tickets for one cause")
        for ticket in tickets:
            if self._checked.get(ticket.ticket_id) is not ticket:  # frozen: the same one says the same
                self._check_ticket(ticket)
                self._checked[ticket.ticket_id] = ticket

    def note(self, _uow: object, changes: Changes) -> None:
        """Hear of what a transaction is about to change (a commit listener)."""
        self._news = self._news or bool(changes.tickets)

    def _check_stock(self) -> None:
        """State that books balance, that nothing owes, and that what is reserved is what was promised."""
        with self.store() as uow:
            rows = uow.stock.balances(TENANT)
            promises = uow.stock.reservations(TENANT)
        if sum(row.quantity for row in rows):
            raise Broken("the books of stock do not balance")
        promised = Counter[str]()
        for each in promises:
            promised[each.place] += each.quantity
        for row in rows:
            if row.reserved != promised[row.place]:
                raise Broken("what is reserved differs from the promises")
            if not is_external(row.place) and row.quantity < row.reserved:
                raise Broken(f"{row.place} holds less than nothing, or less than is promised")

    def _lies_there(self, fault: Fault) -> bool:
        """Return True while a piece at the site is promised to the fault: then it needs no ticket."""
        with self.store() as uow:
            return bool(uow.stock.reservations(TENANT, holder=f"cover:{fault.device_id}:{fault.cause}"))

    def _check_covered(self, fault: Fault, ticket: Ticket | None) -> None:
        if ticket is None and self._lies_there(fault):
            return
        if ticket is None:
            raise Broken(f"{fault.cause} has been on since {fault.start} without a ticket")
        now = self.clock.now()
        grown = fault.worse_after is not None and now - fault.start > fault.worse_after + COVERED_WITHIN
        if grown and ticket.level is not L3:
            raise Broken("a fault became worse and its ticket did not")
        if ticket.state is TicketState.HELD and now - ticket.raised_at > HELD_WITHIN:
            raise Broken("the budget holds a ticket for ever")
        unplanned = ticket.state in UNPLANNED and self._order_of(ticket) is None
        if unplanned and now - ticket.changed_at > GONE_WITHIN:
            raise Broken(f"nobody was sent for a ticket that is {ticket.state}")
        if ticket.state is TicketState.RESOLVED_UNVERIFIED and now - ticket.changed_at > GONE_WITHIN:
            raise Broken("a failed repair was not noticed")

    def _check_gone(self, ticket: Ticket) -> None:
        idle = {TicketState.NEW, TicketState.HELD, TicketState.TRIAGED, TicketState.SCHEDULED}
        if self.clock.now() - ticket.changed_at < GONE_WITHIN:
            return
        if ticket.state in idle | {TicketState.RESOLVED_UNVERIFIED}:
            raise Broken(f"the cause is gone and the ticket is still {ticket.state}")

    def _check_ticket(self, ticket: Ticket) -> None:
        if not ticket.evidence or any(each.at > ticket.raised_at for each in ticket.evidence[:1]):
            raise Broken("a ticket without the reading that raised it")
        held = ticket.state is TicketState.HELD or (
            ticket.events[-1].event == "cleared" and ticket.events[-1].from_state is TicketState.HELD
        )
        if not held and not {ClockKind.RESPOND, ClockKind.RESTORE} <= {clock.kind for clock in ticket.clocks}:
            raise Broken("a ticket without its clocks")
        for clock in ticket.clocks:
            runs = ticket.state not in PAUSING and clock.met_at is None
            if runs and recomputed(POLICY.sla.calendar, clock, pauses_of(ticket)) != clock:
                raise Broken("a stored due time differs from its recomputation")
            if clock.met_at is not None and clock.kind is ClockKind.RESTORE:
                self._check_restored(ticket, clock.met_at)

    def _check_restored(self, ticket: Ticket, met_at: datetime) -> None:
        done = last_event(ticket, Move.DONE)
        if ticket.state is TicketState.RESOLVED and done is not None and met_at != done.at:
            raise Broken("restore counts as of the repair, not of its confirmation")

    def finish(self) -> None:
        """State what must hold for each fault and ticket over the whole run."""
        tickets = self.tickets()
        by_key: dict[str, list[Ticket]] = defaultdict(list)
        for ticket in tickets:
            by_key[ticket.dedup_key].append(ticket)
        for ticket in tickets:
            self._check_true(ticket)
        for fault in self.faults:
            found = [
                ticket
                for ticket in by_key[f"{fault.device_id}:{fault.cause}"]
                if self._belongs(ticket, fault)
            ]
            long_enough = (fault.end or self.end) - fault.start > COVERED_WITHIN
            if len(found) > 1 or (long_enough and not found):
                raise Broken(f"{len(found)} tickets for one fault ({fault.cause} of {fault.device_id})")
        with self.store() as uow:
            if uow.signals.pending(10) and not self._agenda:
                raise Broken("signals wait for ever")

    def _belongs(self, ticket: Ticket, fault: Fault) -> bool:
        last = fault.end or self.end
        return fault.start <= ticket.raised_at <= last + timedelta(minutes=30)

    def _check_true(self, ticket: Ticket) -> None:
        """See that a ticket has a true fault, and that telemetry closed it only when that fault was gone."""
        of_cause = [
            fault
            for fault in self.faults
            if (fault.device_id, fault.cause) == (ticket.device_id, ticket.cause)
            and self._belongs(ticket, fault)
        ]
        if not of_cause:
            raise Broken(f"a ticket without a fault: {ticket.cause} of {ticket.device_id}")
        for event in self._closings(ticket):
            if any(fault.end is None or fault.end > event for fault in of_cause):
                raise Broken(f"a ticket was closed while {ticket.cause} was on")

    def _closings(self, ticket: Ticket) -> Iterator[datetime]:
        for event in ticket.events:
            if event.event in (Move.CLEARED, Move.CONFIRMED):
                yield event.at
