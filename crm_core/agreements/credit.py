"""Credit: a score from the file with the points of each fact, and what it means for deposit, payment and guarantee."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from crm_core.domain.credit import CreditAssessment, ScoredFactor
from crm_core.domain.credit_policy import CreditPolicy
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.fleet import Customer, CustomerKind
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.money_facts import CustomerMoney, MoneyFacts, signed_contracts, year_before
from crm_core.relations.periods import local_day

LEAST, MOST = 0, 1000


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a score asks for."""

    credit_class: str
    deposit_share: Decimal
    payment_months: int
    reasons: tuple[str, ...]


def consequence_of(score: int, start_up: bool, policy: CreditPolicy) -> Consequence:
    """Return deposit and payment for a score (19, 84): below 600 or a start-up is a risk; the floor is never crossed."""
    if score < policy.risk_below or start_up:
        reasons = (f"score {score} < {policy.risk_below}",) * (score < policy.risk_below)
        reasons += ("start_up",) * start_up
        share = policy.risk_deposit_share if policy.risk_asks_deposit else policy.deposit_share
        months = 1 if policy.risk_asks_monthly_payment else policy.usual_payment_months
        return Consequence("risk", share, months, reasons)
    if score >= policy.good_from:
        share = max(policy.good_deposit_share, policy.deposit_floor_share)
        reasons = (f"score {score} >= {policy.good_from}",)
        return Consequence("good", share, policy.usual_payment_months, reasons)
    reasons = (f"{policy.risk_below} <= score {score} < {policy.good_from}",)
    return Consequence("normal", policy.deposit_share, policy.usual_payment_months, reasons)


def score_of(
    kind: CustomerKind, facts: Mapping[str, Decimal], policy: CreditPolicy
) -> tuple[int, tuple[ScoredFactor, ...]]:
    """Return the score (0 to 1,000) and what each fact adds; facts that are not known add nothing."""
    factors = [ScoredFactor(name="base", value="", points=policy.base_score)]
    for factor in policy.factors:
        value = facts.get(factor.fact)
        if value is None or kind.value not in factor.kinds:
            continue
        points = next((points for least, points in factor.steps if value >= least), 0)
        factors.append(ScoredFactor(name=factor.name, value=f"{value:f}", points=points))
    score = sum(factor.points for factor in factors)
    return max(LEAST, min(MOST, score)), tuple(factors)


def is_start_up(customer: Customer, today: date, policy: CreditPolicy) -> bool:
    """Return True for a company that says so or was founded less than the policy's years ago."""
    held = customer.company
    if customer.kind is not CustomerKind.COMPANY or held is None:
        return False
    young = held.founded_year is not None and today.year - held.founded_year < policy.start_up_years
    return held.start_up or young


class CreditDesk:
    """Assesses customers and keeps every assessment; the newest valid one counts."""

    def __init__(
        self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook, money: MoneyFacts
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._money = money

    def assess(
        self,
        tenant: TenantId,
        customer_id: CustomerId,
        *,
        assessor: str,
        stated_score: int | None = None,
        note: str = "",
    ) -> CreditAssessment:
        """Assess a customer now; `stated_score` is that of an agency and replaces the own one, with a note where from."""
        if stated_score is not None and not (LEAST <= stated_score <= MOST and note.strip()):
            raise InvalidValue(f"a stated score is {LEAST} to {MOST} and needs a note that names its source")
        now = self._clock.now()
        today = local_day(now, self._policy.sla.calendar.time_zone)
        rules = self._policy.agreements.credit
        with self._uow_factory() as uow:
            customer = uow.customers.get(tenant, customer_id)
            score, factors = score_of(customer.kind, self._facts(uow, customer, today), rules)
            if stated_score is not None:
                score, factors = (
                    stated_score,
                    (
                        *factors,
                        ScoredFactor(name="stated", value=note.strip()[:200], points=stated_score - score),
                    ),
                )
            start_up = is_start_up(customer, today, rules)
            follows = consequence_of(score, start_up, rules)
            made = uow.agreements.assessments.add(
                CreditAssessment(
                    tenant=tenant,
                    assessment_id=0,
                    customer_id=customer_id,
                    score=score,
                    credit_class=follows.credit_class,
                    start_up=start_up,
                    factors=factors,
                    deposit_share=follows.deposit_share,
                    payment_months=follows.payment_months,
                    reasons=follows.reasons,
                    missing=missing_of(customer, rules),
                    assessed_at=now,
                    assessor=assessor,
                    valid_until=today + rules.valid_for,
                    policy_version=self._policy.version,
                    note=note.strip(),
                )
            )
            uow.commit()
        return made

    def _facts(self, uow: UnitOfWork, customer: Customer, today: date) -> dict[str, Decimal]:
        money = self._money.of_customers(uow, customer.tenant, year_before(today), today)
        own = money.get(customer.customer_id, CustomerMoney())
        held = customer.company or customer.person
        facts: dict[str, Decimal] = {}
        starts = [
            each.starts_on
            for each in signed_contracts(uow, customer.tenant)
            if each.customer_id == customer.customer_id and each.starts_on <= today
        ]
        if starts:
            since = max(min(starts), own.last_bad_on or date.min)
            facts["clean_years"] = (Decimal((today - since).days) / Decimal("365.25")).quantize(
                Decimal("0.01")
            )
        if held is not None:
            bad = held.past_defaults + own.bad_records
            facts |= {"past_defaults": Decimal(bad), "no_defaults": Decimal(bad == 0)}
        if customer.company is not None:
            if customer.company.founded_year is not None:
                facts["years_in_business"] = Decimal(max(today.year - customer.company.founded_year, 0))
            if customer.company.registered_capital is not None:
                facts["registered_capital"] = Decimal(customer.company.registered_capital)
        if customer.person is not None:
            facts["proof_of_work"] = Decimal(customer.person.proof_of_work)
            facts["guarantor"] = Decimal(bool(customer.person.guarantor_name))
        return facts


def missing_of(customer: Customer, policy: CreditPolicy) -> tuple[str, ...]:
    """Return what a contract of this customer still needs before it may be offered (18)."""
    person = customer.kind is CustomerKind.PERSON
    guarantor = customer.person is not None and bool((customer.person.guarantor_name or "").strip())
    return ("guarantor",) if person and policy.guarantor_needed and not guarantor else ()


def valid_assessment(
    uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId, today: date
) -> CreditAssessment | None:
    """Return the newest assessment that still holds, or None."""
    rows = uow.agreements.assessments.where(tenant, customer_id=customer_id, limit=20)
    return next((row for row in rows if row.valid_until >= today), None)


def needed_assessment(
    uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId, today: date
) -> CreditAssessment:
    """Return the newest valid assessment, or raise `Conflict` that says what to do first."""
    found = valid_assessment(uow, tenant, customer_id, today)
    if found is None:
        raise Conflict(f"customer {customer_id} has no valid credit assessment; assess the customer first")
    return found
