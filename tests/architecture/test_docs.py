"""Whoever adds a setting, metric, command, route or fault code explains it, in English and in Chinese."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from config.cli.app import COMMANDS, root
from config.fault_code_files import load_fault_codes
from config.settings import known_keys
from tests.architecture.documents import metric_names, undocumented


def test_every_setting_is_documented(project: Path) -> None:
    names = [f"{section}.{key}" for section, key, _ in known_keys()]
    assert not undocumented(names, project / "docs", "settings")


def test_every_metric_is_documented(project: Path) -> None:
    names = sorted(set(metric_names(project)))
    assert names, "no metric found"
    assert not undocumented(names, project / "docs", "metrics")


def test_every_fault_code_speaks_both_languages() -> None:
    """Rows without a level are information only; everything that may reach a person has a title and steps."""
    rows = load_fault_codes().rows
    assert len(rows) > 100
    silent = [
        f"{row.scheme} {row.vendor or ''} {row.code} {language}"
        for row in rows
        for language in ("en", "zh-CN")
        if not row.title.get(language) or (row.level is not None and not row.guide.get(language))
    ]
    assert not silent


def _commands(command: Any, name: str) -> Iterator[str]:
    """Yield `drumbeat x y` for each command that a person can give."""
    if not hasattr(command, "list_commands"):
        yield name
        return
    for child in command.list_commands(None):
        yield from _commands(command.get_command(None, child), f"{name} {child}")


def test_every_command_is_documented(project: Path) -> None:
    assert not undocumented(_commands(get_command(root), "drumbeat"), project / "docs", "commands")


def test_every_command_module_is_in_the_table(project: Path) -> None:
    """Commands are loaded by name, so a module outside the table would be dead and unseen."""
    modules = {path.stem for path in (project / "config" / "cli").glob("*.py")}
    assert {module for module, _ in COMMANDS.values()} <= modules
    helpers = {"__init__", "app", "common"}
    used = {module for module, _ in COMMANDS.values()} | helpers
    imported = "\n".join(path.read_text() for path in (project / "config").rglob("*.py"))
    assert not {one for one in modules - used if f"config.cli.{one}" not in imported}


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("| `a.b` | seconds to wait for a reply | 等待回复的秒数 |", []),
        ("### `a.b`\n\nSeconds to wait for a reply.\n\n等待回复的秒数。\n", []),
        (
            "| `a.b` | seconds to wait for a reply | |",
            ["a.b: no Chinese explanation in docs/x.md or docs/x.zh-CN.md"],
        ),
        ("| `a.b` | | 等待回复的秒数 |", ["a.b: not explained in docs/x.md"]),
        ("| `a.bc` | seconds to wait for a reply | 等待回复的秒数 |", ["a.b: not explained in docs/x.md"]),
        ("seconds to wait for a reply 等待回复的秒数", ["a.b: not explained in docs/x.md"]),
    ],
)
def test_a_planted_gap_is_reported(tmp_path: Path, text: str, missing: list[str]) -> None:
    (tmp_path / "x.md").write_text(text, encoding="utf-8")
    assert undocumented(["a.b"], tmp_path, "x") == missing


def test_the_chinese_may_stand_in_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("| `a.b` | seconds to wait for a reply |\n", encoding="utf-8")
    (tmp_path / "x.zh-CN.md").write_text("| `a.b` | 等待回复的秒数 |\n", encoding="utf-8")
    assert undocumented(["a.b"], tmp_path, "x") == []


def test_a_planted_metric_is_seen(tmp_path: Path) -> None:
    planted = tmp_path / "collector" / "planted.py"
    planted.parent.mkdir()
    planted.write_text(
        'import prometheus_client\n\nTOTAL = prometheus_client.Counter("drumbeat_planted", "Help")\n'
    )
    assert list(metric_names(tmp_path)) == ["drumbeat_planted"]
