"""Every change of a watched table becomes an event of the audit chain, whichever service wrote it.

Triggers note the old and the new row in a table that only this connection sees and that never reaches the database
file; with the commit of a unit of work the notes become chained events of the same transaction. What is rolled back
leaves nothing, and what is committed cannot be missing in the chain.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, event, select, text
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from crm_core.domain.actors import current_actor
from crm_core.domain.identity import TenantId
from crm_core.domain.trust import AuditEvent, AuditNote, ChainHead, next_event
from crm_core.ports import Clock
from crm_core.storage.rows import row_of
from crm_core.storage.trust.tables import audit_events, audit_heads, watched_tables

_PENDING: Final = "audit_pending"
_COLUMNS_A_CHUNK: Final = 60  # SQLite functions take at most 127 arguments
_NOW: Final = {
    "sqlite": "SELECT strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now')",
    "postgresql": "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')",
}
_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION drumbeat_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF to_regclass('pg_temp.audit_pending') IS NOT NULL THEN
    INSERT INTO pg_temp.audit_pending (table_name, old_row, new_row) VALUES (
      TG_TABLE_NAME,
      CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE to_jsonb(OLD)::text END,
      CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE to_jsonb(NEW)::text END);
  END IF;
  RETURN NULL;
END $$
"""


def watch(engine: Engine) -> None:
    """Let every new connection of this engine note the changes of watched tables."""
    listen = _watch_sqlite if engine.dialect.name == "sqlite" else _open_pending
    event.listen(engine, "connect", lambda connection, _record: listen(connection))


def install_triggers(connection: Connection) -> None:
    """Put the triggers on PostgreSQL's tables; SQLite's are made with each connection. Safe to repeat."""
    if connection.dialect.name != "postgresql":
        return
    connection.exec_driver_sql(_FUNCTION)
    for table in watched_tables():
        connection.exec_driver_sql(
            f'CREATE OR REPLACE TRIGGER drumbeat_audit AFTER INSERT OR UPDATE OR DELETE ON "{table.name}" '
            "FOR EACH ROW EXECUTE FUNCTION drumbeat_audit()"
        )


class AuditTrail:
    """What one unit of work adds to the chain; `settle` writes it before the commit. Without a clock the database's counts."""

    def __init__(self, connection: Connection, clock: Clock | None) -> None:
        self._connection = connection
        self._clock = clock
        self._notes: list[AuditNote] = []

    def note(self, note: AuditNote) -> None:
        """Add something that is no change of a row."""
        self._notes.append(note)

    def settle(self) -> None:
        """Turn what was noted since the last commit into chained events."""
        pending = self._connection.exec_driver_sql(
            f"SELECT table_name, old_row, new_row FROM {_PENDING} ORDER BY pending_id"  # noqa: S608 - a name of ours
        ).all()
        if not pending and not self._notes:
            return
        fresh = [*self._changes(pending), *map(self._of_note, self._notes)]
        self._notes.clear()
        if self._connection.dialect.name == "sqlite":  # PostgreSQL empties it with the commit
            self._connection.exec_driver_sql(f"DELETE FROM {_PENDING}")  # noqa: S608 - a name of ours
        for tenant in sorted({each.tenant for each in fresh}):
            self._append(tenant, [each for each in fresh if each.tenant == tenant])

    def _changes(self, pending: Any) -> Iterator[AuditEvent]:
        keys = {table.name: [column.name for column in table.primary_key] for table in watched_tables()}
        for name, old_text, new_text in pending:
            old, new = _row(old_text), _row(new_text)
            if old == new:
                continue
            row = new or old
            yield self._event(
                TenantId(row["tenant"]),
                action="insert" if not old else "update" if new else "delete",
                kind=name,
                object_id="/".join(str(row[key]) for key in keys[name] if key != "tenant"),
                changed=",".join(
                    sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
                )
                if old and new
                else "",
                before=_digest(old),
                after=_digest(new),
            )

    def _of_note(self, note: AuditNote) -> AuditEvent:
        return self._event(
            note.tenant, action=note.action, kind=note.kind, object_id=note.object_id, changed=note.detail
        )

    def _event(
        self,
        tenant: TenantId,
        *,
        action: str,
        kind: str,
        object_id: str,
        changed: str,
        before: str = "",
        after: str = "",
    ) -> AuditEvent:
        return AuditEvent(
            tenant=tenant,
            number=0,
            at=self._now(),
            actor=current_actor(),
            action=action,
            kind=kind,
            object_id=object_id,
            changed=changed,
            before=before,
            after=after,
            previous="",
            chain="",
        )

    def _now(self) -> datetime:
        if self._clock is not None:
            return self._clock.now()
        told = self._connection.execute(text(_NOW[self._connection.dialect.name])).scalar_one()
        return datetime.fromisoformat(told)

    def _append(self, tenant: TenantId, events: list[AuditEvent]) -> None:
        """Append to the tenant's chain; the row of its head is locked until the commit."""
        insert = postgres_insert if self._connection.dialect.name == "postgresql" else sqlite_insert
        if (
            self._connection.dialect.name == "postgresql"
        ):  # the first event of a tenant has no row to lock yet
            self._connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"drumbeat audit {tenant}"}
            )
        head = head_of(self._connection, tenant)
        rows = []
        for each in events:
            placed = next_event(head, each)
            rows.append(row_of(placed))
            head = ChainHead(tenant=tenant, number=placed.number, chain=placed.chain)
        self._connection.execute(audit_events.insert(), rows)
        assert head is not None  # at least one event
        self._connection.execute(
            insert(audit_heads)
            .values(row_of(head))
            .on_conflict_do_update(
                index_elements=["tenant"], set_={"number": head.number, "chain": head.chain}
            )
        )


