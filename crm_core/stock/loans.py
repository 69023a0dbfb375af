"""Stand-by machines: promised to who lost one, gold before silver, brought, and taken back.

Runs in the leader: each open L3 ticket that is old enough competes for the machines that wait in a warehouse within
reach and do what the broken one does. Who gets none is told so on the ticket; its restore clock then escalates at half
its time (the grid of the service levels). A machine at work restores service: the promise is met, and the time that it
works is no down time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import asin, cos, radians, sin, sqrt
from typing import Final

from crm_core.domain.catalogue import Catalogue
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.fleet import Device, DeviceBundle, InstalledPeriod, OwnerState
from crm_core.domain.identity import CustomerId, DeviceId, TenantId
from crm_core.domain.loans import OPEN_LOANS, Loan, LoanState, LoyaltyLevel, StandBy
from crm_core.domain.messages import packed
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import (
    OPEN_STATES,
    ClockKind,
    Ticket,
    TicketEvent,
    TicketLevel,
    TicketState,
)
from crm_core.domain.stock import PlaceKey, StockPlace
from crm_core.ports import Clock, TicketFilter, UnitOfWork, UnitOfWorkFactory
from crm_core.ticket_states import MACHINE

#: Tickets of these kinds announce trouble or offer something: the machine itself works.
NOT_DOWN: Final = frozenset({"failure_risk", "replacement", "part", "shelf", "consumable", "campaign"})
_RANK: Final = {LoyaltyLevel.GOLD: 0, LoyaltyLevel.SILVER: 1, LoyaltyLevel.NONE: 2}
_EARTH_KM: Final = 6371.0
_ALL: Final = 100_000
LoyaltyOf = Callable[[UnitOfWork, TenantId, CustomerId | None], LoyaltyLevel]


@dataclass(slots=True)
class LoanReport:
    """What one round did."""

    promised: int = 0
    without: int = 0
    withdrawn: int = 0


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A ticket that wants a machine."""

    ticket: Ticket
    bundle: DeviceBundle
    loyalty: LoyaltyLevel


@dataclass(frozen=True, slots=True)
class _Free:
    """A machine that can be lent, and where it waits."""

    device: Device
    place: StockPlace


def loyalty_of(uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId | None) -> LoyaltyLevel:
    """Return the present loyalty level of a customer from its classes; none where nothing is known."""
    if customer_id is None:
        return LoyaltyLevel.NONE
    for row in uow.relations.present_classes(tenant, customer_id):
        if row.axis == "loyalty" and row.value in (LoyaltyLevel.GOLD, LoyaltyLevel.SILVER):
            return LoyaltyLevel(row.value)
    return LoyaltyLevel.NONE


def wants_machine(ticket: Ticket) -> bool:
    """Return True for a ticket whose device is out of service with a hardware fault (requirement 24)."""
    return ticket.level is TicketLevel.L3 and ticket.category not in NOT_DOWN


