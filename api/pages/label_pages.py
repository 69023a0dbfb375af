"""The label of a device: a QR code that leads whoever scans it to their own page of that device."""

from typing import Final

import segno
from fastapi import APIRouter
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import services_of, visible_bundle
from api.pages.common import Office, Person, renderer_of
from crm_core.domain.service import Role

router = APIRouter(include_in_schema=False)

_MODULE_PIXELS: Final = 6


@router.get("/d/{device_id}")
def scanned(request: Request, principal: Person, device_id: str) -> Response:
    """Lead a customer to where a fault of this device is reported, staff to all that is known of it."""
    with services_of(request).read_uow_factory() as uow:
        device = visible_bundle(principal, uow, device_id).device
    if principal.role is Role.CUSTOMER:
        return RedirectResponse(f"/my?device={device.device_id}#report", 303)
    return RedirectResponse(f"/devices/{device.device_id}", 303)


@router.get("/devices/{device_id}/label")
def label(request: Request, principal: Office, device_id: str) -> Response:
    """Show the label to print and to stick on the device."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        bundle = visible_bundle(principal, uow, device_id)
    link = f"{services.settings.public_url.rstrip('/')}/d/{bundle.device.device_id}"
    code = segno.make(link, error="m", micro=False).svg_inline(
        scale=_MODULE_PIXELS, dark="#000", light="#fff"
    )
    return renderer_of(request).page(
        request,
        "device_label.html",
        principal=principal,
        bundle=bundle,
        link=link,
        code=Markup(code),  # noqa: S704 - drawn by segno from an id of our own alphabet
    )
