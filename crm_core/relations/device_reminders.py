"""What is coming up for one device: consumables, wear, care, contract and open tasks in one list by date (requirement 36).

A read model; nothing is stored. The dates are those by which the product itself acts: forecasts, care plans, the renewal
reminder of the policy and the tasks of people.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.policy import PolicyBook
from crm_core.domain.relations import TaskState
from crm_core.fieldwork.plans import plans_of
from crm_core.ports import UnitOfWork
from crm_core.relations.periods import months_before

_LAST: Final = date.max


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReminder:
    """One thing to come. `what` names it within its kind: a supply, a part, a plan, a task's kind; `colour` of supplies."""

    kind: str  # supply, part, care, renewal, contract_end, task
    on: date
    what: str
    colour: str | None = None
    earliest: date | None = None  # of forecasts: P10
    latest: date | None = None  # P90
    overdue: bool = False


def device_reminders(
    uow: UnitOfWork, bundle: DeviceBundle, policy: PolicyBook, now: datetime
) -> list[DeviceReminder]:
    """Return what is coming up for the device, the next first; dates are days of the firm's time zone."""
    today = now.astimezone(ZoneInfo(policy.sla.calendar.time_zone)).date()
    rows = [
        *_forecasts(uow, bundle),
        *_care(uow, bundle, today),
        *_contract(bundle, policy, today),
        *_tasks(uow, bundle, policy, now),
    ]
    return sorted(rows, key=lambda row: (row.on, row.kind, row.what))


def _forecasts(uow: UnitOfWork, bundle: DeviceBundle) -> Iterator[DeviceReminder]:
    """Yield when each supply will be empty and when each part reaches its share of the design life."""
    found = uow.forecasts.for_device(bundle.device.tenant, bundle.device.device_id)
    for supply in found.supplies:
        days = supply.days_to_empty
        if days is not None:
            yield DeviceReminder(
                kind="supply",
                on=_ahead(supply.provenance.as_of, days.p50),
                what=supply.kind or "supply",
                colour=supply.colour,
                earliest=_ahead(supply.provenance.as_of, days.p10),
                latest=_ahead(supply.provenance.as_of, days.p90),
            )
    for part in found.life:
        days = part.days_to_replacement
        if days is not None:
            yield DeviceReminder(
                kind="part",
                on=_ahead(part.provenance.as_of, days.p50),
                what=part.component,
                earliest=_ahead(part.provenance.as_of, days.p10),
                latest=_ahead(part.provenance.as_of, days.p90),
            )


def _care(uow: UnitOfWork, bundle: DeviceBundle, today: date) -> Iterator[DeviceReminder]:
    """Yield the day on which each plan of care is due at the latest; its pages may bring it earlier."""
    for plan in plans_of(uow, bundle.device.tenant, bundle.device.device_id):
        if plan.active and plan.every_days is not None:
            due = plan.last_at.date() + timedelta(days=plan.every_days)
            yield DeviceReminder(kind="care", on=due, what=plan.name, overdue=due < today)


def _contract(bundle: DeviceBundle, policy: PolicyBook, today: date) -> Iterator[DeviceReminder]:
    """Yield the renewal reminder, while it is to come, and the end of the contract."""
    contract = bundle.contract
    if contract is None or contract.ends_on < today:
        return
    reminded = months_before(contract.ends_on, policy.relations.care.renewal_months_before)
    if reminded >= today:
        yield DeviceReminder(kind="renewal", on=reminded, what=contract.contract_id)
    yield DeviceReminder(kind="contract_end", on=contract.ends_on, what=contract.contract_id)


def _tasks(
    uow: UnitOfWork, bundle: DeviceBundle, policy: PolicyBook, now: datetime
) -> Iterator[DeviceReminder]:
    """Yield the open tasks about the device or its contract."""
    zone = ZoneInfo(policy.sla.calendar.time_zone)
    subjects = [f"device:{bundle.device.device_id}"]
    if bundle.contract is not None:
        subjects.append(f"contract:{bundle.contract.contract_id}")
    for subject in subjects:
        for task in uow.relations.tasks.where(bundle.device.tenant, subject=subject, state=TaskState.OPEN):
            due = task.due_at.astimezone(zone).date()
            yield DeviceReminder(kind="task", on=due, what=task.kind, overdue=task.due_at < now)


def _ahead(day: date, days: float) -> date:
    """Return the day so many days after the forecast's; what lies beyond the calendar is its last day."""
    return day + timedelta(days=int(min(days, (_LAST - day).days)))
