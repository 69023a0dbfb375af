"""Fleet health for managers: which devices are well, which need somebody, what is at risk and what comes next.

A read model: few queries whatever the size of the fleet, nothing stored. Each device is in one band, with the causes
that put it there, worst first.
"""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from crm_core.domain.fleet import DeviceBundle
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
    WorkOrderState,
)
from crm_core.fleet_census import (
    ALL_ROWS,
    BandCount,
    CustomerHealth,
    FleetCensus,
    HealthBand,
    Sight,
    band_of,
    score_of,
)
from crm_core.ports import (
    Clock,
    DeviceFilter,
    DeviceForecasts,
    SoonEmpty,
    TelemetryStore,
    TicketFilter,
    UnitOfWork,
    UnitOfWorkFactory,
    WorkOrderFilter,
)
from crm_core.raising import SERVED
from crm_core.silence import heard_since, is_silent

LISTED: Final = 200  # rows of each list of the overview
_WORST: Final = 10
_DONE_ROWS: Final = 1000
_ACTIVE: Final = frozenset(WorkOrderState) - {WorkOrderState.DONE, WorkOrderState.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHealth:
    """One device in brief. `causes` are cause keys, worst first; `score` is higher for worse."""

    bundle: DeviceBundle
    band: HealthBand
    causes: tuple[str, ...]
    score: float
    last_seen: datetime | None
    silent: bool
    open_tickets: int
    used_share: float | None  # of the design life
    p_fail_14d: float | None


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
    """The answers of the manager's page as of one instant; lists name the most urgent `LISTED`, totals count all."""

    as_of: datetime
    devices: int
    bands: tuple[BandCount, ...]
    silent: tuple[DeviceHealth, ...]
    silent_total: int
    at_risk: tuple[AtRisk, ...]
    at_risk_total: int
    overdue_total: int
    running_out: tuple[RunningOut, ...]
    running_out_total: int
    covered_total: int  # of what runs out: an open ticket is there
    worst: tuple[DeviceHealth, ...]
    open_tickets: Mapping[TicketLevel, int]
    waiting_tickets: Mapping[TicketState, int]
    work_orders: Mapping[WorkOrderState, int]  # active ones by state
    work_orders_due_today: int
    work_orders_done_today: int
    incidents: tuple[Incident, ...]
    replacements_due: int  # devices at the replacement share of their design life


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
        """Return what a manager asks first: figures of everything in sight, the most urgent of each list by name."""
        now = self._clock.now()
        sight = Sight(tenant, tuple(regions))
        midnight = self._midnight(now)
        with self._uow_factory() as uow:
            census = FleetCensus(uow, self._store, self._policy, now, sight)
            risks = _at_risk(census.tickets, now, self._policy.sla.at_risk_within)
            worst = census.worst(_WORST)
            silent = census.worst(LISTED, census.silent)
            named = self._named(
                uow, tenant, census, now,
                {*worst, *silent, *(row.device_id for row in census.soon[:LISTED]),
                 *(ticket.device_id for ticket, _ in risks[:LISTED])},
            )  # fmt: skip
            orders = uow.work_orders.list(
                tenant, WorkOrderFilter(states=_ACTIVE, regions=sight.regions, limit=ALL_ROWS)
            )
            newest_done = WorkOrderFilter(
                states=frozenset({WorkOrderState.DONE}), regions=sight.regions, limit=_DONE_ROWS
            )
            done = uow.work_orders.list(tenant, newest_done)
            incidents = uow.incidents.open_ones(tenant)
        covered = {ticket.dedup_key for ticket in census.tickets}
        return FleetOverview(
            as_of=now,
            devices=len(census.customers),
            bands=census.bands(),
            silent=tuple(named[key].health for key in silent if key in named),
            silent_total=len(census.silent),
            at_risk=tuple(_risk(ticket, clock, named, now) for ticket, clock in risks[:LISTED]),
            at_risk_total=len(risks),
            overdue_total=sum(clock.due_at < now for _, clock in risks),
            running_out=_running_out(census.soon[:LISTED], named, covered),
            running_out_total=len(census.soon),
            covered_total=sum(_key_of(row) in covered for row in census.soon),
            worst=tuple(named[key].health for key in worst if key in named),
            open_tickets={
                level: sum(ticket.level is level for ticket in census.tickets) for level in TicketLevel
            },
            waiting_tickets=Counter(ticket.state for ticket in census.tickets),
            work_orders=Counter(order.state for order in orders),
            work_orders_due_today=sum(order.due_at < midnight + timedelta(days=1) for order in orders),
            work_orders_done_today=sum(
                order.done_at is not None and order.done_at >= midnight for order in done
            ),
            incidents=tuple(incidents),
            replacements_due=len(census.worn),
        )

    def customers(self, tenant: TenantId, regions: Sequence[str] = ()) -> Mapping[str, CustomerHealth]:
        """Return the figures of each customer with a served device in sight."""
        with self._uow_factory() as uow:
            sight = Sight(tenant, tuple(regions))
            return FleetCensus(uow, self._store, self._policy, self._clock.now(), sight).of_customers()

    def device(self, tenant: TenantId, device_id: DeviceId) -> DeviceHealth:
        """Return the health of one device, or raise `NotFound`."""
        with self._uow_factory() as uow:
            bundle = uow.devices.bundle(tenant, device_id)
            states = frozenset(OPEN_STATES)
            tickets = uow.tickets.list(
                tenant, TicketFilter(device_id=device_id, states=states, limit=ALL_ROWS)
            )
            forecasts = uow.forecasts.for_device(tenant, device_id)
        reading = self._store.newest(tenant, device_id)
        last_seen = reading.polled_at if reading is not None else None
        return self._of_device(bundle, tickets, forecasts, last_seen, self._clock.now())

    def _named(
        self, uow: UnitOfWork, tenant: TenantId, census: FleetCensus, now: datetime, wanted: set[DeviceId]
    ) -> Mapping[DeviceId, "_Named"]:
        """Return the devices that are listed by name, read in full."""
        which = DeviceFilter(device_ids=frozenset(wanted), owner_states=SERVED)
        forecasts = uow.forecasts.for_some(tenant, wanted)
        found = {}
        for bundle in uow.devices.search(tenant, which):
            key = bundle.device.device_id
            told, last_seen = forecasts.get(key, DeviceForecasts()), census.heard.get(key)
            found[key] = _Named(self._of_device(bundle, census.of_device(key), told, last_seen, now), told)
        return found

    def _of_device(
        self,
        bundle: DeviceBundle,
        tickets: Sequence[Ticket],
        forecasts: DeviceForecasts,
        last_seen: datetime | None,
        now: datetime,
    ) -> DeviceHealth:
        """Judge one device."""
        silent = is_silent(self._policy, heard_since(bundle.device, last_seen), now)
        by_level = sorted(tickets, key=lambda ticket: ticket.level.value, reverse=True)
        causes = [ticket.cause for ticket in by_level]
        if silent and "silence" not in causes:
            causes.append("silence")
        failure = forecasts.failure.p_fail_14d if forecasts.failure is not None else None
        used = next((row.used_share for row in forecasts.life if row.component == "device"), None)
        watched = self._watched(forecasts, failure, used)
        levels = [ticket.level for ticket in tickets]
        return DeviceHealth(
            bundle=bundle,
            band=band_of(levels, silent=silent, watched=bool(watched)),
            causes=tuple(dict.fromkeys((*causes, *watched))),
            score=score_of(
                levels, silent=silent, watched=len(watched), p_fail_14d=failure or 0.0, used=used or 0.0
            ),
            last_seen=last_seen,
            silent=silent,
            open_tickets=len(tickets),
            used_share=used,
            p_fail_14d=failure,
        )

    def _watched(
        self, forecasts: DeviceForecasts, p_fail_14d: float | None, used_share: float | None
    ) -> list[str]:
        """Return the causes that are not here yet but near."""
        near = [
            f"supply.{row.supply_index}"
            for row in forecasts.supplies
            if row.days_to_empty is not None
            and row.days_to_empty.p50 <= self._policy.replenishment.watch_days_left
        ]
        failure = forecasts.failure
        if failure is not None and (p_fail_14d or 0.0) >= self._policy.failures.visit_threshold_p14:
            near.append(f"failure_risk.{failure.component or 'device'}")
        if used_share is not None and used_share >= self._policy.life.replacement_share:
            near.append("life.device")
        return near

    def _midnight(self, now: datetime) -> datetime:
        """Return the last midnight where the service desk works."""
        zone = ZoneInfo(self._policy.sla.calendar.time_zone)
        return datetime.combine(now.astimezone(zone).date(), time.min, zone)


@dataclass(frozen=True, slots=True)
class _Named:
    """A device that is listed by name, with its forecasts."""

    health: DeviceHealth
    forecasts: DeviceForecasts


def _key_of(row: SoonEmpty) -> str:
    """Return the key of the ticket that covers a supply."""
    return f"{row.device_id}:supply.{row.supply_index}"


def _running_out(
    soon: Sequence[SoonEmpty], named: Mapping[DeviceId, _Named], covered: Container[str]
) -> tuple[RunningOut, ...]:
    return tuple(
        RunningOut(
            bundle=named[row.device_id].health.bundle, forecast=forecast, covered=_key_of(row) in covered
        )
        for row in soon
        if row.device_id in named
        for forecast in named[row.device_id].forecasts.supplies
        if forecast.supply_index == row.supply_index
    )


def _at_risk(tickets: Sequence[Ticket], now: datetime, within: timedelta) -> list[tuple[Ticket, SlaClock]]:
    """Return promises that are due soon or missed, the most urgent first; one line a ticket and kind."""
    found = [
        (ticket, clock)
        for ticket in tickets
        for clock in ticket.clocks
        if clock.met_at is None and clock.due_at <= now + within and not _done_by_us(ticket, clock)
    ]
    return sorted(found, key=lambda each: (each[1].due_at, each[0].ticket_id))


def _risk(ticket: Ticket, clock: SlaClock, named: Mapping[DeviceId, _Named], now: datetime) -> AtRisk:
    device = named.get(ticket.device_id)
    bundle = device.health.bundle if device is not None else None
    return AtRisk(ticket=ticket, bundle=bundle, clock=clock, overdue=clock.due_at < now)


def _done_by_us(ticket: Ticket, clock: SlaClock) -> bool:
    """Return True if only telemetry's confirmation is missing: the restore clock counts as of the repair."""
    return ticket.state is TicketState.RESOLVED_UNVERIFIED and clock.kind is ClockKind.RESTORE
