"""Every list as a spreadsheet: CSV or XLSX, limited to what the person may see."""

from collections.abc import Callable, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import OFFICE_READ, Principal, services_of
from api.direct_route import DirectRoute
from api.documents.tables import CSV_TYPE, XLSX_TYPE, Cell, as_csv, as_xlsx
from api.fleet_lists import visible_bundles
from api.language import language_of
from api.problem import Problem
from api.schemas.service import next_clock
from api.service_lists import list_orders, list_tickets
from api.services import ApiServices
from api.wording import term, ticket_title
from crm_core.domain.identity import ticket_number, work_order_number
from crm_core.ports import TicketFilter, UnitOfWork, WorkOrderFilter

router = APIRouter(tags=["exports"], route_class=DirectRoute)

_MOST: Final = 100_000
Rows = Sequence[Sequence[Cell]]
Maker = Callable[[ApiServices, UnitOfWork, Principal, str], tuple[Sequence[str], Rows]]


@router.get(
    "/exports/{list_name}",
    summary="A list as CSV or XLSX",
    response_class=Response,
    responses={
        200: {
            "description": "the table; texts that a spreadsheet would run as formulas are defused",
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                XLSX_TYPE: {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
def export(
    request: Request,
    principal: Annotated[Principal, Depends(OFFICE_READ)],
    list_name: Annotated[
        str, Path(pattern=r"^[a-z-]{1,32}$", description="devices, tickets, work-orders or running-out")
    ],
    format: Annotated[str, Query(pattern=r"^(csv|xlsx)$")] = "csv",  # noqa: A002 - the name in the address
) -> Response:
    """Return all rows of the list that are in sight, at most 100,000."""
    services, language = services_of(request), language_of(request)
    make = _MAKERS.get(list_name)
    if make is None:
        raise Problem("not_found")
    with services.read_uow_factory() as uow:
        columns, rows = make(services, uow, principal, language)
    if format == "csv":
        body, media_type = as_csv(columns, rows), CSV_TYPE
    else:
        body, media_type = as_xlsx(columns, rows, list_name), XLSX_TYPE
    headers = {"Content-Disposition": f'attachment; filename="drumbeat-{list_name}.{format}"'}
    return Response(body, media_type=media_type, headers=headers)


def _devices(
    services: ApiServices, uow: UnitOfWork, principal: Principal, _language: str
) -> tuple[Sequence[str], Rows]:
    """Return the devices in sight with their newest state."""
    columns = (
        "device_id", "model", "serial", "customer", "site", "region", "owner_state", "last_seen_utc", "life_count",
        "lowest_supply_percent", "errors",
    )  # fmt: skip
    states = {state.device_id: state for state in services.store.states(principal.tenant)}
    rows: list[tuple[Cell, ...]] = []
    for bundle in visible_bundles(principal, uow)[:_MOST]:
        device, state = bundle.device, states.get(bundle.device.device_id)
        rows.append(
            (
                device.device_id,
                device.model_name,
                device.serial,
                bundle.customer.name if bundle.customer else None,
                bundle.site.name if bundle.site else None,
                bundle.site.region if bundle.site else None,
                device.owner_state.value,
                state.last_seen if state else None,
                state.life_count if state else None,
                state.lowest_supply_percent if state else None,
                " ".join(state.error_names) if state else None,
            )
        )
    return columns, rows


def _tickets(
    services: ApiServices, uow: UnitOfWork, principal: Principal, language: str
) -> tuple[Sequence[str], Rows]:
    """Return all tickets in sight, newest first."""
    columns = (
        "number", "level", "state", "title", "cause", "device_id", "site_id", "customer_id", "raised_utc", "next_due_utc",
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for ticket in list_tickets(principal, uow, TicketFilter(limit=_MOST)):
        due = next_clock(ticket)
        rows.append(
            (
                ticket_number(ticket.ticket_id),
                ticket.level.value,
                ticket.state.value,
                ticket_title(ticket, services.messages, language),
                ticket.cause,
                ticket.device_id,
                ticket.site_id,
                ticket.customer_id,
                ticket.raised_at,
                due.due_at if due else None,
            )
        )
    return columns, rows


def _work_orders(
    _services: ApiServices, uow: UnitOfWork, principal: Principal, _language: str
) -> tuple[Sequence[str], Rows]:
    """Return all work orders in sight, newest first."""
    columns = (
        "number", "kind", "state", "device_id", "site_id", "technician", "created_utc", "due_utc", "done_utc", "outcome",
        "tickets", "count_before", "count_after",
    )  # fmt: skip
    names = {person.technician_id: person.name for person in uow.technicians.all(principal.tenant)}
    rows: list[tuple[Cell, ...]] = [
        (
            work_order_number(order.work_order_id),
            order.kind.value,
            order.state.value,
            order.device_id,
            order.site_id,
            names.get(order.technician_id) if order.technician_id else None,
            order.created_at,
            order.due_at,
            order.done_at,
            order.outcome,
            " ".join(ticket_number(key) for key in order.ticket_ids),
            order.count_before,
            order.count_after,
        )
        for order in list_orders(principal, uow, WorkOrderFilter(limit=_MOST))
    ]
    return columns, rows


def _running_out(
    services: ApiServices, uow: UnitOfWork, principal: Principal, language: str
) -> tuple[Sequence[str], Rows]:
    """Return what runs out within 90 days, soonest first."""
    columns = (
        "device_id", "model", "customer", "site", "supply", "colour", "level_percent", "days_p10", "days_p50", "days_p90",
        "basis",
    )  # fmt: skip
    bundles = {bundle.device.device_id: bundle for bundle in visible_bundles(principal, uow)}
    rows: list[tuple[Cell, ...]] = []
    for row in uow.forecasts.running_out(principal.tenant, 90.0, _MOST):
        bundle, days = bundles.get(row.device_id), row.days_to_empty
        if bundle is None or days is None:
            continue
        rows.append(
            (
                row.device_id,
                bundle.device.model_name,
                bundle.customer.name if bundle.customer else None,
                bundle.site.name if bundle.site else None,
                term("kind", row.kind, services.messages, language),
                term("colour", row.colour, services.messages, language),
                row.level_percent,
                round(days.p10, 1),
                round(days.p50, 1),
                round(days.p90, 1),
                row.provenance.basis.value,
            )
        )
    return columns, rows


_MAKERS: Final[dict[str, Maker]] = {
    "devices": _devices,
    "tickets": _tickets,
    "work-orders": _work_orders,
    "running-out": _running_out,
}