class LoanDesk:
    """Promises and moves stand-by machines. `loyalty` tells how dear a customer is.

    Unknown ids raise `NotFound`, moves that the state forbids `Conflict`.
    """

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        policy: PolicyBook,
        catalogue: Catalogue,
        loyalty: LoyaltyOf = loyalty_of,
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._catalogue = catalogue
        self._loyalty = loyalty

    # --- machines ---

    def keep(self, tenant: TenantId, device_id: DeviceId, place: PlaceKey) -> StandBy:
        """Make a device of the stock a stand-by machine that waits at `place` (which needs coordinates)."""
        with self._uow_factory() as uow:
            device = uow.devices.get(tenant, device_id)
            if device.owner_state is not OwnerState.STOCK:
                raise Conflict(f"{device_id} is {device.owner_state}; take it into stock first")
            if _located(uow.stock.places(tenant), place) is None:
                raise InvalidValue(f"{place} has no coordinates; save the place with them first")
            machine = StandBy(tenant=tenant, device_id=device_id, place=place)
            uow.stock.save_stand_by(machine)
            uow.commit()
        return machine

    # --- rounds ---

    def allot(self, tenant: TenantId) -> LoanReport:
        """Promise free machines to waiting tickets, the dearest and longest waiting first. Idempotent."""
        now, report = self._clock.now(), LoanReport()
        with self._uow_factory() as uow:
            self._withdraw_idle(uow, tenant, now, report)
            free = self._free(uow, tenant)
            for waiting in self._waiting(uow, tenant, now):
                chosen = self._nearest(free, waiting.bundle)
                if chosen is None:
                    report.without += _tell_none(uow, waiting.ticket, now)
                    continue
                machine, distance = chosen
                if self._promise(uow, waiting, machine, distance, now) is not None:
                    free.remove(machine)
                    report.promised += 1
            uow.commit()
        return report

    def _withdraw_idle(self, uow: UnitOfWork, tenant: TenantId, now: datetime, report: LoanReport) -> None:
        """Take promises back whose ticket needs no machine any more."""
        for loan in uow.stock.loans(tenant, states=frozenset({LoanState.RESERVED})):
            ticket = uow.tickets.get(tenant, loan.ticket_id)
            if not ticket.is_open or ticket.state is TicketState.RESOLVED_UNVERIFIED:
                uow.stock.save_loan(replace(loan, state=LoanState.CANCELLED, back_at=now))
                uow.tickets.save(_noted(ticket, "loaner_cancelled", now, MACHINE, loan.device_id))
                report.withdrawn += 1

    def _waiting(self, uow: UnitOfWork, tenant: TenantId, now: datetime) -> list[_Waiting]:
        served = {loan.ticket_id for loan in uow.stock.loans(tenant, states=OPEN_LOANS)}
        states = OPEN_STATES - {TicketState.RESOLVED_UNVERIFIED, TicketState.HELD}
        which = TicketFilter(states=states, level=TicketLevel.L3, limit=_ALL)
        found = []
        for ticket in uow.tickets.list(tenant, which):
            ripe = now - ticket.raised_at >= self._policy.stock.loan_decide_after
            if not ripe or ticket.ticket_id in served or not wants_machine(ticket):
                continue
            bundle = uow.devices.bundle(tenant, ticket.device_id)
            if bundle.device.owner_state is OwnerState.INSTALLED:
                found.append(_Waiting(ticket, bundle, self._loyalty(uow, tenant, ticket.customer_id)))
        return sorted(
            found, key=lambda each: (_RANK[each.loyalty], each.ticket.raised_at, each.ticket.ticket_id)
        )

    def _free(self, uow: UnitOfWork, tenant: TenantId) -> list[_Free]:
        lent = {loan.device_id for loan in uow.stock.loans(tenant, states=OPEN_LOANS)}
        places = uow.stock.places(tenant)
        found = []
        for machine in uow.stock.stand_bys(tenant):
            device = uow.devices.find(tenant, machine.device_id)
            place = _located(places, machine.place)
            if device is None or place is None or device.device_id in lent:
                continue
            if device.owner_state is OwnerState.STOCK:
                found.append(_Free(device, place))
        return found

    def _nearest(self, free: Iterable[_Free], bundle: DeviceBundle) -> tuple[_Free, float] | None:
        """Return the nearest machine within reach that does what the broken one does."""
        reach = self._policy.stock.loan_distance_km
        able = [
            (distance, machine.device.device_id, machine)
            for machine in free
            if self._can_stand_in(machine.device, bundle.device)
            and (distance := _distance(machine.place, bundle)) is not None
            and distance <= reach
        ]
        if not able:
            return None
        distance, _, machine = min(able, key=lambda each: each[:2])
        return machine, distance

    def _can_stand_in(self, machine: Device, broken: Device) -> bool:
        """Return True unless the broken one prints in colour and the machine does not; unknown models may serve."""
        mine, theirs = (self._catalogue.find(each.model_id) for each in (machine, broken))
        if mine is None or theirs is None:
            return True
        return mine.capabilities.colour or not theirs.capabilities.colour

    def _promise(
        self, uow: UnitOfWork, waiting: _Waiting, machine: _Free, distance: float, now: datetime
    ) -> Loan | None:
        ticket = waiting.ticket
        restore = ticket.clock(ClockKind.RESTORE)
        by = restore.due_at if restore is not None else now + self._policy.sla.restore[TicketLevel.L3]
        loan = uow.stock.open_loan(
            Loan(
                tenant=ticket.tenant,
                ticket_id=ticket.ticket_id,
                device_id=machine.device.device_id,
                for_device=ticket.device_id,
                customer_id=ticket.customer_id,
                site_id=ticket.site_id,
                state=LoanState.RESERVED,
                reserved_at=now,
                promised_by=by,
                loyalty=waiting.loyalty,
                distance_km=round(distance, 1),
                reason=packed("stock.loan.why", loyalty=waiting.loyalty.value, km=round(distance, 1)),
            )
        )
        if loan is not None:
            uow.tickets.save(_noted(ticket, "loaner_reserved", now, MACHINE, loan.device_id))
        return loan

    # --- people ---

    def bring(self, tenant: TenantId, loan_id: int, *, actor: str, count: int | None = None) -> Loan:
        """Note that the machine works at the customer's: service is restored. `count` is its life count now."""
        now = self._clock.now()
        with self._uow_factory() as uow:
            loan = _in_state(uow.stock.get_loan(tenant, loan_id), LoanState.RESERVED)
            device = uow.devices.get(tenant, loan.device_id)
            lent = replace(
                device, owner_state=OwnerState.LOAN, site_id=loan.site_id, customer_id=loan.customer_id
            )
            uow.devices.save(lent)
            _begin_period(uow, lent, now, count)
            ticket = uow.tickets.get(tenant, loan.ticket_id)
            uow.tickets.save(_served(_noted(ticket, "loaner_out", now, actor, loan.device_id), now))
            saved = uow.stock.save_loan(replace(loan, state=LoanState.OUT, out_at=now))
            uow.commit()
        return saved

    def take_back(self, tenant: TenantId, loan_id: int, *, actor: str, count: int | None = None) -> Loan:
        """Note that the machine is back in its warehouse."""
        now = self._clock.now()
        with self._uow_factory() as uow:
            loan = _in_state(uow.stock.get_loan(tenant, loan_id), LoanState.OUT)
            device = uow.devices.get(tenant, loan.device_id)
            period = uow.devices.open_period(tenant, loan.device_id)
            if period is not None:
                uow.devices.save_period(replace(period, to_instant=now, end_count=count))
            uow.devices.save(
                replace(
                    device, owner_state=OwnerState.STOCK, site_id=None, customer_id=None, contract_id=None
                )
            )
            ticket = uow.tickets.get(tenant, loan.ticket_id)
            uow.tickets.save(_noted(ticket, "loaner_back", now, actor, loan.device_id))
            saved = uow.stock.save_loan(replace(loan, state=LoanState.BACK, back_at=now))
            uow.commit()
        return saved

    def cancel(self, tenant: TenantId, loan_id: int, *, actor: str) -> Loan:
        """Withdraw a promise; the next round gives the machine to whoever waits."""
        now = self._clock.now()
        with self._uow_factory() as uow:
            loan = _in_state(uow.stock.get_loan(tenant, loan_id), LoanState.RESERVED)
            ticket = uow.tickets.get(tenant, loan.ticket_id)
            uow.tickets.save(_noted(ticket, "loaner_cancelled", now, actor, loan.device_id))
            saved = uow.stock.save_loan(replace(loan, state=LoanState.CANCELLED, back_at=now))
            uow.commit()
        return saved


