"""Segments and treatments: sets of customers by their classes, and what a class means for prices and tasks."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from crm_core.domain.identity import CustomerId
from crm_core.domain.relations import CustomerClass
from crm_core.domain.relations_policy import RelationsPolicy, Segment, Treatment

#: Classes of each customer, by axis.
ClassesOf = Mapping[CustomerId, Mapping[str, str]]


def classes_at(rows: Iterable[CustomerClass], at: datetime | None = None) -> dict[CustomerId, dict[str, str]]:
    """Return the classes in force at `at` (None: now) by customer and axis, from present and past rows."""
    found: dict[CustomerId, dict[str, str]] = {}
    for row in rows:
        holds = row.until is None if at is None else row.since <= at and (row.until is None or at < row.until)
        if holds:
            found.setdefault(row.customer_id, {})[row.axis] = row.value
    return found


def members(segment: Segment, classes: ClassesOf) -> list[CustomerId]:
    """Return the customers of a segment in order of their ids: all of its conditions hold."""
    return sorted(
        customer
        for customer, held in classes.items()
        if all(held.get(axis) in wanted for axis, wanted in segment.classes.items())
    )


def treatments_of(policy: RelationsPolicy, held: Mapping[str, str]) -> dict[str, Treatment]:
    """Return the treatment of each effect for the classes that a customer holds (axis -> class).

    Of two treatments with one effect the larger amount counts. Prices and tasks ask here and name the treatment.
    """
    found: dict[str, Treatment] = {}
    for treatment in policy.treatments:
        if held.get(treatment.axis) != treatment.value:
            continue
        present = found.get(treatment.effect)
        if present is None or treatment.amount > present.amount:
            found[treatment.effect] = treatment
    return found
