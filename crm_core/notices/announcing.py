"""Announcing: what a transaction changed becomes notices in the same transaction, whoever made the change.

It listens at the commit of every unit of work, so no service has to remember to tell. One message per change of state to
the customer, with the state, the promised time and the cost so far (requirements 49, 70, 107); the technician hears of
work given and taken away; programs hear what they subscribed to.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from crm_core.domain.identity import TenantId, ticket_number, work_order_number
from crm_core.domain.money import Money
from crm_core.domain.notices import Channel, Notice, NoticeValue, Receiver, ReceiverKind, Webhook
from crm_core.domain.service import (
    ClockKind,
    Role,
    Step,
    Ticket,
    TicketState,
    User,
    WorkOrder,
    WorkOrderState,
)
from crm_core.notices.addressing import Addressee, Addressing
from crm_core.ports import Changes, Clock, UnitOfWork

CostSoFar = Callable[[UnitOfWork, Ticket], Money]
#: States of a work order that its technician hears of.
_FOR_TECHNICIAN: Final = frozenset({WorkOrderState.ASSIGNED, WorkOrderState.CANCELLED})
_OVER: Final = frozenset({WorkOrderState.DONE, WorkOrderState.CANCELLED})
_ASKED_AND_ANSWERED: Final = frozenset(step.value for step in Step)
#: Who hears of a customer's answer; where nobody has the role, the next one.
_DESK: Final = (Role.DISPATCHER, Role.SUPERVISOR, Role.MANAGER, Role.ADMIN)


def desk_of(uow: UnitOfWork, ticket: Ticket, roles: Sequence[Role]) -> Sequence[User]:
    """Return the active people of the first of `roles` that somebody has who serves the ticket's region."""
    site = uow.sites.find(ticket.tenant, ticket.site_id or "")
    region = site.region if site is not None else None
    users = [user for user in uow.users.all(ticket.tenant) if user.active]
    for role in roles:
        found = [user for user in users if user.role is role and (not user.regions or region in user.regions)]
        if found:
            return found
    return ()


