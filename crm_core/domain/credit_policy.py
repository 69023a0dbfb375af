"""The business figures of credit and requests (`config/policy/credit.yaml`) as a frozen type."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditFactor:
    """One factor of the score: points where a fact of the file reaches a level.

    `steps` are (least value, points), highest first; below all of them nothing is added.
    """

    name: str
    fact: str
    kinds: tuple[str, ...]  # company, person
    steps: tuple[tuple[Decimal, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditPolicy:
    """Score, its consequences for deposit and payment, and the guarantor rule (11, 17-19, 84)."""

    base_score: int
    factors: tuple[CreditFactor, ...]
    risk_below: int
    good_from: int
    deposit_share: Decimal
    risk_deposit_share: Decimal
    good_deposit_share: Decimal
    deposit_floor_share: Decimal
    risk_asks_deposit: bool
    risk_asks_monthly_payment: bool
    usual_payment_months: int
    valid_for: timedelta
    guarantor_needed: bool
    start_up_years: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndustryNeed:
    """What an industry asks of a device (4-6): `must` refuses, `warn` warns, `prefer` ranks."""

    industry: str
    must: Mapping[str, Decimal]
    warn: tuple[str, ...]
    prefer: tuple[str, ...]
    task: str = ""  # a recurring task that such a customer needs (116)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationPolicy:
    """How models are ranked for a request (4-7, 116)."""

    industries: tuple[IndustryNeed, ...]
    need_weight: Decimal  # points for each need of the questionnaire that a model meets, by its priority
    prefer_weight: Decimal
    fit_weight: Decimal  # points of a model whose usual volume is what is asked for
    volume_tolerance: Decimal  # a model whose usual volume is further off than this factor is refused
    monthly_share: Decimal  # monthly rent as a share of the list price, for the proposal
