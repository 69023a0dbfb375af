"""The outcome figures of requirements 92 and 105: a month beside a baseline month, each with what is wanted.

A figure that cannot be computed from what is kept is None, never 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from crm_core.domain.fleet import Contract
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import ClockKind
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.money_facts import MoneyFacts, signed_contracts
from crm_core.relations.periods import months_before
from crm_core.relations.segments import classes_at
from crm_core.relations.truth import repair_orders, tickets_between

#: Figures that are wanted at a level; the others are wanted as a change against the baseline, in percent.
LEVELS: Final = frozenset({"satisfaction", "growth"})
UNITS: Final[Mapping[str, str]] = {
    "satisfaction": "percent",
    "efficiency": "tickets_per_visit",
    "growth": "percent",
    "risk": "percent",
    "complaints": "per_100_devices",
    "renewals": "percent",
    "lead_conversion": "percent",
    "loyalty": "percent",
    "bad_debt": "percent",
    "operating_cost": "CNY_per_device",
    "sales": "CNY",
    "revenue": "CNY",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeFigure:
    """One figure: this month, the baseline month, the change in percent, what is wanted, and whether it is reached."""

    name: str
    unit: str
    value: Decimal | None
    baseline: Decimal | None
    change_percent: Decimal | None
    wanted: Decimal
    reached: bool | None


@dataclass(slots=True)
class _Month:
    """What a month is computed from."""

    first: date
    last: date
    start: datetime
    end: datetime
    contracts: list[Contract]
    classes: dict[CustomerId, dict[str, str]]
    uow: UnitOfWork
    tenant: TenantId


class Outcomes:
    """Computes the figures from what is kept."""

    def __init__(
        self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook, money: MoneyFacts
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._money = money
        self._figures: Mapping[str, Callable[[_Month], Decimal | None]] = {
            "satisfaction": _satisfaction,
            "efficiency": _efficiency,
            "growth": _growth,
            "risk": lambda month: _share_of_class(month, "mark", ("risk",)),
            "complaints": _complaints,
            "renewals": _renewals,
            "lead_conversion": _lead_conversion,
            "loyalty": lambda month: _share_of_class(month, "loyalty", ("silver", "gold")),
            "bad_debt": self._bad_debt,
            "operating_cost": self._operating_cost,
            "sales": _sales,
            "revenue": self._revenue,
        }

    def compare(self, tenant: TenantId, month: date, baseline: date) -> list[OutcomeFigure]:
        """Return all figures of the policy for a month and its baseline; both are first days of months."""
        with self._uow_factory() as uow:
            now, before = (self._month(uow, tenant, first) for first in (month, baseline))
            return [
                self._figure(name, wanted, now, before)
                for name, wanted in self._policy.relations.outcomes.targets.items()
                if name in self._figures
            ]

    def _figure(self, name: str, wanted: Decimal, now: _Month, before: _Month) -> OutcomeFigure:
        value, base = self._figures[name](now), self._figures[name](before)
        change = None
        if value is not None and base:
            change = (100 * (value - base) / base).quantize(Decimal("0.1"))
        measured = value if name in LEVELS else change
        reached = None if measured is None else measured >= wanted if wanted >= 0 else measured <= wanted
        return OutcomeFigure(
            name=name,
            unit=UNITS[name],
            value=value,
            baseline=base,
            change_percent=change,
            wanted=wanted,
            reached=reached,
        )

    def _month(self, uow: UnitOfWork, tenant: TenantId, first: date) -> _Month:
        zone = ZoneInfo(self._policy.sla.calendar.time_zone)
        after = months_before(first, -1)
        start, end = (datetime.combine(day, time.min, zone).astimezone(UTC) for day in (first, after))
        at = min(end, self._clock.now())
        return _Month(
            first=first,
            last=after - timedelta(days=1),
            start=start,
            end=end,
            contracts=signed_contracts(uow, tenant),
            classes=classes_at(uow.relations.classes.where(tenant, limit=1_000_000), at),
            uow=uow,
            tenant=tenant,
        )

    def _revenue(self, month: _Month) -> Decimal | None:
        money = self._money.of_customers(month.uow, month.tenant, month.first, month.last)
        return sum((each.invoiced for each in money.values()), Decimal(0)) if money else None

    def _bad_debt(self, month: _Month) -> Decimal | None:
        """Return the share of customers with a claim that counts as a bad record."""
        money = self._money.of_customers(month.uow, month.tenant, month.first, month.last)
        return _percent(sum(each.bad_records > 0 for each in money.values()), len(money))

    def _operating_cost(self, month: _Month) -> Decimal | None:
        """Return the cost of visits by installed device, from the policy's cost of a visit."""
        devices = _devices(month)
        visits = sum(
            order.done_at is not None and order.done_at < month.end
            for order in repair_orders(month.uow, month.tenant, month.start)
        )
        cost = Decimal(str(self._policy.failures.visit_cost)) * visits
        return (cost / devices).quantize(Decimal("0.01")) if devices else None


