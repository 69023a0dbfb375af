"""Entries that people make on the stock pages: received, moved, sent, arrived, counted; stand-by machines kept and lent.

Each form fills the body that programs send and calls the same route, so that both have one set of rules.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError
from starlette.requests import Request

from api.access import Principal
from api.pages.forms import count_of
from api.pages.steps import FormCard, FormField
from api.pages.stock_view import speech_of
from api.pages.supply_view import Words
from api.routes import stock as routes
from api.schemas.base import Input
from api.schemas.stock import (
    CountInput,
    DeliveryInput,
    LoanInput,
    ReceiptInput,
    ShipmentInput,
    StandByInput,
    TransferInput,
)
from api.stock_lists import sees_place
from crm_core.domain.errors import InvalidValue
from crm_core.domain.fleet import OwnerState
from crm_core.domain.loans import LoanState
from crm_core.domain.stock import PlaceKind, cupboard_at, kind_of_place, shelf_at
from crm_core.ports import DeviceFilter, UnitOfWork

_NUMBERS: Final = frozenset({"quantity", "counted", "count"})
_LOANS: Final = 200
#: Step of a loan -> the state that it needs.
LOAN_STEPS: Final = {"bring": LoanState.RESERVED, "take_back": LoanState.OUT, "withdraw": LoanState.RESERVED}
Choices = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A form: the body that it fills, what takes it, its fields, and the page that shows the result."""

    body: type[Input]
    take: Callable[[Request, Any, Principal], object]
    fields: tuple[str, ...]
    back: str


ENTRIES: Final[Mapping[str, Entry]] = MappingProxyType(
    {
        "receive": Entry(
            ReceiptInput, routes.receive, ("item_id", "quantity", "place", "reference"), "/stock/moves"
        ),
        "transfer": Entry(
            TransferInput,
            routes.transfer,
            ("item_id", "quantity", "source", "target", "reference"),
            "/stock/moves",
        ),
        "ship": Entry(
            ShipmentInput,
            routes.ship,
            ("item_id", "quantity", "source", "site_id", "reference"),
            "/stock/moves",
        ),
        "deliver": Entry(
            DeliveryInput, routes.deliver, ("item_id", "quantity", "site_id", "reference"), "/stock/moves"
        ),
        "count": Entry(CountInput, routes.count, ("item_id", "place", "counted", "note"), "/stock/moves"),
        "stand_by": Entry(StandByInput, routes.keep_stand_by, ("device_id", "place"), "/stock/loans"),
    }
)
_OPTIONAL: Final = frozenset({"reference", "note", "count"})


def enter(request: Request, principal: Principal, key: str, form: Mapping[str, str]) -> None:
    """Make the entry of a form; `InvalidValue` names the field that cannot be read."""
    entry = ENTRIES[key]
    entry.take(request, _filled(entry.body, form), principal)


def lend(request: Request, principal: Principal, step: str, form: Mapping[str, str]) -> None:
    """Make one step of a loan."""
    loan_id = count_of(form.get("loan", ""), "loan")
    body = _filled(LoanInput, form)
    assert isinstance(body, LoanInput)
    match step:
        case "bring":
            routes.bring(request, body, principal, loan_id)
        case "take_back":
            routes.take_back(request, body, principal, loan_id)
        case _:
            routes.cancel_loan(request, principal, loan_id)


def _filled(body: type[Input], form: Mapping[str, str]) -> Input:
    sent = {name: form.get(name, "").strip() for name in body.model_fields}
    told = {name: text for name, text in sent.items() if text}
    values = {name: count_of(text, name) if name in _NUMBERS else text for name, text in told.items()}
    try:
        return body.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidValue(f"{first['loc'][0]}: {first['msg']}") from None


def entry_cards(uow: UnitOfWork, principal: Principal, words: Words) -> list[FormCard]:
    """Return the forms of the ledger with what can be chosen in sight."""
    choices = _choices(uow, principal, words)
    return [_card(key, f"/stock/entries/{key}", choices) for key in ENTRIES if key != "stand_by"]


def loan_cards(uow: UnitOfWork, principal: Principal, words: Words) -> list[FormCard]:
    """Return the forms of stand-by machines: one is kept, brought, taken back, withdrawn."""
    choices = _choices(uow, principal, words)
    machines = DeviceFilter(owner_states=frozenset({OwnerState.STOCK}), limit=_LOANS)
    kept = {row.device_id for row in uow.stock.stand_bys(principal.tenant)}
    choices["device_id"] = tuple(
        (each.device.device_id, f"{each.device.device_id} · {each.device.model_name or ''}".strip(" ·"))
        for each in uow.devices.search(principal.tenant, machines)
        if each.device.device_id not in kept
    )
    cards = [_card("stand_by", "/stock/entries/stand_by", choices)] if choices["device_id"] else []
    loans = [
        loan
        for loan in uow.stock.loans(principal.tenant, limit=_LOANS)
        if loan.site_id is None or sees_place(principal, uow, shelf_at(loan.site_id))
    ]
    for step, state in LOAN_STEPS.items():
        open_ones = tuple(
            (str(loan.loan_id), f"{loan.device_id} → {loan.for_device}")
            for loan in loans
            if loan.state is state
        )
        if open_ones:
            fields = [FormField(name="loan", kind="choice", choices=open_ones)]
            if step != "withdraw":
                fields.append(FormField(name="count", kind="count", needed=False))
            cards.append(FormCard(key=step, action=f"/stock/loans/{step}", fields=tuple(fields)))
    return cards


def _card(key: str, action: str, choices: Mapping[str, Choices]) -> FormCard:
    fields = [
        FormField(
            name=name,
            kind="choice" if name in choices else "count" if name in _NUMBERS else "text",
            choices=choices.get(name, ()),
            needed=name not in _OPTIONAL,
        )
        for name in ENTRIES[key].fields
    ]
    return FormCard(key=key, action=action, fields=tuple(fields))


def _choices(uow: UnitOfWork, principal: Principal, words: Words) -> dict[str, Choices]:
    """Return the items, places and sites that a person may choose."""
    tenant, say = principal.tenant, speech_of(words)
    items = tuple(
        (item.item_id, item.name if item.name == item.item_id else f"{item.name} · {item.item_id}")
        for item in uow.stock.items(tenant)
        if item.active
    )
    sites = [site for site in uow.sites.all(tenant) if principal.sees_region(site.region)]
    named = [
        row.place
        for row in uow.stock.places(tenant)
        if kind_of_place(row.place) in (PlaceKind.WAREHOUSE, PlaceKind.VAN)
    ]
    spots: Sequence[str] = [
        *(place for place in named if sees_place(principal, uow, place)),
        *(cupboard_at(site.site_id) for site in sites),
        *(shelf_at(site.site_id) for site in sites),
    ]
    places = tuple((str(place), say.place(uow, principal, place)) for place in spots)  # type: ignore[arg-type]  # keys of places as texts
    return {
        "item_id": items,
        "place": places,
        "source": places,
        "target": places,
        "site_id": tuple((site.site_id, site.name) for site in sites),
    }
