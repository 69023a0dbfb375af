"""Commands as people type them, run inside the test's own process: loading the libraries anew costs seconds."""

import io
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from config.cli.app import main


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Shell:
    """Runs commands through the product's entry point, with no setting of ours in the environment."""

    def __init__(self, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._capture = capture
        self._patch = patch
        for name in os.environ:
            if name.startswith("DRUMBEAT_"):
                patch.delenv(name)

    def __call__(self, *arguments: str, data: Path | None = None, stdin: str = "", **extra: str) -> Done:
        """Run a command on the folder `data`; `extra` are variables of its environment."""
        options = [] if data is None else ["--data", str(data)]
        self._capture.readouterr()
        with self._patch.context() as patch:
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            patch.setenv("COLUMNS", "120")  # tables as on a usual screen, whoever tests
            for name, value in extra.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as leaving:
                main([*options, *arguments])
        said = self._capture.readouterr()
        code = leaving.value.code
        return Done(code if isinstance(code, int) else 0, said.out, said.err)

    def answer(self, *arguments: str, data: Path, stdin: str = "") -> Any:
        """Run a command that must succeed and return its JSON."""
        done = self(*arguments, "--json", data=data, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
