"""What the firm learns of its customers: segments, dry runs, satisfaction, scorecards, outcome figures."""

import csv
import io
from datetime import UTC, date, datetime, time
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import CARE, MANAGERS, SUPERVISORS, Principal, services_of
from api.direct_route import DirectRoute
from api.problem import Problem
from api.routes.customers import customers_in_sight
from api.routes.tickets import IdempotencyKey
from api.schemas.care import (
    AnswerRow,
    AxisName,
    ClassFiguresBody,
    FigureBody,
    ListFormat,
    Month,
    SatisfactionRow,
    ScorecardBody,
    TrainingBody,
    TrainingInput,
)
from api.schemas.customers import DryRunBody, DryRunInput, OfferedBody, SegmentBody
from crm_core.domain.customer_files import Consent
from crm_core.domain.relations import Training
from crm_core.domain.relations_policy import Segment
from crm_core.relations.scorecards import Scorecard
from crm_core.relations.segments import classes_at, members

router = APIRouter(tags=["insight"], route_class=DirectRoute)

SegmentKey = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
AsOf = Annotated[date | None, Query(description="the classes of that day, at its end (UTC); now unless told")]


@router.get("/segments", summary="Segments with their customers")
def segments(
    request: Request, principal: Annotated[Principal, Depends(CARE)], as_of: AsOf = None
) -> list[SegmentBody]:
    """Return every segment with its definition and who is in it; `reachable_ids` agreed to offers."""
    policy = services_of(request).policy.relations
    return [_segment(request, principal, segment, as_of) for segment in policy.segments]


@router.get("/segments/{segment}", summary="One segment")
def one_segment(
    request: Request, principal: Annotated[Principal, Depends(CARE)], segment: SegmentKey, as_of: AsOf = None
) -> SegmentBody:
    """Return a segment as of a day: definition, version of the policy, customers."""
    found = next(
        (each for each in services_of(request).policy.relations.segments if each.name == segment), None
    )
    if found is None:
        raise Problem("not_found")
    return _segment(request, principal, found, as_of)


@router.post("/segments/{segment}/offers", summary="Bring a segment its offer", status_code=201)
def offer(
    request: Request,
    principal: Annotated[Principal, Depends(SUPERVISORS)],
    segment: SegmentKey,
    _key: IdempotencyKey = None,
) -> OfferedBody:
    """Make a task for each customer of the segment who agreed to offers, once a month."""
    made = services_of(request).customers.offers.make(principal.tenant, segment, by=principal.name)
    return OfferedBody(made=list(made.made), already=list(made.already), opted_out=list(made.opted_out))


@router.post("/classification/dry-run", summary="Who would move with other thresholds")
def dry_run(
    request: Request, principal: Annotated[Principal, Depends(CARE)], body: DryRunInput
) -> DryRunBody:
    """Return who would be in another class; nothing is kept."""
    services = services_of(request)
    found = services.customers.classifier.dry_run(principal.tenant, body.thresholds)
    with services.read_uow_factory() as uow:
        seen = {each.customer_id for each in customers_in_sight(principal, uow)}
    answer = DryRunBody.of(found)
    return answer.model_copy(update={"moves": [each for each in answer.moves if each.customer_id in seen]})


@router.get("/satisfaction", summary="Satisfaction by class")
def satisfaction(
    request: Request,
    principal: Annotated[Principal, Depends(SUPERVISORS)],
    month: Annotated[Month, Query()],
    axis: Annotated[AxisName, Query()] = "tier",
) -> list[SatisfactionRow]:
    """Return answers of a month by class, with their number and the interval."""
    rows = services_of(request).customers.surveys.by_class(principal.tenant, axis, _first(month))
    return [SatisfactionRow.of(row) for row in rows]


@router.get("/satisfaction/answers", summary="Answers beside the measured truth")
def answers(
    request: Request, principal: Annotated[Principal, Depends(SUPERVISORS)], month: Annotated[Month, Query()]
) -> list[AnswerRow]:
    """Return the answers of a month beside what was measured then."""
    rows = services_of(request).customers.surveys.compared(principal.tenant, _first(month))
    return [AnswerRow.of(row) for row in rows]


