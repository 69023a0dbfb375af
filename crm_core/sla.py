"""The SLA engine: when a promise is due over a business calendar, why, and how much of it has been used.

Pure functions of a promise, its start and its pauses; the arithmetic of business time stands in `business_time`. A date
in a year whose official calendar is not published is computed by weekday and flagged provisional, never refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Final

from crm_core.business_time import add_business, elapsed_business, zone_of
from crm_core.domain.fleet import Contract, Customer, CustomerTier, ServiceTerms
from crm_core.domain.policy import SlaPolicy
from crm_core.domain.service import ClockKind, SlaClock, TicketLevel
from crm_core.domain.sla import BusinessCalendar, DueTime, Promise

_DAY: Final = timedelta(days=1)
_NO_TERMS: Final = ServiceTerms()


@dataclass(frozen=True, slots=True)
class Pause:
    """A stretch during which a clock stands still (waiting for the customer or for access)."""

    start: datetime
    end: datetime


def due_time(calendar: BusinessCalendar, start: datetime, promise: Promise) -> DueTime:
    """Return when `promise` is due if it starts at `start` (aware), with the explanation of the arithmetic."""
    if not promise.business_hours:
        due = start.astimezone(UTC) + promise.duration
        text = f"{_hours(promise.duration)} by the wall clock from {_local(calendar, start)}"
        return DueTime(due_at=due, explanation=f"{text} = {_local(calendar, due)}")
    due = add_business(calendar, start, promise.duration)
    parts = tuple(_explained(calendar, start, due))
    return DueTime(
        due_at=due,
        explanation=(
            f"{_hours(promise.duration)} of business time ({calendar.name} {calendar.version}) from "
            f"{_local(calendar, start)} = {_local(calendar, due)}"
        ),
        provisional=is_provisional(calendar, due),
        parts=parts,
    )


def is_provisional(calendar: BusinessCalendar, instant: datetime) -> bool:
    """Return True if `instant` lies in a year whose official calendar is not published."""
    first = calendar.provisional_from
    return first is not None and instant.astimezone(zone_of(calendar.time_zone)).year >= first


def paused_due(
    calendar: BusinessCalendar, start: datetime, promise: Promise, pauses: tuple[Pause, ...]
) -> DueTime:
    """Return the due time with the pauses left out: each pause that begins before the due time moves it by its length.

    Pauses must not overlap and must be in order; of a pause before `start` only the rest counts.
    """
    return due_time(calendar, start, _with_pauses(calendar, start, promise, pauses))


def due_instant(
    calendar: BusinessCalendar, start: datetime, promise: Promise, pauses: tuple[Pause, ...] = ()
) -> datetime:
    """Return the instant of `paused_due`, without the words."""
    whole = _with_pauses(calendar, start, promise, pauses)
    return _after(calendar, start, whole.duration, business_hours=whole.business_hours)


def _with_pauses(
    calendar: BusinessCalendar, start: datetime, promise: Promise, pauses: tuple[Pause, ...]
) -> Promise:
    """Return the promise made longer by what the clock stood still before it fell due."""
    business, stood_still = promise.business_hours, timedelta()
    start = start.astimezone(
        UTC
    )  # within one zone Python compares and subtracts what the clock on the wall shows
    due = _after(calendar, start, promise.duration, business_hours=business) if pauses else start
    for pause in pauses:
        begin, end = max(pause.start.astimezone(UTC), start), pause.end.astimezone(UTC)
        if begin >= due:
            break
        if end > begin:
            stood_still += elapsed_business(calendar, begin, end) if business else end - begin
            due = _after(calendar, start, promise.duration + stood_still, business_hours=business)
    return replace(promise, duration=promise.duration + stood_still) if stood_still else promise


def _after(
    calendar: BusinessCalendar, start: datetime, duration: timedelta, *, business_hours: bool
) -> datetime:
    return add_business(calendar, start, duration) if business_hours else start.astimezone(UTC) + duration


def clocks_for(
    policy: SlaPolicy,
    version: str,
    *,
    level: TicketLevel,
    customer: Customer | None,
    contract: Contract | None,
    start: datetime,
    category: str = "",
) -> tuple[SlaClock, ...]:
    """Return the clocks of a ticket: first response by tier, restore by level, arrival where the contract says so.

    A replacement is an offer to the customer: it has the proposal clock instead of restore and arrival. What the contract promises beyond policy
    counts where it is stricter, that is: where it falls due earlier (reference 1.3).
    """
    tier = customer.tier if customer is not None else CustomerTier.ORDINARY
    terms = (contract.service_terms if contract is not None else None) or _NO_TERMS
    minutes, hours = terms.respond_minutes, terms.restore_hours.get(level.value)
    clocks = [
        _stricter(policy, version, respond_promise(policy, tier), minutes, terms, start, business_hours=True)
    ]
    if category == "replacement":  # an offer, not a repair: nothing is out of service and nobody is sent
        offer = start_clock(policy, version, proposal_promise(policy, tier), start, terms.calendar or "")
        return (*clocks, offer)
    clocks.append(
        _stricter(
            policy,
            version,
            restore_promise(policy, level),
            None if hours is None else hours * 60,
            terms,
            start,
            business_hours=terms.business_hours,
        )
    )
    if contract is not None and contract.on_site_hours is not None:
        arrive = timedelta(hours=contract.on_site_hours)
        promise = Promise(kind=ClockKind.ARRIVE, duration=arrive, business_hours=False)
        clocks.append(replace(start_clock(policy, version, promise, start), by_contract=True))
    return tuple(clocks)


def respond_promise(policy: SlaPolicy, tier: CustomerTier) -> Promise:
    """Return what is promised for the first response to a tier (requirement 47)."""
    return Promise(
        kind=ClockKind.RESPOND,
        duration=policy.first_response[tier],
        business_hours=policy.first_response_business_hours,
    )


def restore_promise(policy: SlaPolicy, level: TicketLevel) -> Promise:
    """Return what is promised for restoring service at a level."""
    return Promise(
        kind=ClockKind.RESTORE,
        duration=policy.restore[level],
        business_hours=policy.restore_business_hours[level],
    )


def proposal_promise(policy: SlaPolicy, tier: CustomerTier) -> Promise:
    """Return what is promised for an offer to a tier (requirements 48, 113): rental requests and replacements."""
    return Promise(
        kind=ClockKind.PROPOSAL,
        duration=policy.proposal[tier],
        business_hours=policy.proposal_business_hours,
    )


def call_back_promise(policy: SlaPolicy) -> Promise:
    """Return what is promised for the call after the work is finished (requirement 49)."""
    return Promise(
        kind=ClockKind.CALL_BACK,
        duration=policy.call_back,
        business_hours=policy.call_back_business_hours,
    )


def start_clock(
    policy: SlaPolicy, version: str, promise: Promise, start: datetime, calendar: str = ""
) -> SlaClock:
    """Return a running clock for `promise`, over the named calendar (empty: the firm's own)."""
    due = due_time(policy.calendar_named(calendar), start, promise)
    return SlaClock(
        kind=promise.kind,
        started_at=start,
        due_at=due.due_at,
        explanation="; ".join((due.explanation, *due.parts)),
        policy_version=version,
        provisional=due.provisional,
        duration_seconds=promise.duration.total_seconds(),
        business_hours=promise.business_hours,
        calendar=calendar,
    )


def _stricter(
    policy: SlaPolicy,
    version: str,
    promise: Promise,
    contract_minutes: float | None,
    terms: ServiceTerms,
    start: datetime,
    *,
    business_hours: bool,
) -> SlaClock:
    """Return the clock of policy, or the contract's where it promises something and that is due earlier."""
    calendar = terms.calendar or ""
    by_policy = start_clock(policy, version, promise, start, calendar)
    if contract_minutes is None:
        return by_policy
    own = Promise(
        kind=promise.kind, duration=timedelta(minutes=contract_minutes), business_hours=business_hours
    )
    by_contract = replace(start_clock(policy, version, own, start, calendar), by_contract=True)
    return by_contract if by_contract.due_at < by_policy.due_at else by_policy


def recomputed(calendar: BusinessCalendar, clock: SlaClock, pauses: tuple[Pause, ...]) -> SlaClock:
    """Return the clock as its own promise, start and pauses give it: the stored due time is never a second truth."""
    promise = Promise(
        kind=clock.kind,
        duration=timedelta(seconds=clock.duration_seconds),
        business_hours=clock.business_hours,
    )
    due = paused_due(calendar, clock.started_at, promise, pauses)
    return replace(
        clock,
        due_at=due.due_at,
        explanation="; ".join((due.explanation, *due.parts)),
        provisional=due.provisional,
    )


# --- words ---------------------------------------------------------------------------------------------------------


def _explained(calendar: BusinessCalendar, start: datetime, due: datetime) -> Iterator[str]:
    """Yield one line a day that counts or is skipped for a reason other than a plain weekend."""
    zone = zone_of(calendar.time_zone)
    day, last = start.astimezone(zone).date(), due.astimezone(zone).date()
    while day <= last:
        midnight, next_midnight = (datetime.combine(each, time.min, zone) for each in (day, day + _DAY))
        counted = elapsed_business(calendar, max(midnight, start), min(next_midnight, due))
        if counted:
            swap = " (swap workday)" if day in calendar.swap_workdays else ""
            yield f"{day}{swap}: {_hours(counted)}"
        elif day in calendar.holidays:
            yield f"{day}: holiday"
        day += _DAY


def _hours(duration: timedelta) -> str:
    hours, minutes = divmod(round(duration.total_seconds() / 60), 60)
    parts = [f"{hours} h"] if hours else []
    return " ".join([*parts, f"{minutes} min"] if minutes or not hours else parts)


def _local(calendar: BusinessCalendar, instant: datetime) -> str:
    return instant.astimezone(zone_of(calendar.time_zone)).strftime("%Y-%m-%d %H:%M")
