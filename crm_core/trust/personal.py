"""Personal fields (identity numbers and what else the policy names): sealed in the database, masked for most people.

Callers pass their own unit of work, so that a customer and the personal fields are one transaction:

    personal.put(uow, tenant, Subject(SubjectKind.CUSTOMER, customer_id), "identity_number", "11010519491231002X")
    personal.shown(uow, tenant, subject, principal.role)      # {"identity_number": "**************002X"}
"""

import unicodedata
from collections.abc import Mapping
from typing import Protocol

from crm_core.domain.errors import InvalidValue, NotFound
from crm_core.domain.identity import TenantId
from crm_core.domain.service import Role
from crm_core.domain.trust import AuditNote, PersonalRecord, Sealed, Subject, SubjectKind
from crm_core.domain.trust_policy import PersonalFieldRule, TrustPolicy
from crm_core.ports import Clock, PersonalLock, UnitOfWork

MAX_LENGTH = 400
_HIDDEN = "*"
_KEPT_OPEN = 8  # at least so many characters of a text stay hidden, however short it is


class Figures(Protocol):
    """The policy book, or as much of it as personal data needs; it is asked anew each time."""

    @property
    def trust(self) -> TrustPolicy: ...


class PersonalData:
    """Stores, masks, reveals and finds personal fields; `policy` names the fields (requirements 18, 78, 93)."""

    def __init__(self, lock: PersonalLock, policy: Figures, clock: Clock) -> None:
        self._lock = lock
        self._rules = policy
        self._clock = clock

    @property
    def fields(self) -> Mapping[str, PersonalFieldRule]:
        """The fields that may be stored, with their rules."""
        return self._rules.trust.personal

    def put(self, uow: UnitOfWork, tenant: TenantId, subject: Subject, field: str, value: str) -> None:
        """Seal and store one field; an empty value removes it. Raises `InvalidValue` for an unknown field."""
        rule = self._rule(field)
        plain = unicodedata.normalize("NFC", value).strip()
        if not plain:
            uow.trust.drop_personal(tenant, subject, field)
            return
        if len(plain) > MAX_LENGTH or any(unicodedata.category(one)[0] == "C" for one in plain):
            raise InvalidValue(f"{field}: at most {MAX_LENGTH} characters, none of them a control character")
        uow.trust.save_personal(self._sealed(tenant, subject, field, plain, rule))

    def remove(self, uow: UnitOfWork, tenant: TenantId, subject: Subject) -> int:
        """Remove all fields of a subject; return how many there were."""
        return uow.trust.drop_personal(tenant, subject)

    def shown(
        self,
        uow: UnitOfWork,
        tenant: TenantId,
        subject: Subject,
        role: Role | None = None,
        *,
        in_full: bool = False,
    ) -> dict[str, str]:
        """Return the fields as a role may see them; without a role all are masked. `in_full` is for exports."""
        return {
            record.field: self._open(record) if in_full else self._as_seen(record, role)
            for record in uow.trust.personal(tenant, subject)
            if in_full or record.field in self._rules.trust.personal
        }

    def reveal(self, uow: UnitOfWork, tenant: TenantId, subject: Subject, field: str, reason: str) -> str:
        """Return one field in full and keep in the audit chain that it was read; commit the unit of work."""
        for record in uow.trust.personal(tenant, subject):
            if record.field == field:
                uow.trust.note(
                    AuditNote(
                        tenant=tenant,
                        action="personal.revealed",
                        kind=subject.kind.value,
                        object_id=subject.subject_id,
                        detail=f"{field}: {reason}"[:200],
                    )
                )
                return self._open(record)
        raise NotFound(f"{subject.kind.value} {subject.subject_id} has no {field}")

    def find(
        self, uow: UnitOfWork, tenant: TenantId, kind: SubjectKind, field: str, value: str
    ) -> tuple[Subject, ...]:
        """Return who has exactly this value, without opening any; spaces, dashes and case do not count."""
        if not self._rule(field).look_up:
            raise InvalidValue(f"{field} is not kept for searches; see trust.personal.{field}.look_up")
        marks = self._lock.marks(_canonical(value), f"{tenant}/{kind.value}/{field}")
        return tuple(uow.trust.subjects_marked(tenant, kind, field, marks))

    def move_to_newest_key(self, uow: UnitOfWork, limit: int = 500) -> int:
        """Seal up to `limit` records anew that an older key seals; return how many. The caller commits."""
        old = uow.trust.personal_not_under(self._lock.key_ids[0], limit)
        for record in old:
            rule = self._rules.trust.personal.get(record.field) or PersonalFieldRule(
                shown_last=0, look_up=record.mark is not None, read_by=frozenset()
            )
            plain = self._open(record)
            uow.trust.save_personal(self._sealed(record.tenant, record.subject, record.field, plain, rule))
        return len(old)

    def _sealed(
        self, tenant: TenantId, subject: Subject, field: str, plain: str, rule: PersonalFieldRule
    ) -> PersonalRecord:
        what = f"{tenant}/{subject.kind.value}/{field}"
        sealed = self._lock.seal(plain, f"{tenant}/{subject.kind.value}/{subject.subject_id}/{field}")
        return PersonalRecord(
            tenant=tenant,
            subject_kind=subject.kind,
            subject_id=subject.subject_id,
            field=field,
            key_id=sealed.key_id,
            sealed=sealed.text,
            mark=self._lock.marks(_canonical(plain), what)[0] if rule.look_up else None,
            changed_at=self._clock.now(),
        )

    def _as_seen(self, record: PersonalRecord, role: Role | None) -> str:
        rule = self._rules.trust.personal[record.field]
        plain = self._open(record)
        return plain if role in rule.read_by else masked(plain, rule.shown_last)

    def _open(self, record: PersonalRecord) -> str:
        return self._lock.open(Sealed(record.key_id, record.sealed), record.place)

    def _rule(self, field: str) -> PersonalFieldRule:
        rule = self._rules.trust.personal.get(field)
        if rule is None:
            raise InvalidValue(
                f"{field!r} is no personal field; known: {', '.join(self._rules.trust.personal)}"
            )
        return rule


def masked(plain: str, shown_last: int) -> str:
    """Return the text with all but its end hidden; of a short text less or nothing is shown."""
    shown = max(0, min(shown_last, len(plain) - _KEPT_OPEN))
    return _HIDDEN * (len(plain) - shown) + plain[len(plain) - shown :]


def _canonical(value: str) -> str:
    folded = unicodedata.normalize("NFKC", value).upper()
    return "".join(one for one in folded if not one.isspace() and one not in "-_./")
