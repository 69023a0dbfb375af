"""Reads the figures of relations from `config/policy/relations.yaml`, checked for type and range."""

from datetime import timedelta
from decimal import Decimal
from typing import Final

from config.policy_taker import Taker
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.fleet import CustomerTier
from crm_core.domain.relations_policy import (
    AxisRule,
    Cadence,
    CarePolicy,
    ClassRule,
    CustomerReport,
    LoyaltyPolicy,
    OutcomePolicy,
    RelationsPolicy,
    Segment,
    SurveyPolicy,
    Threshold,
    Treatment,
)
from crm_core.domain.service import TicketLevel

RELATIONS: Final = ("more_than", "at_least", "below", "at_most", "equals", "top_share")


def relations_policy(take: Taker) -> RelationsPolicy:
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    axes = tuple(_axis(take, name) for name in take.names_under("relations.axes"))
    names = {axis.name for axis in axes}
    if not {"tier", "volume", "loyalty", "credit", "repair"} <= names:
        raise InvalidConfiguration("relations.axes: tier, volume, loyalty, credit and repair must be there")
    tier = next(axis for axis in axes if axis.name == "tier")
    unknown = ({rule.name for rule in tier.classes} | {tier.default}) ^ {each.value for each in CustomerTier}
    if unknown:
        raise InvalidConfiguration(f"relations.axes.tier: classes must be exactly {', '.join(CustomerTier)}")
    return RelationsPolicy(
        axes=axes,
        equipment_categories=frozenset(take.text("relations.repairs.equipment_categories").split()),
        user_damage=take.text("relations.repairs.user_damage"),
        treatments=tuple(_treatment(take, name, names) for name in take.names_under("relations.treatments")),
        cadence={tier: _cadence(take, f"relations.cadence.{tier.value}") for tier in CustomerTier},
        care=_care(take),
        loyalty=_loyalty(take),
        surveys=SurveyPolicy(
            call_back_below=take.whole("relations.surveys.call_back_below", most=100),
            call_back_within=take.duration("relations.surveys.call_back_within"),
            contacted_within=take.duration("relations.surveys.contacted_within"),
            link_valid=take.duration("relations.surveys.link_valid"),
            rate_back=take.duration("relations.surveys.rate_back"),
        ),
        reports={name: _report(take, name) for name in take.names_under("relations.reports")},
        outcomes=OutcomePolicy(
            targets={
                name: take.decimal(f"relations.outcomes.{name}", least=-1000, most=1000)
                for name in take.names_under("relations.outcomes")
            },
            renewed_within=take.duration("relations.outcome_terms.renewed_within"),
            market_devices=take.whole("relations.outcome_terms.market_devices", most=10**9),
        ),
        segments=tuple(_segment(take, name, names) for name in take.names_under("relations.segments")),
    )


def _axis(take: Taker, name: str) -> AxisRule:
    table = f"relations.axes.{name}"
    if "attribute" in take.names_under(table):
        return AxisRule(name=name, attribute=take.text(f"{table}.attribute"))
    return AxisRule(
        name=name,
        default=take.text(f"{table}.default"),
        unmeasured=(take.text(f"{table}.unmeasured") if "unmeasured" in take.names_under(table) else None),
        hold_up=take.duration(f"{table}.hold_up"),
        hold_down=take.duration(f"{table}.hold_down"),
        classes=tuple(
            ClassRule(
                name=each,
                any_of=_conditions(take, f"{table}.classes.{each}.any"),
                unless=_conditions(take, f"{table}.classes.{each}.unless"),
            )
            for each in take.names_under(f"{table}.classes")
        ),
    )


def _conditions(take: Taker, table: str) -> tuple[Threshold, ...]:
    found = []
    for measure in take.names_under(table):
        parts = take.names_under(f"{table}.{measure}")
        relations = [part for part in parts if part in RELATIONS]
        if len(relations) != 1 or set(parts) - {*RELATIONS, "only_for"}:
            raise InvalidConfiguration(
                f"{table}.{measure} needs exactly one of {', '.join(RELATIONS)} (and only_for, if anything)"
            )
        key = f"{table}.{measure}.{relations[0]}"
        value: Decimal | str = (
            take.text(key) if relations[0] == "equals" else take.decimal(key, least=-1e9, most=1e9)
        )
        only_for = take.text(f"{table}.{measure}.only_for") if "only_for" in parts else None
        if only_for not in (None, "person", "company"):
            raise InvalidConfiguration(f"{table}.{measure}.only_for must be person or company")
        found.append(Threshold(measure=measure, relation=relations[0], value=value, only_for=only_for))
    return tuple(found)


