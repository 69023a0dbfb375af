"""Notices in memory, with the promises of the database."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from crm_core.domain.errors import NotFound
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
from crm_core.storage.memory_service import Journal, Table


class MemoryNoticesRepository:
    """Messages to people and machines: outbox, deliveries, webhooks (`ports.NoticesRepository`)."""

    def __init__(self, journal: Journal) -> None:
        self._notices: Table[Notice] = Table(journal)
        self._notices.index("waiting", lambda each: () if each.state is NoticeState.WAITING else None)
        self._notices.index("subject", lambda each: (each.tenant, each.subject))
        self._keys: Table[bool] = Table(journal)
        self._receivers: Table[Receiver] = Table(journal)
        self._webhooks: Table[Webhook] = Table(journal)
        self._told: Table[EscalationNote] = Table(journal)
        self._told.index("ticket", lambda each: (each.tenant, each.ticket_id))
        self._due: Table[datetime] = Table(journal)

    # --- the outbox ---

    def add(self, notices: Sequence[Notice]) -> int:
        new = 0
        for notice in notices:
            if (notice.tenant, notice.unique_key) in self._keys.rows:
                continue
            number = self._notices.next_id()
            self._keys.put((notice.tenant, notice.unique_key), True)  # noqa: FBT003 - the table is a set
            self._notices.put((number,), replace(notice, notice_id=number))
            new += 1
        return new

    def claim(self, holder: str, now: datetime, lease: timedelta, limit: int) -> Sequence[Notice]:
        waiting = sorted(self._notices.by("waiting", ()), key=lambda each: each.notice_id)
        first: dict[tuple[str, str, str], int] = {}
        for each in waiting:
            first.setdefault((each.tenant, each.address, each.ordering_key), each.notice_id)
        due = [
            each
            for each in waiting
            if each.due_at <= now
            and (each.claimed_until is None or each.claimed_until <= now)
            and (
                not each.ordering_key or first[each.tenant, each.address, each.ordering_key] == each.notice_id
            )
        ]
        due.sort(key=lambda each: (each.due_at, each.notice_id))
        taken = [
            replace(each, claimed_by=holder, claimed_until=now + lease, attempts=each.attempts + 1)
            for each in due[:limit]
        ]
        for each in taken:
            self._notices.put((each.notice_id,), each)
        return sorted(taken, key=lambda each: each.notice_id)

    def settle(self, notice: Notice, holder: str) -> bool:
        present = self._notices.rows.get((notice.notice_id,))
        if present is None or present.claimed_by != holder:
            return False
        self._notices.put((notice.notice_id,), replace(notice, claimed_by="", claimed_until=None))
        return True

    def get(self, tenant: TenantId, notice_id: int) -> Notice:
        found = self._notices.rows.get((notice_id,))
        if found is None or found.tenant != tenant:
            raise NotFound(f"there is no notice {notice_id}; list them to see the known ones")
        return found

    def save(self, notice: Notice) -> None:
        self.get(notice.tenant, notice.notice_id)
        self._notices.put((notice.notice_id,), notice)

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
        rows = (
            self._notices.rows.values() if subject is None else self._notices.by("subject", (tenant, subject))
        )
        found = [
            each
            for each in rows
            if each.tenant == tenant
            and (not states or each.state in states)
            and channel in (None, each.channel)
            and receiver in (None, (each.receiver_kind, each.receiver_id))
            and (before is None or each.notice_id < before)
        ]
        return sorted(found, key=lambda each: -each.notice_id)[:limit]

    def depth(self, tenant: TenantId) -> NoticeDepth:
        waiting = [each for each in self._notices.by("waiting", ()) if each.tenant == tenant]
        dead = len(self.list(tenant, states=(NoticeState.DEAD,), limit=len(self._notices.rows)))
        oldest = min((each.due_at for each in waiting), default=None)
        return NoticeDepth(len(waiting), dead, oldest)

    # --- receivers and programs ---

    def receiver(self, tenant: TenantId, kind: ReceiverKind, receiver_id: str) -> Receiver | None:
        return self._receivers.rows.get((tenant, kind, receiver_id))

    def receivers(self, tenant: TenantId) -> Sequence[Receiver]:
        return [row for key, row in sorted(self._receivers.rows.items()) if key[0] == tenant]

    def save_receiver(self, receiver: Receiver) -> None:
        self._receivers.put((receiver.tenant, receiver.kind, receiver.receiver_id), receiver)

    def webhooks(self, tenant: TenantId | None) -> Sequence[Webhook]:
        return [row for _, row in sorted(self._webhooks.rows.items()) if tenant in (None, row.tenant)]

    def save_webhook(self, webhook: Webhook) -> Webhook:
        if webhook.webhook_id == 0:
            webhook = replace(webhook, webhook_id=self._webhooks.next_id())
        elif (webhook.webhook_id,) not in self._webhooks.rows:
            raise NotFound(f"there is no webhook {webhook.webhook_id}; list them to see the known ones")
        self._webhooks.put((webhook.webhook_id,), webhook)
        return webhook

    # --- escalations ---

    def note_escalation(self, note: EscalationNote) -> bool:
        key = (note.tenant, note.ticket_id, note.clock, note.step)
        if key in self._told.rows:
            return False
        self._told.put(key, note)
        return True

    def escalations(self, tenant: TenantId, ticket_id: TicketId) -> Sequence[EscalationNote]:
        found = self._told.by("ticket", (tenant, ticket_id))
        return sorted(found, key=lambda each: (each.reached_at, each.clock))

    def told_steps(self, tenant: TenantId, ticket_ids: Sequence[TicketId]) -> Mapping[TicketId, ToldSteps]:
        return {
            ticket_id: [(note.clock, note.step) for note in self._told.by("ticket", (tenant, ticket_id))]
            for ticket_id in ticket_ids
        }

    def schedule_escalations(self, tenant: TenantId, due: Mapping[TicketId, datetime | None]) -> None:
        for ticket_id, at in due.items():
            if at is None:
                self._due.drop((tenant, ticket_id))
            else:
                self._due.put((tenant, ticket_id), at)

    def due_escalations(self, tenant: TenantId, now: datetime, limit: int) -> Sequence[TicketId]:
        due = sorted((at, key[1]) for key, at in self._due.rows.items() if key[0] == tenant and at <= now)
        return [TicketId(number) for _, number in due[:limit]]

    def next_escalation(self, tenant: TenantId) -> datetime | None:
        return min((at for key, at in self._due.rows.items() if key[0] == tenant), default=None)
