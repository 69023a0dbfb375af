"""Bodies of credit assessments and rental requests."""

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from api.schemas.base import Input, Instant, LongText, Name, Output, ShortText
from api.schemas.customers import Day
from crm_core.agreements.requests import Choice, Wish
from crm_core.domain.credit import CreditAssessment, Recommendation, RentalRequest
from crm_core.domain.identity import CustomerId, ModelId

Pages = Annotated[int, Field(ge=0, le=100_000_000)]
Rent = Annotated[Decimal, Field(strict=False, ge=0, le=10**7, decimal_places=2)]


class AssessmentInput(Input):
    """Assess now; a stated score is that of an agency and needs a note that names it."""

    stated_score: Annotated[int, Field(ge=0, le=1000)] | None = None
    note: LongText = ""


class FactorBody(Output):
    """What a fact adds to the score."""

    name: str
    value: str
    points: int


class AssessmentBody(Output):
    """A credit assessment with its reasons."""

    assessment_id: int
    customer_id: str
    score: int
    credit_class: str
    start_up: bool
    factors: list[FactorBody]
    deposit_share: Decimal
    payment_months: int
    reasons: list[str]
    missing: list[str]
    assessed_at: Instant
    assessor: str
    valid_until: date
    policy_version: str
    note: str

    @classmethod
    def of(cls, row: CreditAssessment) -> "AssessmentBody":
        return cls.model_validate(row)


class RequestInput(Input):
    """The questionnaire: pages a month of all devices, features with priority 1 to 3."""

    pages_mono: Pages
    pages_colour: Pages = 0
    quantity: Annotated[int, Field(ge=1, le=1000)] = 1
    months: Annotated[int, Field(ge=1, le=120)] = 36
    needs: dict[Annotated[str, Field(max_length=32)], Annotated[int, Field(ge=1, le=3)]] = Field(
        default_factory=dict, max_length=20
    )
    industry: ShortText | None = None
    agreed_on: Day | None = None
    note: LongText = ""

    def wish(self, customer_id: str) -> Wish:
        """Return the wish of the customer."""
        return Wish(customer_id=CustomerId(customer_id), **self.model_dump())


class ProposalInput(Input):
    """What is offered; without a model the best of the ranking, without a rent that of the plan."""

    plan_id: Name
    plan_edition: Annotated[int, Field(ge=1, le=10_000)] = 1
    starts_on: Day
    model_id: Name | None = None
    monthly_rent: Rent | None = None

    def choice(self) -> Choice:
        """Return the choice."""
        return Choice(
            plan_id=self.plan_id,
            plan_edition=self.plan_edition,
            starts_on=self.starts_on,
            model_id=ModelId(self.model_id) if self.model_id else None,
            monthly_rent=self.monthly_rent,
        )


class AcceptanceInput(Input):
    """The id that the contract's draft shall have."""

    contract_id: Name


class RemarkBody(Output):
    """One reason of a recommendation."""

    kind: str
    feature: str
    detail: str


class RecommendationBody(Output):
    """One model as an answer to a request."""

    model_id: str
    name: str
    points: Decimal
    refused: bool
    remarks: list[RemarkBody]

    @classmethod
    def of(cls, row: Recommendation) -> "RecommendationBody":
        return cls.model_validate(row)


class ProposalBody(Output):
    """An offer: rent of one device a month, deposit of all."""

    made_at: Instant
    made_by: str
    model_id: str
    plan_id: str
    plan_edition: int
    quantity: int
    months: int
    starts_on: date
    device_value: Decimal
    monthly_rent: Decimal
    deposit: Decimal
    payment_months: int
    assessment_id: int
    ranking: list[RecommendationBody]


class RequestBody(Output):
    """A rental request with its proposal clock."""

    request_id: int
    customer_id: str
    raised_at: Instant
    raised_by: str
    pages_mono: int
    pages_colour: int
    quantity: int
    months: int
    needs: dict[str, int]
    industry: str | None
    agreed_on: date | None
    state: str
    proposal_due_at: Instant
    proposal_due_reason: str
    proposed_at: Instant | None
    proposal: ProposalBody | None
    contract_id: str | None
    decline_reason: str
    warnings: list[str]
    note: str
    version: int

    @classmethod
    def of(cls, row: RentalRequest) -> "RequestBody":
        own = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        own |= {"warnings": list(row.warnings), "state": row.state.value}
        proposal = row.proposal and ProposalBody.model_validate(row.proposal)
        return cls(
            **own | {"proposal": proposal},
            proposal_due_at=row.clock.due_at,
            proposal_due_reason=row.clock.explanation,
            proposed_at=row.clock.met_at,
        )
