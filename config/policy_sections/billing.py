"""Reads the figures of billing from `config/policy/billing.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.billing_policy import (
    BillingPolicy,
    MeterPolicy,
    RepairItem,
    RepairPolicy,
    StatementPolicy,
)
from crm_core.domain.errors import InvalidConfiguration


def billing_policy(take: Taker) -> BillingPolicy:
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    return BillingPolicy(
        page_mono=take.decimal("billing.pages.mono", most=100),
        page_colour=take.decimal("billing.pages.colour", most=100),
        package_free_pages=take.whole("billing.package.free_pages"),
        package_overage=take.decimal("billing.package.overage", most=100),
        payment_days=take.whole("billing.payment_days", most=365),
        link_lifetime=take.duration("billing.link_lifetime"),
        meters=MeterPolicy(
            most_pages_a_day=take.whole("billing.meters.most_pages_a_day", least=1),
            silent_after=take.duration("billing.meters.silent_after"),
            estimate_days=take.whole("billing.meters.estimate_days", least=1, most=366),
            pool_carry_over_months=take.whole("billing.meters.pool_carry_over_months", most=60),
        ),
        statements=StatementPolicy(
            oldest=take.duration("billing.statements.oldest"),
            far_factor=take.number("billing.statements.far_factor", least=1, most=100),
            slack_pages=take.whole("billing.statements.slack_pages"),
            remind_days_before=take.whole("billing.statements.remind_days_before", most=28),
        ),
        repairs=_repairs(take),
    )


def _repairs(take: Taker) -> RepairPolicy:
    factors = {
        name: take.decimal(f"billing.repairs.complexity.{name}", least=0.01, most=100)
        for name in take.names_under("billing.repairs.complexity")
    }
    items = tuple(_item(take, name) for name in take.names_under("billing.repairs.items"))
    for row in items:
        if row.complexity not in factors:
            raise InvalidConfiguration(
                f"billing.repairs.items.{row.item}.complexity: one of {', '.join(sorted(factors))}"
            )
    return RepairPolicy(
        hourly_rate=take.decimal("billing.repairs.hourly_rate"),
        complexity=factors,
        market=take.decimal("billing.repairs.market", least=0.01, most=100),
        chargeable_causes=frozenset(
            name
            for name in take.names_under("billing.repairs.chargeable")
            if take.flag(f"billing.repairs.chargeable.{name}")
        ),
        warranty=take.duration("billing.repairs.warranty"),
        items=items,
        instalments_from=take.decimal("billing.repairs.instalments_from"),
        instalments_most=take.whole("billing.repairs.instalments_most", least=1, most=60),
        loss_months=take.whole("billing.repairs.loss_months", least=1, most=60),
    )


def _item(take: Taker, name: str) -> RepairItem:
    table = f"billing.repairs.items.{name}"
    return RepairItem(
        item=name,
        complexity=take.text(f"{table}.complexity"),
        hours=take.decimal(f"{table}.hours", most=100),
        part_price=take.decimal(f"{table}.part_price"),
    )
