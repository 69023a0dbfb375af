"""The OpenAPI document: who may call what, how errors look, and examples that a test sends.

FastAPI writes most of it from the types; this module adds the security schemes, the roles of each operation
(from its `Rule`, so that the document cannot differ from the code), and the answers that every operation may give.
"""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import RouteContext, iter_route_contexts

from api.access import AtOnce, Public, Rule
from api.examples import add_examples
from api.problem import MEDIA_TYPE
from api.schemas.base import ProblemBody

_DESCRIPTION: Final = (
    "Fleet health, devices, readings, forecasts, tickets and work orders of a firm that rents out copiers. "
    "Sign in with `POST /api/v1/sign-in` (people) or send `Authorization: Bearer` with a token (machines). "
    "Errors are problem+json (RFC 9457); branch on `code`. Changes of versioned records need `If-Match`; "
    "any POST may carry an `Idempotency-Key`. Lists are paged by opaque cursors."
)
_SECURITY: Final[dict[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a token of a machine"},
    "session": {"type": "apiKey", "in": "cookie", "name": "drumbeat_session", "description": "a person's session; changes also need X-CSRF-Token"},
}  # fmt: skip
_COMMON: Final = {
    "400": "the request cannot be read",
    "401": "sign in first",
    "403": "not allowed for this role, scope or without the CSRF token",
    "404": "not there, or not in your sight",
    "409": "collides with the present state",
    "412": "changed since you read it",
    "413": "the body is too large",
    "422": "the input breaks a rule",
    "428": "say with If-Match which version you change",
    "503": "a part behind it cannot answer now",
}


def rules_of(context: RouteContext) -> tuple[Rule | Public, ...]:
    """Return the rules that a route declares; exactly one is right."""
    dependant = getattr(context, "dependant", None)
    return tuple(_rules(dependant)) if dependant is not None else ()


def _rules(dependant: Dependant) -> Iterator[Rule | Public]:
    """Yield the rules in a tree of dependencies."""
    call = dependant.call.rule if isinstance(dependant.call, AtOnce) else dependant.call
    if isinstance(call, Rule | Public):
        yield call
    for each in dependant.dependencies:
        yield from _rules(each)


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` answer the completed document; it is built once, on first use."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents for own documents


def _complete(app: FastAPI) -> dict[str, Any]:
    """Return the document with security, roles and common answers."""
    document = get_openapi(
        title="Drumbeat",
        version=app.version,
        description=_DESCRIPTION,
        routes=app.routes,
        openapi_version="3.1.0",
    )
    components = document.setdefault("components", {})
    components["securitySchemes"] = _SECURITY
    schema = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    components.setdefault("schemas", {})["ProblemBody"] = schema
    for context in iter_route_contexts(app.routes):
        for method in context.methods or ():
            operation = document["paths"].get(context.path_format or "", {}).get(method.lower())
            if operation is not None:
                _describe_operation(operation, method, rules_of(context))
    add_examples(document)
    return document


def _describe_operation(operation: dict[str, Any], method: str, rules: tuple[Rule | Public, ...]) -> None:
    """Add who may call the operation, and how its errors look."""
    rule = rules[0]
    if isinstance(rule, Public):
        operation["security"] = []
        operation["x-roles"] = ["everybody"]
    else:
        operation["security"] = [{"bearer": []}, {"session": []}]
        operation["x-roles"] = sorted(role.value for role in rule.roles)
        operation["x-customers-own"] = (
            rule.owned
        )  # True: accounts bound to one customer may call it for their own
        operation["x-whole-firm"] = rule.whole  # True: not for accounts that see only some regions
    answers = operation.setdefault("responses", {})
    for status in _possible(operation, method, rule):
        answers[status] = _problem(_COMMON[status])


def _possible(operation: dict[str, Any], method: str, rule: Rule | Public) -> list[str]:
    """Return the errors that the operation may answer, by its shape."""
    names = {parameter["name"] for parameter in operation.get("parameters", ())}
    statuses = ["422", "503"] if operation.get("parameters") else ["503"]
    if isinstance(rule, Rule):
        statuses += ["401", "403"]
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", ())):
        statuses.append("404")
    if method != "GET":
        statuses += ["400", "404", "409", "413", "422"]
    if "If-Match" in names:
        statuses += ["412", "428"]
    return sorted(set(statuses))


def _problem(description: str) -> dict[str, Any]:
    """Return an answer that is a problem."""
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
    }
