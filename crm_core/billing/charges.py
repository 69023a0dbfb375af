"""What a repair costs: hours x rate x complexity x market, parts at list price, and the rules that take it off again.

Pure: the estimate before the repair, the charge after it and the public price list are the same calculation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from crm_core.domain.billing_policy import BillingPolicy, RepairItem, RepairPolicy
from crm_core.domain.charges import ChargeLine, ChargeRule, PartCharge, RepairJob, RepairPrice
from crm_core.domain.errors import InvalidValue
from crm_core.domain.messages import named, packed
from crm_core.domain.money import CENT, to_cent


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceListRow:
    """One row of the public price list (requirement 61), in yuan; `formula` shows how labour comes about."""

    item: str
    complexity: str
    hours: Decimal
    labour: Decimal
    part: Decimal
    total: Decimal
    formula: str


def price_list(policy: BillingPolicy) -> tuple[PriceListRow, ...]:
    """Return the price list of a policy version: each item with its usual hours and part."""
    return tuple(_listed(policy.repairs, item) for item in policy.repairs.items)


def price_of_repair(job: RepairJob, policy: BillingPolicy, policy_version: str) -> RepairPrice:
    """Return lines and total of a repair; raise `InvalidValue` for an item that the price list lacks.

    Lines that are free keep their full price and name the rule (requirements 13, 73, 103, 32).
    """
    repairs = policy.repairs
    item = repairs.item(job.item)
    if item is None:
        raise InvalidValue(
            f"the price list has no item {job.item[:64]!r}; known: {', '.join(row.item for row in repairs.items)}"
        )
    if not job.hours.is_finite() or job.hours < 0 or not 0 <= job.consumables_discount <= 1:
        raise InvalidValue("hours of labour are a number from 0 on, a discount is a share from 0 to 1")
    lines = [_labour_line(job, item, repairs)]
    lines += [_part_line(part, job, repairs) for part in job.parts]
    return RepairPrice(
        lines=tuple(lines),
        total=sum((line.amount for line in lines), Decimal("0.00")),
        full_total=sum((line.full_price for line in lines), Decimal("0.00")),
        policy_version=policy_version,
    )


def usual_job(item: str, policy: BillingPolicy, **about: object) -> RepairJob:
    """Return the job as the price list assumes it: usual hours and the usual part (for an estimate)."""
    row = policy.repairs.item(item)
    if row is None:
        raise InvalidValue(f"the price list has no item {item[:64]!r}")
    parts = (PartCharge(name=item, unit_price=row.part_price),) if row.part_price else ()
    return RepairJob(item=item, hours=row.hours, parts=parts, **about)  # type: ignore[arg-type]  # fields of RepairJob


def instalments_of(total: Decimal, number: int, policy: RepairPolicy) -> tuple[Decimal, ...]:
    """Split a total into payments that sum to it to the cent; the first ones carry the odd cents (requirement 65)."""
    if not 1 <= number <= policy.instalments_most:
        raise InvalidValue(f"payments must be 1 to {policy.instalments_most}")
    if number > 1 and total < policy.instalments_from:
        raise InvalidValue(f"instalments begin at {policy.instalments_from} yuan")
    return split_evenly(total, number)


def split_evenly(total: Decimal, number: int) -> tuple[Decimal, ...]:
    """Return `number` amounts in cents that differ by at most one cent and sum to `total` (two decimals)."""
    cents = int(to_cent(total) / CENT)
    each, odd = divmod(cents, number)
    return tuple((each + (place < odd)) * CENT for place in range(number))


def _labour_formula(hours: Decimal, item: RepairItem, policy: RepairPolicy) -> tuple[Decimal, str]:
    factor = policy.complexity[item.complexity]
    exact = hours * policy.hourly_rate * factor * policy.market
    return to_cent(exact), f"{hours} h × {policy.hourly_rate} × {factor} × {policy.market}"


def _labour_line(job: RepairJob, item: RepairItem, policy: RepairPolicy) -> ChargeLine:
    full, formula = _labour_formula(job.hours, item, policy)
    rule = _free_rule(job, policy, under_warranty=job.labour_under_warranty)
    if rule is None and job.labour_free:
        rule = ChargeRule.LONG_TERM_LABOUR
    return ChargeLine(
        kind="labour",
        text=packed(
            "billing.charge.labour",
            item=named(f"billing.item.{item.item}"),
            complexity=named(f"billing.complexity.{item.complexity}"),
            hours=job.hours,
        ),
        formula=formula,
        full_price=full,
        amount=Decimal("0.00") if rule else full,
        rule=rule,
    )


def _part_line(part: PartCharge, job: RepairJob, policy: RepairPolicy) -> ChargeLine:
    if part.quantity < 1 or part.unit_price < 0:
        raise InvalidValue(f"part {part.name[:64]!r} needs a quantity from 1 on and a price from 0 on")
    full = to_cent(part.unit_price * part.quantity)
    rule = _free_rule(job, policy, under_warranty=part.under_warranty)
    amount, formula = full, f"{part.quantity} × {part.unit_price}"
    name = part.name if policy.item(part.name) is None else named(f"billing.item.{part.name}")
    if rule is not None:
        amount = Decimal("0.00")
    elif part.consumable and job.consumables_discount:
        left = 1 - job.consumables_discount
        rule, amount, formula = ChargeRule.LOYALTY, to_cent(full * left), f"{formula} × {left}"
    return ChargeLine(
        kind="part",
        text=packed("billing.charge.part", name=name, number=part.part_number or "", quantity=part.quantity),
        formula=formula,
        full_price=full,
        amount=amount,
        rule=rule,
    )


def _free_rule(job: RepairJob, policy: RepairPolicy, *, under_warranty: bool) -> ChargeRule | None:
    """Return why a line is free; damage by the user is never free by cover or warranty (requirements 13, 73)."""
    if job.cause in policy.chargeable_causes:
        return None
    if under_warranty:
        return ChargeRule.WARRANTY
    return ChargeRule.COVERED_CAUSE if job.covered else None


def _listed(policy: RepairPolicy, item: RepairItem) -> PriceListRow:
    labour, formula = _labour_formula(item.hours, item, policy)
    part = to_cent(item.part_price)
    return PriceListRow(
        item=item.item,
        complexity=item.complexity,
        hours=item.hours,
        labour=labour,
        part=part,
        total=labour + part,
        formula=formula,
    )


def total_of(lines: Sequence[ChargeLine]) -> Decimal:
    """Return what the lines cost together."""
    return sum((line.amount for line in lines), Decimal("0.00"))
