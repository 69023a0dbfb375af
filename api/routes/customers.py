"""Customers: files, contacts, classes with reasons and history, proposed changes."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import CARE, CUSTOMERS, OFFICE_READ, Principal, check_sees_customer, services_of
from api.conditional import check_if_match, set_etag
from api.direct_route import DirectRoute
from api.paging import Cursor, Limit, decode_cursor, encode_cursor
from api.problem import Problem
from api.routes.tickets import IdempotencyKey, IfMatch
from api.schemas.base import Page
from api.schemas.customers import (
    ClassBody,
    ContactBody,
    ContactInput,
    CustomerBody,
    CustomerInput,
    CustomerRow,
    DecisionInput,
    FileChangeBody,
    FileChangeInput,
    NewCustomer,
)
from crm_core.domain.fleet import Customer
from crm_core.domain.identity import CustomerId
from crm_core.ports import UnitOfWork
from crm_core.relations.segments import classes_at

router = APIRouter(tags=["customers"], route_class=DirectRoute)

CustomerKey = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
RecordKey = Annotated[int, Path(ge=1, le=2**53)]
ClassFilter = Annotated[
    list[str] | None,
    Query(
        alias="class",
        max_length=10,
        description="axis=class, or axis=class|class; repeat to combine, as class=tier=core&class=industry=design",
    ),
]


@router.get("/customers", summary="Customers")
def customers(
    request: Request,
    principal: Annotated[Principal, Depends(OFFICE_READ)],
    cursor: Cursor = None,
    limit: Limit = 50,
    q: Annotated[str, Query(max_length=64, description="part of id, name or contact")] = "",
    classes: ClassFilter = None,
    owner: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[CustomerRow]:
    """Return the customers in sight by id, with their classes; filters combine."""
    wanted = _wanted(classes or [])
    after = decode_cursor(cursor) or ""
    with services_of(request).read_uow_factory() as uow:
        held = classes_at(uow.relations.present_classes(principal.tenant))
        rows = [
            customer
            for customer in customers_in_sight(principal, uow)
            if customer.customer_id > after
            and (owner is None or customer.owner == owner)
            and q.casefold() in f"{customer.customer_id}\n{customer.name}\n{customer.contact_name}".casefold()
            and _fits(held.get(customer.customer_id, {}), wanted)
        ]
    return Page(
        items=[CustomerRow.of(each, held.get(each.customer_id, {})) for each in rows[:limit]],
        next_cursor=encode_cursor(rows[limit - 1].customer_id) if len(rows) > limit else None,
    )


@router.post("/customers", summary="Add a customer", status_code=201)
def add_customer(
    request: Request,
    response: Response,
    body: NewCustomer,
    principal: Annotated[Principal, Depends(CARE)],
    _key: IdempotencyKey = None,
) -> CustomerBody:
    """Add a customer; a company without a contact person is refused."""
    made = services_of(request).customers.files.register(body.customer(principal.tenant, body.customer_id))
    set_etag(response, made.version)
    return CustomerBody.full(made, {})


@router.get("/customers/{customer_id}", summary="One customer")
def one_customer(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(OFFICE_READ)],
    customer_id: CustomerKey,
) -> CustomerBody:
    """Return the file of a customer with its classes."""
    return _full(request, response, principal, customer_id)


@router.put("/customers/{customer_id}", summary="Change a customer")
def change_customer(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CARE)],
    customer_id: CustomerKey,
    body: CustomerInput,
    _if_match: IfMatch = None,
) -> CustomerBody:
    """Replace the file; tier, owner and review date stay as they are."""
    known = visible_customer(request, principal, customer_id)
    check_if_match(request, known.version)
    services_of(request).customers.files.change(
        body.customer(principal.tenant, customer_id), expected_version=known.version
    )
    return _full(request, response, principal, customer_id)


@router.post("/customers/{customer_id}/reviewed", summary="The file was looked over")
def reviewed(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CARE)],
    customer_id: CustomerKey,
    _if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> CustomerBody:
    """Note that the file was looked over; the next review is due a year later."""
    known = visible_customer(request, principal, customer_id)
    check_if_match(request, known.version)
    services_of(request).customers.files.reviewed(
        principal.tenant, CustomerId(customer_id), expected_version=known.version
    )
    return _full(request, response, principal, customer_id)


@router.get("/customers/{customer_id}/classes", summary="Classes of a customer with reasons and history")
def classes_of_customer(
    request: Request,
    principal: Annotated[Principal, Depends(OFFICE_READ)],
    customer_id: CustomerKey,
    axis: Annotated[str | None, Query(max_length=64)] = None,
) -> list[ClassBody]:
    """Return the classes, present ones first, then the past, newest first."""
    visible_customer(request, principal, customer_id)
    with services_of(request).read_uow_factory() as uow:
        rows = uow.relations.classes.where(principal.tenant, customer_id=customer_id, axis=axis, limit=1000)
    return [ClassBody.of(row) for row in sorted(rows, key=lambda row: (row.until is not None, row.axis))]


# --- contacts ---


@router.get("/customers/{customer_id}/contacts", summary="People to speak to")
def contacts(
    request: Request, principal: Annotated[Principal, Depends(OFFICE_READ)], customer_id: CustomerKey
) -> list[ContactBody]:
    """Return the contacts of a customer, primary ones first."""
    visible_customer(request, principal, customer_id)
    with services_of(request).read_uow_factory() as uow:
        rows = uow.relations.contacts.where(principal.tenant, customer_id=customer_id, limit=500)
    ordered = sorted(rows, key=lambda row: (not row.active, not row.primary, row.contact_id))
    return [ContactBody.model_validate(row) for row in ordered]


@router.post("/customers/{customer_id}/contacts", summary="Add a contact", status_code=201)
def add_contact(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CARE)],
    customer_id: CustomerKey,
    body: ContactInput,
    _key: IdempotencyKey = None,
) -> ContactBody:
    """Add somebody to speak to; the first of a site is its primary contact."""
    visible_customer(request, principal, customer_id)
    made = services_of(request).customers.files.add_contact(body.contact(principal.tenant, customer_id))
    set_etag(response, made.version)
    return ContactBody.model_validate(made)


@router.put("/customers/{customer_id}/contacts/{contact_id}", summary="Change a contact")
def change_contact(
    request: Request,
    response: Response,
    principal: Annotated[Principal, Depends(CARE)],
    customer_id: CustomerKey,
    contact_id: RecordKey,
    body: ContactInput,
    _if_match: IfMatch = None,
) -> ContactBody:
    """Replace a contact; `active: false` keeps it for the record only."""
    visible_customer(request, principal, customer_id)
    with services_of(request).read_uow_factory() as uow:
        known = uow.relations.contacts.get(principal.tenant, contact_id)
    if known.customer_id != customer_id:
        raise Problem("not_found")
    check_if_match(request, known.version)
    changed = services_of(request).customers.files.change_contact(
        body.contact(principal.tenant, customer_id, contact_id, known.version)
    )
    set_etag(response, changed.version)
    return ContactBody.model_validate(changed)


# --- the customer's own wishes about the file ---


@router.post("/my/file-changes", summary="Propose changes to the own file", status_code=201)
def propose(
    request: Request,
    principal: Annotated[Principal, Depends(CUSTOMERS)],
    body: FileChangeInput,
    _key: IdempotencyKey = None,
) -> FileChangeBody:
    """Propose changes to the own file; somebody of the firm accepts or refuses them."""
    changes = {name: str(value) for name, value in body.model_dump(exclude_none=True).items()}
    made = services_of(request).customers.files.propose(
        principal.tenant, CustomerId(principal.bound_to or ""), changes, by=principal.name
    )
    return FileChangeBody.of(made)


@router.get("/file-changes", summary="Changes that customers proposed")
def file_changes(request: Request, principal: Annotated[Principal, Depends(CARE)]) -> list[FileChangeBody]:
    """Return the proposals that wait for a decision, oldest first."""
    with services_of(request).read_uow_factory() as uow:
        seen = {each.customer_id for each in customers_in_sight(principal, uow)}
        rows = uow.relations.file_changes.where(principal.tenant, state="proposed", limit=1000)
    return [FileChangeBody.of(row) for row in reversed(rows) if row.customer_id in seen]


@router.post("/file-changes/{change_id}/decision", summary="Accept or refuse proposed changes")
def decide(
    request: Request,
    principal: Annotated[Principal, Depends(CARE)],
    change_id: RecordKey,
    body: DecisionInput,
    _key: IdempotencyKey = None,
) -> FileChangeBody:
    """Decide on proposed changes; accepted ones are in the file at once."""
    with services_of(request).read_uow_factory() as uow:
        change = uow.relations.file_changes.get(principal.tenant, change_id)
        check_sees_customer(principal, uow, change.customer_id)
    decided = services_of(request).customers.files.decide(
        principal.tenant, change_id, accept=body.accept, by=principal.name
    )
    return FileChangeBody.of(decided)


# --- shared with other routes ---


def visible_customer(request: Request, principal: Principal, customer_id: str) -> Customer:
    """Return a customer in sight, or raise the same problem for an absent and an invisible one."""
    with services_of(request).read_uow_factory() as uow:
        check_sees_customer(principal, uow, customer_id)
        return uow.customers.get(principal.tenant, customer_id)


def customers_in_sight(principal: Principal, uow: UnitOfWork) -> list[Customer]:
    """Return all customers that a person sees, by id: those with a site in the regions, or all without a limit."""
    rows: Iterable[Customer] = uow.customers.all(principal.tenant)
    if not principal.sees_region(None):
        near = {
            site.customer_id for site in uow.sites.all(principal.tenant) if principal.sees_region(site.region)
        }
        rows = (row for row in rows if row.customer_id in near)
    return sorted(rows, key=lambda row: row.customer_id)


def _full(request: Request, response: Response, principal: Principal, customer_id: str) -> CustomerBody:
    customer = visible_customer(request, principal, customer_id)
    with services_of(request).read_uow_factory() as uow:
        held = classes_at(uow.relations.present_classes(principal.tenant, customer_id))
    set_etag(response, customer.version)
    return CustomerBody.full(customer, held.get(customer.customer_id, {}))


def _wanted(filters: list[str]) -> dict[str, tuple[str, ...]]:
    """Return axis -> classes of the filter words, or raise `invalid_input`."""
    wanted = {}
    for text in filters:
        axis, equals, values = text[:200].partition("=")
        if not (axis and equals and values):
            raise Problem("invalid_input", "class is axis=class, as class=tier=core")
        wanted[axis] = tuple(values.split("|"))
    return wanted


def _fits(held: Mapping[str, str], wanted: Mapping[str, tuple[str, ...]]) -> bool:
    return all(held.get(axis) in values for axis, values in wanted.items())
