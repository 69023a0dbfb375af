"""How many wrong lines in ticket states, clocks and triage rules some test notices: at least 85 of 100 in each module.

mutmut plants one change at a time (`[tool.mutmut]` in pyproject.toml names modules and tests) in a copy of the tree. With
`DRUMBEAT_MUTANTS=DIR` the copy stays there and verdicts add up over runs: `-k sla` does one module, an interrupted run
goes on where it was, a changed module is judged anew, and what no test noticed gets another chance after new tests.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import PROJECT

LEAST_SHARE = 0.85
NEEDED = ("crm_core", "config", "analytics", "api", "collector", "simulators", "tests", "docs")
NOTICED = {
    1: "noticed",
    3: "noticed",
    -24: "timeout",
    24: "timeout",
    36: "timeout",
    152: "timeout",
    255: "timeout",
}
UNNOTICED = {0: "survived", 5: "no tests", 33: "no tests"}


def mutated_modules() -> list[str]:
    told = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    return [Path(each).stem for each in told["tool"]["mutmut"]["only_mutate"]]


def mutmut(tree: Path, *mutants: str) -> None:
    environment = os.environ | {"HYPOTHESIS_PROFILE": "mutation", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "2", *mutants]
    ran = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-4000:]


def verdicts_of(tree: Path, module: str) -> Path:
    return tree / "mutants" / "crm_core" / f"{module}.py.meta"


def codes(tree: Path, module: str) -> dict[str, int | None]:
    """Return how the tests ended for each wrong line of a module; None where they did not run yet."""
    kept = verdicts_of(tree, module)
    return json.loads(kept.read_text())["exit_code_by_key"] if kept.exists() else {}


def copy_what_changed(tree: Path) -> None:
    """Bring the copy up to date; what did not change keeps its time, by which mutmut knows its mutants."""
    for name in (*NEEDED, "pyproject.toml", "drumbeat.py"):
        for file in [PROJECT / name] if (PROJECT / name).is_file() else (PROJECT / name).rglob("*"):
            copy = tree / file.relative_to(PROJECT)
            if file.is_dir() or "__pycache__" in file.parts:
                continue
            if not copy.exists() or copy.read_bytes() != file.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
                if file.parent == PROJECT / "crm_core":
                    verdicts_of(tree, file.stem).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project, kept between runs where `DRUMBEAT_MUTANTS` says."""
    kept = os.environ.get("DRUMBEAT_MUTANTS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("mutants")
    copy_what_changed(folder)
    return folder


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("module", mutated_modules())
def test_wrong_lines_are_noticed(tree, module):
    before = codes(tree, module)
    open_ones = [mutant for mutant, code in before.items() if code is None or code in UNNOTICED]
    if open_ones or not before:
        mutmut(tree, *(open_ones or [f"crm_core.{module}.*"]))
    found = codes(tree, module)
    verdicts = Counter(NOTICED.get(code) or UNNOTICED.get(code) or f"exit {code}" for code in found.values())
    noticed = sum(code in NOTICED for code in found.values())
    print(f"\n{module}: {noticed} of {len(found)} noticed, {noticed / len(found):.1%}: {dict(verdicts)}")
    for mutant, code in found.items():
        if code not in NOTICED:
            print(f"  {mutant}")
    assert noticed >= LEAST_SHARE * len(found)
