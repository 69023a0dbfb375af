"""Trust in data: whose personal data is kept where, under which key, and what the audit chain holds about a change."""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from crm_core.domain.identity import TenantId


class SubjectKind(StrEnum):
    """Whose personal data it is."""

    CUSTOMER = "customer"
    CONTACT = "contact"
    GUARANTOR = "guarantor"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Subject:
    """A person or firm of which personal fields are kept, named by its id and never by its data."""

    kind: SubjectKind
    subject_id: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """A text under lock: the id of its key, and the ciphertext with nonce and tag (base64)."""

    key_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalRecord:
    """One personal field as it is stored. `mark` finds an exact value without opening anything; None = not searchable."""

    tenant: TenantId
    subject_kind: SubjectKind
    subject_id: str
    field: str
    key_id: str
    sealed: str
    mark: str | None
    changed_at: datetime

    @property
    def subject(self) -> Subject:
        return Subject(self.subject_kind, self.subject_id)

    @property
    def place(self) -> str:
        """What the ciphertext is bound to: moved to another row, it cannot be opened."""
        return f"{self.tenant}/{self.subject_kind.value}/{self.subject_id}/{self.field}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One change, chained to the one before it. Hashes are SHA-256 in hex; `before` is empty for what is new.

    No value of the record stands here, only which fields changed and the hashes of the whole record.
    """

    tenant: TenantId
    number: int  # 1, 2, 3 ... without a gap
    at: datetime
    actor: str
    action: str  # insert, update, delete, or what a service says (personal.revealed, policy.applied ...)
    kind: str  # the table, or the kind of object
    object_id: str
    changed: str  # names of the changed fields, comma separated
    before: str
    after: str
    previous: str  # chain hash of the event before, 64 zeros for the first
    chain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNote:
    """Something to be kept in the chain that is no change of a row: personal data read, a policy applied."""

    tenant: TenantId
    action: str
    kind: str
    object_id: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHead:
    """The newest event of a tenant's chain."""

    tenant: TenantId
    number: int
    chain: str


#: What the first event of a chain has as the hash of its predecessor.
GENESIS: Final = "0" * 64


def chain_hash(event: AuditEvent) -> str:
    """Return the hash of an event with everything in it and the hash of the one before: changing any of it shows."""
    parts = [
        event.tenant,
        str(event.number),
        event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        event.actor,
        event.action,
        event.kind,
        event.object_id,
        event.changed,
        event.before,
        event.after,
        event.previous,
    ]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def next_event(head: ChainHead | None, event: AuditEvent) -> AuditEvent:
    """Return the event with number, predecessor and chain hash set to follow `head`."""
    previous = GENESIS if head is None else head.chain
    placed = replace(event, number=1 if head is None else head.number + 1, previous=previous, chain="")
    return replace(placed, chain=chain_hash(placed))
