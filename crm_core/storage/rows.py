"""Rows to entities and back: a column holds the field of its name, so the mapping is derived, not written out.

Nested parts (clocks, evidence, regions) are JSON columns. Columns that are not fields serve searches and
unique indexes; the repository adds them on the way in and they are ignored on the way out.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

Entity = TypeVar("Entity")

_NATIVE = (datetime, date, Decimal)


def row_of(entity: object, **extra: object) -> dict[str, Any]:
    """Return the entity's fields as column values, with `extra` search columns."""
    fields: dict[str, Any] = msgspec.to_builtins(entity, builtin_types=_NATIVE)
    return fields | extra


def entity_of(row: Mapping[Any, Any], kind: type[Entity]) -> Entity:
    """Return the entity that the row holds; a row that does not fit raises `msgspec.ValidationError`."""
    plain = {
        str(name): value for name, value in row.items()
    }  # SQLAlchemy may name columns by a subclass of str
    return msgspec.convert(plain, kind)


def entity_from(values: Sequence[Any], names: Sequence[str], kind: type[Entity]) -> Entity:
    """Return the entity whose fields `names` have these values: the quicker way where a row holds several entities."""
    return msgspec.convert(dict(zip(names, values, strict=True)), kind)
