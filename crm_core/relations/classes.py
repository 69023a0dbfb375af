"""The class of a customer on one axis, as a pure function of what was measured and of policy, with its reasons."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from crm_core.domain.fleet import CustomerKind
from crm_core.domain.identity import CustomerId
from crm_core.domain.relations import MeasureValue, Reason
from crm_core.domain.relations_policy import AxisRule, ClassRule, RelationsPolicy, Threshold

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Measured:
    """One measure of a customer: a number or a word, and where it comes from."""

    value: MeasureValue
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is known of one customer for classification.

    `ranks` are, by measure, the share of all customers that stand before this one (0 = the first); only customers with
    more than nothing have a rank.
    """

    kind: CustomerKind
    measures: Mapping[str, Measured]
    ranks: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The class on an axis and why."""

    value: str
    reasons: tuple[Reason, ...]


def classify(axis: AxisRule, subject: Subject) -> Verdict:
    """Return the highest class that the customer reaches; a condition that caps it is named beside the reasons."""
    if axis.attribute is not None:
        return _attribute(axis.attribute, subject)
    caps: list[Reason] = []
    for rule in axis.classes:
        reached = _met(rule.any_of, subject)
        if not reached:
            continue
        blocked = _met(rule.unless, subject)
        if not blocked:
            return Verdict(rule.name, (*reached, *caps))
        caps += [_capping(reason, rule) for reason in blocked]
    looked_at = _looked_at(axis, subject)
    if not looked_at and axis.unmeasured is not None:
        return Verdict(axis.unmeasured, ())
    return Verdict(axis.default, (*looked_at, *caps))


def classify_all(policy: RelationsPolicy, subject: Subject) -> dict[str, Verdict]:
    """Return the class on every axis of the policy."""
    return {axis.name: classify(axis, subject) for axis in policy.axes}


def ranks_of(
    values: Mapping[CustomerId, Mapping[str, Measured]],
) -> dict[CustomerId, dict[str, Decimal]]:
    """Return for each customer and measure the share of customers that stand before them.

    `values` is by customer and measure. Equal values share the better place; nothing (0 or less) has none.
    """
    ranks: dict[CustomerId, dict[str, Decimal]] = {customer: {} for customer in values}
    for measure in {name for measures in values.values() for name in measures}:
        numbers = {
            customer: found.value
            for customer, measures in values.items()
            if (found := measures.get(measure)) is not None and isinstance(found.value, Decimal)
        }
        ordered = sorted(numbers.values(), reverse=True)
        place = {number: position for position, number in reversed(list(enumerate(ordered)))}
        for customer, number in numbers.items():
            if number > 0:
                ranks[customer][measure] = Decimal(place[number]) / len(numbers)
    return ranks


def _attribute(measure: str, subject: Subject) -> Verdict:
    found = subject.measures.get(measure)
    if found is None or not str(found.value):
        return Verdict(UNKNOWN, (Reason(measure=measure, value="", relation="is"),))
    reason = Reason(measure=measure, value=str(found.value), relation="is", basis=found.basis)
    return Verdict(str(found.value), (reason,))


def _met(conditions: tuple[Threshold, ...], subject: Subject) -> list[Reason]:
    """Return a reason for each condition that holds."""
    reasons = []
    for condition in conditions:
        found = subject.measures.get(condition.measure)
        if found is None or condition.only_for not in (None, subject.kind.value):
            continue
        if _holds(condition, found.value, subject.ranks.get(condition.measure)):
            reasons.append(
                Reason(
                    measure=condition.measure,
                    value=_text(found.value),
                    relation=condition.relation,
                    threshold=_text(condition.value),
                    basis=found.basis,
                )
            )
    return reasons


_COMPARE: Final[Mapping[str, Callable[[Decimal, Decimal], bool]]] = {
    "more_than": operator.gt,
    "at_least": operator.ge,
    "below": operator.lt,
    "at_most": operator.le,
    "equals": operator.eq,
}


def _holds(condition: Threshold, value: MeasureValue, rank: Decimal | None) -> bool:
    limit = condition.value
    if isinstance(value, str) or isinstance(limit, str):
        return condition.relation == "equals" and str(value) == str(limit)
    if condition.relation == "top_share":
        return rank is not None and rank < limit
    return _COMPARE[condition.relation](value, limit)


def _capping(reason: Reason, rule: ClassRule) -> Reason:
    """Return the reason why a class that was reached does not count."""
    return Reason(
        measure=reason.measure,
        value=reason.value,
        relation="caps",
        threshold=rule.name,
        basis=reason.basis,
    )


def _looked_at(axis: AxisRule, subject: Subject) -> tuple[Reason, ...]:
    """Return what was measured for a customer who reaches no class."""
    names = dict.fromkeys(condition.measure for rule in axis.classes for condition in rule.any_of)
    return tuple(
        Reason(measure=name, value=_text(found.value), relation="default", basis=found.basis)
        for name in names
        if (found := subject.measures.get(name)) is not None
    )


def _text(value: MeasureValue) -> str:
    """Return a number without an exponent and without trailing zeros."""
    if isinstance(value, str):
        return value
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
