"""Daily care: contacts with customers are written down, tasks done, complaints led to their closing call.

A core customer's record needs content, needs and feedback (101); what is written down later than a day after is
accepted and marked late (46); a complaint without an action is not closed (72, 100).
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from crm_core.domain.customer_files import Channel
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.fleet import Customer, CustomerTier
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.relations import Complaint, ComplaintState, Interaction, Task, TaskState
from crm_core.domain.service import ClockKind, Role
from crm_core.domain.sla import Promise
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.periods import local_day, morning
from crm_core.sla import due_time

RENEWAL: Final = "renewal"
_OLDEST: Final = timedelta(days=3660)
#: How each kind of task may end; kinds that are not here end with any words or none.
OUTCOMES: Final[dict[str, tuple[str, ...]]] = {
    RENEWAL: ("renewed", "hesitating", "lost"),
    "win_back": ("won", "declined", "opted_out", "not_reached"),
}
LOSS_REASONS: Final = ("price", "service", "competitor", "no_need", "closed_down", "other")
#: Tasks that count only with words on what was agreed: an improvement action, a note that was read.
NEEDS_WORDS: Final = frozenset({"survey_call_back", "care_plan_task"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A contact as somebody states it."""

    customer_id: CustomerId
    channel: Channel
    at: datetime
    content: str
    needs: str = ""
    feedback: str = ""
    contact_id: int | None = None
    follow_up_on: date | None = None  # by when an unmet need was promised (50)