def _located(places: Sequence[StockPlace], key: PlaceKey) -> StockPlace | None:
    """Return the record of a place that says where it lies."""
    return next(
        (row for row in places if row.place == key and None not in (row.latitude, row.longitude)), None
    )


def _distance(place: StockPlace, bundle: DeviceBundle) -> float | None:
    """Return the great-circle distance to the device in km; None where one end is unknown."""
    site = bundle.site
    if site is None or site.latitude is None or site.longitude is None:
        return None
    if place.latitude is None or place.longitude is None:
        return None
    lat1, lon1, lat2, lon2 = map(radians, (place.latitude, place.longitude, site.latitude, site.longitude))
    half = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_KM * asin(sqrt(half))


def _tell_none(uow: UnitOfWork, ticket: Ticket, now: datetime) -> bool:
    """Note once on the ticket that no machine is free; True when it was news."""
    spoken = next((each.event for each in reversed(ticket.events) if each.event.startswith("loaner_")), None)
    if spoken == "loaner_none":
        return False
    uow.tickets.save(_noted(ticket, "loaner_none", now, MACHINE, ""))
    return True


def _noted(ticket: Ticket, event: str, now: datetime, actor: str, device_id: str) -> Ticket:
    """Return the ticket with one step of its loan; its state stays."""
    step = TicketEvent(
        at=now, actor=actor, event=event, from_state=ticket.state, to_state=ticket.state, note=device_id
    )
    return replace(ticket, changed_at=now, events=(*ticket.events, step))


def _served(ticket: Ticket, now: datetime) -> Ticket:
    """Return the ticket with its restore promise met: the customer prints again, on another machine."""
    clocks = tuple(
        replace(clock, met_at=now) if clock.kind is ClockKind.RESTORE and clock.met_at is None else clock
        for clock in ticket.clocks
    )
    return replace(ticket, clocks=clocks)


def _begin_period(uow: UnitOfWork, device: Device, now: datetime, count: int | None) -> None:
    if device.site_id is None or device.customer_id is None:
        raise Conflict(f"{device.device_id}: the ticket names no site to bring it to")
    uow.devices.save_period(
        InstalledPeriod(
            tenant=device.tenant,
            device_id=device.device_id,
            site_id=device.site_id,
            customer_id=device.customer_id,
            contract_id=None,
            from_instant=now,
            start_count=count,
        )
    )


def _in_state(loan: Loan, state: LoanState) -> Loan:
    if loan.state is not state:
        raise Conflict(f"loan {loan.loan_id} is {loan.state}, not {state}")
    return loan
