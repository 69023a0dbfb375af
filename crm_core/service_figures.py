"""How well the service works: repairs that held, repeats, hours to restore, pages between visits, use of the fleet.

A read model over closed tickets and finished visits of a span of time; nothing is stored. Shares carry their count, so
that nobody reads more out of four repairs than is in them. "Mean copies between calls" is the figure that dealers steer
by; visits a day is not (reference product.md 2.1, requirement 71).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

from crm_core.domain.fleet import OwnerState
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import ClockKind, Ticket, TicketLevel, WorkOrder, WorkOrderState
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.measures import orders_since
from crm_core.relations.periods import months_before
from crm_core.relations.truth import Share, first_time, repair_orders, tickets_between

_BEFORE: Final = timedelta(days=365)
_KEPT: Final = frozenset({OwnerState.STOCK, OwnerState.INSTALLED, OwnerState.LOAN, OwnerState.REPAIR})
_IN_USE: Final = frozenset({OwnerState.INSTALLED, OwnerState.LOAN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """Hours from the raise of a ticket to its restore, by level; `within` counts those that kept the promise."""

    level: TicketLevel
    median_hours: float | None
    within: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceMonth:
    """The figures of one calendar month."""

    month: date
    first_time_fix: Share
    repeats: int
    tickets: int
    visits: int
    restore_hours: float | None  # median of the tickets raised in the month and restored since
    pages_between_visits: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFigures:
    """The figures of the span, and the months that it lies in, oldest first."""

    days: int
    first_time_fix: Share
    repeats: Share
    restore_hours: float | None  # median over all levels
    restores: tuple[Restore, ...]
    pages_between_visits: int | None
    in_use: Share
    renewals: int
    months: tuple[ServiceMonth, ...]


class ServiceQuality:
    """Computes the figures from what is kept."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy

    def figures(
        self, tenant: TenantId, *, days: int = 90, months: int = 6, regions: Sequence[str] = ()
    ) -> ServiceFigures:
        """Return the figures of the last `days` for devices in `regions` (empty = everywhere), and of the last months."""
        now = self._clock.now()
        zone = ZoneInfo(self._policy.sla.calendar.time_zone)
        today = now.astimezone(zone).date()
        first_month = months_before(today.replace(day=1), months - 1)
        start = min(now - timedelta(days=days), _midnight(first_month, zone))
        with self._uow_factory() as uow:
            seen = _devices_in(uow, tenant, regions)
            repairs = [each for each in repair_orders(uow, tenant, start - _BEFORE) if each.device_id in seen]
            tickets = [each for each in tickets_between(uow, tenant, start, now) if each.device_id in seen]
            visits = [each for each in orders_since(uow, tenant, start - _BEFORE) if each.device_id in seen]
            states = [device.owner_state for device in uow.devices.all(tenant) if device.device_id in seen]
            remind = self._policy.relations.care.renewal_months_before
            ending = _ending(uow, tenant, today, months_before(today, -remind), regions)
        held = first_time(repairs, self._policy.triage.recall_within)
        intervals = _pages_between(visits)
        recent = [
            (order, good)
            for order, good in held
            if order.done_at and order.done_at > now - timedelta(days=days)
        ]
        raised = [ticket for ticket in tickets if ticket.raised_at > now - timedelta(days=days)]
        return ServiceFigures(
            days=days,
            first_time_fix=_share(good for _, good in recent),
            repeats=_share(_is_recall(ticket) for ticket in raised),
            restore_hours=_median_hours(raised),
            restores=tuple(
                _restore(level, [ticket for ticket in raised if ticket.level is level])
                for level in TicketLevel
            ),
            pages_between_visits=_mean(pages for at, pages in intervals if at > now - timedelta(days=days)),
            in_use=Share(sum(state in _IN_USE for state in states), sum(state in _KEPT for state in states)),
            renewals=ending,
            months=tuple(
                _month(months_before(today.replace(day=1), back), zone, held, tickets, visits, intervals)
                for back in range(months - 1, -1, -1)
            ),
        )


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def _devices_in(uow: UnitOfWork, tenant: TenantId, regions: Sequence[str]) -> frozenset[DeviceId]:
    return frozenset(
        bundle.device.device_id
        for bundle in uow.devices.bundles(tenant)
        if not regions or (bundle.site is not None and bundle.site.region in regions)
    )


