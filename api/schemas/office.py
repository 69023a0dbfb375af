"""Incidents, dead letters, tokens, alarms and rows of bulk requests as JSON."""

from typing import Annotated

from pydantic import Field

from api.schemas.base import Input, Instant, LongText, Name, Output
from api.services import DeadLetter
from crm_core.domain.accounts import SignInAlarm
from crm_core.domain.service import AccessToken, Incident

RecordId = Annotated[int, Field(ge=1, le=2**53)]
Version = Annotated[int, Field(ge=1, le=2**53)]


class IncidentBody(Output):
    """One event that explains the trouble of many devices; `stage` is running, settling or over."""

    incident_id: int
    kind: str
    subject: str
    stage: str
    opened_at: Instant
    closed_at: Instant | None
    settled_at: Instant | None
    devices: int
    device_ids: list[str]
    suppressed: int
    note: str
    version: int

    @classmethod
    def of(cls, incident: Incident) -> "IncidentBody":
        stage = "running" if incident.closed_at is None else "settling"
        return cls(
            incident_id=incident.incident_id,
            kind=incident.kind.value,
            subject=incident.subject,
            stage="over" if incident.settled_at is not None else stage,
            opened_at=incident.opened_at,
            closed_at=incident.closed_at,
            settled_at=incident.settled_at,
            devices=len(incident.device_ids),
            device_ids=list(incident.device_ids),
            suppressed=incident.suppressed,
            note=incident.note,
            version=incident.version,
        )


class DeadLetterBody(Output):
    """One message that could not be understood, or a reading that was refused; `size` in bytes."""

    letter_id: int
    at: Instant
    origin: str
    reason: str
    size: int

    @classmethod
    def of(cls, letter: DeadLetter) -> "DeadLetterBody":
        return cls(
            letter_id=letter.letter_id,
            at=letter.at,
            origin=letter.origin,
            reason=letter.reason,
            size=len(letter.body),
        )


class DeadLetterDetail(DeadLetterBody):
    """A refused message with its text; bytes that are no UTF-8 are shown as escapes."""

    text: str

    @classmethod
    def full(cls, letter: DeadLetter) -> "DeadLetterDetail":
        shown = letter.body.decode("utf-8", "backslashreplace")
        return cls(**DeadLetterBody.of(letter).model_dump(), text=shown)


class LettersInput(Input):
    """Which letters go through once more."""

    letter_ids: Annotated[list[RecordId], Field(min_length=1, max_length=200)]


class ReplayRow(Output):
    """What became of one letter: landed, or why it is still refused."""

    letter_id: int
    landed: bool
    reason: str


class ReplayBody(Output):
    """What became of each letter, in the order of the request."""

    results: list[ReplayRow]


class TokenRow(Output):
    """A token of a machine; the token itself is nowhere kept. `token_id` revokes it."""

    token_id: str
    name: str
    user_id: str
    user_name: str
    scopes: list[str]
    created_at: Instant
    expires_at: Instant
    expired: bool

    @classmethod
    def of(cls, token: AccessToken, user_name: str, *, expired: bool) -> "TokenRow":
        return cls(
            token_id=token.token_hash,
            name=token.name,
            user_id=token.user_id,
            user_name=user_name,
            scopes=list(token.scopes),
            created_at=token.created_at,
            expires_at=token.expires_at,
            expired=expired,
        )


class AlarmBody(Output):
    """Repeated failed sign-ins; `subject` is an address, or an account's name ('?' when there is no such account)."""

    alarm_id: int
    kind: str
    subject: str
    address: str
    failures: int
    raised_at: Instant
    locked_until: Instant

    @classmethod
    def of(cls, alarm: SignInAlarm) -> "AlarmBody":
        return cls.model_validate(alarm)


class AcknowledgeRow(Input):
    """A ticket to take up; with `version` only if it is still that one."""

    ticket_id: RecordId
    version: Version | None = None
    note: LongText = ""


class AcknowledgeRows(Input):
    """Tickets to take up, each on its own."""

    rows: Annotated[list[AcknowledgeRow], Field(min_length=1, max_length=100)]


class AssignRow(Input):
    """A work order to give to a technician; with `version` only if it is still that one."""

    work_order_id: RecordId
    technician_id: Name
    version: Version | None = None
    reason: LongText = ""


class AssignRows(Input):
    """Work orders to give to technicians, each on its own."""

    rows: Annotated[list[AssignRow], Field(min_length=1, max_length=100)]


class BulkRow(Output):
    """What became of one row: 200 with the new version, or the status and code of the problem."""

    id: int
    status: int
    code: str
    version: int | None


class BulkBody(Output):
    """What became of each row, in the order of the request."""

    done: int
    results: list[BulkRow]
