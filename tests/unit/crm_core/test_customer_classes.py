"""The edges of the customer axes, exactly as the requirements name them (1-3, 32, 40-43, 55-57, 79, 82-86, 104)."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.domain.errors import InvalidValue
from crm_core.domain.fleet import CustomerKind
from crm_core.domain.identity import CustomerId
from crm_core.relations.classes import Measured, Subject, classify, ranks_of
from tests.care_policies import a_relations_policy

POLICY = a_relations_policy()


def class_of(axis: str, kind: CustomerKind = CustomerKind.COMPANY, ranks=None, **measures: object) -> str:
    found = {
        name: Measured(value if str(value).isalpha() else Decimal(str(value)), "test")
        for name, value in measures.items()
    }
    return classify(POLICY.axis(axis), Subject(kind=kind, measures=found, ranks=ranks or {})).value


@pytest.mark.parametrize(
    ("pages", "expected"), [(4_999, "small"), (5_000, "medium"), (20_000, "medium"), (20_001, "large")]
)
def test_volume(pages, expected):
    assert class_of("volume", pages_per_month=pages) == expected


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        ({"spend_12m": "100000.00"}, "important"),
        ({"spend_12m": "100000.01"}, "core"),
        ({"spend_12m": 50_000}, "important"),
        ({"spend_12m": "49999.99"}, "ordinary"),
        ({"spend_12m": 10_000}, "ordinary"),
        ({"spend_12m": 9_999}, "potential"),
        ({"spend_12m": 9_999, "running_contracts": 1}, "ordinary"),
        ({"clean_years": 2}, "potential"),
        ({"clean_years": "2.01"}, "core"),
        ({"referrals_12m": 4}, "potential"),
        ({"referrals_12m": 5}, "core"),
        ({"rentals_12m": 6}, "important"),
        ({"rentals_12m": 2}, "ordinary"),
        ({"rentals_12m": 1}, "potential"),
        ({}, "potential"),
    ],
)
def test_tier_of_a_company(measures, expected):
    assert class_of("tier", **measures) == expected


def test_more_than_twelve_rentals_are_core_for_a_person_only():
    assert class_of("tier", CustomerKind.PERSON, rentals_12m=13) == "core"
    assert class_of("tier", CustomerKind.PERSON, rentals_12m=12) == "important"
    assert class_of("tier", CustomerKind.COMPANY, rentals_12m=13) == "important"


def test_much_money_is_core_for_a_company_only():
    assert class_of("tier", CustomerKind.PERSON, spend_12m=150_000) == "important"


def test_a_bad_record_caps_important_at_ordinary_and_never_touches_core():
    assert class_of("tier", spend_12m=60_000, bad_records=1) == "ordinary"
    assert class_of("tier", spend_12m=160_000, bad_records=1) == "core"


def test_a_cap_is_among_the_reasons():
    subject = Subject(
        kind=CustomerKind.COMPANY,
        measures={
            "spend_12m": Measured(Decimal(60_000), "invoices"),
            "bad_records": Measured(Decimal(1), "invoices"),
        },
        ranks={},
    )
    reasons = classify(POLICY.axis("tier"), subject).reasons
    assert [(each.measure, each.relation, each.threshold) for each in reasons] == [
        ("spend_12m", "at_least", "10000"),
        ("bad_records", "caps", "important"),
    ]


@pytest.mark.parametrize(
    ("paid", "expected"),
    [("30000.00", "gold"), ("29999.99", "silver"), (10_000, "silver"), (9_999, "none")],
)
def test_loyalty(paid, expected):
    assert class_of("loyalty", paid_12m=paid) == expected


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        ({"credit_score": 599}, "risk"),
        ({"credit_score": 600}, "normal"),
        ({"credit_score": 750}, "good"),
        ({"credit_score": 800, "overdue_days": 20}, "normal"),
        ({"credit_score": 800, "overdue_days": 30}, "risk"),
        ({}, "normal"),
    ],
)
def test_credit(measures, expected):
    assert class_of("credit", **measures) == expected


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        ({"device_tickets_90d": 3, "repairs_12m": 0}, "frequent"),
        ({"device_tickets_90d": 2, "repairs_12m": 2}, "regular"),
        ({"device_tickets_90d": 0, "repairs_12m": 1}, "occasional"),
        ({"device_tickets_90d": 0, "repairs_12m": 0}, "occasional"),
        ({}, "unknown"),
    ],
)
def test_repair_history(measures, expected):
    assert class_of("repair", **measures) == expected


@pytest.mark.parametrize(
    ("days", "expected"), [(7, "high"), (30.4, "high"), (91, "mid"), (183, "mid"), (365, "low")]
)
def test_rental_frequency(days, expected):
    assert class_of("frequency", days_between_rentals=days) == expected


def test_nothing_is_guessed_of_what_was_never_measured():
    assert class_of("volume") == "unknown"
    assert class_of("term") == "unknown"


def test_attributes_are_their_word_and_unknown_without_one():
    assert class_of("industry", industry="design") == "design"
    assert class_of("industry") == "unknown"


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        ({"running_contracts": 1, "clean_years": 1, "overdue_days": 0}, "good"),
        ({"running_contracts": 1, "clean_years": 0.5}, "ordinary"),
        ({"running_contracts": 0}, "potential"),
        ({"running_contracts": 1, "clean_years": 3, "overdue_days": 30}, "risk"),
        ({"running_contracts": 0, "credit_score": 599}, "risk"),
    ],
)
def test_marks(measures, expected):
    assert class_of("mark", **measures) == expected


def test_the_top_fifth_by_margin_is_high_value():
    values = {CustomerId(f"c{n}"): {"margin_12m": Measured(Decimal(n), "test")} for n in range(1, 11)}
    ranks = ranks_of(values)
    worth = [class_of("worth", ranks=ranks[CustomerId(f"c{n}")], margin_12m=n) for n in range(1, 11)]
    assert worth == ["ordinary"] * 8 + ["high"] * 2


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=60, unique=True))
def test_terciles_split_any_firm_in_three(amounts):
    values = {CustomerId(str(n)): {"spend_12m": Measured(Decimal(n), "test")} for n in amounts}
    ranks = ranks_of(values)
    found = [class_of("spend", ranks=ranks[CustomerId(str(n))], spend_12m=n) for n in sorted(amounts)]
    assert found == sorted(found, key=("low", "mid", "high").index)
    assert abs(found.count("high") - len(amounts) / 3) <= 1
    assert abs(found.count("low") - len(amounts) / 3) <= 1


def test_nobody_is_in_the_top_share_of_nothing():
    ranks = ranks_of({CustomerId("c1"): {"margin_12m": Measured(Decimal(0), "test")}})
    assert class_of("worth", ranks=ranks[CustomerId("c1")], margin_12m=0) == "ordinary"


def test_a_threshold_is_changed_by_its_key_alone():
    changed = POLICY.with_threshold("repair.frequent.device_tickets_90d", Decimal(2))
    assert changed.axis("repair").classes[0].any_of[0].value == 2
    assert POLICY.axis("repair").classes[0].any_of[0].value == 3
    with pytest.raises(InvalidValue, match="axis repair has"):
        POLICY.with_threshold("repair.rare.x", Decimal(2))
