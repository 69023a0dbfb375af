"""No machine path, no index address and no workplace tool is in the tree; the lock names hashes and nothing else."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.architecture.leaks import leaks


def test_nothing_of_this_machine_is_in_the_tree(project: Path) -> None:
    assert not list(leaks(project))


@pytest.mark.parametrize(
    "text",
    [
        f"data = '/{'work'}/shared/real_printers'\n",
        f"see /{'root'}/.cache\n",
        f"--extra-{'index'}-url https://packages.example/simple\n",
        f"run `issues {'show'} 2`\n",
    ],
)
def test_a_planted_leak_is_reported(tmp_path: Path, text: str) -> None:
    (tmp_path / "note.md").write_text(f"first line\n{text}")
    assert [one.split(" ")[0] for one in leaks(tmp_path)] == ["note.md:2"]


def test_every_locked_package_has_hashes_and_no_address(project: Path) -> None:
    text = (project / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[a-z0-9_.-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text
    assert "#" not in text


def test_the_lock_has_every_direct_dependency(project: Path) -> None:
    declared = tomllib.loads((project / "pyproject.toml").read_text())
    wanted = [*declared["project"]["dependencies"], *declared["dependency-groups"]["dev"]]
    names = {re.split(r"[\[<>=!~; ]", one)[0].lower() for one in wanted}
    locked = set(re.findall(r"^([a-z0-9_.-]+)==", (project / "requirements.lock").read_text(), re.MULTILINE))
    assert not names - locked, "run `make lock`"