def _percent(part: int, whole: int) -> Decimal | None:
    return (Decimal(100) * part / whole).quantize(Decimal("0.1")) if whole else None


def _devices(month: _Month) -> int:
    return sum(device.site_id is not None for device in month.uow.devices.all(month.tenant))


def _satisfaction(month: _Month) -> Decimal | None:
    answers = [
        each.satisfaction
        for each in month.uow.relations.surveys.where(month.tenant, subject=f"month:{month.first:%Y-%m}")
        if each.satisfaction is not None
    ]
    return (Decimal(sum(answers)) / len(answers)).quantize(Decimal("0.1")) if answers else None


def _efficiency(month: _Month) -> Decimal | None:
    """Return tickets answered in time for each visit or call that it took."""
    tickets = tickets_between(month.uow, month.tenant, month.start, month.end)
    kept = 0
    for ticket in tickets:
        restore = ticket.clock(ClockKind.RESTORE)
        kept += restore is not None and restore.met_at is not None and restore.met_at <= restore.due_at
    orders = [
        order
        for order in repair_orders(month.uow, month.tenant, month.start)
        if order.done_at is not None and order.done_at < month.end
    ]
    return (Decimal(kept) / len(orders)).quantize(Decimal("0.01")) if orders else None


def _served(month: _Month, day: date) -> set[CustomerId]:
    return {each.customer_id for each in month.contracts if each.starts_on <= day <= each.ends_on}


def _growth(month: _Month) -> Decimal | None:
    """Return the growth of served customers against a year earlier, in percent."""
    before = len(_served(month, months_before(month.last, 12)))
    return _percent(len(_served(month, month.last)) - before, before)


def _share_of_class(month: _Month, axis: str, values: tuple[str, ...]) -> Decimal | None:
    held = [classes[axis] for classes in month.classes.values() if axis in classes]
    return _percent(sum(value in values for value in held), len(held))


def _complaints(month: _Month) -> Decimal | None:
    raised = [
        each
        for each in month.uow.relations.complaints.where(month.tenant, limit=1_000_000)
        if month.start <= each.raised_at < month.end
    ]
    devices = _devices(month)
    return (Decimal(100) * len(raised) / devices).quantize(Decimal("0.1")) if devices else None


def _renewals(month: _Month) -> Decimal | None:
    """Return the share of contracts that ended in the month and were followed by another one within a month."""
    ended = [each for each in month.contracts if month.first <= each.ends_on <= month.last]
    followed = sum(
        any(
            other.customer_id == each.customer_id
            and other.starts_on > each.starts_on
            and other.starts_on <= each.ends_on + timedelta(days=31)
            for other in month.contracts
        )
        for each in ended
    )
    return _percent(followed, len(ended))


def _lead_conversion(month: _Month) -> Decimal | None:
    """Return the share of customers without a contract at the month's start who signed in the month."""
    begun: dict[CustomerId, date] = {}
    for contract in month.contracts:
        begun[contract.customer_id] = min(begun.get(contract.customer_id, date.max), contract.starts_on)
    leads = [
        customer.customer_id
        for customer in month.uow.customers.all(month.tenant)
        if (customer.registered_on or date.min) <= month.last
        and begun.get(customer.customer_id, date.max) >= month.first
    ]
    won = sum(begun.get(customer, date.max) <= month.last for customer in leads)
    return _percent(won, len(leads))


def _sales(month: _Month) -> Decimal | None:
    """Return the monthly rent of contracts that began in the month."""
    begun = [each for each in month.contracts if month.first <= each.starts_on <= month.last]
    return sum((each.monthly_rent.amount for each in begun), Decimal(0))
