"""The tree keeps the rules of `tidy`, and each rule reports a planted violation."""

from pathlib import Path

import pytest

from tests.architecture import tidy, tree

_WHY = '"""A module that was planted for a test."""\n'
_PLANTED = {
    "file-length": _WHY + "x = 1\n" * 401,
    "function-length": _WHY + "def long() -> None:\n" + "    print()\n" * 70,
    "module-docstring": "x = 1\n",
    "wall-clock": _WHY + "from datetime import UTC, datetime\n\nnow = datetime.now(UTC)\n",
    "broad-except": _WHY
    + "def careless() -> None:\n    try:\n        print()\n    except Exception:\n        print()\n",
    "import-in-function": _WHY
    + "def late() -> None:\n    from crm_core.domain import fleet\n\n    print(fleet)\n",
    "unfinished": _WHY + "x = 1  # TO" + "DO later\n",
    "excuse-without-reason": _WHY + "x: int = '1'  # type: " + "ignore[assignment]\n",
    "dead-module": _WHY + "x = 1\n",
}
_VARIANTS = [
    ("wall-clock", _WHY + "from time import time\n\nnow = time()\n"),
    ("wall-clock", _WHY + "import time\n\nclock = time.time\n"),
    ("wall-clock", _WHY + "import datetime\n\nday = datetime.date.today()\n"),
    ("broad-except", _WHY + "try:\n    x = 1\nexcept:\n    x = 2\n"),
    ("broad-except", _WHY + "try:\n    x = 1\nexcept (ValueError, BaseException):\n    x = 2\n"),
    ("broad-except", _WHY + "try:\n    x = 1\nexcept BaseException:\n    raise\n    x = 2\n"),
    ("import-in-function", _WHY + "async def late() -> None:\n    import config.clock\n"),
    ("unfinished", _WHY + "def stub() -> None:\n    raise NotImplemented" + "Error\n"),
    ("excuse-without-reason", _WHY + "import os  # no" + "qa: F401\n"),
]


def test_the_tree_is_tidy(project: Path) -> None:
    found = tidy.violations(project)
    assert not found, "\n" + "\n".join(map(str, found))


@pytest.mark.parametrize(("rule", "text"), [*_PLANTED.items(), *_VARIANTS])
def test_a_planted_violation_is_reported(tmp_path: Path, rule: str, text: str) -> None:
    planted = tmp_path / "collector" / "planted.py"
    planted.parent.mkdir()
    planted.write_text(text)
    found = [one for one in tidy.violations(tmp_path) if one.rule == rule]
    assert [one.path for one in found] == [Path("collector/planted.py")]


def test_an_excuse_with_a_reason_and_a_started_module_pass(tmp_path: Path) -> None:
    started = tmp_path / "collector" / "__main__.py"
    started.parent.mkdir()
    started.write_text(_WHY + "import os  # no" + "qa: F401  # importing it registers the handler\n")
    assert tidy.violations(tmp_path) == []


def test_tidying_up_and_raising_again_passes(tmp_path: Path) -> None:
    planted = tmp_path / "collector" / "__main__.py"
    planted.parent.mkdir()
    planted.write_text(_WHY + "try:\n    x = 1\nexcept BaseException:\n    x = 2\n    raise\n")
    assert tidy.violations(tmp_path) == []


def test_supervision_points_exist(project: Path) -> None:
    """A name in the list that is gone would let a new careless function take its place unseen."""
    product = {path.as_posix() for path in tree.product_modules(project)}
    assert {place.split("::")[0] for place in tidy.SUPERVISION_POINTS} <= product
