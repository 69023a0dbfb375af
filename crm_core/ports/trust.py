"""The ports of trust: the audit chain, sealed personal fields, and the lock that seals them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from crm_core.domain.identity import TenantId
from crm_core.domain.trust import (
    AuditEvent,
    AuditNote,
    ChainHead,
    PersonalRecord,
    Sealed,
    Subject,
    SubjectKind,
)


class PersonalLock(Protocol):
    """Authenticated encryption of personal fields under keys that can be rotated; the newest key seals, all open."""

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the keys, newest first. An id says nothing about its key."""
        ...

    def seal(self, plain: str, place: str) -> Sealed:
        """Return the text under the newest key, bound to `place`."""
        ...

    def open(self, sealed: Sealed, place: str) -> str:
        """Return the text; raise `InvalidConfiguration` for an unknown key, `Conflict` for a changed ciphertext."""
        ...

    def marks(self, plain: str, what: str) -> tuple[str, ...]:
        """Return the marks under which an exact value is found, one per key, newest first."""
        ...

    def sign(self, message: str) -> str:
        """Return the seal of a message of ours (hex) under the newest key."""
        ...

    def is_signed(self, message: str, signature: str) -> bool: ...


class TrustRepository(Protocol):
    """The audit chain and sealed personal fields, within one transaction."""

    def save_personal(self, record: PersonalRecord) -> None: ...

    def personal(self, tenant: TenantId, subject: Subject) -> Sequence[PersonalRecord]:
        """Return all fields of a subject, by name."""
        ...

    def drop_personal(self, tenant: TenantId, subject: Subject, field: str | None = None) -> int:
        """Remove one field or all fields of a subject; return how many."""
        ...

    def subjects_marked(
        self, tenant: TenantId, kind: SubjectKind, field: str, marks: Sequence[str]
    ) -> Sequence[Subject]: ...

    def personal_not_under(self, key_id: str, limit: int) -> Sequence[PersonalRecord]:
        """Return records of all tenants that another key seals."""
        ...

    def personal_by_key(self) -> dict[str, int]:
        """Return how many records each key seals."""
        ...

    def forget_expired_tokens(self, before: datetime) -> int:
        """Remove tokens that expired before an instant; return how many."""
        ...

    def forget_processed_signals(self, before: datetime) -> int:
        """Remove signals that triage took in before an instant; tickets keep their evidence. Return how many."""
        ...

    def note(self, note: AuditNote) -> None:
        """Put something into the audit chain with this transaction."""
        ...

    def head(self, tenant: TenantId) -> ChainHead | None:
        """Return the end of the chain as the transaction found it; None for an empty one."""
        ...

    def events(self, tenant: TenantId, after: int, limit: int) -> Sequence[AuditEvent]:
        """Return events with a larger number than `after`, oldest first."""
        ...

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
        """Return events, newest first; None means any."""
        ...
