"""A customer's own page for wishes: ask for a device, complain, propose changes of the own file, see points and promises."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import CUSTOMERS, Principal, services_of
from api.pages import care_view
from api.pages.common import failure_of, renderer_of, words_of
from api.pages.forms import Form, checked
from crm_core.agreements.recommendation import FEATURES
from crm_core.agreements.requests import Wish
from crm_core.domain.customer_files import Channel
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import CustomerId
from crm_core.relations.customers import SELF_SERVICE
from crm_core.relations.loyalty import balance, valid_coupons

router = APIRouter(include_in_schema=False)

Customer = Annotated[Principal, Depends(CUSTOMERS)]
_SHOWN = 20


@router.get("/my/care")
def my_care(request: Request, principal: Customer) -> Response:
    """Show the own requests, complaints and points, with the forms for new ones."""
    return _page(request, principal)


@router.post("/my/care/requests")
def ask(request: Request, principal: Customer, form: Form) -> Response:
    """Ask for a device."""
    checked(form, principal)
    services = services_of(request)

    def work() -> None:
        needs = {name: _whole(form[name]) for name in FEATURES if form.get(name, "0") not in ("", "0")}
        wish = Wish(
            customer_id=_own(principal),
            pages_mono=_whole(form.get("pages_mono", "")),
            pages_colour=_whole(form.get("pages_colour", "") or "0"),
            quantity=_whole(form.get("quantity", "") or "1"),
            months=_whole(form.get("months", "") or "36"),
            needs=needs,
            note=form.get("note", "")[:2000],
        )
        services.customers.requests.raise_request(principal.tenant, wish, by=principal.name)

    return _done(request, principal, work)


@router.post("/my/care/complaints")
def complain(request: Request, principal: Customer, form: Form) -> Response:
    """Complain."""
    checked(form, principal)
    services = services_of(request)

    def work() -> None:
        services.customers.care.complain(
            principal.tenant,
            _own(principal),
            subject=form.get("subject", "")[:128],
            text=form.get("text", "")[:2000],
            channel=Channel.CHAT,
        )

    return _done(request, principal, work)


@router.post("/my/care/changes")
def propose(request: Request, principal: Customer, form: Form) -> Response:
    """Propose changes to the own file."""
    checked(form, principal)
    services = services_of(request)
    changes = {name: form[name].strip()[:128] for name in SELF_SERVICE if form.get(name, "").strip()}

    def work() -> None:
        services.customers.files.propose(principal.tenant, _own(principal), changes, by=principal.name)

    return _done(request, principal, work)


def _done(request: Request, principal: Principal, work: Callable[[], None]) -> Response:
    """Do the work and show the page again; a refusal is explained there."""
    try:
        work()
    except (Conflict, InvalidValue) as error:
        failure, status = failure_of(request, principal, error)
        return _page(request, principal, f"{failure} {error}", status)
    return RedirectResponse("/my/care", 303)


def _page(request: Request, principal: Principal, failure: str | None = None, status: int = 200) -> Response:
    services, words = services_of(request), words_of(request, principal)
    tenant, own = principal.tenant, _own(principal)
    with services.read_uow_factory() as uow:
        points = balance(uow, tenant, own)
        context = {
            "customer": uow.customers.get(tenant, own),
            "requests": uow.agreements.requests.where(tenant, customer_id=own, limit=_SHOWN),
            "complaints": uow.relations.complaints.where(tenant, customer_id=own, limit=_SHOWN),
            "changes": uow.relations.file_changes.where(tenant, customer_id=own, state="proposed"),
            "coupons": valid_coupons(uow, tenant, own, services.clock.now()),
            "points": points,
            "worth": services.policy.relations.loyalty.point_value * points,
        }
    return renderer_of(request).page(
        request,
        "my_care.html",
        principal=principal,
        status=status,
        failure=failure,
        features=[(name, care_view.word(words, "feature", name)) for name in FEATURES],
        word=lambda family, value: care_view.word(words, family, str(value)),
        **context,
    )


def _own(principal: Principal) -> CustomerId:
    return CustomerId(principal.bound_to or "")


def _whole(text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidValue("a whole number is needed")
    return int(text)
