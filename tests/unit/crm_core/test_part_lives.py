"""Lives of parts as people ask about them: chances between 0 and 1, and what is left never grows with age."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.domain.part_lives import PartLife

LIVES = st.builds(
    lambda shape, scale: PartLife(
        model="m", component="fuser", design_life_pages=150_000, shape=shape, scale=scale, own=False
    ),
    st.floats(0.5, 6.0),
    st.floats(1e3, 1e7),
)
AGES = st.floats(0.0, 1e7)


@given(LIVES, AGES, st.floats(0.0, 1e6))
def test_a_chance_is_a_chance_and_follows_from_the_survivors(
    life: PartLife, age: float, ahead: float
) -> None:
    chance = life.fails_within(age, ahead)
    assert 0.0 <= chance <= 1.0
    if life.alive(age) > 1e-9:
        assert chance == pytest.approx(1.0 - life.alive(age + ahead) / life.alive(age), abs=1e-6)


@given(LIVES, st.floats(0.0, 1e6))
def test_what_is_left_are_the_quantiles_of_the_survivors(life: PartLife, age: float) -> None:
    left = life.pages_left(age)
    assert 0.0 <= left.p10 <= left.p50 <= left.p90
    if life.alive(age) > 1e-6 and left.p10 > 1.0:
        assert life.fails_within(age, left.p50) == pytest.approx(0.5, abs=1e-3)


@given(LIVES.filter(lambda life: life.shape > 1.0), AGES)
def test_a_worn_part_has_less_ahead_than_a_new_one(life: PartLife, age: float) -> None:
    assert life.pages_left(age).p50 <= life.pages_left(0.0).p50 * (1 + 1e-6)
