"""Fleet health for managers: which devices are well, which need somebody, what is at risk and what comes next.

A read model: few queries whatever the size of the fleet, nothing stored. Each device is in one band, with the causes
that put it there, worst first.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from crm_core.device_state import device_state
from crm_core.domain.fleet import DeviceBundle, OwnerState
from crm_core.domain.forecast import SupplyForecast
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import (
    OPEN_STATES,
    ClockKind,
    Incident,
    SlaClock,
    Ticket,
    TicketLevel,
    TicketState,
    WorkOrder,
    WorkOrderState,
)
from crm_core.domain.telemetry import DeviceState
from crm_core.ports import (
    Clock,
    DeviceFilter,
    DeviceForecasts,
    TelemetryStore,
    TicketFilter,
    UnitOfWorkFactory,
    WorkOrderFilter,
)
from crm_core.silence import heard_since, is_silent

_ALL: Final = 100_000
_WORST: Final = 10
AT_RISK_WITHIN: Final = timedelta(hours=4)
RUNS_OUT_WITHIN_DAYS: Final = 14.0
_SERVED: Final = frozenset({OwnerState.INSTALLED, OwnerState.LOAN})
_ACTIVE: Final = frozenset(WorkOrderState) - {WorkOrderState.DONE, WorkOrderState.CANCELLED}


class HealthBand(StrEnum):
    """How a device is, worst first."""

    DOWN = "down"  # an open L3 ticket: hardware
    ATTENTION = "attention"  # an open L1 or L2 ticket, or silent
    WATCH = "watch"  # runs out within 14 days, breakdown likely, or near the end of its design life
    GOOD = "good"


_ORDER: Final = {band: place for place, band in enumerate(HealthBand)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHealth:
    """One device in brief. `causes` are cause keys, worst first; `score` is higher for worse."""

    bundle: DeviceBundle
    band: HealthBand
    causes: tuple[str, ...]
    score: float
    last_seen: datetime | None
    silent: bool
    state: DeviceState | None
    open_tickets: int
    used_share: float | None  # of the design life
    p_fail_14d: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BandCount:
    """How many devices are in a band, and why: cause families (before the first dot) with their counts."""

    band: HealthBand
    devices: int
    causes: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningOut:
    """A supply that runs out within 14 days, with its interval and whether a ticket covers it."""

    bundle: DeviceBundle
    forecast: SupplyForecast
    covered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRisk:
    """A promise that is due within four hours, or missed already (`overdue`)."""

    ticket: Ticket
    bundle: DeviceBundle | None
    clock: SlaClock
    overdue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOverview:
    """The answers of the manager's page as of one instant."""

    as_of: datetime
    devices: int
    bands: tuple[BandCount, ...]
    silent: tuple[DeviceHealth, ...]
    at_risk: tuple[AtRisk, ...]
    running_out: tuple[RunningOut, ...]
    worst: tuple[DeviceHealth, ...]
    open_tickets: Mapping[TicketLevel, int]
    waiting_tickets: Mapping[TicketState, int]
    work_orders: Mapping[WorkOrderState, int]  # active ones by state
    work_orders_due_today: int
    work_orders_done_today: int
    incidents: tuple[Incident, ...]
    replacements_due: int  # devices at the replacement share of their design life


@dataclass(frozen=True, slots=True)
class _Facts:
    """Everything that the read models are made of, read once."""

    bundles: Mapping[DeviceId, DeviceBundle]
    tickets: Sequence[Ticket]
    orders: Sequence[WorkOrder]
    done: Sequence[WorkOrder]
    forecasts: Mapping[DeviceId, DeviceForecasts]
    states: Mapping[str, DeviceState]
    incidents: Sequence[Incident]


