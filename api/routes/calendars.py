"""Feeds of planned visits for calendars: a technician's own, a customer's own, or the office's regions.

Calendars cannot sign in, so the address itself is the key: a token of the purpose `calendar`, which opens nothing else.
"""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi import Path as PathParameter
from starlette.requests import Request
from starlette.responses import Response

from api.access import PEOPLE, Principal, Public, hash_token, issue_token, services_of
from api.documents.calendar import CalendarVisit, calendar_of
from api.problem import Problem
from api.schemas.base import Output
from api.services import ApiServices
from api.wording import ticket_title
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import work_order_number
from crm_core.domain.service import Role, User, WorkOrder, WorkOrderState
from crm_core.ports import UnitOfWork, WorkOrderFilter

router = APIRouter(tags=["session"])
feeds = APIRouter(include_in_schema=False)

LIFETIME: Final = timedelta(days=400)
_KEPT: Final = timedelta(days=60)  # so long past visits and cancelled ones stay in the feed
_SHOWN: Final = 1000
Token = Annotated[str, PathParameter(min_length=20, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]


class CalendarAddress(Output):
    """The address of one's own feed; it is shown this once."""

    url: str


@router.post("/me/calendar", summary="Get an address for my calendar", status_code=201)
def subscribe(request: Request, principal: Annotated[Principal, Depends(PEOPLE)]) -> CalendarAddress:
    """Return a new secret address of the feed of one's own visits; it ends with the account or after 400 days."""
    return CalendarAddress(url=new_address(services_of(request), principal))


def new_address(services: ApiServices, principal: Principal) -> str:
    """Store a token for the feed of this person and return the feed's address."""
    now = services.clock.now()
    with services.uow_factory() as uow:
        user = uow.users.get(principal.tenant, principal.user_id)
        token = issue_token(
            uow, user, purpose="calendar", now=now, expires_at=now + LIFETIME, name="calendar"
        )
        uow.commit()
    return f"{services.settings.public_url.rstrip('/')}/calendar/{token}.ics"


@feeds.get("/calendar/{token}.ics")
def feed(
    request: Request,
    token: Token,
    _rule: Annotated[None, Depends(Public("the token in the address is the key; calendars cannot sign in"))],
) -> Response:
    """Return the planned visits of the person whom the address belongs to."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        user = _reader(services, uow, token)
        orders = uow.work_orders.list(user.tenant, _sight(user))
        visits = [
            _visit(services, uow, user, order)
            for order in orders
            if order.planned_start is not None and order.planned_start > services.clock.now() - _KEPT
        ]
    name = services.messages.text(user.language, "pages.calendar.name", person=user.name)
    body = calendar_of(name, visits, services.clock.now())
    return Response(body, media_type="text/calendar; charset=utf-8")


def _reader(services: ApiServices, uow: UnitOfWork, token: str) -> User:
    """Return the active person of a calendar token; everything else is an absent page."""
    stored = uow.users.find_token(hash_token(token))
    if stored is None or stored.purpose != "calendar" or stored.expires_at <= services.clock.now():
        raise Problem("not_found")
    user = uow.users.find(stored.tenant, stored.user_id)
    if user is None or not user.active or user.role is Role.INTEGRATOR:
        raise Problem("not_found")
    return user


def _sight(user: User) -> WorkOrderFilter:
    """Return which work orders are the person's."""
    if user.role is Role.TECHNICIAN:
        if user.technician_id is None:
            raise Problem("not_found")
        return WorkOrderFilter(technician_id=user.technician_id, limit=_SHOWN)
    if user.role is Role.CUSTOMER:
        return WorkOrderFilter(customer_id=user.customer_id or "", limit=_SHOWN)
    return WorkOrderFilter(regions=user.regions, limit=_SHOWN)


def _visit(services: ApiServices, uow: UnitOfWork, user: User, order: WorkOrder) -> CalendarVisit:
    bundle = uow.devices.bundle(order.tenant, order.device_id)
    minutes = services.policy.dispatch.minutes_on_site.get(order.kind.value, 60)
    assert order.planned_start is not None
    base = services.settings.public_url.rstrip("/")
    page = "/my" if user.role is Role.CUSTOMER else f"/work-orders/{order.work_order_id}"
    return CalendarVisit(
        uid=f"{order.tenant}-work-order-{order.work_order_id}@drumbeat",
        sequence=order.version,
        starts=order.planned_start,
        length=timedelta(minutes=minutes),
        summary=_summary(services, user, order, bundle),
        place=_place(bundle),
        details=_details(services, uow, user, order),
        url=f"{base}{page}",
        cancelled=order.state is WorkOrderState.CANCELLED,
    )


def _summary(services: ApiServices, user: User, order: WorkOrder, bundle: DeviceBundle) -> str:
    kind = services.messages.text(user.language, f"pages.kind.{order.kind.value}")
    return services.messages.text(
        user.language, "pages.order.what", kind=kind, model=bundle.device.model_name or order.device_id
    )


def _place(bundle: DeviceBundle) -> str:
    if bundle.site is None:
        return ""
    return ", ".join(part for part in (bundle.site.name, bundle.site.address) if part)


def _details(services: ApiServices, uow: UnitOfWork, user: User, order: WorkOrder) -> str:
    """Return number and reasons; access notes are for those who go there."""
    lines = [work_order_number(order.work_order_id)]
    for ticket_id in order.ticket_ids:
        ticket = uow.tickets.get(order.tenant, ticket_id)
        lines.append(ticket_title(ticket, services.messages, user.language))
    site = uow.sites.find(order.tenant, order.site_id) if order.site_id else None
    if user.role is not Role.CUSTOMER and site is not None and site.access_notes:
        lines.append(site.access_notes)
    return "\n".join(lines)
