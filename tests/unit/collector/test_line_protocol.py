"""The line encoder against `influxdb_client.Point`: byte for byte."""

import math

from hypothesis import given
from hypothesis import strategies as st
from influxdb_client import Point

from collector.stores.line_protocol import FieldValue, LineEncoder, series

texts = st.text(st.characters(codec="utf-8", exclude_characters="#"), max_size=20)
keys = st.text(st.characters(codec="utf-8", exclude_characters="#"), min_size=1, max_size=8)
values = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), texts)


@given(keys, st.dictionaries(keys, st.one_of(st.none(), texts), max_size=4),
       st.dictionaries(keys, values, max_size=8), st.one_of(st.none(), st.integers(-(2**62), 2**62)))  # fmt: skip
def test_lines_are_those_of_the_client(
    measurement: str, tags: dict[str, str | None], fields: dict[str, FieldValue], time: int | None
) -> None:
    point = Point(measurement)
    for tag, text in tags.items():
        point.tag(tag, text)
    for field, value in fields.items():
        point.field(field, value)
    if time is not None:
        point.time(time)
    assert LineEncoder().line(series(measurement, tags), fields, time) == point.to_line_protocol()


def test_a_line_without_a_value_is_no_line() -> None:
    assert LineEncoder().line("m", {"a": None, "b": math.nan}, 1) == ""


def test_many_field_sets_cost_bounded_memory() -> None:
    encoder = LineEncoder()
    for number in range(10_000):
        assert encoder.line("m", {f"f{number}": 1}, None) == f"m f{number}=1i"
    assert len(encoder._orders) <= 4096