def _treatment(take: Taker, name: str, axes: set[str]) -> Treatment:
    table = f"relations.treatments.{name}"
    rule = take.text(f"{table}.rule")
    axis, equals, value = rule.partition("=")
    if not equals or axis not in axes:
        raise InvalidConfiguration(f"{table}.rule must be axis=class with a known axis, not {rule!r}")
    return Treatment(
        name=name,
        axis=axis,
        value=value,
        effect=take.text(f"{table}.effect"),
        amount=take.decimal(f"{table}.amount"),
    )


def _cadence(take: Taker, table: str) -> Cadence:
    fields = tuple(take.text(f"{table}.required_fields").split())
    if set(fields) - {"content", "needs", "feedback"}:
        raise InvalidConfiguration(f"{table}.required_fields may name content, needs and feedback")
    return Cadence(
        role=take.text(f"{table}.role"),
        title=take.text(f"{table}.title"),
        contacts=take.whole(f"{table}.contacts", least=1, most=100),
        period_months=take.whole(f"{table}.period", least=1, most=12),
        warn_day=take.whole(f"{table}.warn_day", least=1, most=366),
        visit_months=take.whole(f"{table}.visit_period", most=12) or None,
        required_fields=fields,
        head_review_months=take.whole(f"{table}.head_review", most=12) or None,
    )


def _days(take: Taker, key: str, *, least: int) -> int:
    days = take.duration(key) // timedelta(days=1)
    if days < least:
        raise InvalidConfiguration(f"{key} must be at least {least} days")
    return days


def _care(take: Taker) -> CarePolicy:
    table = "relations.care"
    return CarePolicy(
        record_within=take.duration(f"{table}.record_within"),
        renewal_months_before=take.whole(f"{table}.renewal_months_before", least=1, most=24),
        win_back_months=take.whole(f"{table}.win_back_months", most=24),
        win_back_percent=take.decimal(f"{table}.win_back_percent", most=100),
        unmet_need_days_before=_days(take, f"{table}.unmet_need_days_before", least=0),
        rent_reminder_days_before=_days(take, f"{table}.rent_reminder_days_before", least=0),
        file_review_months=take.whole(f"{table}.file_review_months", least=1, most=120),
        complaint_due=take.duration(f"{table}.complaint_due"),
        complaint_business_hours=take.flag(f"{table}.complaint_business_hours"),
        hand_over_due=take.duration(f"{table}.hand_over_due"),
        offer_due=take.duration(f"{table}.offer_due"),
        repairs_within=take.duration(f"{table}.repairs_within"),
        renewal_visit_due=take.duration(f"{table}.renewal_visit_due"),
        class_task_due=take.duration(f"{table}.class_task_due"),
    )


def _report(take: Taker, name: str) -> CustomerReport:
    key = f"relations.reports.{name}.level"
    level = take.text(key)
    if level not in {each.value for each in TicketLevel}:
        raise InvalidConfiguration(f"{key} must be {', '.join(TicketLevel)}, not {level!r}")
    return CustomerReport(category=take.text(f"relations.reports.{name}.category"), level=TicketLevel(level))


def _loyalty(take: Taker) -> LoyaltyPolicy:
    table = "relations.loyalty"
    return LoyaltyPolicy(
        points_per_yuan=take.decimal(f"{table}.points_per_yuan", most=1000),
        point_value=take.decimal(f"{table}.point_value", most=1000),
        points_per_empty=take.whole(f"{table}.points_per_empty", most=100_000),
        referral_coupon=take.decimal(f"{table}.referral_coupon"),
        coupon_valid_months=take.whole(f"{table}.coupon_valid_months", least=1, most=120),
    )


def _segment(take: Taker, name: str, axes: set[str]) -> Segment:
    table = f"relations.segments.{name}"
    classes = {}
    for part in take.text(f"{table}.rule").split():
        axis, equals, values = part.partition("=")
        if not equals or axis not in axes:
            raise InvalidConfiguration(f"{table}.rule: {part!r} must be axis=class or axis=class|class")
        classes[axis] = tuple(values.split("|"))
    return Segment(name=name, classes=classes, offer=take.text(f"{table}.offer"))
