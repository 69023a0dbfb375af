"""Names of faults that open tickets are words in both languages: nobody reads camelCase or foreign words on a page."""

import re

import pytest

from config.fault_code_files import load_fault_codes
from config.locale_files import load_messages
from crm_core.domain.messages import LANGUAGES
from crm_core.domain.wording import fault_name, worded

MESSAGES = load_messages()


def opening_names():
    return sorted({row.name for row in load_fault_codes().rows if row.level is not None})


def test_each_fault_that_opens_a_ticket_has_its_words():
    names = opening_names()
    assert len(names) > 250
    for name in names:
        for language in LANGUAGES:
            words = fault_name(name, MESSAGES, language)
            assert not re.search(r"[a-z][A-Z]", words), (language, name, words)
        assert re.search(r"[一-鿿]", fault_name(name, MESSAGES, "zh-CN")), name


@pytest.mark.parametrize(
    ("name", "english", "chinese"),
    [
        ("subunitUnrecoverableFailure", "a part: unrecoverable failure", "部件故障（不可恢复）"),
        ("fuser-over-temp", "fuser over temperature", "定影温度过高"),
        ("doorOpen", "a door is open", "机门打开"),
        ("words of a vendor that nobody knows", *["words of a vendor that nobody knows"] * 2),
    ],
)
def test_names_in_words(name, english, chinese):
    assert fault_name(name, MESSAGES, "en").lower() == english
    assert fault_name(name, MESSAGES, "zh-CN") == chinese


def test_a_supply_in_a_reason_is_named_by_colour_else_by_kind():
    told = [worded("supply", value, MESSAGES, "zh-CN") for value in ("black", "staples", "3")]
    assert told == ["黑色", "订书钉", "3"]
