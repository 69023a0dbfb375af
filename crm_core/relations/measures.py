"""What is measured of every customer for the axes: money, contracts, service, pages, file; each with its basis.

All measures are over the rolling twelve months unless their name says otherwise (settled in reference 1.4).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from crm_core.domain.catalogue import Catalogue
from crm_core.domain.fleet import Contract, Customer, Device
from crm_core.domain.identity import CustomerId, DeviceId, TenantId, TicketId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.relations_policy import RelationsPolicy
from crm_core.domain.service import Ticket, TicketState, WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.ports import TelemetryStore, TicketFilter, UnitOfWork, WorkOrderFilter
from crm_core.relations.classes import Measured
from crm_core.relations.money_facts import CustomerMoney, MoneyFacts, signed_contracts, year_before

_YEAR: Final = timedelta(days=365)
_PAGE: Final = 1000
_EPOCH: Final = date(1970, 1, 1)
_NOT_A_REPAIR: Final = frozenset({TicketState.CANCELLED, TicketState.MERGED, TicketState.AUTO_RESOLVED})
_VISITS: Final = frozenset({WorkOrderKind.REPAIR, WorkOrderKind.SUPPLY, WorkOrderKind.INSPECTION})


@dataclass(slots=True)
class _Facts:
    """Everything that is read once for all customers."""

    today: date
    money: Mapping[CustomerId, CustomerMoney]
    contracts: dict[CustomerId, list[Contract]] = field(default_factory=lambda: defaultdict(list))
    devices: dict[CustomerId, list[Device]] = field(default_factory=lambda: defaultdict(list))
    places: dict[CustomerId, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    repairs: Counter[CustomerId] = field(default_factory=Counter)
    visits: Counter[CustomerId] = field(default_factory=Counter)
    device_tickets: dict[CustomerId, Counter[DeviceId]] = field(default_factory=lambda: defaultdict(Counter))
    pages: dict[CustomerId, Decimal] = field(default_factory=dict)
    scores: dict[CustomerId, int] = field(default_factory=dict)
    referrals: Counter[CustomerId] = field(default_factory=Counter)


class Measurer:
    """Measures all customers of a tenant in a few passes over the tables and the roll-ups of telemetry."""

    def __init__(
        self, policy: PolicyBook, catalogue: Catalogue, money: MoneyFacts, store: TelemetryStore | None = None
    ) -> None:
        self._policy = policy
        self._catalogue = catalogue
        self._money = money
        self._store = store

    def measure(
        self, uow: UnitOfWork, tenant: TenantId, now: datetime
    ) -> dict[CustomerId, dict[str, Measured]]:
        """Return the measures of each customer; what is not known is absent, never 0 by guess."""
        today = now.date()
        customers = uow.customers.all(tenant)
        facts = _Facts(today, self._money.of_customers(uow, tenant, year_before(today), today))
        for contract in signed_contracts(uow, tenant):
            facts.contracts[contract.customer_id].append(contract)
        self._read_fleet(uow, tenant, facts)
        self._read_service(uow, tenant, facts, now)
        for assessment in reversed(uow.agreements.assessments.where(tenant)):
            if assessment.valid_until >= today:
                facts.scores[assessment.customer_id] = assessment.score
        self._read_referrals(customers, facts)
        if self._store is not None:
            facts.pages = pages_per_month(uow, self._store, tenant, today)
        return {customer.customer_id: dict(self._of(customer, facts)) for customer in customers}

    def _read_fleet(self, uow: UnitOfWork, tenant: TenantId, facts: _Facts) -> None:
        for device in uow.devices.all(tenant):
            if device.customer_id is not None and device.site_id is not None:
                facts.devices[device.customer_id].append(device)
        for site in uow.sites.all(tenant):
            facts.places[site.customer_id][site.region] += 1

    def _read_service(self, uow: UnitOfWork, tenant: TenantId, facts: _Facts, now: datetime) -> None:
        rules = self._policy.relations
        confirmed: dict[TicketId, str] = {}
        for order in orders_since(uow, tenant, now - _YEAR):
            if order.state is not WorkOrderState.DONE or order.customer_id is None:
                continue
            facts.visits[order.customer_id] += order.kind in _VISITS
            damage = order.confirmed_cause == rules.user_damage
            facts.repairs[order.customer_id] += order.kind is WorkOrderKind.REPAIR and not damage
            confirmed |= dict.fromkeys(order.ticket_ids, order.confirmed_cause or "")
        for ticket in tickets_since(uow, tenant, now - rules.care.repairs_within):
            if ticket.customer_id is not None and is_repair(rules, ticket, confirmed):
                facts.device_tickets[ticket.customer_id][ticket.device_id] += 1

    def _read_referrals(self, customers: Iterable[Customer], facts: _Facts) -> None:
        since = year_before(facts.today)
        for customer in customers:
            starts = [contract.starts_on for contract in facts.contracts.get(customer.customer_id, ())]
            if customer.referred_by and starts and since <= min(starts) <= facts.today:
                facts.referrals[customer.referred_by] += 1

    def _of(self, customer: Customer, facts: _Facts) -> Iterator[tuple[str, Measured]]:
        yield from _contract_measures(customer, facts)
        yield from self._service_measures(customer, facts)
        for name, word in (
            ("industry", customer.industry),
            ("source", customer.source),
            ("price_sensitivity", customer.price_sensitivity),
        ):
            if word:
                yield name, Measured(str(word), "file")
        employees = customer.company.employees if customer.company else None
        if employees is not None:
            yield "employees", Measured(Decimal(employees), "file")
        if customer.customer_id in facts.scores:
            yield "credit_score", Measured(Decimal(facts.scores[customer.customer_id]), "assessment")
        places = facts.places.get(customer.customer_id)
        if places:
            yield "place", Measured(places.most_common(1)[0][0], "sites")

    def _service_measures(self, customer: Customer, facts: _Facts) -> Iterator[tuple[str, Measured]]:
        key = customer.customer_id
        devices = facts.devices.get(key, [])
        yield "devices", Measured(Decimal(len(devices)), "register")
        if key in facts.pages:
            yield "pages_per_month", Measured(facts.pages[key], "telemetry")
        if not devices and not facts.visits[key]:
            return  # nobody can say how often somebody without a device needs repair
        per_device = facts.device_tickets.get(key, Counter())
        yield "device_tickets_90d", Measured(Decimal(max(per_device.values(), default=0)), "tickets")
        yield "repairs_12m", Measured(Decimal(facts.repairs[key]), "work_orders")
        money = facts.money.get(key, CustomerMoney())
        if money.repair_amount is not None:
            yield "repair_amount_12m", Measured(money.repair_amount, money.basis)
        cost = money.repair_cost
        if cost is None:
            cost = Decimal(str(self._policy.failures.visit_cost)) * facts.visits[key]
        yield "margin_12m", Measured(money.invoiced - cost, f"{money.basis}, visits")
        product = self._product(devices)
        if product:
            yield "product", Measured(product, "register")

    def _product(self, devices: list[Device]) -> str:
        """Return mono, colour or mixed by what the customer's devices can do."""
        models = [self._catalogue.find(device.model_id) for device in devices]
        kinds = {"colour" if model.capabilities.colour else "mono" for model in models if model is not None}
        return "mixed" if len(kinds) > 1 else next(iter(kinds), "")


