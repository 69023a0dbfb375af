"""docs/requirements.md speaks of all 120 requirements, and every module and test that it names exists."""

import ast
import re
from pathlib import Path

ROW = re.compile(r"^\| (?P<number>\d+) \| (?P<cells>.*) \|$")
QUOTED = re.compile(r"`([^`]+)`")


def missing(project: Path, page: str) -> list[str]:
    """Return what the page names and the tree does not have."""
    known: dict[Path, set[str]] = {}
    found = []
    for line in page.splitlines():
        if not line.startswith("| ") or line.startswith("|---"):
            continue
        for name in QUOTED.findall(line):
            file, _, test = name.partition("::")
            path = project / ("tests" if test else ".") / file
            if not path.is_file():
                found.append(f"{name}: there is no such file")
            elif test:
                if path not in known:
                    tree = ast.parse(path.read_text(encoding="utf-8"))
                    known[path] = {
                        node.name
                        for node in tree.body
                        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                    }
                if test not in known[path]:
                    found.append(f"{name}: there is no such test")
    return found


def test_all_120_requirements_have_a_row_with_module_and_test(project: Path) -> None:
    page = (project / "docs/requirements.md").read_text(encoding="utf-8")
    rows = [found for line in page.splitlines() if (found := ROW.match(line))]
    assert [int(row["number"]) for row in rows] == list(range(1, 121))
    for row in rows:
        what, modules, tests, *_ = row["cells"].split(" | ")
        assert what.strip(), row["number"]
        assert QUOTED.findall(modules), row["number"]
        assert all("::" in test for test in QUOTED.findall(tests)), row["number"]
        assert QUOTED.findall(tests), row["number"]


def test_every_named_module_and_test_exists(project: Path) -> None:
    assert missing(project, (project / "docs/requirements.md").read_text(encoding="utf-8")) == []


def test_the_count_at_the_top_is_true(project: Path) -> None:
    page = (project / "docs/requirements.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if ROW.match(line)]
    whole = sum(line.rstrip().endswith("|  |") for line in rows)
    assert f"{whole} of 120 are shown whole, {120 - whole} with something left" in page


def test_a_planted_name_is_reported(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text("def test_a(): pass\n", encoding="utf-8")
    page = "| 1 | x | `gone.py` | `test_x.py::test_b` |  |\n"
    assert missing(tmp_path, page) == [
        "gone.py: there is no such file",
        "test_x.py::test_b: there is no such test",
    ]
