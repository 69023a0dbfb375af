"""Reads the figures of credit and recommendation from `config/policy/credit.yaml`, checked for type and range."""

from decimal import Decimal, InvalidOperation

from config.policy_taker import Taker
from crm_core.domain.credit_policy import (
    CreditFactor,
    CreditPolicy,
    IndustryNeed,
    RecommendationPolicy,
)
from crm_core.domain.errors import InvalidConfiguration


def credit_policy(take: Taker) -> CreditPolicy:
    """Return the figures of credit; raise `InvalidConfiguration` naming the key of a missing or impossible one."""
    policy = CreditPolicy(
        base_score=take.whole("credit.score.base", most=1000),
        factors=tuple(_factor(take, name) for name in take.names_under("credit.factors")),
        risk_below=take.whole("credit.score.risk_below", most=1000),
        good_from=take.whole("credit.score.good_from", most=1000),
        valid_for=take.duration("credit.score.valid_for"),
        start_up_years=take.whole("credit.score.start_up_years", most=50),
        deposit_share=take.decimal("credit.deposit.usual_share", most=1),
        risk_deposit_share=take.decimal("credit.deposit.risk_share", most=1),
        good_deposit_share=take.decimal("credit.deposit.good_share", most=1),
        deposit_floor_share=take.decimal("credit.deposit.floor_share", most=1),
        risk_asks_deposit=take.flag("credit.risk.asks_deposit"),
        risk_asks_monthly_payment=take.flag("credit.risk.asks_monthly_payment"),
        usual_payment_months=take.whole("credit.risk.usual_payment_months", least=1, most=12),
        guarantor_needed=take.flag("credit.person.guarantor_needed"),
    )
    if not (policy.risk_asks_deposit or policy.risk_asks_monthly_payment):
        raise InvalidConfiguration("credit.risk: asks_deposit or asks_monthly_payment must be true (19)")
    if policy.good_from < policy.risk_below:
        raise InvalidConfiguration("credit.score: good_from must not be below risk_below")
    return policy


def recommendation_policy(take: Taker) -> RecommendationPolicy:
    """Return the figures by which models are ranked."""
    table = "credit.recommendation"
    return RecommendationPolicy(
        industries=tuple(_industry(take, name) for name in take.names_under(f"{table}.industries")),
        need_weight=take.decimal(f"{table}.need_weight", most=1000),
        prefer_weight=take.decimal(f"{table}.prefer_weight", most=1000),
        fit_weight=take.decimal(f"{table}.fit_weight", most=1000),
        volume_tolerance=take.decimal(f"{table}.volume_tolerance", least=1, most=100),
        monthly_share=take.decimal(f"{table}.monthly_share", most=1),
    )


def _factor(take: Taker, name: str) -> CreditFactor:
    table = f"credit.factors.{name}"
    kinds = tuple(take.text(f"{table}.kinds").split())
    if not kinds or set(kinds) - {"company", "person"}:
        raise InvalidConfiguration(f"{table}.kinds must be company, person or both")
    steps = tuple(_pair(f"{table}.steps", part) for part in take.text(f"{table}.steps").split())
    if [least for least, _ in steps] != sorted((least for least, _ in steps), reverse=True):
        raise InvalidConfiguration(f"{table}.steps must go from the highest value to the lowest")
    return CreditFactor(
        name=name,
        fact=take.text(f"{table}.fact"),
        kinds=kinds,
        steps=tuple((least, int(points)) for least, points in steps),
    )


def _industry(take: Taker, name: str) -> IndustryNeed:
    table = f"credit.recommendation.industries.{name}"
    given = {each: take.text(f"{table}.{each}") for each in take.names_under(table)}
    unknown = given.keys() - {"must", "warn", "prefer", "task"}
    if unknown:
        raise InvalidConfiguration(f"{table} may hold must, warn, prefer and task, not {', '.join(unknown)}")
    return IndustryNeed(
        industry=name,
        must=dict(_named(f"{table}.must", part) for part in given.get("must", "").split()),
        warn=tuple(given.get("warn", "").split()),
        prefer=tuple(given.get("prefer", "").split()),
        task=given.get("task", ""),
    )


def _named(key: str, part: str) -> tuple[str, Decimal]:
    name, _, value = part.partition(":")
    return name, _number(key, value)


def _pair(key: str, part: str) -> tuple[Decimal, Decimal]:
    least, _, points = part.partition(":")
    return _number(key, least), _number(key, points)


def _number(key: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise InvalidConfiguration(f"{key}: {text!r} is not a number") from None
    if not number.is_finite():
        raise InvalidConfiguration(f"{key}: {text!r} is not a number")
    return number
