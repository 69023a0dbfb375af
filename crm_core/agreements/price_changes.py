"""Whether new terms cost the customer more than the ones in force (requirement 16): looked for in every price. Pure."""

from collections.abc import Callable
from decimal import Decimal
from itertools import zip_longest

from crm_core.billing.pages_price import stepped
from crm_core.domain.billing import BillingPlan, PageTariff
from crm_core.domain.contracts import ContractLine, Terms

PlanOf = Callable[[str, int], BillingPlan]


def price_rises(before: Terms, after: Terms, plan_of: PlanOf) -> list[str]:
    """Return what becomes dearer, in words for the record; empty when nothing does. New lines are no rise."""
    found = []
    if after.term_discount < before.term_discount:
        found.append(f"term discount {before.term_discount} -> {after.term_discount}")
    for line in after.lines:
        old = before.line(line.line_id)
        if old is not None:
            found += [
                f"line {line.line_id}: {what}" for what in _line_rises(old, line, before, after, plan_of)
            ]
    return found


def _line_rises(
    old: ContractLine, new: ContractLine, before: Terms, after: Terms, plan_of: PlanOf
) -> list[str]:
    found = []
    was, becomes = rent_of(old, plan_of), rent_of(new, plan_of)
    if becomes > was:
        found.append(f"rent {was} -> {becomes}")
    old_plan, new_plan = tariff_plan(old, before, plan_of), tariff_plan(new, after, plan_of)
    found += _tariff_rises("mono", old_plan.mono, new_plan.mono)
    found += _tariff_rises("colour", old_plan.colour, new_plan.colour)
    if new_plan.carry_over_months < old_plan.carry_over_months:
        found.append(f"carry-over {old_plan.carry_over_months} -> {new_plan.carry_over_months} months")
    if old.pool_id is not None and new.pool_id is None:
        found.append("pages leave the pool")
    return found


def rent_of(line: ContractLine, plan_of: PlanOf) -> Decimal:
    """Return the monthly rent of a line: its own, else the plan's."""
    if line.monthly_rent is not None:
        return line.monthly_rent
    return plan_of(line.plan_id, line.plan_edition).monthly_rent


def tariff_plan(line: ContractLine, terms: Terms, plan_of: PlanOf) -> BillingPlan:
    """Return the plan by which the pages of a line are charged: the pool's, else its own."""
    for pool in terms.pools:
        if pool.pool_id == line.pool_id:
            return plan_of(pool.plan_id, pool.plan_edition)
    return plan_of(line.plan_id, line.plan_edition)


def _tariff_rises(meter: str, old: PageTariff, new: PageTariff) -> list[str]:
    found = []
    if new.free_pages < old.free_pages:
        found.append(f"{meter}: free pages {old.free_pages} -> {new.free_pages}")
    if any(stepped(pages, new) > stepped(pages, old) for pages in _turning_points(old, new)):
        found.append(f"{meter}: price {old.price} -> {new.price}")
    return found


def _turning_points(old: PageTariff, new: PageTariff) -> list[int]:
    """Return counts of pages that show a dearer tariff if there is one: 1, each side of each step, and far beyond."""
    steps = [row.from_page for pair in zip_longest(old.steps, new.steps) for row in pair if row is not None]
    return [1, *steps, *(page - 1 for page in steps), max(steps, default=1) * 1000 + 1_000_000]