class CareDesk:
    """Contacts, tasks and complaints. Unknown ids raise `NotFound`, stale versions and forbidden ends `Conflict`."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy

    # --- contacts ---

    def record(self, tenant: TenantId, spoken: Spoken, *, by: str) -> Interaction:
        """Write a contact down; an agreed date for an unmet need becomes a reminder (50)."""
        now = self._clock.now()
        if not now - _OLDEST <= spoken.at <= now + timedelta(minutes=5):
            raise InvalidValue("a contact is written down after it took place, at most ten years later")
        with self._uow_factory() as uow:
            customer = uow.customers.get(tenant, spoken.customer_id)
            self._check_fields(customer.tier, spoken)
            if spoken.contact_id is not None:
                contact = uow.relations.contacts.get(tenant, spoken.contact_id)
                if contact.customer_id != spoken.customer_id:
                    raise InvalidValue(f"contact {spoken.contact_id} is not one of {spoken.customer_id}")
            made = uow.relations.interactions.add(
                Interaction(
                    tenant=tenant,
                    interaction_id=0,
                    customer_id=spoken.customer_id,
                    channel=spoken.channel,
                    at=spoken.at,
                    recorded_at=now,
                    recorded_by=by,
                    content=spoken.content.strip(),
                    needs=spoken.needs.strip(),
                    feedback=spoken.feedback.strip(),
                    contact_id=spoken.contact_id,
                    late=now - spoken.at > self._policy.relations.care.record_within,
                )
            )
            if spoken.follow_up_on is not None:
                self._remind_of_need(uow, customer, made, spoken.follow_up_on)
            uow.commit()
        return made

    def _check_fields(self, tier: CustomerTier, spoken: Spoken) -> None:
        given = {"content": spoken.content, "needs": spoken.needs, "feedback": spoken.feedback}
        required = self._policy.relations.cadence[tier].required_fields
        missing = [name for name in required if not given[name].strip()]
        if missing:
            raise InvalidValue(f"a contact with a {tier.value} customer needs {', '.join(missing)}")

    def _remind_of_need(self, uow: UnitOfWork, customer: Customer, spoken: Interaction, agreed: date) -> None:
        task = unmet_need(
            self._policy, customer, f"interaction:{spoken.interaction_id}", agreed, spoken.recorded_at
        )
        uow.relations.tasks.add_once(replace(task, detail=task.detail | {"need": spoken.needs[:200]}))

    # --- tasks ---

    def finish(
        self,
        tenant: TenantId,
        task_id: int,
        *,
        by: str,
        outcome: str = "",
        reason: str = "",
        note: str = "",
        expected_version: int | None = None,
    ) -> Task:
        """Finish a task. A renewal is renewed, hesitating (a visit follows) or lost, and lost only with a reason (34)."""
        now = self._clock.now()
        with self._uow_factory() as uow:
            task = uow.relations.tasks.get(tenant, task_id)
            if expected_version is not None and task.version != expected_version:
                raise Conflict(f"task {task_id} was changed meanwhile; read it again")
            if task.state is not TaskState.OPEN:
                raise Conflict(f"task {task_id} is {task.state} already")
            words = _ending(task, outcome, reason, note)
            done = replace(task, state=TaskState.DONE, done_at=now, done_by=by, outcome=words)
            saved = uow.relations.tasks.save(done)
            if task.kind == RENEWAL and outcome == "hesitating":
                uow.relations.tasks.add_once(self._loss_visit(task, now))
            if task.kind == "win_back" and outcome in ("won", "opted_out"):
                drop_tasks(uow, tenant, "win_back", task.subject, now, outcome)
            uow.commit()
        return saved

    def _loss_visit(self, renewal: Task, now: datetime) -> Task:
        """Return the visit to a customer who hesitates to renew (34): it must end with a reason."""
        return replace(
            renewal,
            task_id=0,
            kind="renewal_visit",
            due_at=now + self._policy.relations.care.renewal_visit_due,
            created_at=now,
            role=Role.SPECIALIST.value,
            state=TaskState.OPEN,
            version=1,
        )

    # --- complaints ---

    def complain(
        self,
        tenant: TenantId,
        customer_id: CustomerId,
        *,
        subject: str,
        text: str,
        channel: Channel,
        ticket_id: int | None = None,
    ) -> Complaint:
        """Raise a complaint: it has an owner and a due time from its first moment (100)."""
        now = self._clock.now()
        if not subject.strip():
            raise InvalidValue("a complaint needs a subject")
        care = self._policy.relations.care
        promise = Promise(
            kind=ClockKind.CALL_BACK,
            duration=care.complaint_due,
            business_hours=care.complaint_business_hours,
        )
        due = due_time(self._policy.sla.calendar, now, promise)
        with self._uow_factory() as uow:
            customer = uow.customers.get(tenant, customer_id)
            made = uow.relations.complaints.add(
                Complaint(
                    tenant=tenant,
                    complaint_id=0,
                    customer_id=customer_id,
                    subject=subject.strip(),
                    text=text.strip(),
                    channel=channel,
                    raised_at=now,
                    due_at=due.due_at,
                    due_reason="; ".join((due.explanation, *due.parts)),
                    owner=customer.owner or Role.SUPERVISOR.value,
                    ticket_id=ticket_id,
                )
            )
            uow.relations.tasks.add_once(
                Task(
                    tenant=tenant,
                    task_id=0,
                    kind="complaint",
                    subject=f"complaint:{made.complaint_id}",
                    period="once",
                    customer_id=customer_id,
                    due_at=due.due_at,
                    created_at=now,
                    role=Role.SUPERVISOR.value if customer.owner is None else Role.SPECIALIST.value,
                    owner=customer.owner,
                    detail={"subject": made.subject},
                )
            )
            uow.commit()
        return made

    def act(
        self,
        tenant: TenantId,
        complaint_id: int,
        *,
        cause: str,
        action: str,
        action_owner: str,
        action_due: date,
        expected_version: int,
    ) -> Complaint:
        """Agree on what is improved, by whom and until when (72)."""
        if not (action.strip() and action_owner.strip()):
            raise InvalidValue("an action needs words and an owner")
        with self._uow_factory() as uow:
            known = _open_complaint(uow, tenant, complaint_id, expected_version)
            changed = replace(
                known,
                state=ComplaintState.ACTING,
                cause=cause.strip(),
                action=action.strip(),
                action_owner=action_owner.strip(),
                action_due=action_due,
            )
            saved = uow.relations.complaints.save(changed)
            uow.commit()
        return saved

    def close_complaint(
        self, tenant: TenantId, complaint_id: int, *, closing_call: str, by: str, expected_version: int
    ) -> Complaint:
        """Close after the call to the customer; `Conflict` without an action, `InvalidValue` without the call's words."""
        now = self._clock.now()
        with self._uow_factory() as uow:
            known = _open_complaint(uow, tenant, complaint_id, expected_version)
            if not known.action or known.action_due is None:
                raise Conflict(
                    "a complaint is closed only with an action, its owner and date; agree on one first"
                )
            if not closing_call.strip():
                raise InvalidValue("say what the customer answered in the closing call")
            closed = replace(
                known, state=ComplaintState.CLOSED, closed_at=now, closing_call=closing_call.strip()
            )
            saved = uow.relations.complaints.save(closed)
            for task in uow.relations.tasks.where(tenant, kind="complaint", state=TaskState.OPEN):
                if task.subject == f"complaint:{complaint_id}":
                    done = replace(task, state=TaskState.DONE, done_at=now, done_by=by, outcome="closed")
                    uow.relations.tasks.save(done)
            uow.commit()
        return saved


