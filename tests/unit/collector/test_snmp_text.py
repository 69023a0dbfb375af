"""Printer strings: character sets, padding, NULs and tool artefacts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.snmp.text import MAX_TEXT, decode_text


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (b"Black Toner\x00\x00", None, "Black Toner"),
        (b"  padded   ", 2004, "padded"),
        ("黑色碳粉".encode(), None, "黑色碳粉"),
        ("黑色碳粉".encode(), 2004, "黑色碳粉"),  # valid UTF-8 beats a wrong label
        ("黑色碳粉".encode("gbk"), 113, "黑色碳粉"),
        ("トナー".encode("shift_jis"), 17, "トナー"),
        ("kopieën".encode("hp-roman8"), 2004, "kopieën"),
        ("uśpienia".encode("iso8859-2"), 5, "uśpienia"),
        ("спящий".encode("iso8859-5"), 8, "спящий"),
        (b"caf\xe9", None, "café"),
        (b"caf\xe9", 99_999, "café"),
        (b"\x01\x15CNB1234567", None, "CNB1234567"),  # HP PML symbol set in front
        (b"Cartridge \n38 32 37 41 20 48 50 00 ", None, "Cartridge 827A HP"),  # hex tail of a text walk
        (b"line one\nline two", None, "line one line two"),
        (b"", None, ""),
        (b"\x00\x00", None, ""),
        (b"a\x07b", None, "a b"),
        ("Sleep".encode("utf-16-be"), 1000, "Sleep"),
    ],
)
def test_texts_are_decoded(raw, charset, text):
    assert decode_text(raw, charset) == text


@given(raw=st.binary(max_size=3000), charset=st.one_of(st.none(), st.integers(min_value=-5, max_value=3000)))
def test_anything_becomes_a_clean_text_of_limited_length(raw, charset):
    text = decode_text(raw, charset)
    assert len(text) <= MAX_TEXT
    assert "\x00" not in text
    assert text == text.strip()
    text.encode("utf-8")


@given(text=st.text(max_size=100))
def test_utf8_comes_back_but_for_controls_and_blanks(text):
    clean = "".join(letter for letter in text if letter.isprintable()).strip()
    decoded = decode_text(clean.encode("utf-8"))
    assert decoded == clean or "\x80" <= max(clean, default="") <= "\x9f"
