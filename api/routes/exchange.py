"""Files of lists in and out over HTTP: imports with a dry run and row errors, exports in the names of other systems."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.access import WHOLE_FIRM, Principal, services_of
from api.direct_route import DirectRoute
from api.problem import Problem
from api.schemas.base import Output

router = APIRouter(tags=["exchange"], route_class=DirectRoute)

System = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{1,31}$")]
Table = Annotated[str, Path(pattern=r"^[a-z_]{3,32}$")]
ObjectName = Annotated[str, Path(min_length=1, max_length=64)]
_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class RowErrorBody(Output):
    """What is wrong with one row, counted as a spreadsheet shows it; an empty field means the row as a whole."""

    row: int
    field: str
    reason: str


class AccountTotal(Output):
    """Printed pages of one account and their price by the policy."""

    account: str
    mono: int
    colour: int
    yuan: str


class ImportBody(Output):
    """What an import did, or would do in a dry run. `unknown` are devices of the file that nobody registered."""

    kind: str
    dry_run: bool
    written: bool
    rows: int
    created: int
    updated: int
    unchanged: int
    matched: list[str]
    unknown: list[str]
    errors: list[RowErrorBody]
    totals: list[AccountTotal]


class MappingBody(Output):
    """One kind of table that can come in, or one object that can go out, with its columns."""

    direction: str
    system: str
    name: str
    columns: list[str]


@router.get("/exchange/mappings", summary="What can be imported and exported")
def mappings(request: Request, _principal: Annotated[Principal, Depends(WHOLE_FIRM)]) -> list[MappingBody]:
    """Return all mappings; of an import the columns are our fields, of an export the foreign names."""
    desk = services_of(request).exchange
    found = [
        MappingBody(direction="import", system=each.system, name=each.kind, columns=list(each.columns))
        for each in desk.imports()
    ]
    found += [
        MappingBody(
            direction="export",
            system=each.system,
            name=each.object_name,
            columns=[column.name for column in each.columns],
        )
        for each in desk.exports()
    ]
    return found


@router.post("/exchange/imports/{system}/{table}", summary="Import a CSV or XLSX file", openapi_extra=_FILE)
async def import_file(
    request: Request,
    principal: Annotated[Principal, Depends(WHOLE_FIRM)],
    system: System,
    table: Table,
    dry_run: Annotated[bool, Query(description="check everything, write nothing")] = True,
    skip_bad_rows: Annotated[
        bool, Query(description="import the good rows even if others are wrong")
    ] = False,
    column: Annotated[
        list[str] | None, Query(max_length=40, description="FIELD=COLUMN where a column has another name")
    ] = None,
) -> ImportBody:
    """Import the file in the body in one transaction: all of it, or nothing when a row is wrong. A dry run unless told."""
    body = await request.body()
    named = dict(_pair(each) for each in column or [])
    services = services_of(request)
    report = await run_in_threadpool(
        services.exchange.take_in,
        principal.tenant,
        system,
        table,
        body,
        dry_run=dry_run,
        skip_bad_rows=skip_bad_rows,
        columns=named,
    )
    return ImportBody.model_validate(report)


@router.get(
    "/exchange/exports/{system}/{object_name}",
    summary="A list under the names of a system",
    response_class=Response,
    responses={200: {"description": "the table", "content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def export_list(
    request: Request,
    principal: Annotated[Principal, Depends(WHOLE_FIRM)],
    system: System,
    object_name: ObjectName,
    form: Annotated[str, Query(alias="format", pattern=r"^(csv|xlsx)$")] = "csv",
) -> Response:
    """Return all rows of the object; texts that a spreadsheet would run as formulas are defused."""
    made = services_of(request).exchange.give_out(principal.tenant, system, object_name, form)
    headers = {"Content-Disposition": f'attachment; filename="{made.name}"'}
    return Response(made.body, media_type=made.media_type, headers=headers)


def _pair(told: str) -> tuple[str, str]:
    name, equals, column = told.partition("=")
    if not equals:
        raise Problem("invalid_input", "column: say FIELD=COLUMN")
    return name, column
