"""Trust over the CRM database (`ports.TrustRepository`)."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select

from crm_core.domain.errors import Conflict
from crm_core.domain.identity import TenantId
from crm_core.domain.trust import (
    AuditEvent,
    AuditNote,
    ChainHead,
    PersonalRecord,
    Subject,
    SubjectKind,
)
from crm_core.storage import schema
from crm_core.storage.accounts.tables import access_tokens
from crm_core.storage.rows import entity_of, row_of
from crm_core.storage.tables import upsert
from crm_core.storage.trust.tables import audit_events, personal_fields
from crm_core.storage.trust.trail import AuditTrail, head_of


class SqlTrustRepository:
    """The audit chain and sealed personal fields (`ports.TrustRepository`)."""

    def __init__(self, connection: Connection, trail: AuditTrail | None = None) -> None:
        self._connection = connection
        self._trail = trail

    def save_personal(self, record: PersonalRecord) -> None:
        upsert(self._connection, personal_fields, row_of(record))

    def personal(self, tenant: TenantId, subject: Subject) -> Sequence[PersonalRecord]:
        table = personal_fields.c
        query = select(personal_fields).where(
            table.tenant == tenant,
            table.subject_kind == subject.kind.value,
            table.subject_id == subject.subject_id,
        )
        return [
            entity_of(row, PersonalRecord)
            for row in self._connection.execute(query.order_by(table.field)).mappings()
        ]

    def drop_personal(self, tenant: TenantId, subject: Subject, field: str | None = None) -> int:
        table = personal_fields.c
        query = personal_fields.delete().where(
            table.tenant == tenant,
            table.subject_kind == subject.kind.value,
            table.subject_id == subject.subject_id,
        )
        if field is not None:
            query = query.where(table.field == field)
        return self._connection.execute(query).rowcount

    def subjects_marked(
        self, tenant: TenantId, kind: SubjectKind, field: str, marks: Sequence[str]
    ) -> Sequence[Subject]:
        table = personal_fields.c
        query = select(table.subject_id).where(
            table.tenant == tenant,
            table.subject_kind == kind.value,
            table.field == field,
            table.mark.in_(marks),
        )
        found = self._connection.execute(query.order_by(table.subject_id)).scalars()
        return [Subject(kind, subject_id) for subject_id in found]

    def personal_not_under(self, key_id: str, limit: int) -> Sequence[PersonalRecord]:
        table = personal_fields.c
        query = select(personal_fields).where(table.key_id != key_id)
        ordered = query.order_by(table.tenant, table.subject_kind, table.subject_id, table.field)
        return [
            entity_of(row, PersonalRecord)
            for row in self._connection.execute(ordered.limit(limit)).mappings()
        ]

    def personal_by_key(self) -> dict[str, int]:
        query = select(personal_fields.c.key_id, func.count()).group_by(personal_fields.c.key_id)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def forget_expired_tokens(self, before: datetime) -> int:
        table = access_tokens
        return self._connection.execute(table.delete().where(table.c.expires_at < before)).rowcount

    def forget_processed_signals(self, before: datetime) -> int:
        table = schema.signals
        return self._connection.execute(table.delete().where(table.c.processed_at < before)).rowcount

    def note(self, note: AuditNote) -> None:
        if self._trail is None:
            raise Conflict("a reader writes nothing into the audit chain")
        self._trail.note(note)

    def head(self, tenant: TenantId) -> ChainHead | None:
        return head_of(self._connection, tenant)

    def events(self, tenant: TenantId, after: int, limit: int) -> Sequence[AuditEvent]:
        table = audit_events.c
        query = select(audit_events).where(table.tenant == tenant, table.number > after)
        rows = self._connection.execute(query.order_by(table.number).limit(limit)).mappings()
        return [entity_of(row, AuditEvent) for row in rows]

    def newest_events(
        self,
        tenant: TenantId,
        *,
        before: int | None = None,
        kind: str | None = None,
        object_id: str | None = None,
        actor: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> Sequence[AuditEvent]:
        table = audit_events.c
        query = select(audit_events).where(table.tenant == tenant)
        for column, value in ((table.kind, kind), (table.object_id, object_id), (table.actor, actor)):
            if value is not None:
                query = query.where(column == value)
        if before is not None:
            query = query.where(table.number < before)
        if since is not None:
            query = query.where(table.at >= since)
        rows = self._connection.execute(query.order_by(table.number.desc()).limit(limit)).mappings()
        return [entity_of(row, AuditEvent) for row in rows]
