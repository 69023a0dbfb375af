"""Notices over the CRM database (`ports.NoticesRepository`)."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

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
from crm_core.domain.service import ClockKind
from crm_core.domain.sla import EscalationStep
from crm_core.storage.notices import tables
from crm_core.storage.rows import entity_of, row_of
from crm_core.storage.tables import batched, insert_new, insert_once, upsert, upsert_many, where_equal


class SqlNoticesRepository:
    """Messages to people and machines: outbox, deliveries, webhooks (`ports.NoticesRepository`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # --- the outbox ---

    def add(self, notices: Sequence[Notice]) -> int:
        rows = [row_of(notice) for notice in notices]
        for row in rows:
            del row["notice_id"]
        return insert_new(self._connection, tables.notices, rows, ("tenant", "unique_key"))

    def claim(self, holder: str, now: datetime, lease: timedelta, limit: int) -> Sequence[Notice]:
        table, earlier = tables.notices, tables.notices.alias("earlier")
        free = table.c.claimed_until.is_(None) | (table.c.claimed_until <= now)
        blocked = select(earlier.c.notice_id).where(
            earlier.c.state == NoticeState.WAITING.value,
            earlier.c.address == table.c.address,
            earlier.c.ordering_key == table.c.ordering_key,
            earlier.c.tenant == table.c.tenant,
            earlier.c.notice_id < table.c.notice_id,
        )
        due = (
            select(table.c.notice_id)
            .where(
                table.c.state == NoticeState.WAITING.value,
                table.c.due_at <= now,
                free,
                (table.c.ordering_key == "") | ~blocked.exists(),
            )
            .order_by(table.c.due_at, table.c.notice_id)
            .limit(limit)
        )
        if self._connection.dialect.name == "postgresql":
            due = due.with_for_update(skip_locked=True)
        taken = self._connection.execute(
            table.update()
            .where(table.c.notice_id.in_(due))
            .values(claimed_by=holder, claimed_until=now + lease, attempts=table.c.attempts + 1)
            .returning(table)
        )
        return sorted((_notice(row) for row in taken.mappings()), key=lambda each: each.notice_id)

    def settle(self, notice: Notice, holder: str) -> bool:
        table, row = tables.notices, row_of(notice)
        changed = self._connection.execute(
            table.update()
            .where(table.c.notice_id == notice.notice_id, table.c.claimed_by == holder)
            .values(**row | {"claimed_by": "", "claimed_until": None})
        )
        return changed.rowcount == 1

    def get(self, tenant: TenantId, notice_id: int) -> Notice:
        table = tables.notices
        query = select(table).where(table.c.tenant == tenant, table.c.notice_id == notice_id)
        row = self._connection.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"there is no notice {notice_id}; list them to see the known ones")
        return _notice(row)

    def save(self, notice: Notice) -> None:
        table = tables.notices
        self.get(notice.tenant, notice.notice_id)
        self._connection.execute(
            table.update().where(table.c.notice_id == notice.notice_id).values(**row_of(notice))
        )

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
        table = tables.notices.c
        query = select(tables.notices).where(table.tenant == tenant)
        if states:
            query = query.where(table.state.in_(sorted(states)))
        if channel is not None:
            query = query.where(table.channel == channel.value)
        if subject is not None:
            query = query.where(table.subject == subject)
        if receiver is not None:
            query = query.where(table.receiver_kind == receiver[0].value, table.receiver_id == receiver[1])
        if before is not None:
            query = query.where(table.notice_id < before)
        rows = self._connection.execute(query.order_by(table.notice_id.desc()).limit(limit)).mappings()
        return [_notice(row) for row in rows]

    def depth(self, tenant: TenantId) -> NoticeDepth:
        table = tables.notices.c
        counted = (
            select(table.state, func.count(), func.min(table.due_at))
            .where(table.tenant == tenant, table.state.in_(("waiting", "dead")))
            .group_by(table.state)
        )
        found = {state: (number, oldest) for state, number, oldest in self._connection.execute(counted)}
        waiting, oldest = found.get("waiting", (0, None))
        return NoticeDepth(waiting, found.get("dead", (0, None))[0], oldest)

    # --- receivers and programs ---

    def receiver(self, tenant: TenantId, kind: ReceiverKind, receiver_id: str) -> Receiver | None:
        query = where_equal(tables.receivers, "tenant", "kind", "receiver_id")
        wanted = {"wanted_tenant": tenant, "wanted_kind": kind.value, "wanted_receiver_id": receiver_id}
        row = self._connection.execute(query, wanted).mappings().first()
        return None if row is None else entity_of(row, Receiver)

    def receivers(self, tenant: TenantId) -> Sequence[Receiver]:
        table = tables.receivers
        query = select(table).where(table.c.tenant == tenant).order_by(table.c.kind, table.c.receiver_id)
        return [entity_of(row, Receiver) for row in self._connection.execute(query).mappings()]

    def save_receiver(self, receiver: Receiver) -> None:
        upsert(self._connection, tables.receivers, row_of(receiver))

    def webhooks(self, tenant: TenantId | None) -> Sequence[Webhook]:
        table = tables.webhooks
        query = select(table).order_by(table.c.webhook_id)
        if tenant is not None:
            query = query.where(table.c.tenant == tenant)
        return [entity_of(row, Webhook) for row in self._connection.execute(query).mappings()]

    def save_webhook(self, webhook: Webhook) -> Webhook:
        table, row = tables.webhooks, row_of(webhook)
        if webhook.webhook_id == 0:
            del row["webhook_id"]
            made = self._connection.execute(table.insert().values(**row).returning(table)).mappings().one()
            return entity_of(made, Webhook)
        changed = self._connection.execute(
            table.update()
            .where(table.c.tenant == webhook.tenant, table.c.webhook_id == webhook.webhook_id)
            .values(**row)
        )
        if changed.rowcount != 1:
            raise NotFound(f"there is no webhook {webhook.webhook_id}; list them to see the known ones")
        return webhook

    # --- escalations ---

    def note_escalation(self, note: EscalationNote) -> bool:
        unique = ("tenant", "ticket_id", "clock", "step")
        return insert_once(self._connection, tables.escalations, row_of(note), unique) is not None

    def escalations(self, tenant: TenantId, ticket_id: TicketId) -> Sequence[EscalationNote]:
        table = tables.escalations
        query = (
            select(table)
            .where(table.c.tenant == tenant, table.c.ticket_id == ticket_id)
            .order_by(table.c.reached_at, table.c.clock)
        )
        return [entity_of(row, EscalationNote) for row in self._connection.execute(query).mappings()]

    def told_steps(self, tenant: TenantId, ticket_ids: Sequence[TicketId]) -> Mapping[TicketId, ToldSteps]:
        table = tables.escalations.c
        told: dict[TicketId, set[tuple[ClockKind, EscalationStep]]] = defaultdict(set)
        query = select(table.ticket_id, table.clock, table.step).where(table.tenant == tenant)
        for some in batched(ticket_ids):
            for ticket_id, clock, step in self._connection.execute(query.where(table.ticket_id.in_(some))):
                told[TicketId(ticket_id)].add((ClockKind(clock), EscalationStep(step)))
        return told

    def schedule_escalations(self, tenant: TenantId, due: Mapping[TicketId, datetime | None]) -> None:
        table = tables.escalation_due
        over = [ticket_id for ticket_id, at in due.items() if at is None]
        for some in batched(over):
            of_some = (table.c.tenant == tenant, table.c.ticket_id.in_(some))
            self._connection.execute(table.delete().where(*of_some))
        rows = [
            {"tenant": tenant, "ticket_id": ticket_id, "next_at": at}
            for ticket_id, at in due.items()
            if at is not None
        ]
        upsert_many(self._connection, table, rows)

    def due_escalations(self, tenant: TenantId, now: datetime, limit: int) -> Sequence[TicketId]:
        table = tables.escalation_due.c
        query = (
            select(table.ticket_id)
            .where(table.tenant == tenant, table.next_at <= now)
            .order_by(table.next_at, table.ticket_id)
            .limit(limit)
        )
        return [TicketId(number) for number in self._connection.execute(query).scalars()]

    def next_escalation(self, tenant: TenantId) -> datetime | None:
        table = tables.escalation_due.c
        query = select(table.next_at).where(table.tenant == tenant).order_by(table.next_at).limit(1)
        return self._connection.execute(query).scalar_one_or_none()


def _notice(row: RowMapping | Mapping[Any, Any]) -> Notice:
    return entity_of(row, Notice)
