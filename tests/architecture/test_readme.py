"""What the documents tell people to type exists: commands parse, make targets are there, links lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from config.cli.app import root
from tests.architecture import tree

_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
#: Programs that a reader has or installs; what they do is not ours to check here.
_FOREIGN = {
    "cd",
    "curl",
    "docker",
    "git",
    "influx",
    "mosquitto_pub",
    "mosquitto_sub",
    "psql",
    "sqlite3",
    "sudo",
    "systemctl",
}


def documents(project: Path) -> list[Path]:
    """Return every Markdown file of the tree."""
    return [path for path in tree.files(project) if path.suffix == ".md"]


def wrong_lines(text: str, targets: set[str]) -> Iterator[str]:
    """Yield each line of a shell block that names a command, option or target that does not exist."""
    for block in _BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words and not _exists(words, targets):
                yield line


def _exists(words: list[str], targets: set[str]) -> bool:
    program, arguments = words[0].removeprefix(".venv/bin/"), words[1:]
    if program == "make":
        return {one for one in arguments if "=" not in one} <= targets
    if program == "drumbeat":
        return _parses(get_command(root), [one for one in arguments if one not in {"&", ">", "|"}])
    return program in _FOREIGN or words[0].startswith(".venv/bin/") or words[0] == ".ci/run"


def _parses(command: Any, arguments: list[str]) -> bool:
    try:
        context = command.make_context("drumbeat", list(arguments))
        while hasattr(command, "resolve_command"):
            rest = [*context._protected_args, *context.args]
            if not rest:
                return not command.no_args_is_help
            name, command, rest = command.resolve_command(context, rest)
            context = command.make_context(name, rest, parent=context)
    except typer.Exit as leave:  # --help and --version answer at once
        return leave.exit_code == 0
    except typer.TyperException:
        return False
    return True


def test_what_documents_tell_to_type_exists(project: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (project / "Makefile").read_text(), re.MULTILINE))
    wrong = [
        f"{path}: {line}"
        for path in documents(project)
        for line in wrong_lines((project / path).read_text(), targets)
    ]
    assert not wrong


def test_links_lead_somewhere(project: Path) -> None:
    dead = [
        f"{path}: {link}"
        for path in documents(project)
        for link in _LINK.findall((project / path).read_text())
        if not (project / path.parent / link).exists()
    ]
    assert not dead


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("make test lint", True),
        ("make tests", False),
        ("drumbeat check-config", True),
        ("drumbeat chekc-config", False),
        ("drumbeat check-config --no-such-option", False),
        ("drumbeat policy no-such-subcommand", False),
        ("rm -rf data", False),
    ],
)
def test_a_planted_line_is_judged(line: str, *, right: bool) -> None:
    assert (list(wrong_lines(f"```sh\n{line}\n```\n", {"test", "lint"})) == []) is right


def test_both_readmes_show_the_same_commands(project: Path) -> None:
    english, chinese = (
        _BLOCK.findall((project / name).read_text()) for name in ("README.md", "README.zh-CN.md")
    )
    assert english == chinese
