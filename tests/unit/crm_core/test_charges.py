"""The price of a repair: formula, rules that make lines free, instalments (requirements 13, 32, 61, 65, 73, 75, 103)."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.billing.charges import instalments_of, price_list, price_of_repair, split_evenly, usual_job
from crm_core.domain.charges import ChargeRule, PartCharge, RepairJob
from crm_core.domain.errors import InvalidValue
from tests.money_policies import a_billing_policy

POLICY = a_billing_policy()
FUSER = PartCharge(name="fuser", unit_price=Decimal(1450))


def _job(**about: object) -> RepairJob:
    fields: dict[str, object] = {"item": "fuser", "hours": Decimal("1.5"), "parts": (FUSER,), **about}
    return RepairJob(**fields)


def test_damage_by_the_user_is_charged_and_wear_costs_nothing() -> None:
    damage = price_of_repair(_job(cause="user_damage"), POLICY, "1")
    assert [line.amount for line in damage.lines] == [Decimal("270.00"), Decimal("1450.00")]
    assert damage.total == Decimal("1720.00")
    assert damage.formula == "1.5 h × 120 × 1.5 × 1 + 1 × 1450"
    wear = price_of_repair(_job(cause="wear"), POLICY, "1")
    assert wear.total == Decimal("0.00")
    assert wear.full_total == Decimal("1720.00")
    assert {line.rule for line in wear.lines} == {ChargeRule.COVERED_CAUSE}


def test_without_a_contract_wear_is_charged_but_not_within_the_warranty() -> None:
    own = price_of_repair(_job(cause="wear", covered=False), POLICY, "1")
    assert own.total == Decimal("1720.00")
    again = _job(
        cause="wear",
        covered=False,
        labour_under_warranty=True,
        parts=(PartCharge(name="fuser", unit_price=Decimal(1450), under_warranty=True),),
    )
    assert price_of_repair(again, POLICY, "1").total == Decimal("0.00")
    assert price_of_repair(again, POLICY, "1").lines[1].rule is ChargeRule.WARRANTY


def test_warranty_never_covers_damage_by_the_user() -> None:
    job = _job(cause="user_damage", labour_under_warranty=True)
    assert price_of_repair(job, POLICY, "1").total == Decimal("1720.00")


def test_a_long_contract_has_free_labour_with_the_rule_named() -> None:
    price = price_of_repair(_job(cause="user_damage", labour_free=True), POLICY, "1")
    assert price.lines[0].amount == Decimal("0.00")
    assert price.lines[0].rule is ChargeRule.LONG_TERM_LABOUR
    assert price.total == Decimal("1450.00")


def test_gold_pays_ten_per_cent_less_for_consumables_only() -> None:
    toner = PartCharge(name="toner", unit_price=Decimal("398.50"), quantity=2, consumable=True)
    job = _job(cause="user_damage", parts=(toner, FUSER), consumables_discount=Decimal("0.10"))
    price = price_of_repair(job, POLICY, "1")
    assert [line.amount for line in price.lines[1:]] == [Decimal("717.30"), Decimal("1450.00")]
    assert price.lines[1].formula == "2 × 398.50 × 0.90"


def test_the_public_list_is_the_same_calculation() -> None:
    for row in price_list(POLICY):
        job = usual_job(row.item, POLICY, cause="user_damage")
        assert price_of_repair(job, POLICY, "1").total == row.total


@pytest.mark.parametrize(
    "job",
    [
        _job(item="moon"),
        _job(hours=Decimal(-1)),
        _job(hours=Decimal("NaN")),
        _job(consumables_discount=Decimal(2)),
        _job(parts=(PartCharge(name="x", unit_price=Decimal(1), quantity=0),)),
    ],
)
def test_impossible_jobs_have_no_price(job: RepairJob) -> None:
    with pytest.raises(InvalidValue):
        price_of_repair(job, POLICY, "1")


@given(st.integers(0, 10**9), st.integers(1, 60))
def test_split_amounts_sum_to_the_cent(cents: int, number: int) -> None:
    total = Decimal(cents) / 100
    parts = split_evenly(total, number)
    assert len(parts) == number
    assert sum(parts) == total
    assert max(parts) - min(parts) <= Decimal("0.01")


def test_three_instalments_of_a_large_repair() -> None:
    assert instalments_of(Decimal("1720.00"), 3, POLICY.repairs) == (
        Decimal("573.34"),
        Decimal("573.33"),
        Decimal("573.33"),
    )
    with pytest.raises(InvalidValue):
        instalments_of(Decimal("999.99"), 3, POLICY.repairs)
    with pytest.raises(InvalidValue):
        instalments_of(Decimal(5000), 13, POLICY.repairs)
