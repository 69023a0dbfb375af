"""Foresight: how good forecasts were, what is odd in the data, and what the months ahead will need."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from api.access import DISPATCHERS, OFFICE_READ, Principal, services_of
from api.direct_route import DirectRoute
from api.fleet_lists import devices_in_sight
from api.language import language_of
from api.paging import Cursor, Limit, decode_number, encode_cursor
from api.problem import Problem
from api.routes.tickets import IdempotencyKey
from api.schemas.base import Input, Output, Page
from api.schemas.fleet import ReasonBody
from api.wording import reason_text
from crm_core.domain.forecast import Reason
from crm_core.domain.messages import Messages
from crm_core.domain.quality import Finding, FindingKind, FindingState, Outlook, OutlookKind, Score, Subject
from crm_core.ports import DeviceFilter, UnitOfWork

router = APIRouter(tags=["foresight"], route_class=DirectRoute)

Reader = Annotated[Principal, Depends(OFFICE_READ)]
_MOST: Final = 20_000
_CARD_FIGURES: Final = ("rolling", "by_gauge", "by_model", "calibration")


class ScoreBody(Output):
    """What became of forecasts of a window, for all, for a kind of gauge, for a device model or for a forecast model."""

    as_of: date
    subject: str
    grouping: str
    name: str
    rows: int
    error: float | None
    bias: float | None
    coverage: float | None
    width: float | None


class ScoresBody(Output):
    """Scorecards, oldest first."""

    scores: list[ScoreBody]


class FindingBody(Output):
    """Something odd about a device or an estimator, with its reasons in words."""

    finding_id: int
    kind: str
    subject: str
    device_id: str | None
    customer_id: str | None
    state: str
    first_seen: date
    last_seen: date
    score: float
    reasons: list[ReasonBody]
    seen_by: str
    note: str
    version: int

    @classmethod
    def of(cls, row: Finding, messages: Messages, language: str) -> "FindingBody":
        return cls(
            finding_id=row.finding_id,
            kind=row.kind.value,
            subject=row.subject,
            device_id=row.device_id,
            customer_id=row.customer_id,
            state=row.state.value,
            first_seen=row.first_seen,
            last_seen=row.last_seen,
            score=row.score,
            reasons=[
                ReasonBody(key=each.key, text=reason_text(each, messages, language)) for each in row.reasons
            ],
            seen_by=row.seen_by,
            note=row.note,
            version=row.version,
        )


class SeenInput(Input):
    """That somebody has looked at a finding, and what it was; `version` is the one that was read."""

    version: int
    note: Annotated[str, Query(max_length=500)] = ""


class DemandRow(Output):
    """Supplies, parts or devices of one kind needed in a month."""

    month: str
    what: str
    item: str
    model: str
    p10: int
    p50: int
    p90: int
    expected: float


class DemandBody(Output):
    """Demand by month; None before the first nightly run."""

    as_of: date | None
    rows: list[DemandRow]


class IdleRow(Output):
    """A device that answers and prints nothing."""

    device_id: str
    customer_id: str | None
    site_id: str | None
    model: str | None
    idle_days: int
    last_page_on: date | None


class IdleBody(Output):
    """Idle devices in sight, longest first."""

    as_of: date | None
    rows: list[IdleRow]


class ChurnRow(Output):
    """A customer who may leave, with one to three reasons."""

    customer_id: str
    name: str
    warnings: int
    volume_fall: float
    score: float
    reasons: list[ReasonBody]


class ChurnBody(Output):
    """Customers who may leave, those with most reasons first."""

    as_of: date | None
    rows: list[ChurnRow]


class ModelRow(Output):
    """The card of a forecast model: what it learned from and how good it was on days that it had not seen."""

    model_id: str
    name: str
    champion: bool
    refused: str | None
    data_from: str
    data_until: str
    seed: int
    note: str
    metric: str
    held_out: float
    base_rate: float
    sha256: str
    versions: dict[str, str]
    figures: dict[str, object]


class ModelsBody(Output):
    """The newest models of every kind."""

    as_of: date | None
    rows: list[ModelRow]


@router.get("/foresight/scores", summary="Scorecards of forecasts")
def scores(
    request: Request,
    principal: Reader,
    days: Annotated[int, Query(ge=1, le=730)] = 30,
    subject: Annotated[Subject | None, Query()] = None,
) -> ScoresBody:
    """Return what became of forecasts: mean error, bias, coverage and width by gauge, device model and forecast model."""
    services = services_of(request)
    since = services.clock.now().date() - timedelta(days=days)
    with services.read_uow_factory() as uow:
        rows = uow.quality.scores(principal.tenant, since, subject)
    return ScoresBody(scores=[score_body(row) for row in rows])


def score_body(row: Score) -> ScoreBody:
    """Return one score as it goes out."""
    return ScoreBody(
        as_of=row.as_of, subject=row.subject.value, grouping=row.grouping, name=row.name, rows=row.rows, error=row.error,
        bias=row.bias, coverage=row.coverage, width=row.width,
    )  # fmt: skip


@router.get("/foresight/findings", summary="What is odd in the data")
def findings(
    request: Request,
    principal: Reader,
    cursor: Cursor = None,
    limit: Limit = 50,
    state: Annotated[FindingState, Query()] = FindingState.OPEN,
    kind: Annotated[FindingKind | None, Query()] = None,
) -> Page[FindingBody]:
    """Return findings about devices in sight, newest first: counters that fell, copies, moved, silent, unusual devices."""
    services, language = services_of(request), language_of(request)
    with services.read_uow_factory() as uow:
        rows = findings_in_sight(principal, uow, state=state, kind=kind, before=decode_number(cursor))
    return Page(
        items=[FindingBody.of(row, services.messages, language) for row in rows[:limit]],
        next_cursor=encode_cursor(str(rows[limit - 1].finding_id)) if len(rows) > limit else None,
    )


def findings_in_sight(
    principal: Principal, uow: UnitOfWork, *, state: FindingState | None = None, kind: FindingKind | None = None,
    before: int | None = None,
) -> list[Finding]:  # fmt: skip
    """Return findings in sight, newest first; those without a device are for people who see every region."""
    rows = uow.quality.findings.where(principal.tenant, before=before, limit=_MOST, state=state, kind=kind)
    if principal.sees_region(None):
        return list(rows)
    seen = _devices_seen(principal, uow, frozenset(str(row.device_id) for row in rows if row.device_id))
    return [row for row in rows if row.device_id in seen]


def _devices_seen(principal: Principal, uow: UnitOfWork, names: frozenset[str]) -> set[str]:
    found = devices_in_sight(principal, uow, DeviceFilter(device_ids=names))
    return {str(bundle.device.device_id) for bundle in found}


@router.post("/foresight/findings/{finding_id}/seen", summary="Say what a finding was")
def seen(
    request: Request,
    principal: Annotated[Principal, Depends(DISPATCHERS)],
    finding_id: Annotated[int, Path(ge=1, le=2**53)],
    body: SeenInput,
    _key: IdempotencyKey = None,
) -> FindingBody:
    """Mark a finding as looked at; it comes back only when its cause goes and returns."""
    services = services_of(request)
    with services.uow_factory() as uow:
        row = mark_seen(principal, uow, finding_id, body.version, body.note)
        uow.commit()
    return FindingBody.of(row, services.messages, language_of(request))


def mark_seen(principal: Principal, uow: UnitOfWork, finding_id: int, version: int, note: str) -> Finding:
    """Mark a finding in sight as looked at; `Conflict` when it has changed since it was read."""
    found = uow.quality.findings.get(principal.tenant, finding_id)
    hidden = not principal.sees_region(None) and (
        found.device_id is None or not _devices_seen(principal, uow, frozenset({str(found.device_id)}))
    )
    if hidden:
        raise Problem("not_found")
    return uow.quality.findings.save(
        replace(found, state=FindingState.SEEN, seen_by=principal.user_id, note=note, version=version)
    )


@router.get("/foresight/demand", summary="Demand by month")
def demand(request: Request, principal: Reader) -> DemandBody:
    """Return the supplies, parts and devices that the fleet will need by month, each with P10, P50 and P90."""
    outlook = _outlook(request, principal, OutlookKind.DEMAND)
    rows = [DemandRow.model_validate(dict(row)) for row in outlook.rows] if outlook else []
    return DemandBody(as_of=outlook.as_of if outlook else None, rows=rows)


@router.get("/foresight/idle-devices", summary="Idle devices")
def idle_devices(request: Request, principal: Reader) -> IdleBody:
    """Return devices in sight that answer and have printed nothing for two weeks or more, longest first."""
    with services_of(request).read_uow_factory() as uow:
        outlook, rows = idle_in_sight(principal, uow)
    return IdleBody(as_of=outlook.as_of if outlook else None, rows=rows)


def idle_in_sight(principal: Principal, uow: UnitOfWork) -> tuple[Outlook | None, list[IdleRow]]:
    """Return the outlook and its rows in sight."""
    outlook = uow.quality.outlook(principal.tenant, OutlookKind.IDLE)
    rows = [IdleRow.model_validate(dict(row)) for row in outlook.rows] if outlook else []
    if not principal.sees_region(None):
        seen = _devices_seen(principal, uow, frozenset(row.device_id for row in rows))
        rows = [row for row in rows if row.device_id in seen]
    return outlook, rows


@router.get("/foresight/churn", summary="Customers who may leave")
def churn(request: Request, principal: Reader) -> ChurnBody:
    """Return customers in sight with falling volume, open complaints or a renewal near, those with most reasons first."""
    services, language = services_of(request), language_of(request)
    with services.read_uow_factory() as uow:
        outlook, rows = churn_in_sight(principal, uow, services.messages, language)
    return ChurnBody(as_of=outlook.as_of if outlook else None, rows=rows)


def churn_in_sight(
    principal: Principal, uow: UnitOfWork, messages: Messages, language: str
) -> tuple[Outlook | None, list[ChurnRow]]:
    """Return the outlook and its rows in sight: customers with a device in the regions of the person."""
    outlook = uow.quality.outlook(principal.tenant, OutlookKind.CHURN)
    rows = [_churn_row(dict(row), messages, language) for row in outlook.rows] if outlook else []
    if not principal.sees_region(None):
        rows = [
            row
            for row in rows
            if devices_in_sight(principal, uow, DeviceFilter(customer_id=row.customer_id, limit=1))
        ]
    return outlook, rows


def _churn_row(row: dict[str, object], messages: Messages, language: str) -> ChurnRow:
    told = row.pop("reasons")
    assert isinstance(told, list)
    reasons = [Reason(each["key"], each["arguments"]) for each in told]
    words = [ReasonBody(key=each.key, text=reason_text(each, messages, language)) for each in reasons]
    return ChurnRow.model_validate({**row, "reasons": words})


@router.get("/foresight/models", summary="Forecast models")
def models(request: Request, principal: Reader) -> ModelsBody:
    """Return the cards of the newest models: data, seed, versions, scores beside their base rates, who is in charge."""
    outlook = _outlook(request, principal, OutlookKind.MODELS)
    rows = [model_row(dict(row)) for row in outlook.rows] if outlook else []
    return ModelsBody(as_of=outlook.as_of if outlook else None, rows=rows)


def model_row(card: dict[str, object]) -> ModelRow:
    """Return the card of a model as people see it."""
    score, dates = card["score"], card["data"]
    assert isinstance(score, dict)
    assert isinstance(dates, dict)
    return ModelRow.model_validate(
        {
            **{key: card[key] for key in ("model_id", "name", "champion", "seed", "note", "sha256", "versions")},
            "refused": card.get("refused"), "data_from": dates["from"], "data_until": dates["until"], "metric": score["metric"],
            "held_out": score["held_out"], "base_rate": score["base_rate"],
            "figures": {key: card[key] for key in _CARD_FIGURES if key in card},
        }
    )  # fmt: skip


def _outlook(request: Request, principal: Principal, kind: OutlookKind) -> Outlook | None:
    with services_of(request).read_uow_factory() as uow:
        return uow.quality.outlook(principal.tenant, kind)