def _contract_measures(customer: Customer, facts: _Facts) -> Iterator[tuple[str, Measured]]:
    """Yield what contracts and money say of a customer."""
    contracts = facts.contracts.get(customer.customer_id, [])
    money = facts.money.get(customer.customer_id, CustomerMoney())
    since = year_before(facts.today)
    begun = [each for each in contracts if each.starts_on <= facts.today]
    rentals = sum(since <= each.starts_on for each in begun)
    running = [each for each in begun if each.ends_on >= facts.today]
    yield "spend_12m", Measured(money.invoiced, money.basis)
    yield "paid_12m", Measured(money.paid, money.basis)
    yield "overdue_days", Measured(Decimal(money.overdue_days), money.basis)
    yield "bad_records", Measured(Decimal(money.bad_records), money.basis)
    yield "rentals_12m", Measured(Decimal(rentals), "contracts")
    yield "running_contracts", Measured(Decimal(len(running)), "contracts")
    yield "referrals_12m", Measured(Decimal(facts.referrals[customer.customer_id]), "file")
    if rentals:
        days = (Decimal(365) / rentals).quantize(Decimal("0.1"))
        yield "days_between_rentals", Measured(days, "contracts")
    if running:
        months = max(whole_months(each.starts_on, each.ends_on) for each in running)
        yield "contract_months", Measured(Decimal(months), "contracts")
        clean_since = max(min(each.starts_on for each in begun), money.last_bad_on or date.min)
        years = Decimal((facts.today - clean_since).days) / Decimal("365.25")
        yield "clean_years", Measured(years.quantize(Decimal("0.01")), f"contracts, {money.basis}")
    if begun:
        amounts = [
            each.monthly_rent.amount * max(whole_months(each.starts_on, each.ends_on), 1) for each in begun
        ]
        mean = (sum(amounts, Decimal(0)) / len(amounts)).quantize(Decimal("0.01"))
        yield "amount_per_rental", Measured(mean, "contracts")


