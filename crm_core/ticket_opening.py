"""Opening a ticket for a cause: title, level, clocks, evidence, recall of an earlier repair, and the daily budget.

Exactly one open ticket per cause is the database's promise (`TicketRepository.open_unless_covered`). What the budget
holds back is opened as `held`: visible with its reason and the moment by which it is released at the latest, grouped
with what the same budget holds - never dropped. Its due times are provisional: they count from that latest moment, and
start anew, earlier, when it is released.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import TicketId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import CauseTrack, SlaClock, Ticket, TicketEvent, TicketLevel, TicketState
from crm_core.ports import TicketFilter, UnitOfWork
from crm_core.sla import clocks_for
from crm_core.ticket_states import MACHINE, Move, last_event, moved

_DAY: Final = timedelta(days=1)
_LOOK_BACK: Final = 50  # tickets of one device that are searched for an earlier repair
HELD_BY_BUDGET: Final = "budget"
_HELD: Final = "held_"


@dataclass(frozen=True, slots=True)
class TicketOpener:
    """Builds tickets from raised tracks under one policy version."""

    policy: PolicyBook

    def open(
        self,
        uow: UnitOfWork,
        track: CauseTrack,
        bundle: DeviceBundle,
        now: datetime,
    ) -> Ticket | None:
        """Open the ticket of a raised track; None when an open ticket covers the cause already."""
        ticket = self._new(uow, track, bundle, now)
        limit = (
            None if is_urgent(ticket.level, ticket.detail.get("severity")) else self._limit(uow, ticket, now)
        )
        if limit is not None:
            ticket = self._held(uow, ticket, bundle, now, limit)
        else:
            ticket = replace(ticket, clocks=self._clocks(ticket, bundle, now))
        return uow.tickets.open_unless_covered(ticket)

    def release(self, uow: UnitOfWork, ticket: Ticket, now: datetime, note: str) -> Ticket:
        """Let a held ticket go: its clocks start now, its raise time stays."""
        bundle = uow.devices.bundle(ticket.tenant, ticket.device_id)
        released = moved(ticket, Move.RELEASE, at=now, actor=MACHINE, sla=self.policy.sla, note=note)
        detail = {key: value for key, value in released.detail.items() if not key.startswith(_HELD)}
        return uow.tickets.save(replace(released, detail=detail, clocks=self._clocks(ticket, bundle, now)))

    def may_release(self, uow: UnitOfWork, ticket: Ticket, now: datetime) -> bool:
        """Return True if a ticket that the budget held may go: a day has passed, or there is room again."""
        return now - ticket.raised_at >= _DAY or self._limit(uow, ticket, now, held=1) is None

    def _new(self, uow: UnitOfWork, track: CauseTrack, bundle: DeviceBundle, now: datetime) -> Ticket:
        condition = track.condition
        detail = {**condition.detail, "severity": condition.severity}
        if condition.text:
            detail["text"] = condition.text
        repaired = self._earlier_repair(uow, track, now)
        if repaired is not None:
            detail |= {"recall": 1, "recall_of": repaired.ticket_id}
        forecast = (
            "_forecast" if (condition.code, condition.category) == ("forecast:supply", "consumable") else ""
        )
        return Ticket(
            tenant=track.tenant,
            ticket_id=TicketId(0),
            device_id=track.device_id,
            site_id=bundle.device.site_id,
            customer_id=bundle.device.customer_id,
            cause=track.cause,
            category=condition.category,
            level=condition.level or TicketLevel.L1,
            state=TicketState.NEW,
            title_key=f"tickets.title.{condition.category}{forecast}",
            detail=detail,
            raised_at=now,
            changed_at=now,
            clocks=(),
            evidence=track.evidence,
            events=(
                TicketEvent(at=now, actor=MACHINE, event="raise", from_state=None, to_state=TicketState.NEW),
            ),
            code=condition.code,
            policy_version=self.policy.version,
        )

    def _clocks(self, ticket: Ticket, bundle: DeviceBundle, now: datetime) -> tuple[SlaClock, ...]:
        return clocks_for(
            self.policy.sla,
            self.policy.version,
            level=ticket.level,
            category=ticket.category,
            customer=bundle.customer,
            contract=bundle.contract,
            start=now,
        )

    def _held(
        self, uow: UnitOfWork, ticket: Ticket, bundle: DeviceBundle, now: datetime, limit: str
    ) -> Ticket:
        """Return the ticket as held, with why, until when at the latest, and who leads its group."""
        latest = now + _DAY
        held = moved(ticket, Move.SUPPRESS, at=now, actor=MACHINE, sla=self.policy.sla, note=HELD_BY_BUDGET)
        lead = _first_held(uow, ticket, limit)
        detail = {
            **held.detail,
            "held_limit": limit,
            "held_until": latest.isoformat(),
            "held_with": lead.ticket_id if lead is not None else None,
        }
        return replace(held, detail=detail, clocks=self._clocks(ticket, bundle, latest))

    def _limit(self, uow: UnitOfWork, ticket: Ticket, now: datetime, held: int = 0) -> str | None:
        """Return whose share of automatic tickets of the last 24 h is used up: the device's, the site's, or None.

        `held` tickets of the count are the one that asks itself.
        """
        limits, since, until = self.policy.triage, now - _DAY, now + timedelta(microseconds=1)
        tickets = uow.tickets
        of_device = tickets.raised_between(ticket.tenant, since, until, device_id=ticket.device_id)
        if of_device - held >= limits.max_automatic_tickets_per_device_day:
            return "device"
        if ticket.site_id is None:
            return None
        of_site = tickets.raised_between(ticket.tenant, since, until, site_id=ticket.site_id)
        return "site" if of_site - held >= limits.max_automatic_tickets_per_site_day else None

    def _earlier_repair(self, uow: UnitOfWork, track: CauseTrack, now: datetime) -> Ticket | None:
        """Return the newest repair of the same cause within the recall time: this is then a recall."""
        since = now - self.policy.triage.recall_within
        for ticket in uow.tickets.list(
            track.tenant, TicketFilter(device_id=track.device_id, limit=_LOOK_BACK)
        ):
            done = last_event(ticket, Move.DONE)
            if ticket.cause == track.cause and done is not None and done.at >= since:
                return ticket
        return None


def _first_held(uow: UnitOfWork, ticket: Ticket, limit: str) -> Ticket | None:
    """Return the oldest ticket that the same budget holds: the group's lead."""
    which = TicketFilter(
        states=frozenset({TicketState.HELD}),
        device_id=ticket.device_id if limit == "device" else None,
        site_id=ticket.site_id if limit == "site" else None,
        limit=_LOOK_BACK,
    )
    return min(uow.tickets.list(ticket.tenant, which), key=lambda each: each.ticket_id, default=None)


def is_urgent(level: TicketLevel | None, severity: object) -> bool:
    """Return True for what nothing but its own site's incident holds back: a machine that stands still."""
    return level is TicketLevel.L3 and severity == "critical"


def held_until(ticket: Ticket) -> datetime | None:
    """Return when a held ticket is released at the latest; None for all others."""
    text = ticket.detail.get("held_until")
    held = ticket.state is TicketState.HELD and isinstance(text, str)
    return datetime.fromisoformat(str(text)) if held else None
