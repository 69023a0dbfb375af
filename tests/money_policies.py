"""The figures of money for tests: those of the documents, small and fixed."""

from datetime import time, timedelta
from decimal import Decimal

from crm_core.domain.billing_policy import (
    BillingPolicy,
    MeterPolicy,
    RepairItem,
    RepairPolicy,
    StatementPolicy,
)
from crm_core.domain.contract_policy import ContractPolicy, ShortTermPolicy, TermDiscount


def a_contract_policy(**changes: object) -> ContractPolicy:
    fields: dict[str, object] = {
        "interest_per_day": Decimal("0.001"),
        "dunning_days": (1, 7, 15, 30),
        "termination_share": Decimal("0.5"),
        "depreciation_months": 60,
        "renewal_gift": "month_rent",
        "term_discounts": (TermDiscount(name="long", from_months=24, share=Decimal("0.03")),),
        "short_term": ShortTermPolicy(
            day_price=Decimal(80),
            weekend_price=Decimal(120),
            weekend_starts=(4, time(18)),
            weekend_ends=(0, time(9)),
        ),
        **changes,
    }
    return ContractPolicy(**fields)


def a_repair_policy(**changes: object) -> RepairPolicy:
    fields: dict[str, object] = {
        "hourly_rate": Decimal(120),
        "complexity": {"simple": Decimal(1), "ordinary": Decimal("1.25"), "hard": Decimal("1.5")},
        "market": Decimal(1),
        "chargeable_causes": frozenset({"user_damage"}),
        "warranty": timedelta(days=90),
        "items": (
            RepairItem(item="jam", complexity="simple", hours=Decimal("0.5"), part_price=Decimal(0)),
            RepairItem(item="fuser", complexity="hard", hours=Decimal("1.5"), part_price=Decimal(1450)),
        ),
        "instalments_from": Decimal(1000),
        "instalments_most": 12,
        "loss_months": 3,
        **changes,
    }
    return RepairPolicy(**fields)


def a_billing_policy(**changes: object) -> BillingPolicy:
    fields: dict[str, object] = {
        "page_mono": Decimal("0.1"),
        "page_colour": Decimal("0.5"),
        "package_free_pages": 1000,
        "package_overage": Decimal("0.08"),
        "payment_days": 15,
        "link_lifetime": timedelta(days=30),
        "meters": MeterPolicy(
            most_pages_a_day=100_000,
            silent_after=timedelta(days=3),
            estimate_days=60,
            pool_carry_over_months=1,
        ),
        "statements": StatementPolicy(
            oldest=timedelta(days=45), far_factor=3.0, slack_pages=300, remind_days_before=4
        ),
        "repairs": a_repair_policy(),
        **changes,
    }
    return BillingPolicy(**fields)