def whole_months(first: date, last: date) -> int:
    """Return the whole months of a contract that runs from `first` to `last`, both included."""
    end = last + timedelta(days=1)
    months = (end.year - first.year) * 12 + end.month - first.month
    return months if end.day >= first.day else months - 1


def pages_per_month(
    uow: UnitOfWork, store: TelemetryStore, tenant: TenantId, today: date
) -> dict[CustomerId, Decimal]:
    """Return pages a month of each customer: the mean of the last three full months, or of fewer when history is short.

    A page counts for the customer at whom the device stood on that day. Days are UTC days of the roll-ups.
    """
    month = today.replace(day=1)
    starts = [_months_back(month, count) for count in (3, 2, 1)]
    last = (month - timedelta(days=1) - _EPOCH).days
    stays = {
        device.device_id: uow.devices.periods(tenant, device.device_id) for device in uow.devices.all(tenant)
    }
    pages: dict[CustomerId, Counter[date]] = defaultdict(Counter)
    first_days: dict[CustomerId, date] = {}
    for row in store.daily_meters(tenant, (starts[0] - _EPOCH).days, last):
        day = _EPOCH + timedelta(days=row.day)
        holder = next(
            (
                stay.customer_id
                for stay in stays.get(DeviceId(row.device_id), ())
                if stay.from_instant.date() <= day
                and (stay.to_instant is None or day < stay.to_instant.date())
            ),
            None,
        )
        if holder is not None:
            pages[holder][day.replace(day=1)] += row.pages
            first_days[holder] = min(first_days.get(holder, day), day)
    found = {}
    for customer, by_month in pages.items():
        full = [start for start in starts if first_days[customer] <= start]
        if full:
            total = Decimal(sum(by_month[start] for start in full))
            found[customer] = (total / len(full)).quantize(Decimal(1))
    return found


def _months_back(month: date, count: int) -> date:
    number = month.year * 12 + month.month - 1 - count
    return date(number // 12, number % 12 + 1, 1)


def is_repair(rules: RelationsPolicy, ticket: Ticket, confirmed: Mapping[TicketId, str]) -> bool:
    """Return True for a ticket with a cause in the equipment; user damage does not count (55, settled in 1.4)."""
    return (
        ticket.category in rules.equipment_categories
        and ticket.state not in _NOT_A_REPAIR
        and confirmed.get(ticket.ticket_id) != rules.user_damage
    )


def tickets_since(uow: UnitOfWork, tenant: TenantId, since: datetime) -> Iterator[Ticket]:
    """Yield the tickets raised since then, newest first."""
    before: TicketId | None = None
    while True:
        rows = uow.tickets.list(tenant, TicketFilter(before=before, limit=_PAGE))
        for ticket in rows:
            if ticket.raised_at < since:
                return
            yield ticket
        if len(rows) < _PAGE:
            return
        before = rows[-1].ticket_id


def orders_since(uow: UnitOfWork, tenant: TenantId, since: datetime) -> Iterator[WorkOrder]:
    """Yield the work orders made since then, newest first."""
    which = WorkOrderFilter(limit=_PAGE)
    while True:
        rows = uow.work_orders.list(tenant, which)
        for order in rows:
            if order.created_at < since:
                return
            yield order
        if len(rows) < _PAGE:
            return
        which = WorkOrderFilter(limit=_PAGE, before=rows[-1].work_order_id)