def head_of(connection: Connection, tenant: TenantId) -> ChainHead | None:
    """Return the end of the tenant's chain, None for an empty one."""
    found = connection.execute(select(audit_heads).where(audit_heads.c.tenant == tenant)).mappings().first()
    return None if found is None else ChainHead(tenant=tenant, number=found["number"], chain=found["chain"])


def _row(told: str | None) -> dict[str, Any]:
    """Return the fields that a row has; empty fields do not count, so that a new empty column changes nothing."""
    if told is None:
        return {}
    row: dict[str, Any] = {}
    for line in told.split("\n"):
        row |= msgspec.json.decode(line)
    return {key: value for key, value in row.items() if value is not None}


def _digest(row: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(row, order="deterministic")).hexdigest() if row else ""


def _open_pending(connection: Any) -> None:
    """Give a PostgreSQL session its own table of notes."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS {_PENDING} (pending_id bigserial PRIMARY KEY, table_name text, "
            "old_row text, new_row text) ON COMMIT DELETE ROWS"
        )
    connection.commit()


def _watch_sqlite(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(
        f"CREATE TEMP TABLE {_PENDING} (pending_id INTEGER PRIMARY KEY, table_name TEXT, old_row TEXT, new_row TEXT)"
    )
    for table in watched_tables():
        columns = [
            (name, kind)
            for _, name, kind, *_ in connection.execute(f'PRAGMA main.table_info("{table.name}")')
        ]
        if not columns:
            continue  # the database is not migrated yet
        old, new = _as_json(columns, "OLD"), _as_json(columns, "NEW")
        for verb, before, after in (("INSERT", "NULL", new), ("UPDATE", old, new), ("DELETE", old, "NULL")):
            connection.execute(
                f'CREATE TEMP TRIGGER "audit_{table.name}_{verb}" AFTER {verb} ON main."{table.name}" BEGIN '  # noqa: S608 - names of the schema
                f"INSERT INTO {_PENDING} (table_name, old_row, new_row) VALUES ('{table.name}', {before}, {after}); END"
            )


def _as_json(columns: list[tuple[str, str]], row: str) -> str:
    """Return the SQL expression that writes a row as lines of JSON."""
    chunks = [columns[at : at + _COLUMNS_A_CHUNK] for at in range(0, len(columns), _COLUMNS_A_CHUNK)]
    objects = []
    for chunk in chunks:
        parts = (
            f"'{name}', hex({row}.\"{name}\")" if kind.upper() == "BLOB" else f"'{name}', {row}.\"{name}\""
            for name, kind in chunk
        )
        objects.append(f"json_object({', '.join(parts)})")
    return " || char(10) || ".join(objects)
