"""Visits, files, estimates and plans of regular care as JSON."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from api.schemas.base import Input, Instant, LongText, Name, Output, ShortText, clean_text
from crm_core.domain.fieldwork import Attachment, Check, Estimate, MaintenancePlan, PartUsed, VisitRecord
from crm_core.fieldwork.evidence import VisitNotes

Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Code = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(clean_text)]
Yuan = Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,4})?$", description="yuan as a decimal text")]


class UsedPart(Input):
    """A part that was put in."""

    kind: Word
    colour: Word | None = None
    part_number: Code | None = None
    serial: Code | None = None
    quantity: Annotated[int, Field(ge=1, le=1000)] = 1
    unit_price: Yuan = "0"
    consumable: bool = False


class VisitInput(Input):
    """What a technician notes during a visit; what is left out stays as it is."""

    checks: Annotated[
        list[
            Literal[
                "network",
                "driver",
                "training_video",
                "training_shown",
                "hand_over",
                "cleaned",
                "counters_reset",
                "tested",
                "data_erased",
                "handed_back",
            ]
        ],
        Field(max_length=20, default_factory=list),
    ]
    parts: Annotated[list[UsedPart], Field(max_length=100)] | None = None
    labour_minutes: Annotated[int, Field(ge=0, le=1440)] | None = None
    cause: Word | None = None
    item: Word | None = None
    empties: Annotated[list[Code], Field(max_length=100)] | None = None
    trained: Annotated[list[ShortText], Field(max_length=50)] | None = None
    signed_by: ShortText | None = None

    def notes(self) -> VisitNotes:
        """Return the notes as the product knows them."""
        parts = None
        if self.parts is not None:
            parts = tuple(
                PartUsed(
                    kind=each.kind,
                    colour=each.colour,
                    part_number=each.part_number,
                    serial=each.serial,
                    quantity=each.quantity,
                    unit_price=Decimal(each.unit_price),
                    consumable=each.consumable,
                )
                for each in self.parts
            )
        return VisitNotes(
            checks=tuple(Check(each) for each in self.checks),
            parts=parts,
            labour_minutes=self.labour_minutes,
            cause=self.cause,
            item=self.item,
            empties=None if self.empties is None else tuple(self.empties),
            trained=None if self.trained is None else tuple(self.trained),
            signed_by=self.signed_by,
        )


class AttachmentBody(Output):
    """A photo or signature; `href` gives its bytes."""

    attachment_id: int
    kind: str
    media_type: str
    size_bytes: int
    sha256: str
    added_at: Instant
    added_by: str
    note: str
    href: str

    @classmethod
    def of(cls, file: Attachment) -> "AttachmentBody":
        return cls(
            attachment_id=file.attachment_id,
            kind=file.kind.value,
            media_type=file.media_type,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            added_at=file.added_at,
            added_by=file.added_by,
            note=file.note,
            href=f"/api/v1/attachments/{file.work_order_id}/{file.attachment_id}",
        )


class LineBody(Output):
    """One line of a price; `rule` says why it is free or less."""

    text: str
    formula: str
    full_price: str
    amount: str
    rule: str | None


class VisitBody(Output):
    """The record of a visit; `missing` is what must still be shown before it may close with success."""

    work_order_id: int
    checks: list[dict[str, str]]
    missing: list[str]
    parts: list[dict[str, str | int | bool | None]]
    labour_minutes: int | None
    cause: str
    item: str | None
    empties: list[str]
    trained: list[str]
    signed_by: str
    finished_at: Instant | None
    total: str
    formula: str
    lines: list[LineBody]
    attachments: list[AttachmentBody]

    @classmethod
    def of(
        cls, visit: VisitRecord, missing: list[Check], files: list[Attachment], lines: list[LineBody]
    ) -> "VisitBody":
        return cls(
            work_order_id=visit.work_order_id,
            checks=[
                {"check": each.check.value, "at": each.at.isoformat(), "by": each.by, "note": each.note}
                for each in visit.checks
            ],
            missing=[each.value for each in missing],
            parts=[
                {
                    "kind": part.kind,
                    "colour": part.colour,
                    "part_number": part.part_number,
                    "serial": part.serial,
                    "quantity": part.quantity,
                    "unit_price": str(part.unit_price),
                    "consumable": part.consumable,
                }
                for part in visit.parts
            ],
            labour_minutes=visit.labour_minutes,
            cause=visit.cause,
            item=visit.item,
            empties=list(visit.empties),
            trained=list(visit.trained),
            signed_by=visit.signed_by,
            finished_at=visit.finished_at,
            total=str(visit.total.rounded().amount),
            formula=visit.price.formula if visit.price is not None else "",
            lines=lines,
            attachments=[AttachmentBody.of(each) for each in files],
        )


class EstimateInput(Input):
    """A row of the price list and the cause that is thought to be behind the fault."""

    item: Word
    cause: Word = "unknown"


class EstimateDecision(Input):
    """The customer's decision; consent names how they will pay, a no says why in `note`."""

    accepted: bool
    method: Literal["cash", "card", "transfer", "wechat_pay", "alipay"] | None = None
    note: LongText = ""


class ReplacementAnswer(Input):
    """Whether the customer wants the machine replaced; a no says why."""

    accepted: bool
    note: LongText = ""


class EstimateBody(Output):
    """What a repair will probably cost: P10 to P90 of `basis` like repairs, or around the price list (basis 0)."""

    estimate_id: int
    ticket_id: int
    item: str
    low: str
    high: str
    basis: int
    total: str
    formula: str
    lines: list[LineBody]
    state: str
    payment_method: str | None
    offered_at: Instant
    decided_at: Instant | None
    decided_by: str
    note: str
    version: int

    @classmethod
    def of(cls, estimate: Estimate, lines: list[LineBody]) -> "EstimateBody":
        return cls(
            estimate_id=estimate.estimate_id,
            ticket_id=estimate.ticket_id,
            item=estimate.item,
            low=f"{estimate.low:.2f}",
            high=f"{estimate.high:.2f}",
            basis=estimate.basis,
            total=str(estimate.price.total),
            formula=estimate.price.formula,
            lines=lines,
            state=estimate.state.value,
            payment_method=estimate.payment_method,
            offered_at=estimate.offered_at,
            decided_at=estimate.decided_at,
            decided_by=estimate.decided_by,
            note=estimate.note,
            version=estimate.version,
        )


class CarePlanInput(Input):
    """Regular care of a device; without own figures those of the policy count."""

    device_id: Name
    name: Word = "maintenance"
    every_pages: Annotated[int, Field(ge=100, le=100_000_000)] | None = None
    every_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    parts: Annotated[list[Word], Field(max_length=20, default_factory=list)]


class CareSwitch(Input):
    """Whether the plan goes on."""

    active: bool


class CarePlanBody(Output):
    """A plan of regular care and how far along it is."""

    plan_id: int
    device_id: str
    name: str
    every_pages: int | None
    every_days: int | None
    last_at: Instant
    last_count: int | None
    parts: list[str]
    active: bool
    work_order_id: int | None
    used_percent: int

    @classmethod
    def of(cls, plan: MaintenancePlan, used: Decimal) -> "CarePlanBody":
        return cls(
            plan_id=plan.plan_id,
            device_id=plan.device_id,
            name=plan.name,
            every_pages=plan.every_pages,
            every_days=plan.every_days,
            last_at=plan.last_at,
            last_count=plan.last_count,
            parts=list(plan.parts),
            active=plan.active,
            work_order_id=plan.work_order_id,
            used_percent=int(100 * used),
        )
