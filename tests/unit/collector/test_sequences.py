"""Sequence numbers as ranges: compared with a plain set."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from collector import sequences
from collector.sequences import SequenceRanges

numbers = st.integers(0, 60)


@given(st.lists(numbers))
def test_ranges_hold_what_a_set_holds(added: list[int]) -> None:
    ranges, plain = SequenceRanges(), set[int]()
    for number in added:
        assert ranges.add(number) is (number not in plain)
        plain.add(number)
    assert {n for n in range(70) if n in ranges} == plain
    assert len(ranges) == len(plain)
    assert SequenceRanges.decode(ranges.encode()).ranges == ranges.ranges
    assert all(low <= high for low, high in ranges.ranges)
    assert all(a[1] + 1 < b[0] for a, b in zip(ranges.ranges, ranges.ranges[1:], strict=False))


@given(st.sets(numbers), st.integers(0, 60), st.integers(0, 60))
def test_whole_ranges_and_single_numbers_come_and_go(held: set[int], low: int, high: int) -> None:
    ranges = SequenceRanges()
    for number in held:
        ranges.add(number)
    ranges.add_range(low, high)
    ranges.discard(low)
    expected = (held | set(range(low, high + 1))) - {low}
    assert {n for n in range(70) if n in ranges} == expected


@given(st.sets(numbers))
def test_the_mark_is_the_end_of_what_is_whole_from_the_start(held: set[int]) -> None:
    ranges = SequenceRanges()
    for number in sorted(held):
        ranges.add(number)
    start = 0 if 0 in held else 1
    whole = start - 1
    while whole + 1 in held:
        whole += 1
    assert ranges.mark == (whole if whole >= start else None)


def test_a_sender_that_only_sends_gaps_costs_bounded_memory() -> None:
    ranges = SequenceRanges()
    for number in range(0, 6 * sequences.MAX_RANGES, 2):
        ranges.add(number)
    assert len(ranges.ranges) == sequences.MAX_RANGES


def test_months_of_readings_in_any_order_is_whole_at_the_end() -> None:
    """Half of them come alone at first: none may be taken for a repeat because there are many gaps."""
    numbered = list(range(1, 20_001))
    Random(5).shuffle(numbered)
    ranges = SequenceRanges()
    assert all(ranges.add(number) for number in numbered)
    assert ranges.ranges == ((1, 20_000),)
