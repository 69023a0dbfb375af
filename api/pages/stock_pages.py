"""The pages of stock: what is where, entries of the ledger, early swaps, stand-by machines, and the technician's van."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import FIELD, Principal, services_of
from api.pages import stock_view
from api.pages.common import Office, renderer_of, words_of
from crm_core.domain.stock import PlaceKind

router = APIRouter(include_in_schema=False)


@router.get("/stock")
def stock_page(request: Request, principal: Office, kind: PlaceKind | None = None) -> Response:
    """Show what the places of a kind hold."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        return _page(request, principal, stock_view.stock_context(uow, principal, words, kind))


@router.get("/stock/moves")
def moves_page(
    request: Request, principal: Office, before: Annotated[int | None, Query(ge=1, le=2**53)] = None
) -> Response:
    """Show how things moved, newest first."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        return _page(request, principal, stock_view.moves_context(uow, principal, words, before))


@router.get("/stock/swaps")
def swaps_page(
    request: Request, principal: Office, customer: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """Show toner thrown away, by customer."""
    services, words = services_of(request), words_of(request, principal)
    now = services.clock.now()
    with services.read_uow_factory() as uow:
        return _page(request, principal, stock_view.swaps_context(now, uow, principal, words, customer))


@router.get("/stock/loans")
def loans_page(request: Request, principal: Office) -> Response:
    """Show stand-by machines and who has them."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        return _page(request, principal, stock_view.loans_context(uow, principal, words))


@router.get("/van")
def van_page(request: Request, principal: Annotated[Principal, Depends(FIELD)]) -> Response:
    """Show the technician what lies in the own van."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        return _page(request, principal, stock_view.van_context(uow, principal, words))


def _page(request: Request, principal: Principal, context: dict[str, Any]) -> Response:
    return renderer_of(request).page(
        request, "stock.html", principal=principal, **({"next_href": "", "filters": []} | context)
    )
