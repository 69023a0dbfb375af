"""Rewrites the tables of operations in docs/api.md from the OpenAPI document, keeping the Chinese words that stand there.

Run `python -m tests.integration.api.operations_table` after a route was added or its roles changed; a test compares the tables.
"""

import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.integration.api.world import build_world, open_world

ROOT: Final = Path(__file__).resolve().parents[3]
DOCS: Final = ROOT / "docs" / "api.md"
ROW: Final = re.compile(
    r"^\| `(?P<operation>[A-Z]+ /[^`]*)` \| (?P<what>.*?) \| (?P<who>.*?) \|$", re.MULTILINE
)
_OFFICE: Final = ("admin", "manager", "supervisor", "dispatcher", "customer_specialist")
GROUPS: Final = {  # the widest first
    "all roles": (*_OFFICE, "technician", "customer", "integrator"),
    "staff": (*_OFFICE, "technician"),
    "office": _OFFICE,
}
BEGIN: Final = "## Operations · 操作\n"
END: Final = "\n<!-- end of operations -->"


def tables(document: Mapping[str, Any], known: Mapping[str, str]) -> str:
    """Return the tables, one a tag in the order of the document; `known` are the words of present rows."""
    sections: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            name = f"{method.upper()} {path}"
            what = known.get(name, operation["summary"])
            row = f"| `{name}` | {what} | {who(operation)} |"
            sections.setdefault(operation["tags"][0], []).append(row)
    return "\n".join(_section(tag, rows) for tag, rows in sections.items())


def _section(tag: str, rows: list[str]) -> str:
    return "\n".join((f"\n### {tag}\n", "| operation | what · 用途 | who · 角色 |", "|---|---|---|", *rows))


def who(operation: Mapping[str, Any]) -> str:
    """Return who may call an operation, in words."""
    roles = operation["x-roles"]
    if roles == ["everybody"]:
        return "everybody"
    named = {word: set(group) for word, group in GROUPS.items()}
    text = ", ".join(roles)
    for word, group in named.items():
        if group <= set(roles):
            text = ", ".join((word, *(role for role in roles if role not in group)))
            break
    return f"{text} (customers: own)" if "customer" in roles and len(roles) > 1 else text


def rewritten(text: str, document: Mapping[str, Any]) -> str:
    """Return the page with its tables as the document has them."""
    head, rest = text.split(BEGIN, 1)
    old, tail = rest.split(END, 1)
    known = {found["operation"]: found["what"] for found in ROW.finditer(old)}
    return f"{head}{BEGIN}{tables(document, known)}\n{END}{tail}"


def main() -> int:
    """Write the page anew."""
    with tempfile.TemporaryDirectory() as folder:
        build_world(Path(folder))
        world = open_world(Path(folder))
        document = world.app().openapi()
        world.close()
    DOCS.write_text(rewritten(DOCS.read_text(encoding="utf-8"), document), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
