"""The small parts of the HTTP side by themselves: rules that must hold for any input."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.meters import fleet_pages_by_day, pages_by_day
from api.pages import charts
from api.pages.formats import Formats
from api.pages.forms import local_path
from api.paging import decode_cursor, encode_cursor
from api.passwords import hash_password, verify_password
from api.problem import Problem, api_language
from api.schemas.base import ShortText
from crm_core.domain.errors import InvalidValue
from crm_core.domain.forecast import Interval
from crm_core.domain.telemetry import DailyMeters

NOW = datetime(2026, 3, 11, 2, 30, tzinfo=UTC)
FINITE = st.floats(0, 1e6, allow_nan=False)


# --- pictures ------------------------------------------------------------------------------------------------------


@st.composite
def intervals(draw):
    return Interval(*sorted(draw(st.tuples(FINITE, FINITE, FINITE))))


@given(
    st.lists(st.none() | FINITE, max_size=60),
    st.none() | st.floats(0, 100),
    st.none() | intervals(),
    st.text(max_size=30),
)
def test_every_picture_is_sound_and_titled(history, level, interval, title):
    """Any figures and any title give well-formed SVG whose coordinates are finite and whose title is text, not markup."""
    title = "".join(c for c in title if c.isprintable())
    pictures = [
        charts.sparkline(history, title),
        charts.level_fan(history, level, interval, title),
        charts.bars([v or 0 for v in history], title),
    ]
    pictures += [charts.interval_strip(interval, title)] if interval else []
    pictures += [charts.meter(level, "black", title), charts.shares([("good", 3), ("critical", 0)], title)]
    for picture in filter(None, pictures):
        tree = ET.fromstring(str(picture))
        assert tree.find("title").text == (title or None)
        assert "nan" not in picture.split("</title>")[1]
        assert "inf" not in picture.split("</title>")[1]


@given(intervals())
def test_bands_stay_on_their_axis(interval):
    picture = str(charts.interval_strip(interval, "t"))
    x, width = (
        float(value)
        for value in re.search(
            r'<rect class="band[^"]*" x="([\d.]+)" y="5" width="([\d.]+)"', picture
        ).groups()
    )
    assert x >= 0
    assert x + width <= 140 + 3.1


# --- meters --------------------------------------------------------------------------------------------------------


def day(number, first, last, *, pages=0, epochs=0, polls=2, device="d"):
    return DailyMeters(
        device_id=device, day=number, first_count=first, last_count=last, last_mono=None, last_colour=None,
        polls=polls, jams=0, epoch_changes=epochs, pages=pages,
    )  # fmt: skip


@given(st.lists(st.integers(0, 500), min_size=1, max_size=30), st.sets(st.integers(1, 29)))
def test_pages_a_day_add_up_to_the_counter(used, gaps):
    """Whatever days did not answer, the pages of all days are what the counter rose."""
    count, rows = 1000, []
    for number, pages in enumerate(used):
        start, count = count, count + pages
        if number == 0 or number not in gaps:
            rows.append(day(number, start, count, pages=pages))
    total = sum(pages_by_day(rows).values())
    assert total == pytest.approx(rows[-1].last_count - 1000)
    assert fleet_pages_by_day(rows) == pages_by_day(rows)


def test_board_swap_counts_only_inside_its_day():
    rows = [day(1, 0, 100, pages=100), day(2, 100, 7, pages=30, epochs=1), day(3, 7, 20, pages=5)]
    assert pages_by_day(rows) == {1: 100.0, 2: 30.0, 3: 13.0}


# --- words and figures ---------------------------------------------------------------------------------------------


def test_formats_in_both_languages():
    english, chinese = (Formats(language, ZoneInfo("Asia/Shanghai"), NOW) for language in ("en", "zh-CN"))
    assert (english.number(12345), chinese.number(None), english.percent(0.417)) == ("12,345", "–", "42%")
    assert (english.moment(NOW), english.moment(NOW - timedelta(days=1))) == ("10:30", "10 Mar 10:30")
    assert chinese.moment(NOW - timedelta(days=1)) == "3月10日 10:30"
    assert (english.span(timedelta(hours=26)), chinese.span(timedelta(minutes=-90))) == (
        "1 d 2 h",
        "1 小时 30 分钟",
    )
    assert english.span(timedelta(days=177, hours=5)) == "177 d"
    assert (english.ago(NOW), chinese.ago(NOW - timedelta(hours=3))) == ("just now", "3小时前")
    assert [english.days(value) for value in (2.44, 11.6, 400.0)] == ["2.4", "12", "> 365"]


@given(st.text(max_size=80))
def test_any_language_wish_gets_a_language(header):
    assert api_language(header) in ("zh-CN", "en")


# --- input ---------------------------------------------------------------------------------------------------------


@given(st.text(max_size=60))
def test_cursor_gives_its_position_back(position):
    assert decode_cursor(encode_cursor(position)) == position


@given(st.text(alphabet="ABCDEFabcdef0123456789_-", max_size=40))
def test_any_cursor_is_read_or_refused(text):
    code = "read"
    try:
        decode_cursor(text)
    except Problem as problem:
        code = problem.code
    assert code in ("read", "invalid_input")


@given(st.text(max_size=100))
def test_text_is_taken_whole_or_refused(text):
    adapter = TypeAdapter(ShortText)
    try:
        taken = adapter.validate_python(text)
    except ValidationError:
        return
    assert "\x00" not in taken
    taken.encode()


@given(st.text(max_size=60))
def test_way_back_never_leaves_the_house(text):
    path = local_path(text)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))


# --- sign-in -------------------------------------------------------------------------------------------------------


def test_password_fits_only_itself_and_nobody_has_none():
    stored = hash_password("long enough")
    assert stored.startswith("$argon2id$")
    assert verify_password("long enough", stored)
    assert not verify_password("long enougH", stored)
    assert not verify_password("long enough", None)
    assert not verify_password("x" * 129, stored)
    with pytest.raises(InvalidValue):
        hash_password("short")
