"""Numbered records over a table, and their twin in memory (`ports.records.Records`)."""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.exc import IntegrityError

from crm_core.domain.errors import Conflict
from crm_core.domain.identity import TenantId
from crm_core.storage.memory_service import Journal, MemoryVersioned
from crm_core.storage.rows import row_of
from crm_core.storage.tables import VersionedTable

Entity = TypeVar("Entity")


class SqlRecords(VersionedTable[Entity]):
    """Records of one kind in the CRM database; unique keys are those of the table, `extra` its search columns."""

    def __init__(
        self,
        connection: Connection,
        table: Table,
        kind: type[Entity],
        key: str,
        extra: Callable[[Any], dict[str, object]] = lambda _: {},
    ) -> None:
        super().__init__(connection, table, kind, key)
        self._extra = extra

    def add(self, entity: Entity) -> Entity:
        try:
            return self._insert(self._row(entity))
        except IntegrityError as error:
            raise Conflict(
                f"{self._table.name}: there is one like this already, or it names what does not exist"
            ) from error

    def add_once(self, entity: Entity) -> Entity | None:
        return self._insert_if_free(self._row(entity))

    def get(self, tenant: TenantId, number: int) -> Entity:
        return self._must_find(tenant, number)

    def save(self, entity: Entity) -> Entity:
        return self._replace(self._row(entity))

    def _row(self, entity: Entity) -> dict[str, Any]:
        return row_of(entity, **self._extra(entity))

    def where(
        self, tenant: TenantId, *, before: int | None = None, limit: int = 1_000_000, **equal: object
    ) -> Sequence[Entity]:
        query = self._of_tenant(tenant)
        for name, value in equal.items():
            if value is not None:
                query = query.where(
                    self._table.c[name] == (value.value if isinstance(value, Enum) else value)
                )
        if before is not None:
            query = query.where(self._key < before)
        return self._many(query.order_by(self._key.desc()).limit(limit))


class MemoryRecords(MemoryVersioned[Entity]):
    """Records of one kind in memory; `unique` gives the natural key, None for rows that have none.

    `indexed` names the fields that questions mostly name, so that they do not walk through everything.
    """

    def __init__(
        self,
        journal: Journal,
        id_field: str,
        unique: Callable[[Any], tuple[object, ...] | None] = lambda _: None,
        indexed: str = "customer_id",
    ) -> None:
        super().__init__(journal, id_field)
        self._unique = unique
        self._indexed = indexed
        self._table.index("unique", self._unique_key)
        self._table.index("by", lambda each: (_tenant(each), getattr(each, indexed, None)))

    def add(self, entity: Entity) -> Entity:
        made = self.add_once(entity)
        if made is None:
            raise Conflict("there is one like this already")
        return made

    def add_once(self, entity: Entity) -> Entity | None:
        return None if self._others(entity, None) else self._insert(entity)

    def get(self, tenant: TenantId, number: int) -> Entity:
        return self._must_find(tenant, number)

    def save(self, entity: Entity) -> Entity:
        if self._others(entity, getattr(entity, self._id_field)):
            raise Conflict("there is one like this already; read the other record first")
        return self._replace(entity)

    def where(
        self, tenant: TenantId, *, before: int | None = None, limit: int = 1_000_000, **equal: object
    ) -> Sequence[Entity]:
        asked = {name: value for name, value in equal.items() if value is not None}
        rows: Iterable[Entity] = self._newest_first(tenant)
        if self._indexed in asked:
            found = self._table.by("by", (tenant, asked[self._indexed]))
            rows = sorted(found, key=lambda each: -int(getattr(each, self._id_field)))
        fitting = (
            each
            for each in rows
            if (before is None or getattr(each, self._id_field) < before)
            and all(getattr(each, name) == value for name, value in asked.items())
        )
        return list(islice(fitting, limit))

    def _unique_key(self, entity: Entity) -> tuple[object, ...] | None:
        key = self._unique(entity)
        return None if key is None else (_tenant(entity), *key)

    def _others(self, entity: Entity, number: int | None) -> bool:
        key = self._unique_key(entity)
        holders = self._table.by("unique", key) if key is not None else []
        return any(getattr(each, self._id_field) != number for each in holders)


def _tenant(entity: Any) -> str:
    return str(entity.tenant)
