"""Trust: the audit chain for administrators; personal fields, their export and erasure for those whom policy lets."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import ADMINS, CARE, MANAGERS, WHOLE_FIRM, Principal, check_sees_customer, services_of
from api.direct_route import DirectRoute
from api.paging import Cursor, Limit, decode_number, encode_cursor
from api.problem import Problem
from api.schemas.base import Page
from api.schemas.trust import (
    AuditEventBody,
    ForgottenBody,
    FoundBody,
    PersonalBody,
    PersonalExport,
    PersonalSearch,
    PersonalValue,
    RevealedBody,
    TrustReason,
    VerificationBody,
)
from crm_core.domain.identity import CustomerId
from crm_core.domain.trust import Subject, SubjectKind

router = APIRouter(tags=["trust"], route_class=DirectRoute)

CustomerKey = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
FieldName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Text = Annotated[str | None, Query(max_length=128)]


@router.get("/audit/events", summary="Who changed what")
def audit_events(
    request: Request,
    principal: Annotated[Principal, Depends(ADMINS)],
    kind: Text = None,
    object_id: Text = None,
    actor: Text = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[AuditEventBody]:
    """Return events of the audit chain, newest first."""
    with services_of(request).read_uow_factory() as uow:
        events = uow.trust.newest_events(
            principal.tenant,
            before=decode_number(cursor),
            kind=kind,
            object_id=object_id,
            actor=actor,
            limit=limit,
        )
    following = encode_cursor(str(events[-1].number)) if len(events) == limit else None
    return Page(items=[AuditEventBody.of(event) for event in events], next_cursor=following)


@router.get("/audit/verification", summary="Is the audit chain whole")
def verification(request: Request, principal: Annotated[Principal, Depends(ADMINS)]) -> VerificationBody:
    """Walk through the whole chain and compare it with its anchors; about a second for 50,000 events."""
    return VerificationBody.of(services_of(request).verify_audit(principal.tenant))


@router.get("/customers/{customer_id}/personal", summary="Personal fields, masked by role")
def personal_fields(
    request: Request, principal: Annotated[Principal, Depends(CARE)], customer_id: CustomerKey
) -> PersonalBody:
    """Return the personal fields of a customer as the role may see them."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        check_sees_customer(principal, uow, customer_id)
        fields = services.personal.shown(uow, principal.tenant, _subject(customer_id), principal.role)
    return PersonalBody(customer_id=customer_id, fields=fields)


@router.put("/customers/{customer_id}/personal/{field}", summary="Store a personal field", status_code=204)
def put_personal_field(
    request: Request,
    principal: Annotated[Principal, Depends(CARE)],
    customer_id: CustomerKey,
    field: FieldName,
    body: PersonalValue,
) -> Response:
    """Seal and store one field; 422 for a field that the policy does not name."""
    services = services_of(request)
    with services.uow_factory() as uow:
        check_sees_customer(principal, uow, customer_id)
        services.personal.put(uow, principal.tenant, _subject(customer_id), field, body.value)
        uow.commit()
    return Response(status_code=204)


@router.post("/customers/{customer_id}/personal/{field}/reveal", summary="Read a personal field in full")
def reveal(
    request: Request,
    principal: Annotated[Principal, Depends(CARE)],
    customer_id: CustomerKey,
    field: FieldName,
    body: TrustReason,
) -> RevealedBody:
    """Return one field in full to a role that the policy lets read it; the audit chain keeps who and why."""
    services = services_of(request)
    with services.uow_factory() as uow:
        check_sees_customer(principal, uow, customer_id)
        rule = services.personal.fields.get(field)
        if rule is not None and principal.role not in rule.read_by:
            raise Problem("forbidden")
        value = services.personal.reveal(uow, principal.tenant, _subject(customer_id), field, body.reason)
        uow.commit()
    return RevealedBody(field=field, value=value)


@router.post("/personal/search", summary="Find a customer by an exact personal value")
def find_by_personal(
    request: Request, principal: Annotated[Principal, Depends(WHOLE_FIRM)], body: PersonalSearch
) -> FoundBody:
    """Return the customers that have exactly this number; nothing is opened for it."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        found = services.personal.find(uow, principal.tenant, SubjectKind.CUSTOMER, body.field, body.value)
    return FoundBody(customer_ids=[subject.subject_id for subject in found])


@router.post("/customers/{customer_id}/personal-export", summary="Everything kept about a customer")
def export_personal(
    request: Request,
    principal: Annotated[Principal, Depends(MANAGERS)],
    customer_id: CustomerKey,
    body: TrustReason,
) -> PersonalExport:
    """Return what is kept about a customer, machine readable and in full; the audit chain keeps who and why."""
    _check_sees(request, principal, customer_id)
    found = services_of(request).subjects.export(principal.tenant, CustomerId(customer_id), body.reason)
    return PersonalExport(body=found)


@router.post("/customers/{customer_id}/erasure", summary="Erase a customer's personal data")
def erase(
    request: Request,
    principal: Annotated[Principal, Depends(MANAGERS)],
    customer_id: CustomerKey,
    body: TrustReason,
) -> ForgottenBody:
    """Erase for good; 409 while a contract runs or a ticket is open. Invoices stay and name only the id."""
    _check_sees(request, principal, customer_id)
    return ForgottenBody.of(
        services_of(request).subjects.erase(principal.tenant, CustomerId(customer_id), body.reason)
    )


def _check_sees(request: Request, principal: Principal, customer_id: str) -> None:
    with services_of(request).read_uow_factory() as uow:
        check_sees_customer(principal, uow, customer_id)


def _subject(customer_id: str) -> Subject:
    return Subject(SubjectKind.CUSTOMER, customer_id)
