"""Clocks, texts and logs."""

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from config.cli.words import language_of_terminal, terminal_words
from config.clock import SystemClock, VirtualClock
from config.locale_files import load_messages, missing_keys
from config.logging import HIDDEN, configure_logging
from crm_core.domain.errors import InvalidConfiguration, InvalidValue
from crm_core.domain.service import Role

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_system_clock_is_aware_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_virtual_time_moves_only_forward() -> None:
    clock = VirtualClock(START)
    clock.advance(timedelta(hours=6))
    assert clock.now() == START + timedelta(hours=6)
    with pytest.raises(InvalidValue):
        clock.move_to(START)
    with pytest.raises(InvalidValue):
        VirtualClock(datetime(2026, 1, 1))


def test_texts_come_from_files_by_area(tmp_path: Path) -> None:
    for language, word in (("en", "Toner"), ("zh-CN", "碳粉")):
        (tmp_path / language).mkdir()
        (tmp_path / language / "tickets.toml").write_text(
            f'[supply]\nlow = "{word} {{percent}} %"\n', encoding="utf-8"
        )
    messages = load_messages(tmp_path)
    assert messages.text("zh-CN", "tickets.supply.low", percent=3) == "碳粉 3 %"
    assert messages.text("en", "tickets.supply.low", percent=3) == "Toner 3 %"
    assert not missing_keys(messages)


def test_gaps_between_languages_are_found(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "api.toml").write_text('only = "here"\n', encoding="utf-8")
    assert missing_keys(load_messages(tmp_path)) == {"zh-CN": frozenset({"api.only"})}


@pytest.mark.parametrize("text", ["a = 1\n", "a = \n"])
def test_wrong_texts_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "api.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidConfiguration, match=r"api\.toml"):
        load_messages(tmp_path)


@pytest.fixture
def own_logging() -> object:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("own_logging")
@pytest.mark.parametrize("layout", ["json", "console"])
def test_logs_hide_secrets_at_any_depth(layout: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", layout)
    structlog.get_logger("drumbeat.test").info(
        "signed in",
        password="hunter2-a",
        nested={"api_token": "hunter2-b", "list": [{"community": "hunter2-c"}]},
        url="postgresql://drumbeat:hunter2-d@db/drumbeat",
        device="d0001",
    )
    logging.getLogger("library").warning("plain %s", "words")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "hunter2" not in printed.err
    assert printed.err.count(HIDDEN) == 4
    assert "d0001" in printed.err
    assert "plain words" in printed.err
    if layout == "json":
        first = json.loads(printed.err.splitlines()[0])
        assert (first["event"], first["level"], first["password"]) == ("signed in", "info", HIDDEN)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh-CN"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LC_MESSAGES": "zh_TW", "LANG": "de_DE"}, "zh-CN"),
        ({"LC_ALL": "", "LANG": "zh"}, "zh-CN"),
    ],
)
def test_the_terminal_speaks_the_readers_language(environment, language):
    assert language_of_terminal(environment) == language


def test_the_demonstration_greets_in_both_languages():
    english, chinese = terminal_words("demo", "en"), terminal_words("demo", "zh-CN")
    assert english("address", address="http://a") == "Drumbeat is at http://a"
    assert chinese("day", day=3, of=90) == "第 3 天，共 90 天"
    assert {chinese(f"role.{role.value}") for role in Role}.isdisjoint({role.value for role in Role})
    with pytest.raises(InvalidValue, match="zh-CN or en"):
        terminal_words("demo", "fr")