class Announcer:
    """A listener of commits (`ports.CommitListener`). `cost_so_far` says what a ticket has cost the customer."""

    def __init__(self, addressing: Addressing, clock: Clock, cost_so_far: CostSoFar) -> None:
        self._addressing = addressing
        self._clock = clock
        self._cost_so_far = cost_so_far

    def __call__(self, uow: UnitOfWork, changes: Changes) -> None:
        """Add the notices of a transaction's changes to the transaction."""
        if not (changes.tickets or changes.work_orders):
            return
        now = self._clock.now()
        hooks: dict[TenantId, Sequence[Webhook]] = {}
        known: dict[Addressee, Receiver] = {}
        notices: list[Notice] = []
        for ticket in changes.tickets.values():
            if ticket.tenant not in hooks:
                hooks[ticket.tenant] = uow.notices.webhooks(ticket.tenant)
            notices += self._of_ticket(uow, ticket, hooks[ticket.tenant], known, now)
        for order in changes.work_orders.values():
            if order.tenant not in hooks:
                hooks[order.tenant] = uow.notices.webhooks(order.tenant)
            notices += self._of_order(uow, order, hooks[order.tenant], known, now)
        uow.notices.add(notices)

    def _of_ticket(
        self,
        uow: UnitOfWork,
        ticket: Ticket,
        hooks: Sequence[Webhook],
        known: dict[Addressee, Receiver],
        now: datetime,
    ) -> Iterator[Notice]:
        last = ticket.events[-1] if ticket.events else None
        moved = last is None or last.from_state != last.to_state
        number = len(ticket.events)
        topic = f"ticket.{ticket.state if moved or last is None else last.event}"
        yield from to_programs(
            hooks,
            ticket.tenant,
            topic,
            subject=f"ticket:{ticket.ticket_id}",
            change=str(number),
            body=ticket_body(ticket),
            now=now,
        )
        if moved and ticket.customer_id is not None and self._is_for_customer(uow, ticket):
            yield self._addressing.notice(
                uow,
                ticket.tenant,
                ReceiverKind.CUSTOMER,
                ticket.customer_id,
                unique_key=f"ticket:{ticket.ticket_id}:{number}:customer",
                topic=topic,
                subject=f"ticket:{ticket.ticket_id}",
                text_key="notices.ticket",
                arguments=self._arguments(uow, ticket),
                now=now,
                known=known,
            )
        elif last is not None and not moved and last.event in _ASKED_AND_ANSWERED:
            yield from self._of_step(uow, ticket, Step(last.event), known, now)

    def _of_step(
        self,
        uow: UnitOfWork,
        ticket: Ticket,
        step: Step,
        known: dict[Addressee, Receiver],
        now: datetime,
    ) -> Iterator[Notice]:
        """Tell the customer of what is asked, and the desk of what was answered."""
        number = len(ticket.events)
        for kind, receiver_id in self._hearers(uow, ticket, step):
            yield self._addressing.notice(
                uow,
                ticket.tenant,
                kind,
                receiver_id,
                unique_key=f"ticket:{ticket.ticket_id}:{number}:{kind}:{receiver_id}",
                topic=f"ticket.{step}",
                subject=f"ticket:{ticket.ticket_id}",
                text_key=f"notices.{step}",
                arguments={
                    "number": ticket_number(ticket.ticket_id),
                    "note": ticket.events[-1].note,
                    "by": ticket.events[-1].actor,
                    **self._addressing.about(ticket),
                },
                now=now,
                known=known,
            )

    def _hearers(self, uow: UnitOfWork, ticket: Ticket, step: Step) -> Iterator[tuple[ReceiverKind, str]]:
        """Yield who hears of a step: its customer of an offer; the desk, and who comes for the job, of an answer."""
        if step is Step.ESTIMATE_OFFERED:
            if ticket.customer_id is not None:
                yield ReceiverKind.CUSTOMER, ticket.customer_id
            return
        yield from ((ReceiverKind.USER, user.user_id) for user in desk_of(uow, ticket, _DESK))
        order = uow.work_orders.active_for_ticket(ticket.tenant, ticket.ticket_id)
        if order is not None and order.technician_id is not None:
            yield ReceiverKind.TECHNICIAN, order.technician_id

    def _is_for_customer(self, uow: UnitOfWork, ticket: Ticket) -> bool:
        if ticket.state.value not in self._addressing.policy.notices.told_states:
            return False
        if ticket.state is not TicketState.AUTO_RESOLVED:
            return True
        told = uow.notices.list(
            ticket.tenant,
            subject=f"ticket:{ticket.ticket_id}",
            receiver=(ReceiverKind.CUSTOMER, ticket.customer_id or ""),
            limit=1,
        )
        return bool(told)

    def _arguments(self, uow: UnitOfWork, ticket: Ticket) -> dict[str, NoticeValue]:
        restore = ticket.clock(ClockKind.RESTORE)
        cost = self._cost_so_far(uow, ticket).rounded()
        return {
            "number": ticket_number(ticket.ticket_id),
            "state": ticket.state.value,
            "promised": restore.due_at.isoformat() if restore is not None and ticket.is_open else None,
            "cost": f"{cost.amount} {cost.currency}",
            **self._addressing.about(ticket),
        }

    def _of_order(
        self,
        uow: UnitOfWork,
        order: WorkOrder,
        hooks: Sequence[Webhook],
        known: dict[Addressee, Receiver],
        now: datetime,
    ) -> Iterator[Notice]:
        yield from to_programs(
            hooks,
            order.tenant,
            f"workorder.{order.state}",
            subject=f"work_order:{order.work_order_id}",
            change=str(order.version),
            body=order_body(order),
            now=now,
        )
        if order.technician_id is not None and order.state in _FOR_TECHNICIAN:
            yield self._addressing.notice(
                uow,
                order.tenant,
                ReceiverKind.TECHNICIAN,
                order.technician_id,
                unique_key=f"work_order:{order.work_order_id}:{order.state}:{order.technician_id}",
                topic=f"work_order.{order.state}",
                subject=f"work_order:{order.work_order_id}",
                text_key=f"notices.work_order_{order.state}",
                arguments={
                    "number": work_order_number(order.work_order_id),
                    "kind": order.kind.value,
                    "device": order.device_id,
                    "due": None if order.state in _OVER else order.due_at.isoformat(),
                },
                now=now,
                known=known,
            )


