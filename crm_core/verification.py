"""When a repair is confirmed by what a device no longer says.

Some gauges give no number while enough is left: after a swap they say only "some remaining", which neither raises nor
clears. Then a person's word and the device's silence about the matter confirm each other: somebody finished the work,
the device has reported since, and for the whole verification time it has not repeated its complaint.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from crm_core.domain.identity import TenantId
from crm_core.domain.policy import TriagePolicy
from crm_core.domain.service import CauseTrack, SignalOrigin, Ticket, TicketState
from crm_core.ports import TicketFilter, UnitOfWork
from crm_core.ticket_states import Move, last_event


def note_absences(
    uow: UnitOfWork,
    tenant: TenantId,
    last_seen: Mapping[str, datetime | None],
    now: datetime,
    policy: TriagePolicy,
) -> None:
    """Let the complaints of finished repairs count as gone where the device reported and did not repeat them."""
    finished = TicketFilter(states=frozenset({TicketState.RESOLVED_UNVERIFIED}), limit=10_000)
    for ticket in uow.tickets.list(tenant, finished):
        for track in uow.signals.tracks(tenant, ticket.device_id):
            if track.cause == ticket.cause and _is_unrepeated(
                track, ticket, last_seen.get(ticket.device_id), now, policy
            ):
                enough = policy.rule_for(track.cause).clear_observations
                uow.signals.save_track(replace(track, clear_since=track.last_seen, clear_count=enough))


def _is_unrepeated(
    track: CauseTrack, ticket: Ticket, last_seen: datetime | None, now: datetime, policy: TriagePolicy
) -> bool:
    done = last_event(ticket, Move.DONE)
    if done is None or last_seen is None or track.origin is not SignalOrigin.TELEMETRY:
        return False
    settled = done.at + policy.settle_after
    reported_since = last_seen > settled
    return reported_since and track.last_seen <= settled and now - done.at >= policy.verify_after
