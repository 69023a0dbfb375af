"""The plain repositories: entities that are found by tenant and key, over one table each."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, RowMapping, Select, Table, bindparam, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from crm_core.domain.errors import Conflict, NotFound
from crm_core.domain.identity import TenantId
from crm_core.storage.rows import entity_of, row_of

Entity = TypeVar("Entity")
Value = TypeVar("Value")
Insert = postgresql.Insert | sqlite.Insert


def batched(values: Sequence[Value], size: int = 500) -> Iterator[Sequence[Value]]:
    """Yield the values in parts: the parameters of one statement stay far below any database's limit."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def insert_into(connection: Connection, table: Table) -> Insert:
    """Return an INSERT of the connected dialect, which knows ON CONFLICT."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def upsert(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Insert the row or replace the one with the same primary key; other unique keys raise `Conflict`."""
    statement = _upsert_statement(connection.dialect.name, table, tuple(row))
    try:
        connection.execute(statement, row)
    except IntegrityError as error:
        raise Conflict(
            f"{table.name}: {_first_line(error)}; check the key and the records that it names"
        ) from error


def upsert_many(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Upsert all rows with one prepared statement: a nightly run saves hundreds of thousands of forecasts."""
    if not rows:
        return
    connection.execute(_upsert_statement(connection.dialect.name, table, tuple(rows[0])), rows)


@lru_cache(maxsize=256)
def _upsert_statement(dialect: str, table: Table, columns: tuple[str, ...]) -> Insert:
    """Return the upsert of these columns; building it anew costs more than running it."""
    keys = [column.name for column in table.primary_key.columns]
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    statement = statement.values({name: bindparam(name) for name in columns})
    changes = {name: statement.excluded[name] for name in columns if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changes)


def insert_once(
    connection: Connection,
    table: Table,
    row: dict[str, Any],
    unique: tuple[str, ...] = (),
    condition: str = "",
) -> RowMapping | None:
    """Insert the row and return what is stored; None when another row holds its `unique` columns (all keys if none is named).

    `condition` is that of a partial unique index, in SQL.
    """
    statement = _insert_once_statement(connection.dialect.name, table, tuple(row), unique, condition)
    return connection.execute(statement, row).mappings().first()


def insert_new(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], unique: tuple[str, ...]
) -> int:
    """Insert the rows (all with the same columns) whose `unique` columns nobody holds, at once; return how many."""
    if not rows:
        return 0
    statement = _insert_new_statement(connection.dialect.name, table, tuple(rows[0]), unique)
    return len(connection.execute(statement, rows).all())  # drivers do not agree about counts of many rows


@lru_cache(maxsize=256)
def _insert_new_statement(
    dialect: str, table: Table, columns: tuple[str, ...], unique: tuple[str, ...]
) -> ReturningInsert[Any]:
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    values: dict[str, Any] = {name: bindparam(name) for name in columns}
    statement = statement.values(values).on_conflict_do_nothing(index_elements=unique)
    return statement.returning(table.c[unique[0]])


@lru_cache(maxsize=256)
def _insert_once_statement(
    dialect: str, table: Table, columns: tuple[str, ...], unique: tuple[str, ...], condition: str
) -> ReturningInsert[Any]:
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return (
        statement.values({name: bindparam(name) for name in columns})
        .on_conflict_do_nothing(
            index_elements=unique or None, index_where=text(condition) if condition else None
        )
        .returning(table)
    )


@lru_cache(maxsize=256)
def _insertion(table: Table) -> ReturningInsert[Any]:
    return table.insert().returning(table)


@lru_cache(maxsize=256)
def _replacement(table: Table, key: str) -> ReturningUpdate[Any]:
    """Return the update of the row whose version is still the one that was read."""
    return (
        table.update()
        .where(
            table.c.tenant == bindparam("old_tenant"),
            table.c[key] == bindparam("old_key"),
            table.c.version == bindparam("old_version"),
        )
        .returning(table)
    )


def _first_line(error: IntegrityError) -> str:
    return str(error.orig).splitlines()[0]


@lru_cache(maxsize=256)
def where_equal(table: Table, *columns: str) -> Select[Any]:
    """Return the query of the rows with given values in `columns`, as parameters `wanted_<column>`; built once."""
    return select(table).where(*(table.c[name] == bindparam(f"wanted_{name}") for name in columns))


@lru_cache(maxsize=256)
def _by_key(table: Table, key: str) -> Select[Any]:
    """Return the query of one row; building it anew for each look costs more than running it."""
    return select(table).where(
        table.c.tenant == bindparam("wanted_tenant"), table.c[key] == bindparam("wanted_key")
    )


@lru_cache(maxsize=256)
def _all_by_key(table: Table, key: str) -> Select[Any]:
    return select(table).where(table.c.tenant == bindparam("wanted_tenant")).order_by(table.c[key])


class EntityTable(Generic[Entity]):
    """One table whose rows are entities of one kind: the queries that all repositories share."""

    def __init__(self, connection: Connection, table: Table, kind: type[Entity], key: str) -> None:
        self._connection = connection
        self._table = table
        self._kind = kind
        self._key = table.c[key]

    def _must_find(self, tenant: str, key: str | int) -> Entity:
        found = self._with_key(tenant, key)
        if found is None:
            raise NotFound(f"{self._table.name}: there is no {key!r}; list them to see the known ones")
        return found

    def _with_key(self, tenant: str, key: str | int) -> Entity | None:
        query = _by_key(self._table, self._key.name)
        row = self._connection.execute(query, {"wanted_tenant": tenant, "wanted_key": key}).mappings().first()
        return None if row is None else entity_of(row, self._kind)

    def _of_tenant(self, tenant: str) -> Select[Any]:
        return select(self._table).where(self._table.c.tenant == tenant)

    def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        return self._connection.execute(query).mappings().all()

    def _many(self, query: Select[Any]) -> list[Entity]:
        return [entity_of(row, self._kind) for row in self._rows(query)]

    def _one(self, query: Select[Any], wanted: Mapping[str, object] | None = None) -> Entity | None:
        row = self._connection.execute(query, wanted).mappings().first()
        return None if row is None else entity_of(row, self._kind)


class TableRepository(EntityTable[Entity]):
    """Entities of one kind by tenant and id (`ports.Repository`)."""

    def find(self, tenant: TenantId, key: str) -> Entity | None:
        return self._with_key(tenant, key)

    def get(self, tenant: TenantId, key: str) -> Entity:
        return self._must_find(tenant, key)

    def all(self, tenant: TenantId) -> Sequence[Entity]:
        rows = self._connection.execute(_all_by_key(self._table, self._key.name), {"wanted_tenant": tenant})
        return [entity_of(row, self._kind) for row in rows.mappings().all()]

    def save(self, entity: Entity) -> None:
        upsert(self._connection, self._table, self._row(entity))

    def _row(self, entity: Entity) -> dict[str, Any]:
        return row_of(entity)


class VersionedTable(EntityTable[Entity]):
    """Entities numbered by the database, with a version against lost updates (tickets, orders, incidents)."""

    def _insert(self, row: dict[str, Any]) -> Entity:
        """Insert without the id and return the entity with the id that the database gave."""
        made = self._connection.execute(_insertion(self._table), self._numbered(row)).mappings().one()
        return entity_of(made, self._kind)

    def _insert_if_free(
        self, row: dict[str, Any], unique: tuple[str, ...] = (), condition: str = ""
    ) -> Entity | None:
        """Insert like `_insert`; None when a unique index (the partial one over `unique` where `condition`) holds the key."""
        made = insert_once(self._connection, self._table, self._numbered(row), unique, condition)
        return None if made is None else entity_of(made, self._kind)

    def _numbered(self, row: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name != self._key.name} | {"version": 1}

    def _replace(self, row: dict[str, Any]) -> Entity:
        """Replace the row if its version is still the stored one, or raise `Conflict` (`NotFound` when it is gone)."""
        table, key = self._table, row[self._key.name]
        old = {"old_tenant": row["tenant"], "old_key": key, "old_version": row["version"]}
        values = {**row, "version": row["version"] + 1, **old}
        query = _replacement(table, self._key.name)
        try:
            changed = self._connection.execute(query, values).mappings().first()
        except IntegrityError as error:
            raise Conflict(
                f"{table.name} {key}: {_first_line(error)}; read the other record first"
            ) from error
        if changed is None:
            self._must_find(row["tenant"], key)
            raise Conflict(f"{table.name} {key} was changed meanwhile; read it again and repeat the change")
        return entity_of(changed, self._kind)
