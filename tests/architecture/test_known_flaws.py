"""No package of the lock is older than the version that mended a flaw we know of (requirement 96).

The list stands beside this file, so that the check needs no network; a package that is not in the lock is no flaw.
"""

import re
import tomllib
from pathlib import Path

from packaging.version import Version

LOCKED = re.compile(r"^(?P<name>[A-Za-z0-9_.-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)


def flawed(lock: str, flaws: str) -> list[str]:
    """Return a line for each locked package that is older than the version which mended a flaw."""
    locked = {row["name"].lower(): Version(row["version"]) for row in LOCKED.finditer(lock)}
    return [
        f"{each['package']} {locked[each['package']]}: {each['advisory']} is mended in {each['mended_in']}"
        for each in tomllib.loads(flaws)["flaw"]
        if each["package"] in locked and locked[each["package"]] < Version(each["mended_in"])
    ]


def test_the_lock_holds_no_flaw_that_is_known(project: Path) -> None:
    lock = (project / "requirements.lock").read_text(encoding="utf-8")
    flaws = (project / "tests/architecture/known_flaws.toml").read_text(encoding="utf-8")
    assert len(LOCKED.findall(lock)) > 100
    assert flawed(lock, flaws) == []


def test_an_old_package_is_reported() -> None:
    flaws = '[[flaw]]\npackage = "h11"\nmended_in = "0.16.0"\nadvisory = "CVE-2025-43859"\n'
    assert flawed("h11==0.14.0 \\\n", flaws) == ["h11 0.14.0: CVE-2025-43859 is mended in 0.16.0"]
    assert flawed("h11==0.16.0 \\\n", flaws) == []
