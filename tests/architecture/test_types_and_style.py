"""mypy --strict and ruff are part of `make test`, with the project's own configuration, and both can fail."""

import subprocess
import sys
from pathlib import Path

import pytest

_UNTYPED = '"""A module that was planted for a test."""\n\n\ndef double(value):\n    return value * 2\n'
_WRONG = '"""A module that was planted for a test."""\n\nlength: int = "three"\n'
_UNTIDY = '"""A module that was planted for a test."""\n\nimport os\n\nprint("x" if True else"y")\n'


def _run(project: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.timeout(300)  # a fresh clone has no cache yet
def test_the_tree_is_typed(project: Path) -> None:
    checked = _run(project, "mypy")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("text", "message"), [(_UNTYPED, "[no-untyped-def]"), (_WRONG, "[assignment]")])
def test_a_planted_type_error_is_reported(project: Path, tmp_path: Path, text: str, message: str) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(text)
    checked = _run(
        project,
        "mypy",
        "--config-file",
        "pyproject.toml",
        "--cache-dir",
        str(tmp_path / "cache"),
        str(planted),
    )
    assert checked.returncode == 1
    assert message in checked.stdout


def test_the_tree_is_linted_and_formatted(project: Path) -> None:
    linted = _run(project, "ruff", "check", "--no-cache", ".")
    formatted = _run(project, "ruff", "format", "--no-cache", "--check", ".")
    assert (linted.returncode, formatted.returncode) == (0, 0), linted.stdout + formatted.stdout


def test_a_planted_untidy_module_is_reported(project: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(_UNTIDY)
    config = ("--config", str(project / "pyproject.toml"), "--no-cache", str(planted))
    linted = _run(project, "ruff", "check", *config)
    formatted = _run(project, "ruff", "format", "--check", *config)
    assert (linted.returncode, formatted.returncode) == (1, 1)
    assert "F401" in linted.stdout
    assert "T201" in linted.stdout
