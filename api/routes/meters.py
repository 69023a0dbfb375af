"""Meters that people read off, for devices that no network reads: state one, look at them, decide about doubtful ones."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import MONEY, MONEY_OWNED, REPORTERS, Principal, services_of, visible_bundle
from api.conditional import check_if_match, set_etag
from api.direct_route import DirectRoute
from api.images import IMAGE, image
from api.meter_sight import may_decide, source_for, statements_in_sight, visible_statement
from api.paging import Cursor, Limit, decode_number, encode_cursor
from api.problem import Problem
from api.routes.tickets import IdempotencyKey, IfMatch
from api.schemas.base import Page
from api.schemas.meters import HeardBody, MeterDecisionInput, MeterStatementBody, MeterStatementInput
from crm_core.domain.meter_statements import MeterStatement, StatementState

router = APIRouter(tags=["billing"], route_class=DirectRoute)

StatementKey = Annotated[int, Path(ge=1, le=2**53, description="the statement's id")]
MoneyOwned = Annotated[Principal, Depends(MONEY_OWNED)]


@router.post("/meter-statements", summary="State a meter that was read off", status_code=201)
def state_meter(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(REPORTERS)],
    body: MeterStatementInput,
    _key: IdempotencyKey = None,
) -> HeardBody:
    """Take the meter of an off-line device. `kept` false says why it is not plausible: look again, then send `confirmed`."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_bundle(principal, uow, body.device_id)
    heard = services.money.statements.state(
        principal.tenant,
        body.stated(services.clock.now()),
        source=source_for(principal),
        by=principal.name,
        may_decide=may_decide(principal),
    )
    if heard.statement is not None:
        set_etag(response, heard.statement.version)
    return HeardBody.of(heard)


@router.get("/meter-statements", summary="Meters that people stated")
def statements(
    request: Request,
    principal: MoneyOwned,
    cursor: Cursor = None,
    limit: Limit = 50,
    state: StatementState | None = None,
    device_id: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[MeterStatementBody]:
    """Return the statements in sight, newest first."""
    with services_of(request).read_uow_factory() as uow:
        rows = statements_in_sight(
            principal, uow, state=state, device_id=device_id, before=decode_number(cursor)
        )
    return Page(
        items=[MeterStatementBody.of(row) for row in rows[:limit]],
        next_cursor=encode_cursor(str(rows[limit - 1].statement_id)) if len(rows) > limit else None,
    )


@router.get("/meter-statements/{statement_id}", summary="One stated meter")
def one_statement(
    request: Request, response: Response, principal: MoneyOwned, statement_id: StatementKey
) -> MeterStatementBody:
    """Return a statement with its doubts and what was decided."""
    return _answer(response, _visible(request, principal, statement_id))


@router.get(
    "/meter-statements/{statement_id}/photo",
    summary="The photo of a stated meter",
    response_class=Response,
    responses=IMAGE,
)
def photo(request: Request, principal: MoneyOwned, statement_id: StatementKey) -> Response:
    """Return the bytes of the photo, checked against their hash."""
    found = _visible(request, principal, statement_id)
    if found.photo_type is None:
        raise Problem("not_found")
    return image(services_of(request).money.statements.photo(found), found.photo_type)


@router.post("/meter-statements/{statement_id}/decision", summary="Accept or refuse a stated meter")
def decide(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(MONEY)],
    statement_id: StatementKey,
    body: MeterDecisionInput,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> MeterStatementBody:
    """Decide; invoices that rest on it are trued up with the next one."""
    known = _visible(request, principal, statement_id)
    check_if_match(request, known.version)
    decided = services_of(request).money.statements.decide(
        principal.tenant,
        statement_id,
        accept=body.accept,
        by=principal.name,
        note=body.note,
        expected_version=known.version,
    )
    return _answer(response, decided)


def _visible(request: Request, principal: Principal, statement_id: int) -> MeterStatement:
    with services_of(request).read_uow_factory() as uow:
        return visible_statement(principal, uow, statement_id)


def _answer(response: Response, row: MeterStatement) -> MeterStatementBody:
    set_etag(response, row.version)
    return MeterStatementBody.of(row)
