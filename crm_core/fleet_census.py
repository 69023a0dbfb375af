"""The whole fleet in figures: which device is how bad and why, without reading any device or forecast in full.

Opening 100,000 devices with their forecasts takes more than ten seconds; these figures take a fraction of one, so
that a manager who asks right after a start has an answer. What is listed by name is read in full by `fleet_health`.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import OPEN_STATES, Ticket, TicketLevel
from crm_core.ports import DeviceFilter, FleetShares, SoonEmpty, TelemetryStore, TicketFilter, UnitOfWork
from crm_core.raising import SERVED
from crm_core.silence import silent_until

ALL_ROWS: Final = 100_000
_WEIGHTS: Final = {TicketLevel.L3: 100.0, TicketLevel.L2: 30.0, TicketLevel.L1: 10.0}


class HealthBand(StrEnum):
    """How a device is, worst first."""

    DOWN = "down"  # an open L3 ticket: hardware
    ATTENTION = "attention"  # an open L1 or L2 ticket, or silent
    WATCH = "watch"  # runs out within 14 days, breakdown likely, or near the end of its design life
    GOOD = "good"


@dataclass(frozen=True, slots=True, kw_only=True)
class BandCount:
    """How many devices are in a band, and why: cause families (before the first dot) with their counts."""

    band: HealthBand
    devices: int
    causes: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerHealth:
    """The devices of one customer by band, how many of them are silent, and their open tickets."""

    bands: Mapping[HealthBand, int]
    silent: int
    open_tickets: int

    @property
    def devices(self) -> int:
        return sum(self.bands.values())


def band_of(levels: Collection[TicketLevel], *, silent: bool, watched: bool) -> HealthBand:
    """Return the band of a device from the levels of its open tickets and what else is known of it."""
    if TicketLevel.L3 in levels:
        return HealthBand.DOWN
    if levels or silent:
        return HealthBand.ATTENTION
    return HealthBand.WATCH if watched else HealthBand.GOOD


def score_of(
    levels: Iterable[TicketLevel], *, silent: bool, watched: int, p_fail_14d: float, used: float
) -> float:
    """Return how bad a device is: 100 a L3 ticket, 30 a L2, 10 a L1, plus silence, risk, wear and what comes."""
    return (
        sum(_WEIGHTS[level] for level in levels) + 20.0 * silent + 50.0 * p_fail_14d + 10.0 * used + watched
    )


class FleetCensus:
    """The figures of the devices in sight (`regions`; empty means all) as of one instant."""

    def __init__(
        self, uow: UnitOfWork, store: TelemetryStore, policy: PolicyBook, now: datetime, sight: "Sight"
    ) -> None:
        quiet = silent_until(policy, now)
        which = DeviceFilter(owner_states=SERVED, regions=sight.regions)
        rows = uow.devices.fleet(sight.tenant, which, quiet or now)
        self.customers: Mapping[DeviceId, str | None] = {row.device_id: row.customer_id for row in rows}
        self.heard = heard = store.last_heard(sight.tenant)
        self.silent: frozenset[DeviceId] = frozenset(
            row.device_id
            for row in rows
            if quiet is not None
            and (heard[row.device_id] <= quiet if row.device_id in heard else row.overdue)
        )
        which_tickets = TicketFilter(states=frozenset(OPEN_STATES), regions=sight.regions, limit=ALL_ROWS)
        self.tickets: Sequence[Ticket] = uow.tickets.list(sight.tenant, which_tickets)
        soon = uow.forecasts.empty_within(sight.tenant, policy.replenishment.watch_days_left)
        self.soon: Sequence[SoonEmpty] = [row for row in soon if row.device_id in self.customers]
        self._shares: FleetShares = uow.forecasts.shares(sight.tenant)
        self.worn = self._from(self._shares.used, policy.life.replacement_share)
        risky = self._from(self._shares.p_fail_14d, policy.failures.visit_threshold_p14)
        self._watched = Counter(row.device_id for row in self.soon)
        self._watched.update(self.worn)
        self._watched.update(risky)
        self._of_device: dict[DeviceId, list[Ticket]] = defaultdict(list)
        for ticket in self.tickets:
            if ticket.device_id in self.customers:
                self._of_device[ticket.device_id].append(ticket)
        self._families = {
            "silence": self.silent,
            "supply": frozenset(row.device_id for row in self.soon),
            "failure_risk": risky,
            "life": self.worn,
        }

    def _from(self, shares: Mapping[DeviceId, float], limit: float) -> frozenset[DeviceId]:
        return frozenset(key for key, share in shares.items() if share >= limit and key in self.customers)

    def of_device(self, device_id: DeviceId) -> Sequence[Ticket]:
        """Return the open tickets of a served device."""
        return self._of_device.get(device_id, ())

    def _by_band(self) -> Mapping[HealthBand, Sequence[DeviceId]]:
        """Return the devices of each band but `GOOD`, which is everybody else."""
        found: dict[HealthBand, list[DeviceId]] = {
            band: [] for band in HealthBand if band is not HealthBand.GOOD
        }
        for device_id in {*self._of_device, *self.silent, *self._watched}:
            found[self._band(device_id)].append(device_id)
        return found

    def bands(self) -> tuple[BandCount, ...]:
        """Return the size of each band, worst first, with its causes, the most frequent first."""
        found = self._by_band()
        well = len(self.customers) - sum(map(len, found.values()))
        return tuple(
            BandCount(
                band=band,
                devices=len(found[band]) if band in found else well,
                causes=self._causes(found.get(band, ())),
            )
            for band in HealthBand
        )

    def _causes(self, members: Sequence[DeviceId]) -> tuple[tuple[str, int], ...]:
        families = Counter(
            family
            for device_id in members
            for family in {ticket.cause.partition(".")[0] for ticket in self.of_device(device_id)}
            | {family for family, devices in self._families.items() if device_id in devices}
        )
        return tuple(sorted(families.items(), key=lambda item: (-item[1], item[0])))

    def worst(self, limit: int, among: Collection[DeviceId] | None = None) -> Sequence[DeviceId]:
        """Return at most `limit` devices that are not well, the worst first; only of `among` when given."""
        chosen: list[DeviceId] = []
        for members in self._by_band().values():
            wanted = members if among is None else [each for each in members if each in among]
            chosen += heapq.nsmallest(
                limit - len(chosen), wanted, key=lambda each: (-self._score(each), each)
            )
        return chosen

    def of_customers(self) -> Mapping[str, CustomerHealth]:
        """Return the figures of each customer who has a served device in sight."""
        bands: dict[str, Counter[HealthBand]] = defaultdict(Counter)
        silent: Counter[str] = Counter()
        tickets: Counter[str] = Counter()
        for device_id, customer in self.customers.items():
            if customer is not None:
                bands[customer][self._band(device_id)] += 1
                silent[customer] += device_id in self.silent
                tickets[customer] += len(self.of_device(device_id))
        return {
            customer: CustomerHealth(bands=counts, silent=silent[customer], open_tickets=tickets[customer])
            for customer, counts in bands.items()
        }

    def _levels(self, device_id: DeviceId) -> list[TicketLevel]:
        return [ticket.level for ticket in self.of_device(device_id)]

    def _band(self, device_id: DeviceId) -> HealthBand:
        return band_of(
            self._levels(device_id), silent=device_id in self.silent, watched=device_id in self._watched
        )

    def _score(self, device_id: DeviceId) -> float:
        return score_of(
            self._levels(device_id),
            silent=device_id in self.silent,
            watched=self._watched[device_id],
            p_fail_14d=self._shares.p_fail_14d.get(device_id, 0.0),
            used=self._shares.used.get(device_id, 0.0),
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """Whose fleet is looked at, and in which regions; none means all."""

    tenant: TenantId
    regions: tuple[str, ...] = ()
