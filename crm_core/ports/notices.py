"""The ports of notices: the outbox with its receivers and subscriptions, and the senders behind the channels."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from crm_core.domain.identity import TenantId, TicketId
from crm_core.domain.notices import (
    Channel,
    EscalationNote,
    Notice,
    NoticeDepth,
    NoticeState,
    Receiver,
    ReceiverKind,
    ToldSteps,
    Webhook,
)


class NoticesRepository(Protocol):
    """Messages to people and machines: outbox, receivers, webhooks, escalations, within one transaction."""

    def add(self, notices: Sequence[Notice]) -> int:
        """Add notices (their ids are ignored); those whose unique key exists are left out. Return how many are new."""
        ...

    def claim(self, holder: str, now: datetime, lease: timedelta, limit: int) -> Sequence[Notice]:
        """Take due notices of all tenants for `lease`; of each address and ordering key only the oldest that waits."""
        ...

    def settle(self, notice: Notice, holder: str) -> bool:
        """Store a claimed notice's outcome and end the claim; False when the claim was lost to another holder."""
        ...

    def get(self, tenant: TenantId, notice_id: int) -> Notice:
        """Return the notice, or raise `NotFound`."""
        ...

    def save(self, notice: Notice) -> None:
        """Replace a notice by people's decision (sent again, given up)."""
        ...

    def list(
        self,
        tenant: TenantId,
        *,
        states: Collection[NoticeState] = (),
        channel: Channel | None = None,
        subject: str | None = None,
        receiver: tuple[ReceiverKind, str] | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> Sequence[Notice]:
        """Return notices, newest first; an empty filter means any."""
        ...

    def depth(self, tenant: TenantId) -> NoticeDepth: ...

    def receiver(self, tenant: TenantId, kind: ReceiverKind, receiver_id: str) -> Receiver | None: ...

    def receivers(self, tenant: TenantId) -> Sequence[Receiver]: ...

    def save_receiver(self, receiver: Receiver) -> None: ...

    def webhooks(self, tenant: TenantId | None) -> Sequence[Webhook]:
        """Return the subscriptions of a tenant by number, or of all (None)."""
        ...

    def save_webhook(self, webhook: Webhook) -> Webhook:
        """Insert (id 0) or replace the subscription and return it with its id."""
        ...

    def note_escalation(self, note: EscalationNote) -> bool:
        """Note that a step was told; False when it was told before."""
        ...

    def escalations(self, tenant: TenantId, ticket_id: TicketId) -> Sequence[EscalationNote]:
        """Return what was told of a ticket, oldest first."""
        ...

    def told_steps(self, tenant: TenantId, ticket_ids: Sequence[TicketId]) -> Mapping[TicketId, ToldSteps]:
        """Return which steps of the tickets were told, for many at once; tickets without any may be missing."""
        ...

    def schedule_escalations(self, tenant: TenantId, due: Mapping[TicketId, datetime | None]) -> None:
        """Keep when each ticket's next step falls due; None takes it off."""
        ...

    def due_escalations(self, tenant: TenantId, now: datetime, limit: int) -> Sequence[TicketId]: ...

    def next_escalation(self, tenant: TenantId) -> datetime | None: ...


class Sender(Protocol):
    """One channel's way out. It sends exactly one message or raises."""

    def send(self, notice: Notice, title: str, text: str) -> None:
        """Send; raise `InvalidValue` when the address can never work, `StoreUnavailable` to try again later."""
        ...
