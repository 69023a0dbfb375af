"""What a customer decides: estimates before chargeable work, and talks about replacing a machine.

The QR code of an estimate's paper is `/e/<id>`: it leads its customer to the decision, staff to the ticket.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Principal, services_of
from api.documents.estimate import notes_of
from api.documents.money_papers import money, price_lines
from api.fleet_lists import visible_bundles
from api.pages.common import Customer, Key, Person, failure_of, renderer_of, words_of
from api.pages.forms import Form, checked, version_of
from api.problem import Problem
from api.service_lists import list_tickets, visible_ticket
from crm_core.domain.billing import PaymentMethod
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.fieldwork import Estimate
from crm_core.domain.identity import TicketId
from crm_core.domain.service import OPEN_STATES, Role, Ticket
from crm_core.fieldwork.estimates import Standing, standing
from crm_core.fieldwork.proposals import is_wanted, may_answer
from crm_core.ports import TicketFilter, UnitOfWork
from crm_core.raising import PROPOSAL

router = APIRouter(include_in_schema=False)

_SHOWN = 100
_NOTE_MOST = 500


@dataclass(frozen=True, slots=True)
class Offer:
    """One estimate with its ticket, and what it is now."""

    estimate: Estimate
    ticket: Ticket
    standing: Standing


@router.get("/e/{estimate_id}")
def scanned(request: Request, principal: Person, estimate_id: Key) -> Response:
    """Lead a customer to the decision on an estimate, staff to its ticket."""
    with services_of(request).read_uow_factory() as uow:
        offer = _offer(principal, uow, estimate_id)
    if principal.role is Role.CUSTOMER:
        return RedirectResponse(f"/my/estimates/{estimate_id}", 303)
    return RedirectResponse(f"/tickets/{offer.ticket.ticket_id}#estimates", 303)


@router.get("/my/estimates")
def my_estimates(request: Request, principal: Customer) -> Response:
    """Show what waits for the customer's decision, and the estimates that were decided."""
    return _list(request, principal)


@router.get("/my/estimates/{estimate_id}")
def my_estimate(request: Request, principal: Customer, estimate_id: Key) -> Response:
    """Show one estimate with its lines, and the decision while it waits for one."""
    return _one(request, principal, estimate_id)


@router.post("/my/estimates/{estimate_id}")
def decide(request: Request, principal: Customer, form: Form, estimate_id: Key) -> Response:
    """Take the decision on an estimate as it was shown."""
    fields = checked(form, principal)
    services = services_of(request)
    with services.read_uow_factory() as uow:
        _offer(principal, uow, estimate_id)
    desk, note, version = services.fieldwork.estimates, _note(fields), version_of(fields)
    tenant, name = principal.tenant, principal.name

    def accept() -> None:
        desk.accept(tenant, estimate_id, _method(fields), actor=name, note=note, expected_version=version)

    def decline() -> None:
        desk.decline(tenant, estimate_id, actor=name, note=note, expected_version=version)

    def again(failure: str, status: int) -> Response:
        return _one(request, principal, estimate_id, failure, status)

    done = f"/my/estimates/{estimate_id}"
    return _answered(request, principal, fields, {"accept": accept, "decline": decline}, done, again)


@router.post("/my/proposals/{ticket_id}")
def answer(request: Request, principal: Customer, form: Form, ticket_id: Key) -> Response:
    """Take the answer to the proposal of a replacement as it was shown."""
    fields = checked(form, principal)
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_ticket(principal, uow, ticket_id)
    desk, note, version = services.fieldwork.proposals, _note(fields), version_of(fields)
    tenant, key, name = principal.tenant, TicketId(ticket_id), principal.name

    def accept() -> None:
        desk.accept(tenant, key, actor=name, note=note, expected_version=version)

    def decline() -> None:
        desk.decline(tenant, key, actor=name, note=note, expected_version=version)

    def again(failure: str, status: int) -> Response:
        return _list(request, principal, failure, status)

    return _answered(
        request, principal, fields, {"accept": accept, "decline": decline}, "/my/estimates", again
    )


