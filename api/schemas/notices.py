"""Notices, receivers, webhooks and escalations as JSON."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from api.schemas.base import Input, Instant, LongText, Output, ShortText, clean_text
from crm_core.domain.messages import Messages
from crm_core.domain.notices import (
    Channel,
    EscalationNote,
    Notice,
    NoticeState,
    Receiver,
    ReceiverKind,
    Webhook,
)
from crm_core.notices.texts import composed

Address = Annotated[str, Field(min_length=1, max_length=320), AfterValidator(clean_text)]
Topic = Annotated[str, Field(pattern=r"^(\*|[a-z_]{1,32}(\.([a-z_]{1,32}|\*))?)$")]
Minute = Annotated[int, Field(ge=0, le=1439)]


class NoticeBody(Output):
    """One message: to whom, by which way, what it says, and what became of it."""

    notice_id: int
    channel: Channel
    receiver_kind: ReceiverKind
    receiver_id: str
    topic: str
    subject: str
    title: str
    text: str
    language: str
    state: NoticeState
    attempts: int
    last_error: str
    actor: str
    created_at: Instant
    due_at: Instant
    done_at: Instant | None

    @classmethod
    def of(cls, notice: Notice, messages: Messages, time_zone: str, *, inside: bool = True) -> "NoticeBody":
        """Return the body; customers read neither names of staff nor reasons of failure."""
        title, text = composed(notice, messages, time_zone) if notice.text_key else (notice.topic, "")
        return cls(
            notice_id=notice.notice_id,
            channel=notice.channel,
            receiver_kind=notice.receiver_kind,
            receiver_id=notice.receiver_id,
            topic=notice.topic,
            subject=notice.subject,
            title=title,
            text=text,
            language=notice.language,
            state=notice.state,
            attempts=notice.attempts,
            last_error=notice.last_error if inside else "",
            actor=notice.actor if inside else "",
            created_at=notice.created_at,
            due_at=notice.due_at,
            done_at=notice.done_at,
        )


class SpokenInput(Input):
    """What was said to the customer by telephone, chat or at a visit."""

    channel: Literal["phone", "chat", "visit"]
    text: Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(clean_text)]


class EscalationBody(Output):
    """Who was told when that a promise is at risk."""

    clock: str
    step: str
    reached_at: Instant
    told_at: Instant
    told: list[str]

    @classmethod
    def of(cls, note: EscalationNote) -> "EscalationBody":
        return cls(
            clock=note.clock.value,
            step=note.step.value,
            reached_at=note.reached_at,
            told_at=note.told_at,
            told=list(note.told),
        )


class AddressBody(Input):
    """One way to reach somebody."""

    channel: Literal["mail", "sms", "wechat"]
    address: Address


class ReceiverInput(Input):
    """How somebody wants to be told. Quiet hours are minutes after local midnight; equal means none."""

    addresses: Annotated[list[AddressBody], Field(max_length=10)]
    language: Literal["zh-CN", "en"] = "zh-CN"
    quiet_from: Minute = 0
    quiet_to: Minute = 0
    muted: Annotated[list[Topic], Field(max_length=20, default_factory=list)]


class ReceiverBody(Output):
    """How somebody is told; `own` is False while nobody has said anything and the files decide."""

    kind: ReceiverKind
    receiver_id: str
    addresses: list[dict[str, str]]
    language: str
    time_zone: str
    quiet_from: int
    quiet_to: int
    muted: list[str]
    own: bool

    @classmethod
    def of(cls, receiver: Receiver, *, own: bool) -> "ReceiverBody":
        return cls(
            kind=receiver.kind,
            receiver_id=receiver.receiver_id,
            addresses=[
                {"channel": channel.value, "address": address} for channel, address in receiver.addresses
            ],
            language=receiver.language,
            time_zone=receiver.time_zone,
            quiet_from=receiver.quiet_from,
            quiet_to=receiver.quiet_to,
            muted=list(receiver.muted),
            own=own,
        )


class WebhookInput(Input):
    """A subscription of a program."""

    url: Annotated[str, Field(min_length=8, max_length=2000), AfterValidator(clean_text)]
    events: Annotated[list[Topic], Field(min_length=1, max_length=20)]
    note: LongText = ""


class ReplayInput(Input):
    """From when on events are sent again."""

    since: Annotated[ShortText, Field(description="RFC 3339 instant with zone")]


class WebhookBody(Output):
    """A subscription; its secret is shown only when it is made."""

    webhook_id: int
    url: str
    events: list[str]
    active: bool
    note: str
    created_at: Instant
    created_by: str
    secret: str | None = None

    @classmethod
    def of(cls, hook: Webhook, *, secret: str | None = None) -> "WebhookBody":
        return cls(
            webhook_id=hook.webhook_id,
            url=hook.url,
            events=list(hook.events),
            active=hook.active,
            note=hook.note,
            created_at=hook.created_at,
            created_by=hook.created_by,
            secret=secret,
        )


class Replayed(Output):
    """How many events were put back into the outbox."""

    events: int


class MoveInput(Input):
    """One move of a ticket by a person."""

    move: Literal[
        "propose",
        "fix_by_phone",
        "call_back",
        "wait_customer",
        "wait_parts",
        "wait_access",
        "resume",
        "cannot_fix",
    ]
    note: LongText = ""


class MergeInput(Input):
    """The ticket that goes on, and why."""

    into: Annotated[int, Field(ge=1, le=2**53)]
    reason: ShortText


class LinkInput(Input):
    """Another ticket that has to do with this one."""

    ticket_id: Annotated[int, Field(ge=1, le=2**53)]
