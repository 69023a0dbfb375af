"""Technicians, their absences, and what a new plan of the day changed, as JSON."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from api.schemas.base import Input, Instant, Output, clean_text
from crm_core.day_planning import PlanChange, PlanReport
from crm_core.domain.messages import Messages
from crm_core.domain.roster import Absence
from crm_core.domain.service import Technician

Moment = Annotated[datetime, Field(strict=False)]


class AbsenceInput(Input):
    """Somebody is away from `starts` until before `ends`."""

    starts: Moment
    ends: Moment
    kind: Literal["ill", "leave", "training", "other"] = "ill"
    note: Annotated[str, Field(max_length=200), AfterValidator(clean_text)] = ""


class HoursInput(Input):
    """Somebody's own working hours in minutes after local midnight; null for those of the firm."""

    starts_minutes: Annotated[int, Field(ge=0, le=1440)] | None
    ends_minutes: Annotated[int, Field(ge=0, le=1440)] | None


class AbsenceDecision(Input):
    """A dispatcher's word on what a technician asked for."""

    granted: bool


class AbsenceBody(Output):
    """An absence; one that was taken back, or that nobody granted yet, does not count."""

    absence_id: int
    technician_id: str
    kind: str
    starts: Instant
    ends: Instant
    note: str
    noted_by: str
    taken_back: bool
    granted: bool
    decided_by: str

    @classmethod
    def of(cls, absence: Absence) -> "AbsenceBody":
        return cls.model_validate(absence)


class TechnicianBody(Output):
    """Somebody who can be sent; hours in minutes after local midnight, null for those of the firm."""

    technician_id: str
    name: str
    regions: list[str]
    skills: list[str]
    active: bool
    max_jobs_a_day: int
    shift_starts_minutes: int | None
    shift_ends_minutes: int | None
    absences: list[AbsenceBody]

    @classmethod
    def of(cls, technician: Technician, absences: list[Absence]) -> "TechnicianBody":
        return cls(
            technician_id=technician.technician_id,
            name=technician.name,
            regions=list(technician.regions),
            skills=list(technician.skills),
            active=technician.active,
            max_jobs_a_day=technician.max_jobs_a_day,
            shift_starts_minutes=technician.shift_starts_minutes,
            shift_ends_minutes=technician.shift_ends_minutes,
            absences=[AbsenceBody.of(each) for each in absences],
        )


class PlanChangeBody(Output):
    """A promised visit that moved; no technician and no start: it has no place on this day."""

    work_order_id: int
    device_id: str
    technician_before: str | None
    start_before: Instant
    technician_id: str | None
    start: Instant | None
    reason: str

    @classmethod
    def of(cls, change: PlanChange, messages: Messages, language: str) -> "PlanChangeBody":
        return cls(
            work_order_id=change.work_order_id,
            device_id=change.device_id,
            technician_before=change.technician_before,
            start_before=change.start_before,
            technician_id=change.technician,
            start=change.start,
            reason=messages.unpacked(language, change.reason),
        )


class LeftOut(Output):
    """A visit that the day has no room for, and why."""

    work_order_id: int
    reason: str


class PlanBody(Output):
    """What planning the day again did; `planner` found the routes."""

    planner: str
    planned: int
    newly_promised: int
    changes: list[PlanChangeBody]
    left_out: list[LeftOut]

    @classmethod
    def of(cls, report: PlanReport, messages: Messages, language: str) -> "PlanBody":
        return cls(
            planner=report.by,
            planned=report.planned,
            newly_promised=report.promised,
            changes=[PlanChangeBody.of(each, messages, language) for each in report.changes],
            left_out=[
                LeftOut(work_order_id=number, reason=messages.unpacked(language, why))
                for number, why in report.left_out.items()
            ],
        )


class HoursAnswer(Output):
    """The technician with the new hours, and what they changed in the plan."""

    technician: TechnicianBody
    plan: PlanBody


class AbsenceAnswer(Output):
    """The absence, and what it changed in the plan."""

    absence: AbsenceBody
    plan: PlanBody