@router.get("/class-report", summary="What each class brings")
def class_report(
    request: Request,
    principal: Annotated[Principal, Depends(CARE)],
    axis: Annotated[AxisName, Query()] = "source",
) -> list[ClassFiguresBody]:
    """Return customers, leads won, customers served and invoiced money by class of an axis: of the source unless told."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        seen = frozenset(each.customer_id for each in customers_in_sight(principal, uow))
        rows = services.customers.class_report.by_class(uow, principal.tenant, axis, seen)
    return [ClassFiguresBody.of(row) for row in rows]


@router.get("/outcomes", summary="Outcome figures")
def outcomes(
    request: Request,
    principal: Annotated[Principal, Depends(MANAGERS)],
    month: Annotated[Month, Query()],
    baseline: Annotated[Month, Query()],
) -> list[FigureBody]:
    """Return the figures of a month beside a baseline month, each with what is wanted."""
    rows = services_of(request).customers.outcomes.compare(principal.tenant, _first(month), _first(baseline))
    return [FigureBody.of(row) for row in rows]


@router.get(
    "/technician-scorecards",
    summary="Scorecards of technicians",
    response_model=list[ScorecardBody],
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "the rows"}},
)
def scorecards(
    request: Request,
    principal: Annotated[Principal, Depends(SUPERVISORS)],
    month: Annotated[Month, Query()],
    format: Annotated[ListFormat, Query()] = "json",  # noqa: A002 - the name that exports use
) -> list[ScorecardBody] | Response:
    """Return one row a technician and month; as CSV for the payroll."""
    rows = services_of(request).customers.scorecards.of_month(principal.tenant, _first(month))
    if format == "csv":
        name = f"scorecards-{month}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(scorecard_csv(rows), media_type="text/csv; charset=utf-8", headers=headers)
    return [ScorecardBody.of(row) for row in rows]


@router.post("/trainings", summary="Write a training down", status_code=201)
def train(
    request: Request,
    principal: Annotated[Principal, Depends(SUPERVISORS)],
    body: TrainingInput,
    _key: IdempotencyKey = None,
) -> TrainingBody:
    """Write down who was trained in what."""
    training = Training(
        tenant=principal.tenant, training_id=0, recorded_by=principal.name, **body.model_dump()
    )
    return TrainingBody.model_validate(services_of(request).customers.scorecards.train(training))


@router.get("/trainings", summary="Trainings")
def trainings(
    request: Request,
    principal: Annotated[Principal, Depends(SUPERVISORS)],
    person: Annotated[str | None, Query(max_length=128)] = None,
) -> list[TrainingBody]:
    """Return trainings, newest first."""
    with services_of(request).read_uow_factory() as uow:
        rows = uow.relations.trainings.where(principal.tenant, person=person, limit=1000)
    return [TrainingBody.model_validate(row) for row in rows]


def scorecard_csv(rows: list[Scorecard]) -> str:
    """Return the scorecards as CSV; a name that a spreadsheet would read as a formula is put in quotes."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        (
            "month", "technician_id", "name", "repairs", "first_time_fix_percent", "repeats",
            "pages_between_visits", "ratings", "mean_rating", "training_minutes",
        )
    )  # fmt: skip
    for row in rows:
        name = f"'{row.name}" if row.name[:1] in "=+-@\t" else row.name
        writer.writerow(
            (
                f"{row.month:%Y-%m}", row.technician_id, name, row.repairs, row.first_time_fix.percent, row.repeats,
                row.pages_between_visits, row.ratings, row.mean_rating, row.training_minutes,
            )
        )  # fmt: skip
    return text.getvalue()


def _segment(request: Request, principal: Principal, segment: Segment, as_of: date | None) -> SegmentBody:
    services = services_of(request)
    now = services.clock.now()
    at = now if as_of is None else min(now, datetime.combine(as_of, time.max, UTC))
    with services.read_uow_factory() as uow:
        customers = {each.customer_id: each for each in customers_in_sight(principal, uow)}
        rows = uow.relations.classes.where(principal.tenant, limit=1_000_000)
    inside = [each for each in members(segment, classes_at(rows, at)) if each in customers]
    may = [each for each in inside if Consent.MARKETING in customers[each].consents]
    return SegmentBody.of(segment, at, services.policy.version, inside, may)


def _first(month: str) -> date:
    return date.fromisoformat(f"{month}-01")