def unmet_need(policy: PolicyBook, customer: Customer, subject: str, agreed: date, now: datetime) -> Task:
    """Return the reminder of a need that was promised for a day: some days before it (50); a past day is refused."""
    zone = policy.sla.calendar.time_zone
    today = local_day(now, zone)
    if not today <= agreed <= today + _OLDEST:
        raise InvalidValue("a promise is for today or a day of the next ten years")
    day = agreed - timedelta(days=policy.relations.care.unmet_need_days_before)
    return Task(
        tenant=customer.tenant,
        task_id=0,
        kind="unmet_need",
        subject=subject,
        period=agreed.isoformat(),
        customer_id=customer.customer_id,
        due_at=morning(max(day, today), zone),
        created_at=now,
        role=policy.relations.cadence[customer.tier].role,
        owner=customer.owner,
        detail={"agreed_on": agreed.isoformat()},
    )


def drop_tasks(uow: UnitOfWork, tenant: TenantId, kind: str, subject: str, now: datetime, why: str) -> int:
    """Drop the open tasks of a kind about a subject that are no longer needed; return how many."""
    found = uow.relations.tasks.where(tenant, kind=kind, subject=subject, state=TaskState.OPEN)
    for task in found:
        uow.relations.tasks.save(
            replace(task, state=TaskState.DROPPED, done_at=now, done_by="drumbeat", outcome=why)
        )
    return len(found)


def _ending(task: Task, outcome: str, reason: str, note: str) -> str:
    """Return the words that a task ends with, or refuse an end that its kind does not allow."""
    allowed = OUTCOMES.get(task.kind)
    if allowed is not None and outcome not in allowed:
        raise InvalidValue(f"a task of kind {task.kind} ends with one of {', '.join(allowed)}")
    lost = task.kind == RENEWAL and outcome == "lost"
    if (lost or task.kind == "renewal_visit") and reason not in LOSS_REASONS:
        raise Conflict(f"say why: {', '.join(LOSS_REASONS)}")
    if task.kind in NEEDS_WORDS and not note.strip():
        raise InvalidValue("say what was agreed to improve")
    return ": ".join(part for part in (outcome, reason, note.strip()) if part)[:500]


def _open_complaint(uow: UnitOfWork, tenant: TenantId, complaint_id: int, expected: int) -> Complaint:
    known = uow.relations.complaints.get(tenant, complaint_id)
    if known.version != expected:
        raise Conflict(f"complaint {complaint_id} was changed meanwhile; read it again")
    if known.state is ComplaintState.CLOSED:
        raise Conflict(f"complaint {complaint_id} is closed already; raise a new one")
    return known
