"""The scorecard of technicians: what shows good work (repairs that hold), not how many visits a day (71, 114)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from crm_core.domain.identity import TechnicianId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.relations import Survey, Training
from crm_core.domain.service import WorkOrder
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.periods import months_before
from crm_core.relations.truth import Share, first_time, repair_orders

_BEFORE = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """One technician in one month. `pages_between_visits` is the mean of pages that devices ran since their last repair."""

    technician_id: TechnicianId
    name: str
    month: date
    repairs: int
    first_time_fix: Share
    repeats: int
    pages_between_visits: int | None
    ratings: int
    mean_rating: Decimal | None
    training_minutes: int


class Scorecards:
    """Makes scorecards, and keeps the record of trainings."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy

    def of_month(self, tenant: TenantId, month: date) -> list[Scorecard]:
        """Return one row for each technician for the month that begins with `month`."""
        zone = ZoneInfo(self._policy.sla.calendar.time_zone)
        end = months_before(month, -1)
        first, last = (datetime.combine(day, time.min, zone).astimezone(UTC) for day in (month, end))
        with self._uow_factory() as uow:
            technicians = uow.technicians.all(tenant)
            orders = repair_orders(uow, tenant, first - _BEFORE)
            ratings = _ratings(uow, tenant)
            trainings = uow.relations.trainings.where(tenant)
        held = first_time(orders, self._policy.triage.recall_within)
        pages = _pages_since_last(orders)
        return [
            self._row(
                each.technician_id, each.name, month, end, (first, last), held, pages, ratings, trainings
            )
            for each in technicians
        ]

    def _row(
        self,
        technician_id: TechnicianId,
        name: str,
        month: date,
        end: date,
        within: tuple[datetime, datetime],
        held: list[tuple[WorkOrder, bool]],
        pages: dict[int, int],
        ratings: dict[int, Survey],
        trainings: Sequence[Training],
    ) -> Scorecard:
        own = [
            (order, good)
            for order, good in held
            if order.technician_id == technician_id
            and order.done_at is not None
            and within[0] <= order.done_at < within[1]
        ]
        ran = [pages[order.work_order_id] for order, _ in own if order.work_order_id in pages]
        given = [
            ratings[order.work_order_id].satisfaction or 0
            for order, _ in own
            if order.work_order_id in ratings
        ]
        minutes = sum(
            each.minutes for each in trainings if each.person == technician_id and month <= each.held_on < end
        )
        return Scorecard(
            technician_id=technician_id,
            name=name,
            month=month,
            repairs=len(own),
            first_time_fix=Share(sum(good for _, good in own), len(own)),
            repeats=sum(not good for _, good in own),
            pages_between_visits=sum(ran) // len(ran) if ran else None,
            ratings=len(given),
            mean_rating=(Decimal(sum(given)) / len(given)).quantize(Decimal("0.1")) if given else None,
            training_minutes=minutes,
        )

    def train(self, training: Training) -> Training:
        """Write a training down."""
        with self._uow_factory() as uow:
            saved = uow.relations.trainings.add(training)
            uow.commit()
        return saved


def _ratings(uow: UnitOfWork, tenant: TenantId) -> dict[int, Survey]:
    """Return the answered ratings of visits by work order."""
    return {
        int(each.subject.removeprefix("visit:")): each
        for each in uow.relations.surveys.where(tenant)
        if each.subject.startswith("visit:") and each.satisfaction is not None
    }


def _pages_since_last(orders: list[WorkOrder]) -> dict[int, int]:
    """Return by order the pages that its device ran since the repair before; orders without counts are left out."""
    found: dict[int, int] = {}
    last: dict[str, int] = defaultdict(int)
    for order in orders:
        count = order.count_after
        if count is None:
            continue
        if order.device_id in last and count >= last[order.device_id]:
            found[order.work_order_id] = count - last[order.device_id]
        last[order.device_id] = count
    return found