def _answered(
    request: Request,
    principal: Principal,
    fields: dict[str, str],
    answers: dict[str, Callable[[], None]],
    done: str,
    again: Callable[[str, int], Response],
) -> Response:
    """Take the chosen answer and go to `done`; a refusal is explained where the form stands."""
    chosen = answers.get(fields.get("answer", ""))
    if chosen is None:
        raise Problem("invalid_input")
    try:
        chosen()
    except (Conflict, InvalidValue) as error:
        return again(*failure_of(request, principal, error))
    return RedirectResponse(done, 303)


def _note(fields: dict[str, str]) -> str:
    """Return what the customer wrote."""
    note = fields.get("note", "").strip()
    if len(note) > _NOTE_MOST:
        raise Problem("invalid_input")
    return note


def _method(fields: dict[str, str]) -> PaymentMethod | None:
    """Return how the customer will pay, None where the form does not say."""
    told = fields.get("method", "")
    return PaymentMethod(told) if told in set(PaymentMethod) else None


def _offer(principal: Principal, uow: UnitOfWork, estimate_id: int) -> Offer:
    """Return an estimate in sight, or answer like an absent one."""
    estimate = uow.fieldwork.estimates.get(principal.tenant, estimate_id)
    ticket = visible_ticket(principal, uow, estimate.ticket_id)
    (newest,) = uow.fieldwork.estimates.where(principal.tenant, ticket_id=estimate.ticket_id, limit=1)
    return Offer(estimate, ticket, standing(estimate, ticket, newest))


def _offers(principal: Principal, uow: UnitOfWork, made: Sequence[Estimate]) -> list[Offer]:
    """Return estimates, the newest first, with their tickets; each ticket is read once."""
    newest: dict[int, Estimate] = {}
    for each in made:
        newest.setdefault(each.ticket_id, each)
    tickets = {key: visible_ticket(principal, uow, key) for key in newest}
    return [
        Offer(each, tickets[each.ticket_id], standing(each, tickets[each.ticket_id], newest[each.ticket_id]))
        for each in made
    ]


def _list(request: Request, principal: Principal, failure: str | None = None, status: int = 200) -> Response:
    with services_of(request).read_uow_factory() as uow:
        made = uow.fieldwork.estimates.where(
            principal.tenant, customer_id=principal.bound_to or "", limit=_SHOWN
        )
        offers = _offers(principal, uow, made)
        tickets = list_tickets(principal, uow, TicketFilter(states=OPEN_STATES, limit=_SHOWN * 10))
        bundles = {each.device.device_id: each for each in visible_bundles(principal, uow)}
    proposals = [each for each in tickets if each.category == PROPOSAL]
    return renderer_of(request).page(
        request,
        "my_estimates.html",
        principal=principal,
        status=status,
        failure=failure,
        offers=sorted(offers, key=lambda each: each.standing is not Standing.OFFERED),
        proposals=[(each, may_answer(each), is_wanted(each)) for each in proposals],
        bundles=bundles,
        money=money,
    )


def _one(
    request: Request, principal: Principal, estimate_id: int, failure: str | None = None, status: int = 200
) -> Response:
    words = words_of(request, principal)
    with services_of(request).read_uow_factory() as uow:
        offer = _offer(principal, uow, estimate_id)
        bundle = uow.devices.bundle(principal.tenant, offer.estimate.device_id)
    return renderer_of(request).page(
        request,
        "my_estimate.html",
        principal=principal,
        status=status,
        failure=failure,
        offer=offer,
        estimate=offer.estimate,
        bundle=bundle,
        lines=price_lines(offer.estimate.price, words),
        notes=notes_of(offer.estimate, words),
        methods=[each.value for each in PaymentMethod],
        money=money,
    )
