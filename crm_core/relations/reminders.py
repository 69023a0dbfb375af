"""What a day asks of people: renewals, win-back, speaking with customers, file reviews, what classes bring, rent due.

One run a night; each reminder is unique by kind, subject and period, so a repeat or a missed night changes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from crm_core.domain.customer_files import Channel, Consent
from crm_core.domain.fleet import Contract, Customer, CustomerTier
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.loyalty import Coupon
from crm_core.domain.policy import PolicyBook
from crm_core.domain.relations import Interaction, Task, TaskState
from crm_core.domain.service import Role
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.care import drop_tasks
from crm_core.relations.money_facts import signed_contracts
from crm_core.relations.periods import block_end, block_start, local_day, months_before, morning
from crm_core.relations.segments import classes_at, treatments_of

#: Effects of treatments that are tasks; their amount is the days from one to the next.
TASK_EFFECTS: Final = frozenset(
    {
        "check_task",
        "care_plan_task",
        "calibration_task",
        "offer_print_management",
        "partner_offer",
        "holiday_greeting",
        "credit_watch",
    }
)
_OFFERS: Final = frozenset({"offer_print_management", "partner_offer", "holiday_greeting"})
_LOOK_BACK: Final = timedelta(days=400)
_EPOCH: Final = date(1970, 1, 1)


@dataclass(slots=True)
class _Night:
    """What is read once for all customers of a run."""

    now: datetime
    today: date
    contracts: dict[CustomerId, list[Contract]]
    spoken: dict[CustomerId, list[Interaction]]
    classes: dict[CustomerId, dict[str, str]]


class Reminders:
    """Makes the tasks that a day brings."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._zone = policy.sla.calendar.time_zone

    def run(self, tenant: TenantId) -> Counter[str]:
        """Add what is due for all customers; return the number of new tasks by kind."""
        made: Counter[str] = Counter()
        with self._uow_factory() as uow:
            night = self._read(uow, tenant)
            for customer in uow.customers.all(tenant):
                for task in self._due(uow, customer, night):
                    made[task.kind] += uow.relations.tasks.add_once(task) is not None
            uow.commit()
        return +made

    def _read(self, uow: UnitOfWork, tenant: TenantId) -> _Night:
        now = self._clock.now()
        contracts: dict[CustomerId, list[Contract]] = defaultdict(list)
        for contract in signed_contracts(uow, tenant):
            contracts[contract.customer_id].append(contract)
        spoken: dict[CustomerId, list[Interaction]] = defaultdict(list)
        for row in uow.relations.interactions.where(tenant, limit=1_000_000):
            if now - row.at <= _LOOK_BACK:
                spoken[row.customer_id].append(row)
        classes = classes_at(uow.relations.present_classes(tenant))
        return _Night(now, local_day(now, self._zone), contracts, spoken, classes)

    def _due(self, uow: UnitOfWork, customer: Customer, night: _Night) -> Iterator[Task]:
        contracts = night.contracts.get(customer.customer_id, [])
        yield from self._renewals(customer, contracts, night)
        yield from self._win_back(uow, customer, contracts, night)
        yield from self._cadence(customer, night)
        yield from self._treatments(customer, night)
        if customer.review_due_on is not None and customer.review_due_on <= night.today:
            yield self._task(
                customer, night, "file_review", f"customer:{customer.customer_id}", customer.review_due_on
            )

    def _renewals(self, customer: Customer, contracts: Sequence[Contract], night: _Night) -> Iterator[Task]:
        """Yield one reminder for each contract that ends soon and has no successor (33)."""
        for contract in contracts:
            day = months_before(contract.ends_on, self._policy.relations.care.renewal_months_before)
            followed = any(each.starts_on > contract.starts_on for each in contracts if each is not contract)
            if day <= night.today <= contract.ends_on and not followed:
                task = self._task(customer, night, "renewal", f"contract:{contract.contract_id}", day)
                detail = {"ends_on": contract.ends_on.isoformat(), "contract": contract.contract_id}
                yield replace(task, period=contract.ends_on.isoformat(), detail=detail)

    def _win_back(
        self, uow: UnitOfWork, customer: Customer, contracts: Sequence[Contract], night: _Night
    ) -> Iterator[Task]:
        """Yield a monthly offer after the last contract ended; a new contract or an opt-out stops it (35)."""
        if not contracts:
            return
        last = max(contracts, key=lambda each: each.ends_on)
        subject = f"contract:{last.contract_id}"
        if Consent.MARKETING not in customer.consents:
            drop_tasks(uow, customer.tenant, "win_back", subject, night.now, "opted_out")
            return
        if last.ends_on >= night.today:
            for ended in contracts:
                if ended is not last:
                    of_ended = f"contract:{ended.contract_id}"
                    drop_tasks(uow, customer.tenant, "win_back", of_ended, night.now, "won")
            return
        care = self._policy.relations.care
        for month in range(1, care.win_back_months + 1):
            day = months_before(last.ends_on, -month)
            if day <= night.today < months_before(last.ends_on, -month - 1):
                percent = f"{care.win_back_percent:f}"
                if not self._stopped(uow, customer, subject):
                    self._win_back_coupon(uow, customer, last, night)
                    yield replace(
                        self._task(customer, night, "win_back", subject, day),
                        detail={"contract": last.contract_id, "percent": percent, "month": str(month)},
                    )

    def _stopped(self, uow: UnitOfWork, customer: Customer, subject: str) -> bool:
        """Return True if the customer said in an earlier call that they want no more offers."""
        ended = uow.relations.tasks.where(customer.tenant, kind="win_back", subject=subject)
        return any(task.outcome.startswith(("opted_out", "declined", "won")) for task in ended)

    def _win_back_coupon(self, uow: UnitOfWork, customer: Customer, ended: Contract, night: _Night) -> None:
        care, loyalty = self._policy.relations.care, self._policy.relations.loyalty
        uow.relations.coupons.add_once(
            Coupon(
                tenant=customer.tenant,
                coupon_id=0,
                customer_id=customer.customer_id,
                origin=f"win_back:{ended.contract_id}",
                amount=Decimal(0),
                percent=care.win_back_percent,
                issued_on=night.today,
                valid_until=months_before(night.today, -loyalty.coupon_valid_months),
            )
        )

    def _cadence(self, customer: Customer, night: _Night) -> Iterator[Task]:
        """Yield a task when too few contacts were had by the warning day of the period, and for visits due (44, 45)."""
        cadence = self._policy.relations.cadence[customer.tier]
        spoken = night.spoken.get(customer.customer_id, [])
        start, end = _block(night.today, cadence.period_months)
        had = self._count(spoken, start)
        if (night.today - start).days + 1 >= cadence.warn_day and had < cadence.contacts:
            detail = {"had": str(had), "wanted": str(cadence.contacts), "tier": customer.tier.value}
            task = self._task(customer, night, "contact", f"customer:{customer.customer_id}", night.today)
            due = morning(end - timedelta(days=1), self._zone)
            yield replace(task, period=start.isoformat(), due_at=due, detail=detail)
        for kind, months, role in (
            ("visit", cadence.visit_months, cadence.role),
            ("head_review", cadence.head_review_months, Role.SUPERVISOR.value),
        ):
            if months is None:
                continue
            start, end = _block(night.today, months)
            visits = [each for each in spoken if each.channel is Channel.VISIT]
            halfway = start + (end - start) / 2
            if night.today >= halfway and (kind != "visit" or not self._count(visits, start)):
                task = self._task(customer, night, kind, f"customer:{customer.customer_id}", night.today)
                due = morning(end - timedelta(days=1), self._zone)
                owner = customer.owner if kind == "visit" else None
                yield replace(task, period=start.isoformat(), due_at=due, role=role, owner=owner)

    def _count(self, spoken: Sequence[Interaction], since: date) -> int:
        return sum(local_day(each.at, self._zone) >= since for each in spoken)

    def _treatments(self, customer: Customer, night: _Night) -> Iterator[Task]:
        """Yield the tasks that a customer's classes bring, once in each stretch of the treatment's days (103)."""
        held = night.classes.get(customer.customer_id, {})
        for effect, treatment in treatments_of(self._policy.relations, held).items():
            if effect not in TASK_EFFECTS:
                continue
            if effect in _OFFERS and Consent.MARKETING not in customer.consents:
                continue
            days = max(int(treatment.amount), 1)
            stretch = ((night.today - _EPOCH).days // days) * days
            task = self._task(customer, night, effect, f"customer:{customer.customer_id}", night.today)
            begun = _EPOCH + timedelta(days=stretch)
            yield replace(
                task,
                period=begun.isoformat(),
                due_at=night.now + min(timedelta(days=days), self._policy.relations.care.class_task_due),
                detail={"treatment": treatment.name, "class": f"{treatment.axis}={treatment.value}"},
            )

    def _task(self, customer: Customer, night: _Night, kind: str, subject: str, day: date) -> Task:
        return Task(
            tenant=customer.tenant,
            task_id=0,
            kind=kind,
            subject=subject,
            period=day.isoformat(),
            customer_id=customer.customer_id,
            due_at=morning(day, self._zone),
            created_at=night.now,
            role=self._policy.relations.cadence[CustomerTier(customer.tier)].role,
            owner=customer.owner,
        )


def open_tasks(uow: UnitOfWork, tenant: TenantId) -> Sequence[Task]:
    """Return the open tasks of all customers, soonest first."""
    rows = uow.relations.tasks.where(tenant, state=TaskState.OPEN)
    return sorted(rows, key=lambda task: (task.due_at, task.task_id))


def _block(day: date, months: int) -> tuple[date, date]:
    return block_start(day, months), block_end(day, months)
