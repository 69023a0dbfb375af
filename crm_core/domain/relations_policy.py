"""The business figures of relations (`config/policy/relations.yaml`) as a frozen type.

Axes are an open list (requirement 104): a new axis, class or threshold is a line of the file, not of code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from crm_core.domain.errors import InvalidValue
from crm_core.domain.fleet import CustomerTier
from crm_core.domain.service import TicketLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One condition on a measure. `relation` is more_than, at_least, below, at_most, equals or top_share."""

    measure: str
    relation: str
    value: Decimal | str
    only_for: str | None = None  # person or company


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRule:
    """A class: any condition of `any_of` puts a customer in, any of `unless` keeps them out."""

    name: str
    any_of: tuple[Threshold, ...]
    unless: tuple[Threshold, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisRule:
    """One axis: its classes, highest first, and the one for everybody else (`unmeasured`: of whom nothing is known).

    `attribute` names a measure whose word is the class. A better class counts after `hold_up` of unbroken
    computation, a lesser one after `hold_down`.
    """

    name: str
    classes: tuple[ClassRule, ...] = ()
    default: str = "unknown"
    unmeasured: str | None = None
    attribute: str | None = None
    hold_up: timedelta = timedelta()
    hold_down: timedelta = timedelta()

    def rank(self, value: str) -> int:
        """Return the place of a class: 0 is the highest."""
        names = [rule.name for rule in self.classes]
        return names.index(value) if value in names else len(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What a class means for prices and tasks (requirement 103). `amount` is in the unit of the effect."""

    name: str
    axis: str
    value: str
    effect: str  # free_repair_labour, consumables_discount_percent, pm_plan, dedicated_person, loaner_priority, ...
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How often somebody speaks with customers of a tier, who does, and what a record must hold (44, 45, 101)."""

    role: str
    title: str  # specialist (one to one), senior_consultant, consultant, sales
    contacts: int
    period_months: int  # whole calendar months, counted from January
    warn_day: int  # day of the period on which a shortfall becomes a task
    visit_months: int | None
    required_fields: tuple[str, ...]
    head_review_months: int | None  # how often the head looks in (44: core, each quarter)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarePolicy:
    """Reminders, reviews, complaints (33, 34, 35, 46, 50, 88, 100, 109)."""

    record_within: timedelta
    renewal_months_before: int
    win_back_months: int
    win_back_percent: Decimal
    unmet_need_days_before: int
    rent_reminder_days_before: int
    file_review_months: int
    complaint_due: timedelta
    complaint_business_hours: bool
    hand_over_due: timedelta  # of the note to a new owner (44)
    offer_due: timedelta  # of a segment's offer (80)
    renewal_visit_due: timedelta  # to a customer who hesitates (34)
    repairs_within: timedelta  # so far back the faults of a device count as frequent or not (55)
    class_task_due: timedelta  # of what a class brings, at most (103)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoyaltyPolicy:
    """Points and coupons (29, 30, 31)."""

    points_per_yuan: Decimal
    point_value: Decimal
    points_per_empty: int
    referral_coupon: Decimal
    coupon_valid_months: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyPolicy:
    """The monthly survey and the rating of visits (26, 27, 107)."""

    call_back_below: int
    call_back_within: timedelta
    contacted_within: timedelta
    link_valid: timedelta
    rate_back: timedelta  # a visit that ended longer ago is not asked about any more


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerReport:
    """What a customer may say is wrong: the category of the ticket, and the level that helps first (22 to 24)."""

    category: str
    level: TicketLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomePolicy:
    """The figures to beat against a baseline month (92, 105), each as the change that is wanted."""

    targets: Mapping[str, Decimal]
    renewed_within: timedelta  # a contract that begins so soon after another one's end renews it
    market_devices: int  # rented devices in the firm's market; 0: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A named set of customers by their classes: all of `classes` must hold, each one of several values."""

    name: str
    classes: Mapping[str, tuple[str, ...]]
    offer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationsPolicy:
    """Customer relations: classes with reasons, contacts, tasks, complaints, surveys, loyalty."""

    axes: tuple[AxisRule, ...]
    equipment_categories: frozenset[str]  # of tickets that count as repairs (55)
    user_damage: str  # the confirmed cause that does not
    treatments: tuple[Treatment, ...]
    cadence: Mapping[CustomerTier, Cadence]
    care: CarePolicy
    loyalty: LoyaltyPolicy
    surveys: SurveyPolicy
    reports: Mapping[str, CustomerReport]
    outcomes: OutcomePolicy
    segments: tuple[Segment, ...]

    def axis(self, name: str) -> AxisRule:
        """Return the axis of that name; `InvalidValue` names the known ones."""
        found = next((axis for axis in self.axes if axis.name == name), None)
        if found is None:
            raise InvalidValue(f"no axis {name!r}; there are: {', '.join(axis.name for axis in self.axes)}")
        return found

    def with_threshold(self, key: str, value: Decimal) -> "RelationsPolicy":
        """Return the policy with one threshold changed; `key` is axis.class.measure, as in repair.frequent.tickets_90d.

        For the dry run of requirement 58; an unknown key is an `InvalidValue` that lists the axis' thresholds.
        """
        name = key.partition(".")[0]
        axis = self.axis(name)
        known = {f"{name}.{rule.name}.{each.measure}" for rule in axis.classes for each in rule.any_of}
        if key not in known:
            raise InvalidValue(f"no threshold {key!r}; axis {name} has: {', '.join(sorted(known))}")
        _, class_name, measure = key.split(".", 2)
        classes = tuple(
            rule if rule.name != class_name else replace(rule, any_of=_changed(rule.any_of, measure, value))
            for rule in axis.classes
        )
        changed = replace(axis, classes=classes)
        return replace(self, axes=tuple(changed if each.name == name else each for each in self.axes))


def _changed(any_of: tuple[Threshold, ...], measure: str, value: Decimal) -> tuple[Threshold, ...]:
    return tuple(replace(each, value=value) if each.measure == measure else each for each in any_of)
