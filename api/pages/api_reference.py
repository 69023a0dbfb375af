"""The reference of the HTTP API as a page: our own rendering, because the usual one loads scripts from elsewhere."""

import json
from typing import Any

from api.problem import STATUS_BY_CODE


def reference_context(document: dict[str, Any]) -> dict[str, Any]:
    """Return the operations by tag, the schemas and the problem codes for the template."""
    sections: dict[str, list[dict[str, Any]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            tag = (operation.get("tags") or ["other"])[0]
            sections.setdefault(tag, []).append(_operation(method, path, operation))
    schemas = document.get("components", {}).get("schemas", {})
    return {
        "about": document["info"]["description"].replace("`", ""),
        "sections": sections,
        "schemas": [_schema(name, schema) for name, schema in sorted(schemas.items())],
        "problems": sorted(STATUS_BY_CODE.items(), key=lambda pair: (pair[1], pair[0])),
    }


def _operation(method: str, path: str, operation: dict[str, Any]) -> dict[str, Any]:
    """Return one operation for the template."""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return {
        "method": method.upper(),
        "path": path,
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "roles": operation.get("x-roles", []),
        "parameters": [
            {
                "name": parameter["name"],
                "where": parameter["in"],
                "required": parameter.get("required", False),
                "type": type_of(parameter.get("schema", {})),
                "description": parameter.get("description", ""),
            }
            for parameter in operation.get("parameters", [])
        ],
        "body": type_of(body) if body else None,
        "answers": [
            (status, answer.get("description", ""), _answer_type(answer))
            for status, answer in sorted(operation.get("responses", {}).items())
        ],
    }


def _answer_type(answer: dict[str, Any]) -> str:
    """Return the type of an answer's body."""
    for content in answer.get("content", {}).values():
        return type_of(content.get("schema", {}))
    return ""


def _schema(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return one schema for the template."""
    required = set(schema.get("required", ()))
    return {
        "name": name,
        "description": schema.get("description", ""),
        "fields": [
            (field, type_of(detail), field in required, detail.get("description", ""))
            for field, detail in schema.get("properties", {}).items()
        ],
    }


def type_of(schema: dict[str, Any]) -> str:
    """Return a schema's type in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " | ".join(type_of(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"[{type_of(schema.get('items', {}))}]"
    kind = schema.get("type", "any")
    name = " | ".join(kind) if isinstance(kind, list) else str(kind)
    if "enum" in schema:
        name = " | ".join(json.dumps(value) for value in schema["enum"])
    if "format" in schema:
        name += f" ({schema['format']})"
    if "pattern" in schema:
        name += f" {schema['pattern']}"
    return name
