"""The outcome figures of requirements 92 and 105: a month beside a baseline month, each with what is wanted.

Each carries how many things it rests on and, where it is a sample, its 95 % interval. A figure that cannot be computed
from what is kept is None, never 0.
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
from crm_core.domain.service import ClockKind, WorkOrder
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.measured import Measured, mean_of, rate_of, share_of
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
    "share": "percent",
    "sales": "CNY",
    "revenue": "CNY",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeFigure:
    """One figure: this month, the baseline month, the change in percent, what is wanted, and whether it is reached."""

    name: str
    unit: str
    now: Measured | None
    before: Measured | None
    change_percent: Decimal | None
    wanted: Decimal
    reached: bool | None

    @property
    def is_level(self) -> bool:
        """True if the figure itself is wanted, not a change of it."""
        return self.name in LEVELS

    @property
    def value(self) -> Decimal | None:
        """The figure of the month."""
        return None if self.now is None else self.now.value

    @property
    def baseline(self) -> Decimal | None:
        """The figure of the baseline month."""
        return None if self.before is None else self.before.value


@dataclass(slots=True)
class _Month:
    """What a month is computed from."""

    first: date
    last: date
    start: datetime
    end: datetime
    contracts: list[Contract]
    classes: dict[CustomerId, dict[str, str]]
    devices: int  # installed at its end
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
        self._figures: Mapping[str, Callable[[_Month], Measured | None]] = {
            "satisfaction": _satisfaction,
            "efficiency": _efficiency,
            "growth": _growth,
            "risk": lambda month: _share_of_class(month, "mark", ("risk",)),
            "complaints": _complaints,
            "renewals": self._renewals,
            "lead_conversion": _lead_conversion,
            "loyalty": lambda month: _share_of_class(month, "loyalty", ("silver", "gold")),
            "bad_debt": self._bad_debt,
            "operating_cost": self._operating_cost,
            "share": self._share,
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
        found, base = self._figures[name](now), self._figures[name](before)
        change = None
        if found is not None and base is not None and base.value:
            change = (100 * (found.value - base.value) / base.value).quantize(Decimal("0.1"))
        measured = change if name not in LEVELS else None if found is None else found.value
        reached = None if measured is None else measured >= wanted if wanted >= 0 else measured <= wanted
        return OutcomeFigure(
            name=name,
            unit=UNITS[name],
            now=found,
            before=base,
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
            devices=uow.devices.installed_at(tenant, at),
            uow=uow,
            tenant=tenant,
        )

    def _revenue(self, month: _Month) -> Measured | None:
        money = self._money.of_customers(month.uow, month.tenant, month.first, month.last)
        return _sum_of([each.invoiced for each in money.values()]) if money else None

    def _bad_debt(self, month: _Month) -> Measured | None:
        """Return the share of customers with a claim that counts as a bad record."""
        money = self._money.of_customers(month.uow, month.tenant, month.first, month.last)
        return share_of(sum(each.bad_records > 0 for each in money.values()), len(money))

    def _operating_cost(self, month: _Month) -> Measured | None:
        """Return the cost of visits by installed device, from the policy's cost of a visit; it rests on the visits."""
        if not month.devices:
            return None
        visits = len(_repairs(month))
        cost = Decimal(str(self._policy.failures.visit_cost)) * visits
        return Measured((cost / month.devices).quantize(Decimal("0.01")), visits)

    def _share(self, month: _Month) -> Measured | None:
        """Return the firm's share of the rented devices of its market; the policy says how many these are."""
        market = self._policy.relations.outcomes.market_devices
        share = (Decimal(100) * month.devices / market).quantize(Decimal("0.01")) if market else None
        return None if share is None else Measured(share, month.devices)

    def _renewals(self, month: _Month) -> Measured | None:
        """Return the share of contracts that ended in the month and were soon followed by another one."""
        within = self._policy.relations.outcomes.renewed_within
        ended = [each for each in month.contracts if month.first <= each.ends_on <= month.last]
        followed = sum(
            any(
                other.customer_id == each.customer_id
                and each.starts_on < other.starts_on <= each.ends_on + within
                for other in month.contracts
            )
            for each in ended
        )
        return share_of(followed, len(ended))


def _sum_of(amounts: list[Decimal]) -> Measured:
    return Measured(sum(amounts, Decimal(0)), len(amounts))


def _repairs(month: _Month) -> list[WorkOrder]:
    """Return the visits and calls that were finished in the month."""
    orders = repair_orders(month.uow, month.tenant, month.start)
    return [order for order in orders if order.done_at is not None and order.done_at < month.end]


def _satisfaction(month: _Month) -> Measured | None:
    surveys = month.uow.relations.surveys.where(month.tenant, subject=f"month:{month.first:%Y-%m}")
    return mean_of([each.satisfaction for each in surveys if each.satisfaction is not None], most=100)


def _efficiency(month: _Month) -> Measured | None:
    """Return tickets answered in time for each visit or call that it took."""
    kept = 0
    for ticket in tickets_between(month.uow, month.tenant, month.start, month.end):
        restore = ticket.clock(ClockKind.RESTORE)
        kept += restore is not None and restore.met_at is not None and restore.met_at <= restore.due_at
    return rate_of(kept, len(_repairs(month)), each=1, digits="0.01")


def _served(month: _Month, day: date) -> set[CustomerId]:
    return {each.customer_id for each in month.contracts if each.starts_on <= day <= each.ends_on}


def _growth(month: _Month) -> Measured | None:
    """Return the growth of served customers against a year earlier, in percent; it rests on those of the year before."""
    before = len(_served(month, months_before(month.last, 12)))
    if not before:
        return None
    more = Decimal(100) * (len(_served(month, month.last)) - before) / before
    return Measured(more.quantize(Decimal("0.1")), before)


def _share_of_class(month: _Month, axis: str, values: tuple[str, ...]) -> Measured | None:
    held = [classes[axis] for classes in month.classes.values() if axis in classes]
    return share_of(sum(value in values for value in held), len(held))


def _complaints(month: _Month) -> Measured | None:
    complaints = month.uow.relations.complaints.where(month.tenant, limit=1_000_000)
    raised = sum(month.start <= each.raised_at < month.end for each in complaints)
    return rate_of(raised, month.devices, each=100, digits="0.1")


def _lead_conversion(month: _Month) -> Measured | None:
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
    return share_of(sum(begun.get(customer, date.max) <= month.last for customer in leads), len(leads))


def _sales(month: _Month) -> Measured | None:
    """Return the monthly rent of contracts that began in the month."""
    begun = [each for each in month.contracts if month.first <= each.starts_on <= month.last]
    return _sum_of([each.monthly_rent.amount for each in begun])
