"""Relations with customers: their classes with reasons and history, what was said, what is to be done, complaints."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from crm_core.domain.customer_files import Channel
from crm_core.domain.identity import CustomerId, TenantId

#: What a reason compares with: a number, or a word for measures that are words.
MeasureValue = Decimal | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a customer is in a class: one measure, how it compares, and what it was compared with."""

    measure: str
    value: str  # as text: a decimal number or a word
    relation: str  # more_than, at_least, below, at_most, equals, top_share, default, is
    threshold: str = ""
    basis: str = ""  # where the measure comes from: contract_rent, invoices, telemetry, file, ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerClass:
    """A customer's class on one axis, from one instant to another; None in `until` is the present one.

    `candidate` is a class that was computed lately but has not held long enough to count (anti-flapping).
    """

    tenant: TenantId
    class_id: int
    customer_id: CustomerId
    axis: str
    value: str
    reasons: tuple[Reason, ...]
    since: datetime
    until: datetime | None = None
    candidate: str | None = None
    candidate_since: datetime | None = None
    policy_version: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One contact with a customer (requirements 45, 46, 101); `late` when it was written down too late."""

    tenant: TenantId
    interaction_id: int
    customer_id: CustomerId
    channel: Channel
    at: datetime
    recorded_at: datetime
    recorded_by: str
    content: str
    needs: str = ""
    feedback: str = ""
    contact_id: int | None = None
    late: bool = False
    version: int = 1


class TaskState(StrEnum):
    """A task is open until somebody does it or it is no longer needed."""

    OPEN = "open"
    DONE = "done"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something that a role or person must do for a customer by a time; one for each (kind, subject, period)."""

    tenant: TenantId
    task_id: int
    kind: (
        str  # renewal, win_back, cadence, unmet_need, rent_due, file_review, survey_call_back, hand_over, ...
    )
    subject: str  # what it is about: customer:c1, contract:k1, complaint:7
    period: str  # what makes the repeat another task: 2026-11, 2027-05-31
    customer_id: CustomerId
    due_at: datetime
    created_at: datetime
    role: str  # who is to do it: customer_specialist, supervisor, manager, ...
    owner: str | None = None  # name of the user, when it is somebody's own
    detail: dict[str, str] = field(default_factory=dict)
    state: TaskState = TaskState.OPEN
    done_at: datetime | None = None
    done_by: str | None = None
    outcome: str = ""
    version: int = 1


class ComplaintState(StrEnum):
    """A complaint's way: raised, an action agreed, closed by a call to the customer."""

    OPEN = "open"
    ACTING = "acting"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What a customer is not content with (requirements 72, 100): owner, clock, action and closing call."""

    tenant: TenantId
    complaint_id: int
    customer_id: CustomerId
    subject: str
    text: str
    channel: Channel
    raised_at: datetime
    due_at: datetime
    due_reason: str
    owner: str
    state: ComplaintState = ComplaintState.OPEN
    ticket_id: int | None = None
    cause: str = ""
    action: str = ""
    action_owner: str = ""
    action_due: date | None = None
    closed_at: datetime | None = None
    closing_call: str = ""  # what the customer said when called at the end
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """Changes to a customer's file that somebody proposed, to be accepted or refused (requirement 109)."""

    tenant: TenantId
    change_id: int
    customer_id: CustomerId
    proposed_at: datetime
    proposed_by: str
    changes: dict[str, str]
    state: str = "proposed"  # proposed, accepted, refused
    decided_at: datetime | None = None
    decided_by: str | None = None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training of a technician or user (requirements 71, 114)."""

    tenant: TenantId
    training_id: int
    person: str
    subject: str
    held_on: date
    minutes: int
    recorded_by: str
    result: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The monthly question of one customer (requirement 26) or the rating of one visit (107).

    `subject` is month:2026-10 or visit:42; one for each customer and subject. `token_hash` opens the answer page.
    Answers: satisfaction in percent, and what the customer says of the measured promises.
    """

    tenant: TenantId
    survey_id: int
    customer_id: CustomerId
    subject: str
    token_hash: str
    sent_at: datetime
    expires_at: datetime
    answered_at: datetime | None = None
    satisfaction: int | None = None
    contacted_in_time: bool | None = None
    fixed_first_time: bool | None = None
    comment: str = ""
    version: int = 1
