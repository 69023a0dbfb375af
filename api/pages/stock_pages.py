"""The pages of stock: what is where, entries of the ledger, early swaps, stand-by machines, and the technician's van."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import DISPATCHERS, FIELD, Principal, services_of
from api.pages import stock_steps, stock_view
from api.pages.common import Dispatchers, Office, renderer_of, words_of
from api.pages.forms import Form, checked
from api.pages.steps import FormCard, Refusal
from api.problem import Problem, problem_of
from api.stock_lists import visible_place
from crm_core.domain.errors import Conflict, InvalidValue, NotFound
from crm_core.domain.stock import ItemId, PlaceKind

router = APIRouter(include_in_schema=False)

StepKey = Annotated[str, Path(max_length=16)]


@router.get("/stock")
def stock_page(request: Request, principal: Office, kind: PlaceKind | None = None) -> Response:
    """Show what the places of a kind hold."""
    return _stock(request, principal, kind)


@router.post("/stock/entries/{key}")
def enter(request: Request, principal: Dispatchers, form: Form, key: StepKey) -> Response:
    """Make an entry of the ledger, or keep a stand-by machine; what was refused stands in the form again."""
    entry = stock_steps.ENTRIES.get(key)
    again = _loans if key == "stand_by" else _stock
    return _taken(request, principal, form, key, entry.back if entry else None, again, stock_steps.enter)


@router.post("/stock/loans/{step}")
def lend(request: Request, principal: Dispatchers, form: Form, step: StepKey) -> Response:
    """Bring a promised machine, take one back, or withdraw a promise."""
    back = "/stock/loans" if step in stock_steps.LOAN_STEPS else None
    return _taken(request, principal, form, step, back, _loans, stock_steps.lend)


def _taken(
    request: Request,
    principal: Principal,
    form: dict[str, str],
    key: str,
    back: str | None,
    again: Callable[..., Response],
    take: Callable[[Request, Principal, str, dict[str, str]], None],
) -> Response:
    """Take a form and go `back` (None: there is no such form), or show it again with the reason of the refusal."""
    checked(form, principal)
    if back is None:
        raise Problem("not_found")
    try:
        take(request, principal, key, form)
    except (Conflict, InvalidValue, NotFound, Problem) as error:
        known = error if isinstance(error, Problem) else problem_of(error)
        reason = f"{words_of(request, principal).text('money.page.refused')} {error}"
        refusal = Refusal(form=key, sent=form, reason=reason, status=known.status)
        return again(request, principal, refusal=refusal)
    return RedirectResponse(back, 303)


@router.get("/stock/moves")
def moves_page(
    request: Request,
    principal: Office,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    item: Annotated[str, Query(max_length=64)] = "",
    place: Annotated[str, Query(max_length=96)] = "",
) -> Response:
    """Show how things moved, newest first; of one item at one place with the balance after each entry."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        where = visible_place(principal, uow, place) if place else None
        chosen = ItemId(item) if item else None
        return _page(
            request,
            principal,
            stock_view.moves_context(uow, principal, words, before, chosen, where),
        )


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
    return _loans(request, principal)


@router.get("/van")
def van_page(request: Request, principal: Annotated[Principal, Depends(FIELD)]) -> Response:
    """Show the technician what lies in the own van."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        return _page(request, principal, stock_view.van_context(uow, principal, words))


def _stock(
    request: Request, principal: Principal, kind: PlaceKind | None = None, refusal: Refusal | None = None
) -> Response:
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        context = stock_view.stock_context(uow, principal, words, kind)
        cards = stock_steps.entry_cards(uow, principal, words) if _may_enter(principal) else []
    return _page(request, principal, context, cards, refusal)


def _loans(request: Request, principal: Principal, refusal: Refusal | None = None) -> Response:
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        context = stock_view.loans_context(uow, principal, words)
        cards = stock_steps.loan_cards(uow, principal, words) if _may_enter(principal) else []
    return _page(request, principal, context, cards, refusal)


def _may_enter(principal: Principal) -> bool:
    return principal.role in DISPATCHERS.roles


def _page(
    request: Request,
    principal: Principal,
    context: dict[str, Any],
    cards: Sequence[FormCard] = (),
    refusal: Refusal | None = None,
) -> Response:
    return renderer_of(request).page(
        request,
        "stock.html",
        principal=principal,
        status=refusal.status if refusal else 200,
        cards=cards,
        refusal=refusal,
        **({"next_href": "", "filters": []} | context),
    )
