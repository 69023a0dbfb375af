"""Finds what the product offers and what the documents say about it, in English and in Chinese.

A document is `docs/<stem>.md`; its Chinese is in `docs/<stem>.zh-CN.md`, or beside the English on the same table row or under
the same heading. A name counts as documented where it stands in backticks with an explanation in both languages.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.architecture import tree

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_WORD = re.compile(r"[A-Za-z]{2,}")
_CHINESE_MIN, _WORDS_MIN = 4, 3


def undocumented(names: Iterable[str], docs: Path, stem: str) -> list[str]:
    """Return `name: what is missing` for each name that `docs/<stem>.md` does not explain in both languages."""
    english = _read(docs / f"{stem}.md")
    chinese = _read(docs / f"{stem}.zh-CN.md") or english
    found = []
    for name in names:
        if not any(_explains_in_english(passage, name) for passage in _passages(english, name)):
            found.append(f"{name}: not explained in docs/{stem}.md")
        elif not any(len(_CHINESE.findall(passage)) >= _CHINESE_MIN for passage in _passages(chinese, name)):
            found.append(f"{name}: no Chinese explanation in docs/{stem}.md or docs/{stem}.zh-CN.md")
    return found


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _explains_in_english(passage: str, name: str) -> bool:
    return len(_WORD.findall(passage.replace(name, ""))) >= _WORDS_MIN


def _passages(text: str, name: str) -> Iterator[str]:
    """Yield each passage that speaks about `name`: a table row, a paragraph or list item, or all under its heading."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not re.search(rf"`[^`]*(?<![\w./-]){re.escape(name)}(?![\w-])[^`]*`", line):
            continue
        if line.startswith("|"):
            yield line
        elif line.startswith("#"):
            yield "\n".join([line, *_until(lines[number + 1 :], lambda one: one.startswith("#"))])
        else:
            yield "\n".join([line, *_until(lines[number + 1 :], lambda one: not one.strip())])


def _until(lines: list[str], ends: object) -> Iterator[str]:
    for line in lines:
        if callable(ends) and ends(line):
            return
        yield line


def metric_names(root: Path) -> Iterator[str]:
    """Yield the names of all Prometheus metrics that the product creates, as they stand in the code."""
    for path in tree.product_modules(root):
        for node in ast.walk(ast.parse((root / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and _is_metric(node.func):
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value


def _is_metric(function: ast.expr) -> bool:
    name = ast.unparse(function).rsplit(".", 1)[-1]
    return name in {"Counter", "Gauge", "Histogram", "Summary", "GaugeMetricFamily", "CounterMetricFamily"}
