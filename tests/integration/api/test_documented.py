"""Who adds an operation, a page or a problem explains it; examples and texts cannot drift from the code."""

import re
from pathlib import Path

from fastapi.routing import iter_route_contexts

from api.problem import STATUS_BY_CODE
from config.locale_files import load_messages
from tests.integration.api.operations_table import rewritten

DOCS = Path(__file__).resolve().parents[3] / "docs" / "api.md"


def test_every_operation_stands_in_the_documents(world):
    text = DOCS.read_text(encoding="utf-8")
    missing = [
        f"{method.upper()} {path}"
        for path, item in world.app().openapi()["paths"].items()
        for method in item
        if f"`{method.upper()} {path}`" not in text
    ]
    assert missing == []


def test_the_tables_of_the_documents_are_those_of_the_code(world):
    text = DOCS.read_text(encoding="utf-8")
    assert rewritten(text, world.app().openapi()) == text, (
        "run: python -m tests.integration.api.operations_table"
    )


def test_documents_name_no_operation_that_is_not_there(world):
    text = DOCS.read_text(encoding="utf-8")
    paths = world.app().openapi()["paths"]
    for method, path in re.findall(r"`(GET|POST|PATCH|DELETE|PUT) (/[^`]*)`", text):
        assert method.lower() in paths.get(path, {}), (method, path)


def test_every_page_stands_in_the_documents(world):
    text = DOCS.read_text(encoding="utf-8")
    pages = {
        context.path
        for context in iter_route_contexts(world.app().routes)
        if "GET" in (context.methods or ())
        and not re.match(r"/(api|static|worker|openapi|sign-in)", context.path)
    }
    assert [page for page in sorted(pages) if f"`{page}`" not in text and f"GET {page}" not in text] == []


def test_every_problem_has_title_and_advice():
    keys = load_messages().keys("en")
    for code in STATUS_BY_CODE:
        assert f"api.problem.{code}" in keys
        assert f"api.advice.{code}" in keys
