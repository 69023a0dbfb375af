"""Bodies of care: contacts with customers, tasks, complaints, points, satisfaction, scorecards, outcome figures."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.base import Input, Instant, LongText, Output, ShortText
from api.schemas.customers import ChannelName, Day
from crm_core.domain.customer_files import Channel
from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import CustomerId
from crm_core.relations.care import Spoken
from crm_core.relations.class_report import ClassFigures
from crm_core.relations.measured import Measured
from crm_core.relations.outcomes import OutcomeFigure
from crm_core.relations.scorecards import Scorecard
from crm_core.relations.surveys import ClassRow, Compared
from crm_core.relations.truth import Share

Number = Annotated[int, Field(ge=1, le=2**53)]
Moment = Annotated[datetime, Field(strict=False)]


class InteractionInput(Input):
    """A contact that took place. For core customers content, needs and feedback are all needed."""

    channel: ChannelName
    at: Moment
    content: LongText
    needs: LongText = ""
    feedback: LongText = ""
    contact_id: Number | None = None
    follow_up_on: Day | None = None

    def spoken(self, customer_id: str) -> Spoken:
        """Return the contact as the desk takes it."""
        if self.at.tzinfo is None:
            raise InvalidValue("at needs a time zone, as 2026-11-22T09:00:00Z")
        return Spoken(
            customer_id=CustomerId(customer_id),
            channel=Channel(self.channel),
            at=self.at,
            content=self.content,
            needs=self.needs,
            feedback=self.feedback,
            contact_id=self.contact_id,
            follow_up_on=self.follow_up_on,
        )


class InteractionBody(Output):
    """A contact as written down; `late`: more than a day after it took place."""

    interaction_id: int
    customer_id: str
    channel: str
    at: Instant
    recorded_at: Instant
    recorded_by: str
    content: str
    needs: str
    feedback: str
    contact_id: int | None
    late: bool


class TaskBody(Output):
    """Something to do for a customer."""

    task_id: int
    kind: str
    subject: str
    period: str
    customer_id: str
    due_at: Instant
    created_at: Instant
    role: str
    owner: str | None
    detail: dict[str, str]
    state: str
    done_at: Instant | None
    done_by: str | None
    outcome: str
    version: int


class FinishInput(Input):
    """How a task ended. Renewals: renewed, hesitating or lost (with a reason); win-back: won, declined, opted_out, not_reached."""

    outcome: Annotated[str, Field(max_length=32, pattern=r"^[a-z_]*$")] = ""
    reason: Annotated[str, Field(max_length=32, pattern=r"^[a-z_]*$")] = ""
    note: LongText = ""


class ComplaintInput(Input):
    """What a customer is not content with."""

    subject: ShortText
    text: LongText
    channel: ChannelName = "phone"
    ticket_id: Number | None = None


class MyComplaintInput(Input):
    """A complaint from the customer's own page."""

    subject: ShortText
    text: LongText


class ActionInput(Input):
    """What is improved, by whom and until when."""

    cause: LongText = ""
    action: Annotated[str, Field(min_length=1, max_length=2000)]
    action_owner: ShortText
    action_due: Day


class ClosingInput(Input):
    """What the customer said in the closing call."""

    closing_call: Annotated[str, Field(min_length=1, max_length=2000)]


class ComplaintBody(Output):
    """A complaint with its clock and its action."""

    complaint_id: int
    customer_id: str
    subject: str
    text: str
    channel: str
    raised_at: Instant
    due_at: Instant
    due_reason: str
    owner: str
    state: str
    ticket_id: int | None
    cause: str
    action: str
    action_owner: str
    action_due: date | None
    closed_at: Instant | None
    closing_call: str
    version: int


class EmptiesInput(Input):
    """Codes of empty cartridges that were taken back, and the visit."""

    codes: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=80)]], Field(min_length=1, max_length=50)
    ]
    visit: ShortText


class EntryBody(Output):
    """A movement of points."""

    entry_id: int
    at: Instant
    points: int
    reason: str
    evidence: str
    note: str


class CouponBody(Output):
    """Money or percent off an invoice."""

    coupon_id: int
    origin: str
    amount: Decimal
    percent: Decimal
    issued_on: date
    valid_until: date
    redeemed_at: Instant | None
    redeemed_on: str | None


class PointsBody(Output):
    """Points of a customer: the balance is the sum of the entries; `worth` in yuan."""

    balance: int
    worth: Decimal
    entries: list[EntryBody]
    coupons: list[CouponBody]