def _ending(uow: UnitOfWork, tenant: TenantId, today: date, last: date, regions: Sequence[str]) -> int:
    """Return how many contracts end up to `last`; with regions, those of customers with a site there."""
    customers = {site.customer_id for site in uow.sites.all(tenant) if not regions or site.region in regions}
    return sum(
        today <= contract.ends_on <= last
        for contract in uow.contracts.all(tenant)
        if not regions or contract.customer_id in customers
    )


def _share(rows: Iterable[bool]) -> Share:
    known = list(rows)
    return Share(sum(known), len(known))


def _is_recall(ticket: Ticket) -> bool:
    """Return True for a ticket that says it is the same cause again."""
    return bool(ticket.detail.get("recall"))


def _restore(level: TicketLevel, tickets: Sequence[Ticket]) -> Restore:
    kept = (
        clock.met_at <= clock.due_at
        for ticket in tickets
        if (clock := ticket.clock(ClockKind.RESTORE)) is not None and clock.met_at is not None
    )
    return Restore(level=level, median_hours=_median_hours(tickets), within=_share(kept))


def _median_hours(tickets: Iterable[Ticket]) -> float | None:
    """Return the median of the hours from raise to restore; None when none was restored."""
    hours = [
        (clock.met_at - ticket.raised_at) / timedelta(hours=1)
        for ticket in tickets
        if (clock := ticket.clock(ClockKind.RESTORE)) is not None and clock.met_at is not None
    ]
    return median(hours) if hours else None


def _pages_between(visits: Iterable[WorkOrder]) -> list[tuple[datetime, int]]:
    """Return the end of each finished visit with the pages that its device ran since the visit before."""
    done = sorted(
        (order for order in visits if order.state is WorkOrderState.DONE and order.done_at is not None),
        key=lambda order: (order.done_at or order.created_at, order.work_order_id),
    )
    last: dict[DeviceId, int] = {}
    ran: list[tuple[datetime, int]] = []
    for order in done:
        count = order.count_after
        if count is None:
            continue
        before = last.get(order.device_id)
        if before is not None and count >= before and order.done_at is not None:
            ran.append((order.done_at, count - before))
        last[order.device_id] = count
    return ran


def _mean(counts: Iterable[int]) -> int | None:
    known = list(counts)
    return sum(known) // len(known) if known else None


def _month(
    first: date,
    zone: ZoneInfo,
    held: Sequence[tuple[WorkOrder, bool]],
    tickets: Sequence[Ticket],
    visits: Sequence[WorkOrder],
    intervals: Sequence[tuple[datetime, int]],
) -> ServiceMonth:
    start, end = _midnight(first, zone), _midnight(months_before(first, -1), zone)
    ended: dict[bool, int] = defaultdict(int)
    for order, good in held:
        if order.done_at is not None and start <= order.done_at < end:
            ended[good] += 1
    raised = [ticket for ticket in tickets if start <= ticket.raised_at < end]
    return ServiceMonth(
        month=first,
        first_time_fix=Share(ended[True], ended[True] + ended[False]),
        repeats=sum(_is_recall(ticket) for ticket in raised),
        tickets=len(raised),
        restore_hours=_median_hours(raised),
        pages_between_visits=_mean(pages for at, pages in intervals if start <= at < end),
        visits=sum(
            order.state is WorkOrderState.DONE and order.done_at is not None and start <= order.done_at < end
            for order in visits
        ),
    )
