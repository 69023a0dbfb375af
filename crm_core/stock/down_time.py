"""Down time of devices and what a long repair is worth (requirement 25, reference 1.3 and 1.4).

Down from the raise of the ticket, or the last good telemetry where that is earlier, to the repair that telemetry
confirmed. A stand-by machine at work stops the count.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from crm_core.domain.identity import TenantId
from crm_core.domain.loans import DownTime
from crm_core.domain.money import Money
from crm_core.domain.service import Ticket, TicketLevel, TicketState
from crm_core.domain.stock_policy import RentCreditPolicy
from crm_core.ports import Clock, TelemetryStore, TicketFilter, UnitOfWork, UnitOfWorkFactory
from crm_core.stock.loans import wants_machine
from crm_core.ticket_states import Move, last_event

_OVER: Final = frozenset({TicketState.RESOLVED, TicketState.AUTO_RESOLVED, TicketState.CLOSED})
_HOURS_A_DAY: Final = 24
_LOOK_BACK: Final = 1000


@dataclass(frozen=True, slots=True)
class Lent:
    """A stretch in which a stand-by machine worked; `back` None: it still does."""

    out: datetime
    back: datetime | None


def counted_down_time(since: datetime, until: datetime, lent: Iterable[Lent]) -> tuple[timedelta, timedelta]:
    """Return how long a stand-by machine worked between the two instants, and the down time that is left."""
    worked = timedelta()
    reached = since
    for each in sorted(lent, key=lambda one: one.out):
        begin, end = max(each.out, reached), min(each.back or until, until)
        if end > begin:
            worked += end - begin
            reached = end
    return worked, max(until - since, timedelta()) - worked


def rent_credit(monthly_rent: Money, down: timedelta, policy: RentCreditPolicy) -> Money:
    """Return the rent that a repair gives back: all beyond the free days, by the full hour, at the rent of a day.

    The day's rent is the monthly rent x 12 / 365; rounded half up to the cent at the end.
    """
    hours = int(down.total_seconds() // 3600)
    beyond = Decimal(hours) - policy.free_days * _HOURS_A_DAY
    if beyond <= 0:
        return Money(Decimal(0), monthly_rent.currency)
    share = policy.months_a_year / policy.days_a_year * beyond / _HOURS_A_DAY
    return monthly_rent.times(share).rounded()


class DownTimes:
    """Keeps the down time of each ticket once its repair is confirmed; invoices read it."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, store: TelemetryStore) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._store = store

    def record(self, tenant: TenantId) -> int:
        """Keep the down time of tickets that ended since the last round; return how many were new. Idempotent."""
        new = 0
        with self._uow_factory() as uow:
            which = TicketFilter(states=_OVER, level=TicketLevel.L3, limit=_LOOK_BACK)
            for ticket in uow.tickets.list(tenant, which):
                if wants_machine(ticket) and uow.stock.find_down_time(tenant, ticket.ticket_id) is None:
                    down = self._of(uow, ticket)
                    if down is not None:
                        uow.stock.save_down_time(down)
                        new += 1
            uow.commit()
        return new

    def _of(self, uow: UnitOfWork, ticket: Ticket) -> DownTime | None:
        until = restored_at(ticket)
        if until is None:
            return None
        since = min(ticket.raised_at, self._last_good(ticket) or ticket.raised_at)
        lent = [
            Lent(loan.out_at, loan.back_at)
            for loan in uow.stock.loans(ticket.tenant, ticket_id=ticket.ticket_id)
            if loan.out_at is not None
        ]
        worked, counted = counted_down_time(since, until, lent)
        device = uow.devices.get(ticket.tenant, ticket.device_id)
        return DownTime(
            tenant=ticket.tenant,
            ticket_id=ticket.ticket_id,
            device_id=ticket.device_id,
            customer_id=ticket.customer_id,
            contract_id=device.contract_id,
            since=since,
            until=until,
            lent_seconds=int(worked.total_seconds()),
            counted_seconds=int(counted.total_seconds()),
        )

    def _last_good(self, ticket: Ticket) -> datetime | None:
        """Return the time of the last reading before the one that first showed the fault."""
        if not ticket.evidence:
            return None
        before, _ = self._store.neighbours(ticket.tenant, ticket.device_id, ticket.evidence[0].at)
        return before.polled_at if before is not None else None


def restored_at(ticket: Ticket) -> datetime | None:
    """Return when a ticket's device was in service again, as telemetry confirmed; None while nothing confirmed it."""
    confirmed = last_event(ticket, Move.CONFIRMED)
    if confirmed is not None:
        done = last_event(ticket, Move.DONE)
        return done.at if done is not None else confirmed.at
    cleared = last_event(ticket, Move.CLEARED) or last_event(ticket, Move.FIX_BY_PHONE)
    return cleared.at if cleared is not None else None
