"""Notices: what must reach somebody once - a customer, a technician, a program - and who was told of a promise at risk.

A notice is an outbox row: it becomes durable in the transaction of the change that it tells of, and leaves it by one of
the channels. Phone, chat and visit are channels that people use: their notices are records of what was said.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from crm_core.domain.identity import TenantId, TicketId
from crm_core.domain.service import ClockKind
from crm_core.domain.sla import EscalationStep


class Channel(StrEnum):
    """Ways to reach somebody (requirement 120)."""

    MAIL = "mail"
    SMS = "sms"
    WECHAT = "wechat"
    WEBHOOK = "webhook"
    PORTAL = "portal"  # stands on the pages of the receiver; nothing is sent
    PHONE = "phone"
    CHAT = "chat"
    VISIT = "visit"


class NoticeState(StrEnum):
    """What became of a notice."""

    WAITING = "waiting"
    SENT = "sent"
    RECORDED = "recorded"  # nothing was to be sent
    DEAD = "dead"  # refused for good, or tried too often; kept until somebody decides


class ReceiverKind(StrEnum):
    """Whom a notice is for."""

    CUSTOMER = "customer"
    TECHNICIAN = "technician"
    USER = "user"
    PROGRAM = "program"  # a webhook


NoticeValue = str | int | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message to one receiver. `unique_key` makes it one whatever is repeated; `arguments` fill the text `text_key`.

    `due_at` is when it may be sent next. Notices with the same `address` and `ordering_key` leave in their order.
    A claim (`claimed_by` until `claimed_until`) keeps other processes off while one sends.
    """

    tenant: TenantId
    unique_key: str
    channel: Channel
    receiver_kind: ReceiverKind
    receiver_id: str
    address: str
    topic: str  # the event: ticket.scheduled, escalation.supervisor, ...
    subject: str  # ticket:42, work_order:7
    text_key: str
    created_at: datetime
    due_at: datetime
    language: str = "zh-CN"
    arguments: dict[str, NoticeValue] = field(default_factory=dict)
    payload: str = ""  # of a webhook: the JSON body as it is signed and sent
    ordering_key: str = ""
    state: NoticeState = NoticeState.WAITING
    attempts: int = 0
    last_error: str = ""
    done_at: datetime | None = None
    claimed_by: str = ""
    claimed_until: datetime | None = None
    actor: str = "drumbeat"
    notice_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """How somebody wants to be told: addresses in order of preference, language, and hours of quiet (local time).

    `quiet_from` and `quiet_to` are minutes after local midnight; equal means no quiet hours. `muted` topics are not sent.
    """

    tenant: TenantId
    kind: ReceiverKind
    receiver_id: str
    addresses: tuple[tuple[Channel, str], ...] = ()
    language: str = "zh-CN"
    time_zone: str = "Asia/Shanghai"
    quiet_from: int = 0
    quiet_to: int = 0
    muted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A program that wants to hear of events. `events` are names, or families such as `ticket.*`.

    Each call carries an HMAC-SHA256 over time stamp and body made with the secret, which is shown once; here it is sealed
    (`crm_core.notices.hook_secrets`).
    """

    tenant: TenantId
    url: str
    secret: str = field(repr=False)
    events: tuple[str, ...]
    created_at: datetime
    created_by: str
    active: bool = True
    note: str = ""
    webhook_id: int = 0

    def wants(self, topic: str) -> bool:
        """Return True if the program asked for this event."""
        return self.active and any(
            event in ("*", topic) or (event.endswith(".*") and topic.startswith(event[:-1]))
            for event in self.events
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationNote:
    """That somebody was told of a promise at risk: once for each clock of a ticket and each step."""

    tenant: TenantId
    ticket_id: TicketId
    clock: ClockKind
    step: EscalationStep
    reached_at: datetime  # when so much of the clock had run
    told_at: datetime
    told: tuple[str, ...]  # names of those who were told


#: Which steps of which clocks of a ticket people were told of.
ToldSteps = Collection[tuple[ClockKind, EscalationStep]]


@dataclass(frozen=True, slots=True)
class NoticeDepth:
    """What stands in the outbox: for metrics and pages."""

    waiting: int
    dead: int
    oldest_due_at: datetime | None
