"""What must not leave the machine with the tree: its paths, the address of a package index, tools of a workplace."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture import tree

_BINARY = {".png", ".jpg", ".jpeg", ".gif", ".ico", ".woff2", ".pdf", ".xlsx", ".sqlite", ".skops"}
# `[x]` in a pattern stands for x and keeps the pattern from reporting itself.
_RULES = {
    "machine path": re.compile(
        r"(?<![\w.}/-])(?:/wor[k]/(?:main|shared|\.)|/roo[t]/|/hom[e]/[a-z]+/|/User[s]/[A-Za-z]+/|/tm[p]/[A-Z]/"
        r"|/tm[p]/brief|/opt/wheel[s])"
    ),
    "package index address": re.compile(
        r"^\s*(?:--(?:extra-)?index-ur[l]|-i\s+http|--find-link[s])|PIP_(?:INDEX|FIND)[_]|UV_(?:INDEX|DEFAULT_INDE[X])"
        r"|registry\s*=\s*\"htt[p]|pypi\.org/simpl[e]|\"resolved\":\s*\"htt[p]",
        re.MULTILINE,
    ),
    "workplace tool": re.compile(r"\bissues sho[w]\b|\bduplicates --chang[e]\b|\bbefore-sto[p]\b"),
}


def leaks(root: Path) -> Iterator[str]:
    """Yield `file:line what` for every line of the tree that must not be committed."""
    for path in tree.files(root):
        if path.suffix in _BINARY:
            continue
        text = (root / path).read_text(encoding="utf-8", errors="replace")
        for what, pattern in _RULES.items():
            for match in pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                yield f"{path}:{line} {what}: {match.group(0).strip()}"
