"""The monthly service report of a customer as PDF: for the office, and for the customer itself."""

from datetime import date, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import OWNED, Principal, check_sees_customer, services_of
from api.documents.service_report import Month, service_report
from api.documents.work_order import render
from api.language import language_of
from api.pages.formats import Formats
from api.pages.supply_view import Words
from api.problem import Problem

router = APIRouter(tags=["customers"])


@router.get(
    "/customers/{customer_id}/service-report",
    summary="Monthly service report",
    response_class=Response,
    responses={
        200: {
            "description": "PDF in the language of Accept-Language",
            "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
def monthly_report(
    request: Request,
    principal: Annotated[Principal, Depends(OWNED)],
    customer_id: Annotated[str, Path(max_length=64)],
    month: Annotated[
        str | None,
        Query(
            pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", description="such as 2026-10; else the last whole one"
        ),
    ] = None,
    language: Annotated[
        str | None, Query(pattern=r"^(zh-CN|en)$", description="instead of Accept-Language")
    ] = None,
) -> Response:
    """Return pages, tickets with their times, and visits of a month; 422 for a month that has not begun."""
    services = services_of(request)
    zone, now = ZoneInfo(services.settings.time_zone), services.clock.now()
    today = now.astimezone(zone).date()
    last_whole = today.replace(day=1) - timedelta(days=1)
    wanted = Month.of(date.fromisoformat(f"{month}-01") if month else last_whole, zone)
    if wanted.starts > now:
        raise Problem("invalid_input")
    spoken = language or language_of(request)
    words = Words(messages=services.messages, language=spoken, formats=Formats(spoken, zone, now))
    with services.read_uow_factory() as uow:
        check_sees_customer(principal, uow, customer_id)
        customer = uow.customers.get(principal.tenant, customer_id)
        paper = service_report(services, uow, customer, wanted, words)
    headers = {"Content-Disposition": f'inline; filename="report-{wanted.first:%Y-%m}.pdf"'}
    return Response(render(paper), media_type="application/pdf", headers=headers)
