"""The demonstration's service desk between visits: it calls the customers of new tickets, and cares for machines in time.

What is late follows from ids alone, so that the same demonstration is the same each time.
"""

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from config.clock import VirtualClock
from config.wiring.analysing import Desk, care_round
from config.wiring.core import Core
from crm_core.domain.errors import Conflict
from crm_core.domain.fleet import CustomerTier, OwnerState
from crm_core.domain.service import ClockKind, Ticket, TicketState
from crm_core.ports import TicketFilter
from crm_core.ticket_states import TRANSITIONS, Move

_LOOK_BACK: Final = timedelta(days=5)  # over a weekend with a holiday beside it
_LATE_EVERY: Final = 9  # each ninth caller waits for the next round
_EVERY_DAYS: Final = 90  # core customers have their machines cared for once a quarter
_PLANS_A_WEEK: Final = 3
_WEDNESDAY: Final = 2


@dataclass(slots=True)
class ServiceDays:
    """Does what a service desk does beside visits."""

    core: Core
    desk: Desk
    clock: VirtualClock

    def call(self, now: datetime) -> None:
        """Let the dispatcher call about what came in since the last look, one customer after the other."""
        if not self.works(now):
            return
        for minutes, ticket in sorted(self._unheard(now), key=lambda row: (row[0], row[1].ticket_id)):
            self.clock.move_to(max(now + timedelta(minutes=minutes), self.clock.now()))
            self.desk.servicedesk.acknowledge(self.core.tenant, ticket.ticket_id, actor="dispatcher")

    def end_of_day(self, now: datetime) -> None:
        """Begin plans of care for core customers, a few a week, and make the visits that are due."""
        if not self.works(now):
            return
        if now.weekday() == _WEDNESDAY:
            self._begin_plans()
        care_round(self.core, self.desk)

    def works(self, now: datetime) -> bool:
        """Return True on a working day of the firm."""
        calendar = self.core.policy.sla.calendar
        local = now.astimezone(ZoneInfo(calendar.time_zone))
        return local.weekday() < 5 and local.date() not in calendar.holidays

    def _unheard(self, now: datetime) -> list[tuple[int, Ticket]]:
        """Return the tickets that nobody answered yet, with the minutes until somebody does."""
        with self.core.uow_factory() as uow:
            found = uow.tickets.list(
                self.core.tenant,
                TicketFilter(
                    states=frozenset({TicketState.NEW, TicketState.SCHEDULED}),
                    raised_since=now - _LOOK_BACK,
                    limit=1000,
                ),
            )
        waiting = []
        for ticket in found:
            clock = ticket.clock(ClockKind.RESPOND)
            open_ = clock is not None and clock.met_at is None
            if open_ and (ticket.state, Move.ACKNOWLEDGE) in TRANSITIONS:
                luck = zlib.crc32(f"call:{ticket.ticket_id}".encode())
                fresh = now - ticket.raised_at < timedelta(hours=2)
                if not (fresh and luck % _LATE_EVERY == 0):
                    waiting.append((6 + luck // _LATE_EVERY % 20, ticket))
        return waiting

    def _begin_plans(self) -> None:
        """Begin the next plans: core customers' machines by id, as many as a week brings."""
        with self.core.uow_factory() as uow:
            kept = {plan.device_id for plan in uow.fieldwork.plans.where(self.core.tenant)}
            core_ones = [
                bundle.device.device_id
                for bundle in uow.devices.bundles(self.core.tenant)
                if bundle.device.owner_state is OwnerState.INSTALLED
                and bundle.customer is not None
                and bundle.customer.tier is CustomerTier.CORE
            ]
        for device_id in [each for each in sorted(core_ones) if each not in kept][:_PLANS_A_WEEK]:
            try:
                self.desk.fieldwork.plans.make(self.core.tenant, device_id, every_days=_EVERY_DAYS)
            except Conflict:
                continue  # a history that went on made it already