class ShareBody(Output):
    """So many of so many, in percent, with the 95 % Wilson interval."""

    met: int
    of: int
    percent: Decimal | None
    low: Decimal | None
    high: Decimal | None

    @classmethod
    def of_share(cls, share: Share) -> "ShareBody":
        low, high = share.interval or (None, None)
        return cls(met=share.met, of=share.of, percent=share.percent, low=low, high=high)


class SatisfactionRow(Output):
    """Satisfaction of one class: answers, mean, share of content customers."""

    axis: str
    value: str
    answers: int
    mean: Decimal
    content: ShareBody

    @classmethod
    def of(cls, row: ClassRow) -> "SatisfactionRow":
        return cls(
            axis=row.axis,
            value=row.value,
            answers=row.answers,
            mean=row.mean,
            content=ShareBody.of_share(row.content),
        )


class AnswerRow(Output):
    """An answer beside what was measured in its month."""

    customer_id: str
    satisfaction: int | None
    contacted_in_time: bool | None
    fixed_first_time: bool | None
    comment: str
    measured_contacted: ShareBody | None
    measured_fixed: ShareBody | None
    disagrees: list[str]

    @classmethod
    def of(cls, row: Compared) -> "AnswerRow":
        truth = row.truth
        return cls(
            customer_id=row.survey.customer_id,
            satisfaction=row.survey.satisfaction,
            contacted_in_time=row.survey.contacted_in_time,
            fixed_first_time=row.survey.fixed_first_time,
            comment=row.survey.comment,
            measured_contacted=ShareBody.of_share(truth.contacted) if truth else None,
            measured_fixed=ShareBody.of_share(truth.fixed) if truth else None,
            disagrees=list(row.disagrees),
        )


class ClassFiguresBody(Output):
    """One class of an axis: customers, leads won, customers served today, invoiced of a year."""

    value: str
    customers: int
    won: ShareBody
    served: int
    invoiced: Decimal

    @classmethod
    def of(cls, row: ClassFigures) -> "ClassFiguresBody":
        return cls(
            value=row.value,
            customers=row.customers,
            won=ShareBody.of_share(row.won),
            served=row.served,
            invoiced=row.invoiced,
        )


class MeasuredBody(Output):
    """A value with what it rests on: how many were counted, and the 95 % interval of a sample (null: counted whole)."""

    value: Decimal
    counted: int
    low: Decimal | None
    high: Decimal | None

    @classmethod
    def of(cls, found: Measured | None) -> "MeasuredBody | None":
        """Return the body, null where nothing can be said."""
        if found is None:
            return None
        low, high = found.interval or (None, None)
        return cls(value=found.value, counted=found.counted, low=low, high=high)


class FigureBody(Output):
    """An outcome figure beside its baseline month."""

    name: str
    unit: str
    now: MeasuredBody | None
    baseline: MeasuredBody | None
    change_percent: Decimal | None
    wanted: Decimal
    reached: bool | None

    @classmethod
    def of(cls, figure: OutcomeFigure) -> "FigureBody":
        return cls(
            name=figure.name,
            unit=figure.unit,
            now=MeasuredBody.of(figure.now),
            baseline=MeasuredBody.of(figure.before),
            change_percent=figure.change_percent,
            wanted=figure.wanted,
            reached=figure.reached,
        )


class ScorecardBody(Output):
    """One technician in one month."""

    technician_id: str
    name: str
    month: date
    repairs: int
    first_time_fix: ShareBody
    repeats: int
    pages_between_visits: int | None
    ratings: int
    mean_rating: Decimal | None
    training_minutes: int

    @classmethod
    def of(cls, row: Scorecard) -> "ScorecardBody":
        return cls(
            technician_id=row.technician_id,
            name=row.name,
            month=row.month,
            repairs=row.repairs,
            first_time_fix=ShareBody.of_share(row.first_time_fix),
            repeats=row.repeats,
            pages_between_visits=row.pages_between_visits,
            ratings=row.ratings,
            mean_rating=row.mean_rating,
            training_minutes=row.training_minutes,
        )


class TrainingInput(Input):
    """A training that was held; `person` is a technician's id or a user's name."""

    person: ShortText
    subject: ShortText
    held_on: Day
    minutes: Annotated[int, Field(ge=1, le=100_000)]
    result: Annotated[str, Field(max_length=128)] = ""


class TrainingBody(Output):
    """A training as written down."""

    training_id: int
    person: str
    subject: str
    held_on: date
    minutes: int
    recorded_by: str
    result: str


Month = Annotated[str, Field(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]
AxisName = Annotated[str, Field(max_length=64)]
ListFormat = Literal["json", "csv"]
