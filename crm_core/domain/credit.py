"""Credit assessments, and the way from a rental request over a proposal to the draft of a contract."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from crm_core.domain.identity import ContractId, CustomerId, ModelId, TenantId
from crm_core.domain.service import SlaClock


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredFactor:
    """What one fact of the file adds to the score."""

    name: str
    value: str
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditAssessment:
    """A score with its factors and what it asks for (17-19, 84); `deposit_share` is of the device value.

    `credit_class` is good, normal or risk. `missing` names what a contract still needs (guarantor): until it is
    there the contract stays a draft.
    """

    tenant: TenantId
    assessment_id: int
    customer_id: CustomerId
    score: int
    credit_class: str
    start_up: bool
    factors: tuple[ScoredFactor, ...]
    deposit_share: Decimal
    payment_months: int
    reasons: tuple[str, ...]
    missing: tuple[str, ...]
    assessed_at: datetime
    assessor: str
    valid_until: date
    policy_version: str
    note: str = ""
    version: int = 1

    @property
    def complete(self) -> bool:
        """True if a contract may become active on this assessment."""
        return not self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One reason of a recommendation: `kind` is meets, misses, prefers, warns, refuses, fits or far."""

    kind: str
    feature: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One model as an answer to a request: points with reasons; a refused one is shown with why."""

    model_id: ModelId
    name: str
    points: Decimal
    refused: bool
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What is offered: a model, its number, the money, and the ranking that it came from."""

    made_at: datetime
    made_by: str
    model_id: ModelId
    plan_id: str
    plan_edition: int
    quantity: int
    months: int
    starts_on: date
    device_value: Decimal  # list value of one device, yuan
    monthly_rent: Decimal  # of one device
    deposit: Decimal  # of all devices
    payment_months: int
    assessment_id: int
    ranking: tuple[Recommendation, ...]


class RequestState(StrEnum):
    """A request's way to a contract."""

    OPEN = "open"
    PROPOSED = "proposed"
    ACCEPTED = "accepted"  # a contract draft exists
    DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class RentalRequest:
    """What a customer asks for (7, 113): the questionnaire, its clock, the proposal and the contract that came of it.

    `needs` are features with their priority 1 (nice) to 3 (must have); pages are expected pages a month.
    """

    tenant: TenantId
    request_id: int
    customer_id: CustomerId
    raised_at: datetime
    raised_by: str
    pages_mono: int
    pages_colour: int
    quantity: int
    months: int
    needs: dict[str, int]
    clock: SlaClock
    industry: str | None = None
    agreed_on: date | None = None  # by when the need must be met (50)
    state: RequestState = RequestState.OPEN
    proposal: Proposal | None = None
    contract_id: ContractId | None = None
    decline_reason: str = ""
    note: str = ""
    warnings: tuple[str, ...] = field(default=())
    version: int = 1