def to_programs(
    hooks: Sequence[Webhook],
    tenant: TenantId,
    topic: str,
    *,
    subject: str,
    change: str,
    body: object,
    now: datetime,
) -> Iterator[Notice]:
    """Yield one call for each subscription that wants `topic`; `change` makes the event unique within its subject.

    Events of one subject reach a program in their order. `body` must be what JSON can hold, without personal data.
    """
    wanted = [hook for hook in hooks if hook.wants(topic)]
    if not wanted:
        return
    event_id = f"{subject}:{change}"
    envelope = {"id": event_id, "event": topic, "at": now, "tenant": tenant, "subject": subject, "data": body}
    payload = msgspec.json.encode(envelope).decode()
    for hook in wanted:
        yield Notice(
            tenant=tenant,
            unique_key=f"{event_id}:{topic}:webhook:{hook.webhook_id}",
            channel=Channel.WEBHOOK,
            receiver_kind=ReceiverKind.PROGRAM,
            receiver_id=str(hook.webhook_id),
            address=f"webhook:{hook.webhook_id}",
            topic=topic,
            subject=subject,
            text_key="",
            payload=payload,
            created_at=now,
            due_at=now,
            ordering_key=subject,
        )


def publish(
    uow: UnitOfWork, tenant: TenantId, topic: str, *, subject: str, change: str, body: object, now: datetime
) -> None:
    """Tell programs of an event of another part (supply.swapped, forecast.changed, invoice.issued), in its transaction.

    `subject` is the thing (`device:d1`, `invoice:2026-0007`), `change` makes the event unique within it.
    """
    hooks = uow.notices.webhooks(tenant)
    uow.notices.add(
        list(to_programs(hooks, tenant, topic, subject=subject, change=change, body=body, now=now))
    )


def ticket_body(ticket: Ticket) -> dict[str, object]:
    """Return what programs read of a ticket: no names, addresses or remarks."""
    return {
        "ticket_id": ticket.ticket_id,
        "number": ticket_number(ticket.ticket_id),
        "device_id": ticket.device_id,
        "site_id": ticket.site_id,
        "customer_id": ticket.customer_id,
        "cause": ticket.cause,
        "category": ticket.category,
        "code": ticket.code,
        "level": ticket.level,
        "state": ticket.state,
        "raised_at": ticket.raised_at,
        "changed_at": ticket.changed_at,
        "clocks": [
            {"kind": clock.kind, "due_at": clock.due_at, "met_at": clock.met_at} for clock in ticket.clocks
        ],
    }


def order_body(order: WorkOrder) -> dict[str, object]:
    """Return what programs read of a work order: no names, addresses or remarks."""
    return {
        "work_order_id": order.work_order_id,
        "number": work_order_number(order.work_order_id),
        "kind": order.kind,
        "state": order.state,
        "device_id": order.device_id,
        "site_id": order.site_id,
        "customer_id": order.customer_id,
        "ticket_ids": order.ticket_ids,
        "technician_id": order.technician_id,
        "due_at": order.due_at,
        "planned_start": order.planned_start,
        "started_at": order.started_at,
        "done_at": order.done_at,
        "outcome": order.outcome,
        "confirmed_cause": order.confirmed_cause,
    }