class FleetHealth:
    """Read models over the CRM and the newest telemetry. `regions` limits what is seen; empty means everything."""

    def __init__(
        self, uow_factory: UnitOfWorkFactory, store: TelemetryStore, policy: PolicyBook, clock: Clock
    ) -> None:
        self._uow_factory = uow_factory
        self._store = store
        self._policy = policy
        self._clock = clock

    def overview(self, tenant: TenantId, regions: Sequence[str] = ()) -> FleetOverview:
        """Return what a manager asks first."""
        now = self._clock.now()
        facts = self._facts(tenant, tuple(regions))
        health = self._health(facts, now)
        midnight = self._midnight(now)
        return FleetOverview(
            as_of=now,
            devices=len(health),
            bands=_bands(health),
            silent=tuple(each for each in health if each.silent),
            at_risk=_at_risk(facts, now),
            running_out=self._running_out(facts),
            worst=tuple(each for each in health[:_WORST] if each.band is not HealthBand.GOOD),
            open_tickets={
                level: sum(ticket.level is level for ticket in facts.tickets) for level in TicketLevel
            },
            waiting_tickets=Counter(ticket.state for ticket in facts.tickets),
            work_orders=Counter(order.state for order in facts.orders),
            work_orders_due_today=sum(order.due_at < midnight + timedelta(days=1) for order in facts.orders),
            work_orders_done_today=sum(
                order.done_at is not None and order.done_at >= midnight for order in facts.done
            ),
            incidents=tuple(facts.incidents),
            replacements_due=sum(
                (each.used_share or 0.0) >= self._policy.life.replacement_share for each in health
            ),
        )

    def size(self, tenant: TenantId) -> int:
        """Return how many devices the tenant has, counted in the database."""
        with self._uow_factory() as uow:
            return uow.devices.matching(tenant, DeviceFilter())

    def devices(self, tenant: TenantId, regions: Sequence[str] = ()) -> tuple[DeviceHealth, ...]:
        """Return every served device with its health, worst first."""
        return self._health(self._facts(tenant, tuple(regions)), self._clock.now())

    def device(self, tenant: TenantId, device_id: DeviceId) -> DeviceHealth:
        """Return the health of one device, or raise `NotFound`."""
        with self._uow_factory() as uow:
            bundle = uow.devices.bundle(tenant, device_id)
            states = frozenset(OPEN_STATES)
            tickets = uow.tickets.list(tenant, TicketFilter(device_id=device_id, states=states, limit=_ALL))
            forecasts = uow.forecasts.for_device(tenant, device_id)
        reading = self._store.newest(tenant, device_id)
        state = device_state(reading) if reading is not None else None
        return self._of_device(bundle, tickets, forecasts, state, self._clock.now())

    def _facts(self, tenant: TenantId, regions: tuple[str, ...]) -> _Facts:
        with self._uow_factory() as uow:
            bundles = {
                bundle.device.device_id: bundle
                for bundle in uow.devices.bundles(tenant)
                if bundle.device.owner_state in _SERVED and _in_regions(bundle, regions)
            }
            tickets = uow.tickets.list(
                tenant, TicketFilter(states=frozenset(OPEN_STATES), regions=regions, limit=_ALL)
            )
            orders = uow.work_orders.list(
                tenant, WorkOrderFilter(states=_ACTIVE, regions=regions, limit=_ALL)
            )
            newest_done = WorkOrderFilter(
                states=frozenset({WorkOrderState.DONE}), regions=regions, limit=1000
            )
            done = uow.work_orders.list(tenant, newest_done)
            forecasts = uow.forecasts.for_devices(tenant)
            incidents = uow.incidents.open_ones(tenant)
        states = {state.device_id: state for state in self._store.states(tenant)}
        return _Facts(bundles, tickets, orders, done, forecasts, states, incidents)

    def _health(self, facts: _Facts, now: datetime) -> tuple[DeviceHealth, ...]:
        tickets: dict[DeviceId, list[Ticket]] = {}
        for ticket in facts.tickets:
            tickets.setdefault(ticket.device_id, []).append(ticket)
        health = [
            self._of_device(
                bundle,
                tickets.get(device_id, []),
                facts.forecasts.get(device_id, DeviceForecasts()),
                facts.states.get(device_id),
                now,
            )
            for device_id, bundle in facts.bundles.items()
        ]
        return tuple(
            sorted(health, key=lambda each: (_ORDER[each.band], -each.score, each.bundle.device.device_id))
        )

    def _of_device(
        self,
        bundle: DeviceBundle,
        tickets: Sequence[Ticket],
        forecasts: DeviceForecasts,
        state: DeviceState | None,
        now: datetime,
    ) -> DeviceHealth:
        """Judge one device. Score: 100 a L3 ticket, 30 a L2, 10 a L1, plus risk and wear."""
        last_seen = state.last_seen if state is not None else None
        silent = is_silent(self._policy, heard_since(bundle.device, last_seen), now)
        by_level = sorted(tickets, key=lambda ticket: ticket.level.value, reverse=True)
        causes = [ticket.cause for ticket in by_level]
        if silent and "silence" not in causes:
            causes.append("silence")
        failure = forecasts.failure.p_fail_14d if forecasts.failure is not None else None
        used = next((row.used_share for row in forecasts.life if row.component == "device"), None)
        watched = self._watched(forecasts, failure, used)
        weights = {TicketLevel.L3: 100.0, TicketLevel.L2: 30.0, TicketLevel.L1: 10.0}
        if any(ticket.level is TicketLevel.L3 for ticket in tickets):
            band = HealthBand.DOWN
        elif causes:
            band = HealthBand.ATTENTION
        else:
            band = HealthBand.WATCH if watched else HealthBand.GOOD
        return DeviceHealth(
            bundle=bundle,
            band=band,
            causes=tuple(dict.fromkeys((*causes, *watched))),
            score=sum(weights[ticket.level] for ticket in tickets)
            + 20.0 * silent + 50.0 * (failure or 0.0) + 10.0 * (used or 0.0) + len(watched),
            last_seen=last_seen,
            silent=silent,
            state=state,
            open_tickets=len(tickets),
            used_share=used,
            p_fail_14d=failure,
        )  # fmt: skip

    def _watched(
        self, forecasts: DeviceForecasts, p_fail_14d: float | None, used_share: float | None
    ) -> list[str]:
        """Return the causes that are not here yet but near."""
        near = [
            f"supply.{row.supply_index}"
            for row in forecasts.supplies
            if row.days_to_empty is not None and row.days_to_empty.p50 <= RUNS_OUT_WITHIN_DAYS
        ]
        failure = forecasts.failure
        if failure is not None and (p_fail_14d or 0.0) >= self._policy.failures.visit_threshold_p14:
            near.append(f"failure_risk.{failure.component or 'device'}")
        if used_share is not None and used_share >= self._policy.life.replacement_share:
            near.append("life.device")
        return near

    def _running_out(self, facts: _Facts) -> tuple[RunningOut, ...]:
        covered = {ticket.dedup_key for ticket in facts.tickets}
        found = [
            RunningOut(
                bundle=bundle, forecast=row, covered=f"{device_id}:supply.{row.supply_index}" in covered
            )
            for device_id, bundle in facts.bundles.items()
            for row in facts.forecasts.get(device_id, DeviceForecasts()).supplies
            if row.days_to_empty is not None and row.days_to_empty.p50 <= RUNS_OUT_WITHIN_DAYS
        ]
        return tuple(sorted(found, key=_days_left))

    def _midnight(self, now: datetime) -> datetime:
        """Return the last midnight where the service desk works."""
        zone = ZoneInfo(self._policy.sla.calendar.time_zone)
        return datetime.combine(now.astimezone(zone).date(), time.min, zone)


