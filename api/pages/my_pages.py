"""What a customer sees after signing in: the own devices, what is wrong with them, and when it will be dealt with."""

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.access import services_of
from api.fleet_lists import states_of, visible_bundles
from api.pages.common import Customer, renderer_of
from api.schemas.fleet import DeviceRow
from api.schemas.service import next_clock
from api.service_lists import list_tickets
from crm_core.domain.service import OPEN_STATES
from crm_core.ports import TicketFilter

router = APIRouter(include_in_schema=False)

_MOST: Final = 200


@router.get("/my")
def my_devices(request: Request, principal: Customer) -> Response:
    """Show the customer's devices and open tickets with the time promised for each."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        bundles = visible_bundles(principal, uow)
        tickets = list_tickets(principal, uow, TicketFilter(states=OPEN_STATES, limit=_MOST))
        customer = uow.customers.find(principal.tenant, principal.bound_to or "")
    states = states_of(services.store, principal.tenant, bundles[:_MOST])
    rows = [DeviceRow.of(bundle, states.get(bundle.device.device_id)) for bundle in bundles[:_MOST]]
    return renderer_of(request).page(
        request,
        "my_devices.html",
        principal=principal,
        customer=customer,
        devices=rows,
        total=len(bundles),
        tickets=[(ticket, next_clock(ticket)) for ticket in tickets],
        models={row.device_id: row.model for row in rows},
    )
