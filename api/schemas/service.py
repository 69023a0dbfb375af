"""Tickets and work orders as JSON."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from api.schemas.base import Input, Instant, LongText, Name, Output, ShortText, clean_text
from api.wording import clock_reasons, guide_steps, note_text, ticket_title
from crm_core.domain.identity import DeviceId, TechnicianId, ticket_number, work_order_number
from crm_core.domain.messages import Messages
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import SlaClock, Ticket, WorkOrder, WorkOrderKind
from crm_core.fieldwork.jobs import Ordered
from crm_core.ticket_opening import held_until


class TicketRow(Output):
    """One ticket in a list; `next_due_at` is the earliest promise not yet met.

    A ticket that a budget holds back says whose (`held_by`: device or site), until when at the latest, and the ticket
    that leads its group; its due times count from that moment and start anew when it is released.
    """

    ticket_id: int
    number: str
    title: str
    device_id: str
    site_id: str | None
    customer_id: str | None
    cause: str
    category: str
    code: str | None
    level: str
    state: str
    is_open: bool
    raised_at: Instant
    changed_at: Instant
    next_due_at: Instant | None
    held_until: Instant | None = None
    held_by: str | None = None
    held_with: int | None = None
    version: int

    @classmethod
    def of(cls, ticket: Ticket, messages: Messages, language: str) -> "TicketRow":
        return cls(**_ticket_fields(ticket, messages, language))


class ClockBody(Output):
    """One promise and why it is due then; `provisional` when the official calendar is not published yet."""

    kind: str
    started_at: Instant
    due_at: Instant
    met_at: Instant | None
    explanation: str
    policy_version: str
    provisional: bool

    @classmethod
    def of(
        cls, clock: SlaClock, ticket: Ticket, messages: Messages, language: str, policy: PolicyBook
    ) -> "ClockBody":
        return cls(
            kind=clock.kind.value,
            started_at=clock.started_at,
            due_at=clock.due_at,
            met_at=clock.met_at,
            explanation=" ".join(clock_reasons(clock, ticket, policy, messages, language)),
            policy_version=clock.policy_version,
            provisional=clock.provisional,
        )


class EvidenceBody(Output):
    """What raised or confirmed the ticket; `key` is the key of the reading or forecast."""

    at: Instant
    origin: str
    key: str
    summary: str


class TicketEventBody(Output):
    """One step in the ticket's life."""

    at: Instant
    actor: str
    event: str
    from_state: str | None
    to_state: str
    note: str


class TicketDetail(TicketRow):
    """One ticket with clocks, evidence, history and the steps of its guide.

    Accounts of customers get the history without names and remarks, and no evidence: these are words among staff.
    """

    clocks: list[ClockBody]
    evidence: list[EvidenceBody]
    events: list[TicketEventBody]
    policy_version: str

    @classmethod
    def full(
        cls, ticket: Ticket, messages: Messages, language: str, policy: PolicyBook, *, inside: bool = True
    ) -> "TicketDetail":
        events = ticket.events if inside else [replace(each, actor="", note="") for each in ticket.events]
        return cls(
            **_ticket_fields(ticket, messages, language),
            clocks=[ClockBody.of(clock, ticket, messages, language, policy) for clock in ticket.clocks],
            evidence=[EvidenceBody.model_validate(row) for row in ticket.evidence] if inside else [],
            events=[
                TicketEventBody.model_validate(replace(event, note=messages.unpacked(language, event.note)))
                for event in events
            ],
            policy_version=ticket.policy_version,
        )


def _ticket_fields(ticket: Ticket, messages: Messages, language: str) -> dict[str, object]:
    """Return what the row and the detail share."""
    due, until = next_clock(ticket), held_until(ticket)
    return {
        "ticket_id": ticket.ticket_id,
        "number": ticket_number(ticket.ticket_id),
        "title": ticket_title(ticket, messages, language),
        "device_id": ticket.device_id,
        "site_id": ticket.site_id,
        "customer_id": ticket.customer_id,
        "cause": ticket.cause,
        "category": ticket.category,
        "code": ticket.code,
        "level": ticket.level.value,
        "state": ticket.state.value,
        "is_open": ticket.is_open,
        "raised_at": ticket.raised_at,
        "changed_at": ticket.changed_at,
        "next_due_at": due.due_at if due else None,
        "held_until": until,
        "held_by": ticket.detail.get("held_limit") if until else None,
        "held_with": ticket.detail.get("held_with") if until else None,
        "version": ticket.version,
    }