def _days_left(row: RunningOut) -> tuple[float, DeviceId, str]:
    days = row.forecast.days_to_empty
    assert days is not None  # only supplies with an interval are listed
    return days.p50, row.bundle.device.device_id, row.forecast.supply_index


def _in_regions(bundle: DeviceBundle, regions: tuple[str, ...]) -> bool:
    return not regions or (bundle.site is not None and bundle.site.region in regions)


def _bands(health: Sequence[DeviceHealth]) -> tuple[BandCount, ...]:
    counts = []
    for band in HealthBand:
        members = [each for each in health if each.band is band]
        families = Counter(
            family for each in members for family in {cause.partition(".")[0] for cause in each.causes}
        )
        causes = tuple(sorted(families.items(), key=lambda item: (-item[1], item[0])))
        counts.append(BandCount(band=band, devices=len(members), causes=causes))
    return tuple(counts)


def _at_risk(facts: _Facts, now: datetime) -> tuple[AtRisk, ...]:
    """Return promises that are due soon or missed, the most urgent first; one line a ticket and kind."""
    found = [
        AtRisk(
            ticket=ticket,
            bundle=facts.bundles.get(ticket.device_id),
            clock=clock,
            overdue=clock.due_at < now,
        )
        for ticket in facts.tickets
        for clock in ticket.clocks
        if clock.met_at is None and clock.due_at <= now + AT_RISK_WITHIN and not _done_by_us(ticket, clock)
    ]
    return tuple(sorted(found, key=lambda each: (each.clock.due_at, each.ticket.ticket_id)))


def _done_by_us(ticket: Ticket, clock: SlaClock) -> bool:
    """Return True if only telemetry's confirmation is missing: the restore clock counts as of the repair."""
    return ticket.state is TicketState.RESOLVED_UNVERIFIED and clock.kind is ClockKind.RESTORE
