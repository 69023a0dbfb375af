"""Bodies about trust: events of the audit chain, personal fields, exports and erasures."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from api.schemas.base import Input, Instant, Output, clean_text
from crm_core.domain.trust import AuditEvent
from crm_core.trust.chain import ChainReport
from crm_core.trust.subjects import Forgotten

Reason = Annotated[str, Field(min_length=3, max_length=200), AfterValidator(clean_text)]


class AuditEventBody(Output):
    """One change. `changed` names fields, never values; `before` and `after` are SHA-256 of the whole record."""

    number: int
    at: Instant
    actor: str
    action: str
    kind: str
    object_id: str
    changed: str
    before: str
    after: str
    previous: str
    chain: str

    @classmethod
    def of(cls, event: AuditEvent) -> "AuditEventBody":
        return cls.model_validate(event)


class VerificationBody(Output):
    """What a walk through the whole chain found; `problems` is empty when nothing was changed, removed or cut off."""

    whole: bool
    events: int
    anchors: int
    last_anchor_at: Instant | None
    problems: list[str]

    @classmethod
    def of(cls, report: ChainReport) -> "VerificationBody":
        return cls(
            whole=report.whole,
            events=report.events,
            anchors=report.anchors,
            last_anchor_at=report.last_anchor_at,
            problems=list(report.problems),
        )


class PersonalBody(Output):
    """Personal fields of a customer as the asking role may see them: in full, or masked but for their end."""

    customer_id: str
    fields: dict[str, str]


class PersonalValue(Input):
    """The value of a personal field; an empty text removes the field."""

    value: Annotated[str, Field(max_length=400), AfterValidator(clean_text)]


class TrustReason(Input):
    """Why somebody reads, exports or erases personal data; it stays in the audit chain."""

    reason: Reason


class RevealedBody(Output):
    """One personal field in full."""

    field: str
    value: str


class PersonalSearch(Input):
    """An exact value to look for; spaces, dashes and case do not count."""

    field: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    value: Annotated[str, Field(min_length=1, max_length=400), AfterValidator(clean_text)]


class FoundBody(Output):
    """Whose value it is."""

    customer_ids: list[str]


class ForgottenBody(Output):
    """What an erasure removed: sealed fields, and rows that were emptied."""

    customer_ids: list[str]
    fields: int
    rows: int

    @classmethod
    def of(cls, forgotten: Forgotten) -> "ForgottenBody":
        return cls(customer_ids=list(forgotten.customers), fields=forgotten.fields, rows=forgotten.rows)


class PersonalExport(Output):
    """Everything personal that is kept about a customer, in full (format `drumbeat.personal-export/1`)."""

    body: dict[str, Any]
