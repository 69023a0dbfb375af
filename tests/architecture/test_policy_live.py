"""Policy takes effect on its date without a restart: services keep the book, never a section of it."""

import re
from pathlib import Path

from tests.architecture import tree

KEPT = re.compile(r"self\.\w+\s*=\s*(?:self\.)?_?(?:policy|book)\.(\w+)")
SECTIONS = frozenset(
    [
        "sla",
        "triage",
        "replenishment",
        "life",
        "failures",
        "dispatch",
        "stock",
        "notices",
        "fieldwork",
        "relations",
        "agreements",
        "billing",
        "trust",
        "quality",
    ]
)
#: Made anew for each night or run, so that nothing is kept.
SHORT_LIVED = frozenset({"analytics/quality_night.py"})


def kept_sections(root: Path) -> list[str]:
    """Return each place where an object keeps a section of the policy."""
    found = []
    for path in tree.product_modules(root):
        if path.as_posix() in SHORT_LIVED:
            continue
        for number, line in enumerate((root / path).read_text(encoding="utf-8").splitlines(), 1):
            hit = KEPT.search(line)
            if hit and hit[1] in SECTIONS and line.rstrip().endswith(f".{hit[1]}"):
                found.append(f"{path}:{number} keeps policy.{hit[1]}: keep the book and ask it each time")
    return found


def test_no_service_keeps_a_section(project: Path) -> None:
    assert kept_sections(project) == []


def test_a_planted_section_is_seen(tmp_path: Path) -> None:
    (tmp_path / "crm_core").mkdir()
    (tmp_path / "crm_core" / "x.py").write_text(
        "class A:\n    def f(self, policy):\n        self._p = policy.sla\n"
    )
    assert len(kept_sections(tmp_path)) == 1
