"""One's visits in one's own calendar: what it is, and a button that gives the secret address."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.access import services_of
from api.pages.common import Person, renderer_of
from api.pages.forms import Form, checked
from api.routes.calendars import new_address

router = APIRouter(include_in_schema=False)


@router.get("/calendar")
def calendar_page(request: Request, principal: Person) -> Response:
    """Explain the feed."""
    return renderer_of(request).page(request, "calendar.html", principal=principal, address=None)


@router.post("/calendar")
def subscribe(request: Request, principal: Person, form: Form) -> Response:
    """Show a new address, this once."""
    checked(form, principal)
    address = new_address(services_of(request), principal)
    return renderer_of(request).page(request, "calendar.html", principal=principal, address=address)
