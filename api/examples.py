"""Examples for the OpenAPI document, made from its schemas with the words of the trade.

Written out by hand they would drift from the models; made here, a test holds each against its schema and sends every
body to its operation. A property gets the word of its name where that fits, else the first word that fits its pattern.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_INSTANT: Final = "2026-03-02T01:30:00Z"
_DATE: Final = "2026-03-02"
_DEPTH: Final = 8  # of nested objects; deeper ones stay empty
#: What properties are called -> what stands there, where it fits the property's schema.
WORDS: Final[Mapping[str, Any]] = {
    "device_id": "c3525-01", "device_ids": ["c3525-01"], "customer_id": "cust-1", "site_id": "hq", "contract_id": "k-1", "technician_id": "li",
    "user_id": "manager", "user_name": "manager", "model": "Canon iR-ADV C3525i", "model_id": "canon-c3525i", "vendor": "Canon",
    "serial": "SN00001", "customer_name": "上海晨光贸易有限公司", "site_name": "总部", "region": "east", "number": "T-000001",
    "title": "Black toner is low: 4 %", "cause": "supply.1.1", "category": "consumable", "level": "L2", "state": "scheduled",
    "kind": "supply", "role": "manager", "language": "en", "password": "correct horse 42", "token": "x7Tq...", "scopes": ["read"],
    "token_id": "a" * 64, "next_cursor": "YzM1MjUtMDE", "text": "Streaks on every page", "reason": "handled by phone",
    "note": "Toner exchanged", "outcome": "fixed", "colour": "black", "actor": "dispatcher", "unit": "percent",
    "address": "127.0.0.1", "subject": "manager", "schedule": "every 60 s", "name": "forecasts", "version": 3,
    "url": "https://example.org/hook", "events": ["ticket.*"], "status": "ok", "month": "2026-02", "item": "jam",
}  # fmt: skip
#: What may stand where no word of the name fits, tried in turn against the pattern.
_CANDIDATES: Final = (
    "other", "c3525-01", "L2", "12.50", "0.5", "1", "2026-03", "2026-03-02", "fixed", "en", "manager", "read", "customer", "open",
    "csv", "triage.consumable.low_percent", "cash", "phone", "a" * 64, "https://example.org/hook", "13800000000", "09:00", "INV-2026-000001",
    "warehouse:main", "customer:cust-1", "device:c3525-01",
)  # fmt: skip


def add_examples(document: dict[str, Any]) -> None:
    """Put an example beside each JSON body and JSON answer of a success."""
    schemas = document.get("components", {}).get("schemas", {})
    for item in document["paths"].values():
        for operation in item.values():
            for content in _contents(operation):
                content.setdefault("example", example_of(content.get("schema", {}), schemas))


def _contents(operation: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    parts = [operation.get("requestBody", {})]
    parts += [answer for status, answer in operation.get("responses", {}).items() if status.startswith("2")]
    for part in parts:
        found = part.get("content", {}).get("application/json")
        if found is not None:
            yield found


def example_of(schema: Schema, schemas: Mapping[str, Schema], name: str = "", depth: int = 0) -> Any:
    """Return a value that fits the schema; `name` is the property that it stands in."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas, name, depth)
    for told in ("const", "example"):
        if told in schema:
            return schema[told]
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        word = WORDS.get(name)
        return word if word in schema["enum"] else schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            options = [each for each in schema[choice] if each.get("type") != "null"]
            return example_of(options[0], schemas, name, depth) if options else None
    return _of_type(schema, schemas, name, depth)


def _of_type(schema: Schema, schemas: Mapping[str, Schema], name: str, depth: int) -> Any:
    word = WORDS.get(name)
    match schema.get("type"):
        case "string":
            return _text(schema, word)
        case "integer" | "number":
            return word if isinstance(word, int) else _number(schema)
        case "boolean":
            return bool(schema.get("default", True))
        case "array":
            return _rows(schema, schemas, name, word, depth)
        case "object":
            return _object(schema, schemas, depth)
        case _:
            return word if word is not None else {}


def _text(schema: Schema, word: Any) -> str:
    """Return the word of the name where it fits, else the first candidate that does."""
    formats = {"date-time": _INSTANT, "date": _DATE, "uuid": "6f1f2d8e-8a3c-4c0e-9b1a-0d5e6f7a8b9c"}
    if schema.get("format") in formats:
        return formats[schema["format"]]
    for each in (word, *_CANDIDATES):
        if isinstance(each, str) and _fits(each, schema):
            return each
    return "x" * int(schema.get("minLength", 0))


def _fits(text: str, schema: Schema) -> bool:
    longest = int(schema.get("maxLength", 10_000))
    if not int(schema.get("minLength", 0)) <= len(text) <= longest:
        return False
    return "pattern" not in schema or re.search(schema["pattern"], text) is not None


def _number(schema: Schema) -> int | float:
    """Return a number within the bounds; 1 where it may be."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if (low is None or low < 1) and (high is None or high > 1):
        return 1
    if low is not None and high is not None and "exclusiveMinimum" in schema:
        return float(low + high) / 2
    return int(low if low is not None else high or 0)


def _rows(schema: Schema, schemas: Mapping[str, Schema], name: str, word: Any, depth: int) -> list[Any]:
    if isinstance(word, list) and schema.get("items", {}).get("type") == "string":
        return word
    if depth >= _DEPTH and not schema.get("minItems"):
        return []
    if "prefixItems" in schema:
        return [example_of(each, schemas, "", depth + 1) for each in schema["prefixItems"]]
    row = example_of(schema.get("items", {}), schemas, name.removesuffix("s"), depth + 1)
    return [row] * max(1, int(schema.get("minItems", 1)))


def _object(schema: Schema, schemas: Mapping[str, Schema], depth: int) -> dict[str, Any]:
    """Return an object with its properties; optional ones of inputs are left out where they say no more."""
    known = schema.get("properties", {})
    required = set(schema.get("required", ()))
    chosen = [key for key in known if key in required or depth < _DEPTH]
    made = {key: example_of(known[key], schemas, key, depth + 1) for key in chosen}
    if not known and isinstance(schema.get("additionalProperties"), Mapping):
        key = _text(schema.get("propertyNames", {}), "L2")
        made[key] = example_of(schema["additionalProperties"], schemas, "", depth + 1)
    for key in required - known.keys():
        made[key] = {}
    return made
