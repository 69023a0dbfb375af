"""Triage: from signals, forecasts and silence to exactly one ticket per cause - and back when the cause is gone.

One writer (the leader). Each run is one transaction: the tickets and the mark that a signal was processed become
durable together, so a crash repeats a run without doubling anything. Conditions raise and clear with hysteresis
(`cause_tracks`); what a reading says nothing about neither raises nor clears; late signals say nothing new.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Final

from crm_core import campaigns, cause_tracks, forecast_causes, incidents, silence
from crm_core.conditions import FaultCodes
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import DEFAULT_TENANT, TenantId
from crm_core.domain.messages import packed
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import (
    CauseTrack,
    Signal,
    SignalOrigin,
    Ticket,
    TicketEvent,
    TicketLevel,
    TicketState,
    WorkOrderState,
)
from crm_core.domain.telemetry import DeviceState
from crm_core.ports import Clock, TicketFilter, UnitOfWork, UnitOfWorkFactory
from crm_core.raising import PROPOSAL, SERVED, covering, rests_until, served, was_decided, with_news
from crm_core.stock.cover import let_go
from crm_core.stock.shelf import asked_for
from crm_core.ticket_opening import HELD_BY_BUDGET, TicketOpener, is_urgent
from crm_core.ticket_states import MACHINE, TRANSITIONS, Move, last_event, moved
from crm_core.verification import note_absences
from crm_core.visits import take_off_visit

_RANK: Final = {TicketLevel.L1: 1, TicketLevel.L2: 2, TicketLevel.L3: 3}
_NOT_ON_THE_WAY: Final = frozenset({WorkOrderState.PLANNED, WorkOrderState.ASSIGNED})


@dataclass(slots=True)
class TriageReport:
    """What one run did. `ignored` signals were late or of devices that nobody serves."""

    signals: int = 0
    ignored: int = 0
    opened: int = 0
    held: int = 0
    released: int = 0
    escalated: int = 0
    auto_resolved: int = 0
    confirmed: int = 0
    recurred: int = 0
    incidents: int = 0
    covered: int = 0  # supplies that need nothing: what they need lies at the site

    def __add__(self, other: "TriageReport") -> "TriageReport":
        return TriageReport(
            **{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        )


class Triage:
    """The one writer of automatic tickets.

    `book` and `catalogue` explain codes and models to the parts that ask for them; the decisions rest on `policy`.
    """

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        policy: PolicyBook,
        book: FaultCodes,
        catalogue: Catalogue,
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._book = book
        self._catalogue = catalogue
        self._opener = TicketOpener(policy)
        self._explained: dict[TenantId, incidents.Explained] = {}  # of the present run only
        self._watching_since: datetime | None = None

    def run(self, limit: int = 500, tenants: Sequence[TenantId] = (DEFAULT_TENANT,)) -> TriageReport:
        """Take up to `limit` signals from the inbox, then settle what time alone decides; one transaction."""
        now = self._clock.now()
        report = TriageReport()
        self._explained.clear()
        with self._uow_factory() as uow:
            pending = uow.signals.pending(limit)
            for signal in pending:
                report.signals += 1
                self._take(uow, signal, now, report)
            self._note_held_back(uow)
            uow.signals.mark_processed(
                [signal.signal_id for signal in pending if signal.signal_id is not None], now
            )
            for tenant in dict.fromkeys((*tenants, *(signal.tenant for signal in pending))):
                self._settle(uow, tenant, now, report)
            uow.commit()
        return report

    def run_all(self, limit: int = 500, tenants: Sequence[TenantId] = (DEFAULT_TENANT,)) -> TriageReport:
        """Run until the inbox is empty; what time alone decides is settled for `tenants` though nothing came in."""
        total = self.run(limit, tenants)
        last = total
        while last.signals == limit:
            last = self.run(limit, tenants)
            total += last
        return total

    def consider_forecasts(self, tenant: TenantId) -> TriageReport:
        """Raise and clear what the newest forecasts say; the same forecasts twice change nothing."""
        now = self._clock.now()
        report = TriageReport()
        self._explained.clear()
        with self._uow_factory() as uow:
            remembered = {
                track.device_id
                for track in uow.signals.all_tracks(tenant)
                if track.origin is SignalOrigin.FORECAST
            }
            for device_id, forecasts in sorted(uow.forecasts.for_devices(tenant).items()):
                signal = forecast_causes.signal_of(tenant, device_id, forecasts, self._policy)
                if signal is None or not (signal.conditions or device_id in remembered):
                    continue  # all is well and was well: nothing to raise and nothing to clear
                if signal.observed_at == uow.signals.watermark(tenant, device_id, SignalOrigin.FORECAST):
                    continue
                report.signals += 1
                self._take(uow, signal, now, report)
            self._note_held_back(uow)
            self._settle(uow, tenant, now, report)
            uow.commit()
        return report

    def consider_silence(
        self, tenant: TenantId, states: Sequence[DeviceState], expected_every: timedelta | None = None
    ) -> TriageReport:
        """Raise a network ticket for each served device that has been silent too long; clear it when it speaks.

        With `expected_every` (how often devices report) devices that fall silent together become an incident first:
        it holds back new tickets of its devices until they are back and have settled.
        """
        now = self._clock.now()
        report = TriageReport()
        last_seen = {state.device_id: state.last_seen for state in states}
        with self._uow_factory() as uow:
            silent_before = {
                track.device_id
                for track in uow.signals.all_tracks(tenant)
                if track.origin is SignalOrigin.SILENCE
            }
            bundles = [each for each in uow.devices.bundles(tenant) if each.device.owner_state in SERVED]
            if expected_every is not None and self._watches_long_enough(now, expected_every):
                report.incidents += incidents.update_incidents(
                    uow, tenant, bundles, states, now, self._policy, expected_every
                )
                self._explained.clear()
            for bundle in bundles:
                device = bundle.device
                since = silence.heard_since(device, last_seen.get(device.device_id))
                silent = since is not None and silence.is_silent(self._policy, since, now)
                if silent or device.device_id in silent_before:
                    report.signals += 1
                    self._take(
                        uow,
                        silence.signal_of(tenant, device.device_id, since, now, silent=silent),
                        now,
                        report,
                    )
            note_absences(uow, tenant, last_seen, now, self._policy.triage)
            self._note_held_back(uow)
            self._settle(uow, tenant, now, report)
            uow.commit()
        return report

    def _watches_long_enough(self, now: datetime, expected_every: timedelta) -> bool:
        """Return True once every device had the time to report twice: who just began to look sees only silence."""
        self._watching_since = self._watching_since or now
        return now - self._watching_since >= 2 * expected_every

    # --- one signal ---

    def _take(self, uow: UnitOfWork, signal: Signal, now: datetime, report: TriageReport) -> None:
        """Let one signal change the tracks of its device, and the tracks the tickets."""
        bundle = served(uow, signal)
        newest = uow.signals.watermark(signal.tenant, signal.device_id, signal.origin)
        if bundle is None or (newest is not None and signal.observed_at < newest):
            report.ignored += 1
            return
        if (
            "" not in signal.unknown
        ):  # a device that slept said nothing: what it said just before still counts
            uow.signals.set_watermark(signal.tenant, signal.device_id, signal.origin, signal.observed_at)
        tracks = {
            track.cause: track
            for track in uow.signals.tracks(signal.tenant, signal.device_id)
            if track.origin is signal.origin
        }
        on = {condition.cause: condition for condition in signal.conditions if condition.level is not None}
        for cause, condition in on.items():
            track = cause_tracks.seen(tracks.get(cause), signal, condition)
            if cause_tracks.is_raised(track, self._policy.triage):
                track = self._raise(uow, track, bundle, now, report)
            uow.signals.save_track(track)
        for cause, track in tracks.items():
            if cause not in on and not cause_tracks.is_silent_about(signal, cause):
                self._clear(uow, cause_tracks.not_seen(track, signal.observed_at), signal.observed_at, report)

    def _raise(
        self, uow: UnitOfWork, track: CauseTrack, bundle: DeviceBundle, now: datetime, report: TriageReport
    ) -> CauseTrack:
        """Make sure that exactly one open ticket covers the track; return the track linked to it."""
        asked = asked_for(uow, track, bundle, covering(uow, track), now, self._policy)
        if asked.track is None:
            report.covered += 1
            return track
        present = asked.covering
        if present is None:
            wait, rest = self._policy.triage.verify_after, self._policy.life.proposal_rest
            if self._is_held_back(uow, track, bundle, now) or was_decided(uow, track, wait, rest):
                return track
            opened = self._opener.open(uow, asked.track, bundle, now)
            if opened is not None:
                report.held += opened.state is TicketState.HELD
                report.opened += opened.state is not TicketState.HELD
                if campaigns.perhaps_start(uow, opened, bundle, now, self._policy) is not None:
                    report.incidents += 1
                    self._note_held_back(uow)  # what follows in this run is explained by the campaign
                return replace(track, ticket_id=opened.ticket_id)
            present = covering(uow, track)  # another writer was first
        if present is None:
            return track
        self._add_to(uow, present, asked.track, now, report)
        return replace(track, ticket_id=present.ticket_id)

    def _is_held_back(self, uow: UnitOfWork, track: CauseTrack, bundle: DeviceBundle, now: datetime) -> bool:
        """Return True while an incident explains the track; it is asked again with each further signal."""
        explained = self._explained.get(track.tenant)
        if explained is None:
            explained = self._explained[track.tenant] = incidents.explained_now(uow, track.tenant, now)
        urgent = is_urgent(track.condition.level, track.condition.severity)
        return explained.why(bundle, track.cause, track.origin, urgent=urgent) is not None

    def _note_held_back(self, uow: UnitOfWork) -> None:
        for tenant, explained in self._explained.items():
            incidents.note_held_back(uow, tenant, explained)
        self._explained.clear()

    def _add_to(
        self, uow: UnitOfWork, ticket: Ticket, track: CauseTrack, now: datetime, report: TriageReport
    ) -> None:
        """Let a covered condition speak: a failed repair, a higher level, or evidence from another origin."""
        after = ticket
        if ticket.state is TicketState.RESOLVED_UNVERIFIED:
            after = self._perhaps_recurred(ticket, track, now, report)
        level = track.condition.level
        if level is not None and _RANK[level] > _RANK[ticket.level]:
            note = f"{ticket.level} to {level}: {track.condition.code or track.cause}"
            event = TicketEvent(
                at=now,
                actor=MACHINE,
                event="level_raised",
                from_state=after.state,
                to_state=after.state,
                note=note,
            )
            after = replace(after, level=level, changed_at=now, events=(*after.events, event))
            report.escalated += 1
        after = with_news(after, track)
        if after is not ticket:
            uow.tickets.save(after)

    def _perhaps_recurred(
        self, ticket: Ticket, track: CauseTrack, now: datetime, report: TriageReport
    ) -> Ticket:
        done = last_event(ticket, Move.DONE)
        seen_at = forecast_causes.data_at(track.condition, track.last_seen)
        settled = self._policy.triage.settle_after
        if done is None or ticket.category == PROPOSAL or seen_at <= done.at + settled:
            return ticket
        report.recurred += 1
        note = packed("tickets.note.still", cause=track.cause, at=f"{seen_at:%Y-%m-%d %H:%M}")
        return self._moved(ticket, Move.RECURRED, now, note)

    # --- clearing ---

    def _clear(self, uow: UnitOfWork, track: CauseTrack, now: datetime, report: TriageReport) -> None:
        """Keep the track while the hold runs or somebody works on its ticket; else drop it and resolve the ticket."""
        policy = self._policy.triage
        if not cause_tracks.is_gone(track, now, policy) or not self._let_go(uow, track, report):
            uow.signals.save_track(track)
        elif cause_tracks.keeps_memory(track, now, policy):
            uow.signals.save_track(cause_tracks.dormant(track))
        else:
            uow.signals.drop_track(track)
            if track.cause.startswith("supply."):
                let_go(uow, track)

    def _let_go(self, uow: UnitOfWork, track: CauseTrack, report: TriageReport) -> bool:
        """Resolve the ticket of a gone cause; False while somebody works on it or another origin still sees it."""
        if track.ticket_id is None:
            return True
        ticket, now = uow.tickets.get(track.tenant, track.ticket_id), self._clock.now()
        if not ticket.is_open:
            return True
        if (ticket.state, Move.CLEARED) not in TRANSITIONS or self._still_on(uow, ticket, now, besides=track):
            return False
        order = uow.work_orders.active_for_ticket(ticket.tenant, ticket.ticket_id)
        if order is not None and order.state not in _NOT_ON_THE_WAY:
            return False
        why = packed("tickets.note.gone")
        take_off_visit(uow, uow.tickets.save(self._moved(ticket, Move.CLEARED, now, why)), why)
        report.auto_resolved += 1
        return True

    def _settle(self, uow: UnitOfWork, tenant: TenantId, now: datetime, report: TriageReport) -> None:
        """Do what time alone decides: holds that ran out, repairs that stayed good, budgets with room again."""
        campaigns.close_finished(uow, tenant, now, self._policy)
        for track in uow.signals.clearing_tracks(tenant):
            if track.seen_count > 0 or not cause_tracks.keeps_memory(track, now, self._policy.triage):
                self._clear(uow, track, now, report)
        waiting = TicketFilter(
            states=frozenset({TicketState.RESOLVED_UNVERIFIED, TicketState.HELD}), limit=10_000
        )
        for ticket in uow.tickets.list(tenant, waiting):
            if ticket.state is TicketState.HELD:
                self._perhaps_release(uow, ticket, now, report)
            else:
                self._perhaps_confirm(uow, ticket, now, report)

    def _perhaps_release(self, uow: UnitOfWork, ticket: Ticket, now: datetime, report: TriageReport) -> None:
        held = last_event(ticket, Move.SUPPRESS)
        by_budget = held is not None and held.note == HELD_BY_BUDGET
        if by_budget and self._opener.may_release(uow, ticket, now):
            self._opener.release(uow, ticket, now, packed("tickets.note.room"))
            report.released += 1

    def _perhaps_confirm(self, uow: UnitOfWork, ticket: Ticket, now: datetime, report: TriageReport) -> None:
        done = last_event(ticket, Move.DONE)
        ripe = done is None or now - done.at >= self._policy.triage.verify_after
        rest = rests_until(ticket, self._policy.life.proposal_rest)
        if ripe and (rest is not None or not self._still_on(uow, ticket, now)):
            note = packed("tickets.note.good")
            if rest is not None:
                note = packed("tickets.note.talked", until=f"{rest:%Y-%m-%d}")
            uow.tickets.save(self._moved(ticket, Move.CONFIRMED, now, note))
            report.confirmed += 1

    def _still_on(
        self, uow: UnitOfWork, ticket: Ticket, now: datetime, besides: CauseTrack | None = None
    ) -> bool:
        """Return True unless the ticket's cause is gone, hold included, for every origin (besides one that is judged)."""
        return any(
            track.cause == ticket.cause
            and not cause_tracks.is_gone(track, now, self._policy.triage)
            and (besides is None or track.origin is not besides.origin)
            for track in uow.signals.tracks(ticket.tenant, ticket.device_id)
        )

    def _moved(self, ticket: Ticket, move: Move, at: datetime, note: str) -> Ticket:
        return moved(ticket, move, at=at, actor=MACHINE, sla=self._policy.sla, note=note)
