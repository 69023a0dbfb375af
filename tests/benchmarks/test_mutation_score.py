"""How many wrong lines in ticket states, clocks and triage rules some test notices: at least 85 of 100.

mutmut plants one change at a time (`[tool.mutmut]` in pyproject.toml names modules and tests) in a copy of the tree.
"""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.conftest import PROJECT

LEAST_SHARE = 0.85
NEEDED = ("crm_core", "config", "analytics", "api", "collector", "simulators", "tests", "docs")
UNNOTICED = frozenset({"survived", "no tests", "suspicious"})


def mutmut(tree: Path, *words: str) -> str:
    environment = os.environ | {"HYPOTHESIS_PROFILE": "mutation", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mutmut", *words]
    ran = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-4000:]
    return ran.stdout


def verdicts(listed: str) -> dict[str, Counter[str]]:
    """Return how often each verdict was given, by module."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for module, verdict in re.findall(r"crm_core\.(\w+)\.\S+: (.+)", listed):
        found[module][verdict.strip()] += 1
    return found


@pytest.mark.soak
def test_wrong_lines_are_noticed(tmp_path):
    for name in NEEDED:
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "drumbeat.py"):
        shutil.copy(PROJECT / name, tmp_path / name)
    mutmut(tmp_path, "run", "--max-children", "2")
    found = verdicts(mutmut(tmp_path, "results", "--all", "true"))
    for module, counted in sorted(found.items()):
        print(f"\n{module}: {dict(counted)}", end="")
    total = sum(found.values(), Counter())
    noticed = total.total() - sum(total[verdict] for verdict in UNNOTICED)
    print(f"\n{noticed} of {total.total()} wrong lines noticed: {noticed / total.total():.1%}")
    assert total["not checked"] == 0
    assert noticed >= LEAST_SHARE * total.total()
