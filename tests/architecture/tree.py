"""Which files belong to the tree: what git tracks or would track, else (in a plain copy) what is no cache."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("crm_core", "collector", "analytics", "api", "simulators", "config")
_CACHES = {".venv", "__pycache__", "build", "dist", "data", "node_modules"}


def files(root: Path) -> list[Path]:
    """Return the files of the tree below `root`, relative to it, sorted."""
    if (root / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=root, capture_output=True, check=True,
        ).stdout  # fmt: skip
        names = {name.decode() for name in listed.split(b"\0") if name}
        return sorted(path for path in map(Path, names) if (root / path).is_file())
    return sorted(_plain(root))


def _plain(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        relative = path.relative_to(root)
        if path.is_file() and not any(part in _CACHES or part.endswith("_cache") for part in relative.parts):
            yield relative


def product_modules(root: Path) -> list[Path]:
    """Return the Python files of the product (without tests and scripts)."""
    return [
        path
        for path in files(root)
        if path.suffix == ".py" and (path.parts[0] in PACKAGES or len(path.parts) == 1)
    ]
