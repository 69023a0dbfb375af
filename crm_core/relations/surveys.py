"""Satisfaction: one question a customer and month, one rating a visit, answers beside the measured truth.

Less than 80 % is a call by the supervisor within a day, with what is improved (requirements 26, 27, 59, 107).
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from crm_core.domain.errors import Conflict, InvalidValue, NotFound
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.opaque import new_secret
from crm_core.domain.policy import PolicyBook
from crm_core.domain.relations import Survey, Task
from crm_core.domain.service import Role, WorkOrderKind, WorkOrderState
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.measures import orders_since
from crm_core.relations.money_facts import signed_contracts
from crm_core.relations.periods import local_day, months_before
from crm_core.relations.segments import classes_at
from crm_core.relations.truth import Share, Truth, truth_of

_RATED: Final = frozenset(WorkOrderKind) - {
    WorkOrderKind.PHONE,
    WorkOrderKind.REPLACEMENT,
    WorkOrderKind.REMOVAL,
}

_OLDEST_ORDER: Final = timedelta(days=60)  # orders that ended lately were made since then


class Asks(Protocol):
    """Sends the question to the customer within the transaction; `path` opens the answer page without sign-in."""

    def __call__(self, uow: UnitOfWork, survey: Survey, path: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a customer answers; satisfaction in percent."""

    satisfaction: int
    contacted_in_time: bool | None = None
    fixed_first_time: bool | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A survey beside what was measured for its month; `disagrees` names the answers that measurements contradict."""

    survey: Survey
    truth: Truth | None
    disagrees: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """Satisfaction of one class: answers, mean, and the share of content customers with its interval."""

    axis: str
    value: str
    answers: int
    mean: Decimal
    content: Share


class Surveys:
    """Asks, takes answers, and reports."""

    def __init__(
        self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook, asks: Asks | None = None
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._asks = asks

    def ask_month(self, tenant: TenantId) -> int:
        """Ask every customer with a running contract about the last month, once; return how many were asked."""
        now = self._clock.now()
        today = self._today(now)
        month = months_before(today.replace(day=1), 1)
        asked = 0
        with self._uow_factory() as uow:
            served = {
                each.customer_id
                for each in signed_contracts(uow, tenant)
                if each.starts_on < today.replace(day=1) and each.ends_on >= month
            }
            for customer_id in sorted(served):
                asked += self._ask(uow, tenant, customer_id, f"month:{month:%Y-%m}", now)
            uow.commit()
        return asked

    def ask_visits(self, tenant: TenantId) -> int:
        """Ask for a rating of each visit that ended lately, once; return how many were asked."""
        now = self._clock.now()
        asked = 0
        with self._uow_factory() as uow:
            for order in orders_since(uow, tenant, now - _OLDEST_ORDER):
                rated = order.state is WorkOrderState.DONE and order.kind in _RATED
                recent = (
                    order.done_at is not None
                    and now - order.done_at <= self._policy.relations.surveys.rate_back
                )
                if rated and recent and order.customer_id is not None:
                    asked += self._ask(uow, tenant, order.customer_id, f"visit:{order.work_order_id}", now)
            uow.commit()
        return asked

    def opened(self, tenant: TenantId, token: str) -> Survey:
        """Return the survey of a link; `NotFound` for a link that is unknown or over."""
        with self._uow_factory() as uow:
            return self._open(uow, tenant, token)

    def answer(self, tenant: TenantId, token: str, answer: Answer) -> Survey:
        """Keep the answer of a link, once; a low one brings the supervisor's call."""
        return self._keep(answer, lambda uow: self._open(uow, tenant, token))

    def waiting(self, tenant: TenantId, customer_id: CustomerId) -> list[Survey]:
        """Return the customer's questions that wait for an answer, newest first."""
        now = self._clock.now()
        with self._uow_factory() as uow:
            found = uow.relations.surveys.where(tenant, customer_id=customer_id)
        rows = [each for each in found if each.answered_at is None and each.expires_at > now]
        return sorted(rows, key=lambda each: (each.sent_at, each.survey_id), reverse=True)

    def answer_own(self, tenant: TenantId, customer_id: CustomerId, survey_id: int, answer: Answer) -> Survey:
        """Keep the answer of somebody who is signed in; another customer's question is as good as none."""

        def own(uow: UnitOfWork) -> Survey:
            found = uow.relations.surveys.where(tenant, customer_id=customer_id)
            survey = next((each for each in found if each.survey_id == survey_id), None)
            if survey is None or survey.expires_at <= self._clock.now():
                raise NotFound(f"there is no open question {survey_id}")
            return survey

        return self._keep(answer, own)

    def _keep(self, answer: Answer, find: Callable[[UnitOfWork], Survey]) -> Survey:
        """Keep an answer, once; a low one brings the supervisor's call."""
        if not 0 <= answer.satisfaction <= 100:
            raise InvalidValue("satisfaction is 0 to 100 percent")
        with self._uow_factory() as uow:
            survey = find(uow)
            if survey.answered_at is not None:
                raise Conflict("this question is answered already; thank you")
            now = self._clock.now()
            saved = uow.relations.surveys.save(
                replace(
                    survey,
                    answered_at=now,
                    satisfaction=answer.satisfaction,
                    contacted_in_time=answer.contacted_in_time,
                    fixed_first_time=answer.fixed_first_time,
                    comment=answer.comment.strip()[:2000],
                )
            )
            if answer.satisfaction < self._policy.relations.surveys.call_back_below:
                uow.relations.tasks.add_once(self._call_back(saved, now))
            uow.commit()
        return saved

    def compared(self, tenant: TenantId, month: date) -> list[Compared]:
        """Return the answered surveys of a month (its first day) beside what was measured then."""
        with self._uow_factory() as uow:
            truths = self._truths(uow, tenant, month)
            surveys = uow.relations.surveys.where(tenant, subject=f"month:{month:%Y-%m}")
        answered = sorted((each for each in surveys if each.answered_at), key=lambda each: each.customer_id)
        return [
            Compared(
                survey=each,
                truth=truths.get(each.customer_id),
                disagrees=_disagreements(each, truths.get(each.customer_id)),
            )
            for each in answered
        ]

    def by_class(self, tenant: TenantId, axis: str, month: date) -> list[ClassRow]:
        """Return satisfaction by class of an axis for a month, with the number of answers and the interval (59)."""
        self._policy.relations.axis(axis)
        end = months_before(month, -1)
        with self._uow_factory() as uow:
            held = classes_at(uow.relations.present_classes(tenant))
            surveys = [
                each
                for each in uow.relations.surveys.where(tenant)
                if each.satisfaction is not None and self._counts_for(each, month, end)
            ]
        answers: dict[str, list[int]] = defaultdict(list)
        for survey in surveys:
            value = held.get(survey.customer_id, {}).get(axis, "unknown")
            answers[value].append(survey.satisfaction or 0)
        below = self._policy.relations.surveys.call_back_below
        return [_row(axis, value, answers[value], below) for value in sorted(answers)]

    def _counts_for(self, survey: Survey, month: date, end: date) -> bool:
        if survey.subject.startswith("month:"):
            return survey.subject == f"month:{month:%Y-%m}"
        return month <= self._today(survey.sent_at) < end

    def _truths(self, uow: UnitOfWork, tenant: TenantId, month: date) -> Mapping[CustomerId, Truth]:
        zone = ZoneInfo(self._policy.sla.calendar.time_zone)
        first, last = (
            datetime.combine(day, time.min, zone).astimezone(UTC) for day in (month, months_before(month, -1))
        )
        within = self._policy.relations.surveys.contacted_within
        return truth_of(uow, tenant, first, last, within, self._policy.triage.recall_within)

    def _ask(
        self, uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId, subject: str, now: datetime
    ) -> bool:
        token = new_secret(24)
        made = uow.relations.surveys.add_once(
            Survey(
                tenant=tenant,
                survey_id=0,
                customer_id=customer_id,
                subject=subject,
                token_hash=token_hash(token),
                sent_at=now,
                expires_at=now + self._policy.relations.surveys.link_valid,
            )
        )
        if made is not None and self._asks is not None:
            self._asks(uow, made, f"/survey/{token}")
        return made is not None

    def _open(self, uow: UnitOfWork, tenant: TenantId, token: str) -> Survey:
        found: Sequence[Survey] = ()
        if token and len(token) <= 100:
            found = uow.relations.surveys.where(tenant, token_hash=token_hash(token))
        if not found or found[0].expires_at <= self._clock.now():
            raise NotFound("this link does not lead to an open question")
        return found[0]

    def _call_back(self, survey: Survey, now: datetime) -> Task:
        return Task(
            tenant=survey.tenant,
            task_id=0,
            kind="survey_call_back",
            subject=f"survey:{survey.survey_id}",
            period="once",
            customer_id=survey.customer_id,
            due_at=now + self._policy.relations.surveys.call_back_within,
            created_at=now,
            role=Role.SUPERVISOR.value,
            detail={
                "satisfaction": str(survey.satisfaction),
                "asked": survey.subject,
                "comment": survey.comment[:200],
            },
        )

    def _today(self, instant: datetime) -> date:
        return local_day(instant, self._policy.sla.calendar.time_zone)


def token_hash(token: str) -> str:
    """Return the form in which the key of a link is stored."""
    return hashlib.sha256(token.encode()).hexdigest()


def _disagreements(survey: Survey, truth: Truth | None) -> tuple[str, ...]:
    """Return which answers the measurements contradict: said yes though one failed, or no though none did."""
    if truth is None:
        return ()
    said = (
        ("contacted", survey.contacted_in_time, truth.contacted),
        ("fixed", survey.fixed_first_time, truth.fixed),
    )
    return tuple(
        name
        for name, answer, share in said
        if answer is not None and share.of and answer != (share.met == share.of)
    )


def _row(axis: str, value: str, answers: list[int], below: int) -> ClassRow:
    mean = (Decimal(sum(answers)) / len(answers)).quantize(Decimal("0.1"))
    content = Share(sum(each >= below for each in answers), len(answers))
    return ClassRow(axis=axis, value=value, answers=len(answers), mean=mean, content=content)
