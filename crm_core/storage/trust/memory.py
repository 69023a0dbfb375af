"""Trust in memory, with the promises of the database: what services note is chained; rows are not watched."""

from collections.abc import Sequence
from datetime import UTC, datetime

from crm_core.domain.actors import current_actor
from crm_core.domain.identity import TenantId
from crm_core.domain.trust import (
    AuditEvent,
    AuditNote,
    ChainHead,
    PersonalRecord,
    Subject,
    SubjectKind,
    next_event,
)
from crm_core.storage.memory_service import Journal, Table

_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)  # a simulation has no auditor: the order is what counts


class MemoryTrustRepository:
    """The audit chain and sealed personal fields (`ports.TrustRepository`)."""

    def __init__(self, journal: Journal) -> None:
        self._personal: Table[PersonalRecord] = Table(journal)
        self._events: Table[AuditEvent] = Table(journal)
        self._heads: Table[ChainHead] = Table(journal)

    def save_personal(self, record: PersonalRecord) -> None:
        self._personal.put((record.tenant, record.subject_kind, record.subject_id, record.field), record)

    def personal(self, tenant: TenantId, subject: Subject) -> Sequence[PersonalRecord]:
        return [
            row
            for key, row in sorted(self._personal.rows.items())
            if key[:3] == (tenant, subject.kind, subject.subject_id)
        ]

    def drop_personal(self, tenant: TenantId, subject: Subject, field: str | None = None) -> int:
        gone = [each for each in self.personal(tenant, subject) if field in (None, each.field)]
        for each in gone:
            self._personal.drop((tenant, subject.kind, subject.subject_id, each.field))
        return len(gone)

    def subjects_marked(
        self, tenant: TenantId, kind: SubjectKind, field: str, marks: Sequence[str]
    ) -> Sequence[Subject]:
        return [
            row.subject
            for key, row in sorted(self._personal.rows.items())
            if (key[0], key[1], key[3]) == (tenant, kind, field) and row.mark in marks
        ]

    def personal_not_under(self, key_id: str, limit: int) -> Sequence[PersonalRecord]:
        old = [row for _, row in sorted(self._personal.rows.items()) if row.key_id != key_id]
        return old[:limit]

    def personal_by_key(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in self._personal.rows.values():
            counts[row.key_id] = counts.get(row.key_id, 0) + 1
        return counts

    def forget_expired_tokens(self, before: datetime) -> int:  # noqa: ARG002 - memory ends with its process
        return 0

    def forget_processed_signals(self, before: datetime) -> int:  # noqa: ARG002 - memory keeps none
        return 0

    def note(self, note: AuditNote) -> None:
        told = AuditEvent(
            tenant=note.tenant,
            number=0,
            at=_NO_TIME,
            actor=current_actor(),
            action=note.action,
            kind=note.kind,
            object_id=note.object_id,
            changed=note.detail,
            before="",
            after="",
            previous="",
            chain="",
        )
        placed = next_event(self.head(note.tenant), told)
        self._events.put((placed.tenant, placed.number), placed)
        head = ChainHead(tenant=placed.tenant, number=placed.number, chain=placed.chain)
        self._heads.put((placed.tenant,), head)

    def head(self, tenant: TenantId) -> ChainHead | None:
        return self._heads.rows.get((tenant,))

    def events(self, tenant: TenantId, after: int, limit: int) -> Sequence[AuditEvent]:
        rows = (row for key, row in sorted(self._events.rows.items()) if key[0] == tenant and key[1] > after)
        return list(rows)[:limit]

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
        rows = [
            row
            for row in reversed(self.events(tenant, 0, len(self._events.rows)))
            if (before is None or row.number < before)
            and (kind is None or row.kind == kind)
            and (object_id is None or row.object_id == object_id)
            and (actor is None or row.actor == actor)
            and (since is None or row.at >= since)
        ]
        return rows[:limit]