def next_clock(ticket: Ticket) -> SlaClock | None:
    """Return the earliest promise that is not met; None when the ticket is closed or all are met."""
    if not ticket.is_open:
        return None
    return min(
        (clock for clock in ticket.clocks if clock.met_at is None),
        key=lambda clock: clock.due_at,
        default=None,
    )


class PartBody(Output):
    """Something to bring; `device_id` when it is for another machine of the site, a `spare` stays on the shelf there."""

    kind: str
    colour: str | None
    part_number: str | None
    quantity: int
    note: str
    device_id: str | None
    spare: bool


class WorkOrderRow(Output):
    """One work order in a list."""

    work_order_id: int
    number: str
    kind: str
    state: str
    device_id: str
    site_id: str | None
    customer_id: str | None
    ticket_ids: list[int]
    technician_id: str | None
    created_at: Instant
    due_at: Instant
    planned_start: Instant | None
    started_at: Instant | None
    done_at: Instant | None
    version: int

    @classmethod
    def of(cls, order: WorkOrder) -> "WorkOrderRow":
        return cls(**_order_fields(order))


class WorkOrderDetail(WorkOrderRow):
    """One work order with the parts to bring, the guide and the outcome; customers do not read staff's remarks."""

    assigned_reason: str
    parts: list[PartBody]
    guide: list[str]
    outcome: str | None
    confirmed_cause: str | None
    note: str
    count_before: int | None
    count_after: int | None

    @classmethod
    def full(
        cls, order: WorkOrder, messages: Messages, language: str, *, inside: bool = True
    ) -> "WorkOrderDetail":
        return cls(
            **_order_fields(order),
            assigned_reason=messages.unpacked(language, order.assigned_reason) if inside else "",
            parts=[
                PartBody.model_validate(replace(part, note=messages.unpacked(language, part.note)))
                for part in order.parts
            ],
            guide=guide_steps(order, messages, language),
            outcome=order.outcome,
            confirmed_cause=order.confirmed_cause,
            note=note_text(order.note, messages, language) if inside else "",
            count_before=order.count_before,
            count_after=order.count_after,
        )


def _order_fields(order: WorkOrder) -> dict[str, object]:
    """Return what the row and the detail share."""
    return {
        "work_order_id": order.work_order_id,
        "number": work_order_number(order.work_order_id),
        "kind": order.kind.value,
        "state": order.state.value,
        "device_id": order.device_id,
        "site_id": order.site_id,
        "customer_id": order.customer_id,
        "ticket_ids": list(order.ticket_ids),
        "technician_id": order.technician_id,
        "created_at": order.created_at,
        "due_at": order.due_at,
        "planned_start": order.planned_start,
        "started_at": order.started_at,
        "done_at": order.done_at,
        "version": order.version,
    }


class NoteInput(Input):
    """An optional word about a step."""

    note: LongText = ""


class ReportInput(Input):
    """What a person reports about a device."""

    device_id: Name
    level: Annotated[str, Field(pattern=r"^L[123]$")] = "L1"
    category: Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")] = "other"
    text: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(clean_text)]


class ReasonInput(Input):
    """Why; the reason stays with the record."""

    reason: Annotated[ShortText, Field(description="shown to everybody who opens the ticket")]


class AssignInput(Input):
    """Who shall go, and why this person."""

    technician_id: Name
    reason: LongText = ""


class VisitOrder(Input):
    """A visit that no ticket asks for. `start` is agreed with the customer; without it the plan finds one."""

    device_id: Name
    kind: Literal["installation", "removal", "inspection", "maintenance"]
    start: Annotated[datetime, Field(strict=False)] | None = None
    technician_id: Name | None = None
    note: LongText = ""

    def ordered(self) -> Ordered:
        """Return the order as the product knows it."""
        return Ordered(
            device_id=DeviceId(self.device_id),
            kind=WorkOrderKind(self.kind),
            start=self.start,
            technician_id=None if self.technician_id is None else TechnicianId(self.technician_id),
            note=self.note,
        )


class CompleteInput(Input):
    """What was done. `count_after` is the machine's counter when the technician left."""

    outcome: Annotated[str, Field(pattern=r"^(fixed|no_fault_found|not_fixed|parts_needed)$")] = "fixed"
    confirmed_cause: ShortText | None = None
    note: LongText = ""
    count_after: Annotated[int, Field(ge=0, le=2**53)] | None = None
